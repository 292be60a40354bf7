#include "modules/monitor/monitor_files.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::size_t file_bytes_max = 8 * 1024 * 1024; // none of these is so long; who puts one there is not followed

struct FolderCloser {
    void operator()(DIR* folder) const { ::closedir(folder); }
};

} // namespace

const char* SystemFiles::path(std::string_view path) {
    path_.assign(root_).append(path);
    return path_.c_str();
}

std::optional<std::string_view> SystemFiles::find(std::string_view where) {
    error_ = 0;
    // Not to hang on a pipe that stands where a file should.
    const int file = ::open(path(where), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        error_ = errno;
        return std::nullopt;
    }
    std::size_t length = 0;
    for (;;) {
        const ssize_t got = ::read(file, buffer_.data() + length, buffer_.size() - length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) error_ = errno;
        if (got <= 0) break;
        length += static_cast<std::size_t>(got);
        if (length < buffer_.size()) continue;
        if (length >= file_bytes_max) {
            error_ = EFBIG;
            break;
        }
        buffer_.resize(buffer_.size() * 2);
    }
    ::close(file);
    if (error_ != 0) return std::nullopt;
    return std::string_view(buffer_.data(), length);
}

std::optional<std::string> SystemFiles::find_link(std::string_view where) {
    char target[4096];
    const ssize_t length = ::readlink(path(where), target, sizeof target);
    error_ = length < 0 ? errno : 0;
    if (length <= 0) return std::nullopt;
    return std::string(target, static_cast<std::size_t>(length));
}

std::vector<std::string> SystemFiles::names(std::string_view where) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, FolderCloser> folder(::opendir(path(where)));
    error_ = folder ? 0 : errno;
    if (!folder) return names;
    while (const dirent* const entry = ::readdir(folder.get()))
        if (entry->d_name[0] != '.') names.emplace_back(static_cast<const char*>(entry->d_name));
    return names;
}

bool SystemFiles::exists(std::string_view where) {
    struct stat status {};
    return ::stat(path(where), &status) == 0;
}

bool SystemFiles::is_absent() const { return error_ == ENOENT || error_ == ESRCH; }

std::string SystemFiles::why() const {
    switch (error_) {
    case 0:
        return "it is not of the known form";
    case ENOENT:
    case ESRCH:
        return "the system does not offer it";
    case EACCES:
    case EPERM:
        return "not permitted";
    case EOPNOTSUPP:
        return "switched off in the kernel";
    default:
        return std::strerror(error_);
    }
}

namespace text {

std::string_view take_word(std::string_view& rest) {
    const std::size_t begin = rest.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) {
        rest = {};
        return {};
    }
    const std::size_t end = std::min(rest.find_first_of(" \t\n", begin), rest.size());
    const std::string_view word = rest.substr(begin, end - begin);
    rest.remove_prefix(end);
    return word;
}

std::string_view take_line(std::string_view& rest) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return line;
}

std::optional<std::uint64_t> number(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), value);
    if (error != std::errc()) return std::nullopt;
    return value;
}

std::optional<double> decimal(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return std::nullopt;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), value);
    if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> labelled(std::string_view text, std::string_view label) {
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        if (line.starts_with(label)) return number(line.substr(label.size()));
    }
    return std::nullopt;
}

} // namespace text

} // namespace pillion
