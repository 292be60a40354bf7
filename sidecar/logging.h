// Where log lines (ipc/base/log.h) go: stderr, and a rotating file if one is configured. Installed once by main; any
// thread logs. Nothing is created before the first line, unless there is a file to open. A line is
//
//     2026-11-21T04:20:00.123Z warning ipc: message
//
// and writing one to stderr never blocks: what its reader does not take is dropped, counted, and told in the next line
// that fits.
#pragma once

#include "ipc/base/error.h"
#include "ipc/base/log.h"
#include "ipc/wire_type.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace pillion {

PILLION_ENUM(LogLevel, "trace", "debug", "info", "warning", "error", "off")

struct LogConfig {
    LogLevel level = LogLevel::warning;
    std::string file{};
    std::int64_t fileBytesMax = 5 * 1024 * 1024;
    std::int64_t files = 3;
};
PILLION_WIRE(LogConfig, PILLION_FIELD(level, "Lines of this level and above are written.", defaulted, live),
             PILLION_FIELD(file, "A file that gets every line as well as stderr does; none if empty.", defaulted),
             PILLION_FIELD(fileBytesMax,
                           "Bytes at which the file is set aside as NAME.1.EXTENSION and a new one begun.",
                           between(4096, 1'073'741'824), defaulted),
             PILLION_FIELD(files, "How many such files are kept, the one being written included.", between(1, 100),
                           defaulted))

// Takes over the process's log lines. Fails if the file cannot be opened; lines then go to stderr alone.
Result<void> install_logging(const LogConfig& config);
// Writes to this descriptor instead of stderr; for tests.
void set_log_descriptor(int descriptor);

// Writes lines to a descriptor that nobody may be reading. Any thread.
class LineWriter {
  public:
    // What a pipe takes in one piece once it takes anything at all (PIPE_BUF).
    static constexpr std::size_t line_bytes_max = 4096;

    explicit LineWriter(int descriptor);
    // Writes the line, cut to line_bytes_max and with its line end, or drops it. Never blocks.
    void write(std::string_view line);
    std::uint64_t dropped() const;

  private:
    bool write_now(std::string_view bytes);

    const int descriptor_;
    const bool is_socket_;
    mutable std::mutex mutex_;
    std::uint64_t dropped_ = 0;    // guarded by mutex_: all so far
    std::uint64_t unreported_ = 0; // guarded by mutex_: since the last line that was written
    bool torn_ = false;            // guarded by mutex_: the last line was written in part
};

// The message with control characters escaped, so that no line can forge another one or drive a terminal.
std::string escaped_for_log(std::string_view message);

} // namespace pillion
