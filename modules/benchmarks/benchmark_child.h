// A program that is measured: spoken with over pipes, line by line, or waited for. Private to the module; used by the
// thread that measures. A plain child, not one of a ProcessHost: what is measured is what a shell would see.
#pragma once

#include "ipc/base/error.h"
#include "modules/process/process.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace pillion {

struct ChildSurroundings {
    PlainChildren& children;
    std::int64_t wait_ms_max = 10'000; // for an answer, or the end
    std::function<bool()> is_cancelled{};
};

enum class ChildEnvironment : std::uint8_t {
    as_ours,
    without_settings
}; // PILLION_*, which would change what is measured

// pillion serve, as a shell starts it.
class ServedChild {
  public:
    static Result<ServedChild> start(const std::string& program, const std::vector<std::string>& arguments,
                                     ChildEnvironment environment, ChildSurroundings around);
    ServedChild(ServedChild&& other) noexcept;
    // Ends it: its stdin ends, and if that does not help, it is killed; soon, if it is cancelled.
    ~ServedChild();

    // Writes one line; `text` has its line end.
    Result<void> send(std::string_view text);
    // The next line it wrote, without its end; valid until the next call.
    Result<std::string_view> receive();
    // Sends a request and receives its response; an error response is an error.
    Result<std::string_view> call(std::string_view text);

  private:
    explicit ServedChild(ChildSurroundings around) : around_(std::move(around)) {}
    Result<void> await(int descriptor, short events, std::int64_t until_ns);
    // It has ended, or closed a pipe: an error that says how and what it wrote last.
    std::unexpected<Error> ended_early();

    pid_t pid_ = -1;
    int input_ = -1;
    int output_ = -1;
    int errors_ = -1; // holds the beginning of what it writes there; nobody waits for more
    ChildSurroundings around_;
    std::string text_{};    // what was read and not yet given out
    std::size_t given_ = 0; // of it
};

// Runs a program to its end, with nothing on its stdin and nobody at its stdout. What it leaves running in its process
// group is ended with it. An error says its exit status and the end of what it wrote on stderr, which goes to the file
// `errors`.
Result<void> run_command(const std::vector<std::string>& command, const std::string& errors,
                         const ChildSurroundings& around);

} // namespace pillion
