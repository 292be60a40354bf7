// spdlog makes the time stamps and rotates the file; the stream to stderr is ours, since no sink of spdlog's gives up
// on a reader that does not read. poll() says whether a pipe has a free page, and then PIPE_BUF bytes fit without
// waiting. SIGPIPE is the process's to ignore.
#include "sidecar/logging.h"

#include "ipc/base/platform.h"

#ifndef SPDLOG_HEADER_ONLY
#define SPDLOG_HEADER_ONLY
#endif
#ifndef SPDLOG_FMT_EXTERNAL
#define SPDLOG_FMT_EXTERNAL
#endif
#ifndef FMT_HEADER_ONLY
#define FMT_HEADER_ONLY
#endif
#include <atomic>
#include <cerrno>
#include <memory>
#include <poll.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace pillion {

namespace {

constexpr const char* pattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %n: %v";

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
    case LogLevel::trace:
        return spdlog::level::trace;
    case LogLevel::debug:
        return spdlog::level::debug;
    case LogLevel::info:
        return spdlog::level::info;
    case LogLevel::warning:
        return spdlog::level::warn;
    case LogLevel::error:
        return spdlog::level::err;
    case LogLevel::off:
        break;
    }
    return spdlog::level::critical;
}

std::unique_ptr<spdlog::formatter> make_formatter() {
    return std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, "\n");
}

// Created by the first line and never destroyed: threads may log until the very end.
class Output {
  public:
    explicit Output(int descriptor) : writer_(descriptor), formatter_(make_formatter()) {}

    void write(const spdlog::details::log_msg& message, spdlog::sinks::sink* file) {
        {
            const std::lock_guard lock(mutex_); // the formatter keeps the last second's text
            spdlog::memory_buf_t line;
            formatter_->format(message, line);
            writer_.write({line.data(), line.size()});
        }
        if (file == nullptr) return;
        file->log(message);
        file->flush(); // the lines before an abort are those somebody wants to read
    }

  private:
    LineWriter writer_;
    std::mutex mutex_;
    const std::unique_ptr<spdlog::formatter> formatter_;
};

std::atomic<int> descriptor_to_use{STDERR_FILENO};
std::atomic<Output*> output{nullptr};
std::atomic<spdlog::sinks::sink*> file_sink{nullptr}; // owned by the process until its end

// What another thread may still be writing to stays, and stays reachable for leak checkers.
void keep(std::shared_ptr<void> replaced) {
    static std::mutex mutex;
    static auto* const kept = new std::vector<std::shared_ptr<void>>;
    const std::lock_guard lock(mutex);
    if (replaced) kept->push_back(std::move(replaced));
}

Output& output_now() {
    static std::mutex mutex;
    if (Output* const made = output.load(std::memory_order_acquire)) return *made;
    const std::lock_guard lock(mutex);
    Output* made = output.load(std::memory_order_acquire);
    if (made == nullptr) {
        made = new Output(descriptor_to_use.load());
        output.store(made, std::memory_order_release);
    }
    return *made;
}

void write_line(LogLevel level, std::string_view component, std::string_view message) {
    try {
        const std::string text = escaped_for_log(message);
        const spdlog::details::log_msg line(spdlog::string_view_t(component.data(), component.size()),
                                            spdlog_level(level), spdlog::string_view_t(text.data(), text.size()));
        output_now().write(line, file_sink.load(std::memory_order_acquire));
    } catch (...) { // a line that cannot be written must not end the work it tells of
    }
}

// The part of `text` that ends before `bytes_max` and not inside a character.
std::string_view cut(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0) == 0x80) --bytes_max;
    return text.substr(0, bytes_max);
}

} // namespace

std::string escaped_for_log(std::string_view message) {
    constexpr const char* digits = "0123456789abcdef";
    std::string out;
    out.reserve(message.size());
    for (std::size_t i = 0; i < message.size(); ++i) {
        const unsigned char c = static_cast<unsigned char>(message[i]);
        const unsigned char next = i + 1 < message.size() ? static_cast<unsigned char>(message[i + 1]) : 0;
        const bool is_c1 = c == 0xC2 && next >= 0x80 && next < 0xA0; // U+0080..U+009F: terminals obey them too
        if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (c == '\r')
            out += "\\r";
        else if (c < 0x20 || c == 0x7F || is_c1) {
            const unsigned char shown = is_c1 ? next : c;
            out += "\\x";
            out += digits[shown >> 4];
            out += digits[shown & 15];
            if (is_c1) ++i;
        } else
            out += static_cast<char>(c);
    }
    return out;
}

LineWriter::LineWriter(int descriptor) : descriptor_(descriptor), is_socket_(platform::is_socket(descriptor)) {}

bool LineWriter::write_now(std::string_view bytes) {
    ssize_t written = -1;
    if (is_socket_) {
        written = ::send(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        pollfd ready{descriptor_, POLLOUT, 0};
        if (::poll(&ready, 1, 0) != 1 || (ready.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return false;
        written = ::write(descriptor_, bytes.data(), bytes.size());
    }
    if (written <= 0) return false;
    torn_ = static_cast<std::size_t>(written) < bytes.size();
    return true;
}

void LineWriter::write(std::string_view line) {
    while (line.ends_with('\n')) line.remove_suffix(1);
    const std::lock_guard lock(mutex_);
    std::string text;
    if (torn_) text = "\n"; // what was left of the last line is lost; this one begins on its own
    std::string tail;
    if (unreported_ != 0)
        tail = " (" + std::to_string(unreported_) + (unreported_ == 1 ? " line" : " lines") +
               " before this one could not be written)";
    const std::size_t room = line_bytes_max - text.size() - tail.size() - 1;
    constexpr std::string_view ellipsis = "...";
    if (line.size() <= room)
        text += line;
    else
        text.append(cut(line, room - ellipsis.size())).append(ellipsis);
    text += tail;
    text += '\n';
    if (write_now(text)) {
        unreported_ = 0;
    } else {
        ++dropped_;
        ++unreported_;
    }
}

std::uint64_t LineWriter::dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
}

void set_log_descriptor(int descriptor) {
    descriptor_to_use.store(descriptor);
    keep(std::shared_ptr<Output>(output.exchange(nullptr)));
}

Result<void> install_logging(const LogConfig& config) {
    set_log_level(config.level);
    set_log_sink(&write_line);
    if (config.file.empty()) {
        keep(std::shared_ptr<spdlog::sinks::sink>(file_sink.exchange(nullptr)));
        return {};
    }
    try {
        auto sink = std::make_unique<spdlog::sinks::rotating_file_sink_mt>(
            config.file, static_cast<std::size_t>(config.fileBytesMax), static_cast<std::size_t>(config.files - 1));
        sink->set_formatter(make_formatter());
        sink->set_level(spdlog::level::trace);
        keep(std::shared_ptr<spdlog::sinks::sink>(file_sink.exchange(sink.release())));
        return {};
    } catch (const std::exception& exception) {
        return fail(ErrorCode::unavailable, "log.file: " + std::string(exception.what()));
    }
}

} // namespace pillion
