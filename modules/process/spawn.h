// Starting one program: everything is prepared before the fork, and what went wrong after it is known when this
// returns. Private to the module; called on the io thread, since a child hears of the death of the thread that started
// it.
#pragma once

#include "ipc/base/error.h"
#include "modules/process/descriptor.h"
#include "modules/process/process.h"

#include <array>
#include <string>
#include <sys/types.h>
#include <vector>

namespace pillion {

// What a child writes to the guard before it becomes its program, and Pillion afterwards.
struct GuardRecord {
    enum class Kind : std::uint32_t { add, remove, quit };
    Kind kind = Kind::add;
    pid_t group = 0;
};

struct SpawnPlan {
    // Who outlives the parent is also deaf to the signals by which a user or a shell ends programs.
    enum class Lifetime : std::uint8_t { dies_with_parent, outlives_parent };

    std::string component{};              // begins every error
    std::string program{};                // a path
    std::vector<std::string> arguments{}; // with the program's name in front
    std::vector<std::string> environment{};
    std::string working_directory{};
    std::array<int, 3> standard{-1, -1, -1}; // what become its descriptors 0, 1 and 2
    int guard = -1;                          // the guard's socket; -1: none
    Lifetime lifetime = Lifetime::dies_with_parent;
    std::int64_t memory_bytes_max = 0;
    int niceness = 0;
};

// The program's path; an error says what is wrong and what would be right.
Result<std::string> resolve_program(const ProcessSpec& spec);
// Refuses what could not be passed on: -32602.
Result<void> check_spec(const ProcessSpec& spec);
// Our environment with the given variables in place of equal ones.
std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& variables);

// Starts it and returns its pid, once it runs the program.
Result<pid_t> spawn_process(const SpawnPlan& plan);

struct Pipe {
    Descriptor read;
    Descriptor write;
};
// Closed on exec, and none of its descriptors is 0, 1 or 2.
Result<Pipe> make_pipe(const std::string& component);
// The same descriptor with a number above 2.
Descriptor above_standard(Descriptor descriptor);

} // namespace pillion
