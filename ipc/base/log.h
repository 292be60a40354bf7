// Logging for people, on stderr and in files; never on stdout. This header is the whole of what modules see: the sink
// (sidecar/logging.cpp) is installed once by main. Any thread. Never blocks, never throws.
#pragma once

#include <atomic>
#include <string_view>

namespace pillion {

enum class LogLevel { trace, debug, info, warning, error, off };

using LogSink = void (*)(LogLevel level, std::string_view component, std::string_view message);

namespace detail {
inline std::atomic<LogSink> log_sink{nullptr};
inline std::atomic<LogLevel> log_level{LogLevel::warning};
} // namespace detail

inline void set_log_sink(LogSink sink) { detail::log_sink.store(sink, std::memory_order_release); }
inline void set_log_level(LogLevel level) { detail::log_level.store(level, std::memory_order_relaxed); }
inline LogLevel log_level() { return detail::log_level.load(std::memory_order_relaxed); }

// Whether a line of this level would be written: ask before building a costly message.
inline bool log_enabled(LogLevel level) { return level >= log_level(); }

inline void log(LogLevel level, std::string_view component, std::string_view message) {
    if (!log_enabled(level)) return;
    if (const LogSink sink = detail::log_sink.load(std::memory_order_acquire)) sink(level, component, message);
}

} // namespace pillion
