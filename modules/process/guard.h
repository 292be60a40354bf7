// Pillion's end of the guard, and what the two agree on. The guard itself is guard_process.cpp. Private to the module;
// io thread only.
#pragma once

#include "ipc/base/error.h"
#include "modules/process/descriptor.h"

#include <string>
#include <sys/types.h>
#include <vector>

namespace pillion {

// Every descendant of a run inherits `PILLION_RUN_ID=<run id>.<number of the child>`.
inline constexpr const char* run_variable = "PILLION_RUN_ID";
// A guard carries this instead, so that no other Pillion's stop takes it away from what it guards.
inline constexpr const char* guard_variable = "PILLION_GUARD";

// "PILLION_RUN_ID=<run id>.": how the mark of a run's descendants begins.
std::string run_mark(const std::string& run_id);

class Guard {
  public:
    ~Guard();
    // Starts it, or starts it again if something killed it; `groups` are the children that live now.
    Result<void> ensure(const std::string& program, const std::string& run_id, const std::vector<pid_t>& groups);
    // What a child sends its group to; -1 while there is no guard.
    int socket() const { return socket_.number(); }
    // The group is gone.
    void forget(pid_t group);
    // Pillion ends in good order and nothing is left to do.
    void end();
    // The guard does its work now, as if Pillion had been killed; waits until that is done.
    void end_all();

  private:
    bool is_running();
    void await_end(int wait_ms_max);

    Descriptor socket_;
    pid_t pid_ = 0;
};

} // namespace pillion
