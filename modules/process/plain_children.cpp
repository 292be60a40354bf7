#include "ipc/base/clock.h"
#include "modules/process/guard.h"
#include "modules/process/known_children.h"
#include "modules/process/process.h"

#include <cerrno>
#include <sys/wait.h>
#include <unistd.h>

namespace pillion {

PlainChildren::PlainChildren() = default;

PlainChildren::~PlainChildren() {
    if (guard_) guard_->end_all();
}

Result<void> PlainChildren::guard(const std::string& program) {
    if (guard_) return {};
    const std::string id = "plain-" + std::to_string(::getpid()) + "-" + std::to_string(system_clock().now_ns());
    auto guard = std::make_unique<Guard>();
    PILLION_TRY(guard->ensure(program, id, {}));
    guard_ = std::move(guard);
    mark_ = run_mark(id) + "0";
    return {};
}

Result<pid_t> PlainChildren::start(const std::function<Result<pid_t>()>& start) {
    const auto children = known_children().lock();
    const pid_t pid = PILLION_TRY(start());
    children.add(pid);
    return pid;
}

int PlainChildren::reap(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    known_children().remove(pid);
    return status;
}

} // namespace pillion
