// Lines are appended, so that a crash in the middle leaves at most half a line at the end; when nobody lives any more
// or the file has grown, it is written anew in place, since the lock belongs to the file and not to its name.
#include "modules/process/ledger.h"

#include "ipc/base/log.h"
#include "ipc/base/platform.h"
#include "modules/process/process_table.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>

namespace pillion {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view title = "pillion-children 1";
constexpr std::string_view ending = ".children";
constexpr std::size_t rewrite_bytes = 64 * 1024;
constexpr std::size_t read_bytes_max = 1024 * 1024;
constexpr std::size_t files_max = 1000;

std::string boot_id() {
    std::string id = platform::find_system_text("/proc/sys/kernel/random/boot_id").value_or("unknown");
    while (id.ends_with('\n')) id.pop_back();
    return id;
}

fs::path folder_of(const std::string& data_directory) { return fs::path(data_directory) / "run"; }

// Percent-encodes what separates words and lines.
std::string as_word(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string word;
    for (const char byte : text) {
        const auto code = static_cast<unsigned char>(byte);
        if (code > 0x20 && code != '%' && code != 0x7F) {
            word += byte;
            continue;
        }
        word += '%';
        word += digits[code >> 4];
        word += digits[code & 15];
    }
    return word.empty() ? "%" : word;
}

std::string from_word(std::string_view word) {
    std::string text;
    for (std::size_t at = 0; at < word.size(); ++at) {
        unsigned code = 0;
        if (word[at] != '%')
            text += word[at];
        else if (at + 2 < word.size() &&
                 std::from_chars(&word[at + 1], &word[at + 1] + 2, code, 16).ec == std::errc()) {
            text += static_cast<char>(code);
            at += 2;
        }
    }
    return text;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const std::size_t end = std::min(line.find(' '), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

template <class Number>
std::optional<Number> number_of(std::string_view word) {
    Number number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc() && end == word.data() + word.size() ? std::optional(number) : std::nullopt;
}

std::string line_of(const LedgerEntry& entry) {
    return "+ " + std::to_string(entry.pid) + " " + std::to_string(entry.start_ticks) + " " +
           as_word(entry.executable) + " " + as_word(entry.name) + "\n";
}

// A mark that is too short would fit others.
bool is_run_id(std::string_view text) {
    return text.size() >= 16 && text.size() <= 64 &&
           text.find_first_not_of("0123456789abcdef-") == std::string_view::npos;
}

void take_line(std::string_view line, std::vector<LedgerEntry>& entries) {
    const auto words = words_of(line);
    if (words.size() < 3) return;
    const auto pid = number_of<pid_t>(words[1]);
    const auto start_ticks = number_of<std::uint64_t>(words[2]);
    if (!pid || !start_ticks || *pid <= 1) return;
    if (words[0] == "-")
        std::erase_if(entries,
                      [&](const LedgerEntry& entry) { return entry.pid == *pid && entry.start_ticks == *start_ticks; });
    if (words[0] == "+" && words.size() == 5)
        entries.push_back({*pid, *start_ticks, from_word(words[3]), from_word(words[4])});
}

std::string read_all(int file) {
    std::string text(read_bytes_max, '\0');
    const ssize_t length = ::pread(file, text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    return text;
}

void read_ledger(DeadLedger& ledger) {
    const std::string text = read_all(ledger.file.number());
    std::string_view rest = text;
    const auto next_line = [&]() -> std::optional<std::string_view> {
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos) return std::nullopt; // half a line says nothing
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end + 1);
        return line;
    };
    const auto header = next_line();
    if (!header || !header->starts_with(title)) return;
    const auto words = words_of(header->substr(title.size() + 1 > header->size() ? header->size() : title.size() + 1));
    if (words.size() != 2 || words[0] != boot_id() || !is_run_id(words[1])) return;
    ledger.run_id = words[1];
    while (const auto line = next_line()) take_line(*line, ledger.entries);
}

// The run that the file is named after; it may live without holding the lock yet.
bool is_of_living_run(const std::string& name) {
    const std::string_view text = name;
    const std::size_t first = text.find('-');
    const auto pid = number_of<pid_t>(text.substr(0, first));
    if (first == std::string_view::npos || !pid) return false;
    const std::string_view rest = text.substr(first + 1);
    const auto start_ticks = number_of<std::uint64_t>(rest.substr(0, rest.find_first_of("-.")));
    return start_ticks && process_table::is_alive(*pid, *start_ticks);
}

bool is_named(int file, const std::string& path) {
    struct stat opened {};
    struct stat named {};
    return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

} // namespace

std::string executable_of(pid_t pid) {
    std::error_code error;
    std::string path = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", error).string();
    // An update may have replaced the file under the running process.
    if (constexpr std::string_view deleted = " (deleted)"; path.ends_with(deleted))
        path.resize(path.size() - deleted.size());
    return path;
}

Ledger::Ledger(const std::string& data_directory, const std::string& run_id)
    : header_(std::string(title) + " " + boot_id() + " " + run_id + "\n") {
    static std::atomic<unsigned> counter{0};
    std::error_code error;
    fs::create_directories(folder_of(data_directory), error);
    process_table::Entry self;
    process_table::read(::getpid(), self);
    path_ = folder_of(data_directory) / (std::to_string(::getpid()) + "-" + std::to_string(self.start_ticks) + "-" +
                                         std::to_string(counter.fetch_add(1)) + std::string(ending));
    file_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file_.is_open()) ::flock(file_.number(), LOCK_EX | LOCK_NB);
    append(header_);
}

Ledger::~Ledger() {
    if (!file_.is_open()) return;
    if (entries_.empty()) ::unlink(path_.c_str());
}

void Ledger::append(const std::string& line) {
    if (file_.is_open() && ::write(file_.number(), line.data(), line.size()) == static_cast<ssize_t>(line.size())) {
        bytes_ += line.size();
        has_complained_ = false;
        return;
    }
    if (!has_complained_)
        log(LogLevel::warning, "process",
            "the list of running children cannot be written to " + path_ + ": " + std::strerror(errno) +
                "; should Pillion crash, its next start cannot find them");
    has_complained_ = true;
}

void Ledger::rewrite() {
    if (!file_.is_open() || ::ftruncate(file_.number(), 0) != 0 || ::lseek(file_.number(), 0, SEEK_SET) != 0) return;
    std::string text = header_;
    for (const LedgerEntry& entry : entries_) text += line_of(entry);
    bytes_ = 0;
    append(text);
}

void Ledger::add(LedgerEntry entry) {
    const std::string line = line_of(entry);
    entries_.push_back(std::move(entry));
    // After a failure there may be half a line at the end.
    if (bytes_ > rewrite_bytes || has_complained_)
        rewrite();
    else
        append(line);
}

void Ledger::remove(pid_t pid) {
    const auto entry = std::ranges::find(entries_, pid, &LedgerEntry::pid);
    if (entry == entries_.end()) return;
    const std::string line = "- " + std::to_string(pid) + " " + std::to_string(entry->start_ticks) + "\n";
    entries_.erase(entry);
    if (entries_.empty() || has_complained_)
        rewrite();
    else
        append(line);
}

std::vector<DeadLedger> dead_ledgers(const std::string& data_directory) {
    std::vector<DeadLedger> found;
    std::error_code error;
    for (fs::directory_iterator file(folder_of(data_directory), error), none;
         !error && file != none && found.size() < files_max; file.increment(error)) {
        const std::string path = file->path().string();
        if (!path.ends_with(ending) || is_of_living_run(file->path().filename().string())) continue;
        DeadLedger ledger{path, Descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)), {}, {}};
        if (!ledger.file.is_open() || ::flock(ledger.file.number(), LOCK_EX | LOCK_NB) != 0) continue;
        // Somebody else may have dealt with it meanwhile.
        if (!is_named(ledger.file.number(), path)) continue;
        read_ledger(ledger);
        found.push_back(std::move(ledger));
    }
    return found;
}

} // namespace pillion
