#include "modules/process/supervisor.h"

#include "ipc/base/log.h"
#include "modules/process/known_children.h"
#include "modules/process/spawn.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <future>
#include <random>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace pillion {

namespace {

// The io thread may be busy, but not for as long as this.
constexpr auto spawn_wait_max = std::chrono::seconds(15);
// Many children tend to end together; their orphans are looked for once.
constexpr std::int64_t orphan_delay_ms = 100;
constexpr std::int64_t kill_wait_ms_max = 3000;
constexpr std::int64_t orphan_grace_ms = 300;
// Names the orphans' sweep among the trees; no child has this pid.
constexpr pid_t orphans_key = -1;

// 128 random bits: what carries them descends from this run.
std::string make_run_id() {
    std::random_device random;
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%08x%08x%08x%08x", random(), random(), random(), random());
    return text.data();
}

// A spawn from another thread, waited for there.
struct Request {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<Result<std::shared_ptr<Process>>> result;
    bool is_abandoned = false;
};

} // namespace

Supervisor::Supervisor(Io& io, const Clock& clock, ProcessHostOptions options)
    : io_(io), clock_(clock), options_(std::move(options)), ender_(io, clock) {}

bool Supervisor::is_io_over() const { return io_.context().stopped(); }

void Supervisor::post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return;
    io_.post(std::move(task));
}

std::size_t Supervisor::running() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(children_, [](const auto& named) { return named.second->is_running(); }));
}

Result<std::shared_ptr<Process>> Supervisor::spawn(ProcessSpec spec, ProcessHandlers handlers) {
    PILLION_TRY(check_spec(spec));
    if (io_.context().get_executor().running_in_this_thread()) return spawn_here(std::move(spec), std::move(handlers));
    const auto request = std::make_shared<Request>();
    const std::string name = spec.name;
    post([self = shared_from_this(), request, spec = std::move(spec), handlers = std::move(handlers)]() mutable {
        const std::lock_guard lock(request->mutex);
        if (request->is_abandoned) return;
        request->result = self->spawn_here(std::move(spec), std::move(handlers));
        request->done.notify_all();
    });
    std::unique_lock lock(request->mutex);
    if (!is_io_over() && request->done.wait_for(lock, spawn_wait_max, [&] { return request->result.has_value(); }))
        return std::move(*request->result);
    request->is_abandoned = true;
    return fail(ErrorCode::unavailable, "'" + name + "' could not be started: Pillion is ending");
}

// Once, before the first child.
void Supervisor::prepare() {
    {
        const std::lock_guard lock(mutex_);
        if (!run_id_.empty()) return;
        run_id_ = make_run_id();
    }
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    // A child that closed its input is an error of write(), not a reason to die.
    struct sigaction pipe {};
    if (::sigaction(SIGPIPE, nullptr, &pipe) == 0 && pipe.sa_handler == SIG_DFL) std::signal(SIGPIPE, SIG_IGN);
    child_signals_.emplace(io_.context(), SIGCHLD);
    wait_for_orphans();
    if (!options_.data_directory.empty()) ledger_ = std::make_unique<Ledger>(options_.data_directory, run_id_);
}

void Supervisor::wait_for_orphans() {
    child_signals_->async_wait([this](const boost::system::error_code& error, int) {
        if (error) return;
        if (!waits_for_orphans_) {
            waits_for_orphans_ = true;
            orphan_timer_ = io_.after_ms(orphan_delay_ms, [this] {
                waits_for_orphans_ = false;
                reap_orphans();
            });
        }
        wait_for_orphans();
    });
}

Result<std::shared_ptr<Process>> Supervisor::spawn_here(ProcessSpec spec, ProcessHandlers handlers) {
    std::vector<pid_t> groups;
    {
        const std::lock_guard lock(mutex_);
        if (is_stopping_ || is_closed_)
            return fail(ErrorCode::unavailable, "'" + spec.name + "' could not be started: Pillion is ending");
        if (children_.size() >= options_.processes_max)
            return fail(ErrorCode::exhausted, "'" + spec.name +
                                                  "' could not be started: " + std::to_string(children_.size()) +
                                                  " processes run already, the most that is allowed");
        for (const auto& [pid, child] : children_) groups.push_back(pid);
    }
    prepare();
    if (!options_.guard_program.empty())
        if (const auto guarded = guard_.ensure(options_.guard_program, run_id_, groups); !guarded)
            log(LogLevel::error, "process",
                guarded.error().message + "; were Pillion killed, a process that ignores SIGTERM would stay behind");
    auto parts = PILLION_TRY(start(spec));
    const std::string executable = executable_of(parts.pid);
    if (ledger_) ledger_->add({parts.pid, parts.start_ticks, executable, spec.name});
    parts.spec = std::move(spec);
    parts.handlers = std::move(handlers);
    const pid_t pid = parts.pid;
    const auto child = std::make_shared<ChildProcess>(weak_from_this(), io_, clock_, std::move(parts));
    {
        const std::lock_guard lock(mutex_);
        children_.emplace(pid, child);
    }
    child->begin();
    return child;
}

Result<ChildProcess::Parts> Supervisor::start(ProcessSpec& spec) {
    SpawnPlan plan{.component = spec.name,
                   .program = PILLION_TRY(resolve_program(spec)),
                   .arguments = spec.command,
                   .working_directory = spec.working_directory,
                   .guard = guard_.socket(),
                   .memory_bytes_max = spec.memory_bytes_max,
                   .niceness = spec.niceness};
    Pipe input;
    if (spec.has_input)
        input = PILLION_TRY(make_pipe(spec.name));
    else
        input.read = above_standard(Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
    Pipe output = PILLION_TRY(make_pipe(spec.name));
    Pipe errors = PILLION_TRY(make_pipe(spec.name));
    plan.standard = {input.read.number(), output.write.number(), errors.write.number()};
    const std::string number = run_id_ + "." + std::to_string(++spawned_);
    auto variables = spec.environment;
    std::erase_if(variables, [](const auto& variable) { return variable.first == run_variable; });
    variables.emplace_back(run_variable, number);
    plan.environment = environment_with(variables);
    const auto known = known_children().lock();
    const pid_t pid = PILLION_TRY(spawn_process(plan));
    known.add(pid);
    process_table::Entry entry;
    process_table::read(pid, entry);
    ChildProcess::Parts parts{};
    parts.pid = pid;
    parts.start_ticks = entry.start_ticks;
    parts.mark = std::string(run_variable) + "=" + number + '\0';
    parts.input = std::move(input.write);
    parts.output = std::move(output.read);
    parts.errors = std::move(errors.read);
    parts.end.reset(process_table::open_descriptor(pid));
    if (parts.end.is_open()) return parts;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail(ErrorCode::unavailable, "'" + spec.name +
                                            "' could not be watched: the system gave no descriptor for process " +
                                            std::to_string(pid));
}

void Supervisor::end_tree(ChildProcess& child, std::int64_t grace_ms) {
    const auto pid = static_cast<pid_t>(child.pid());
    process_table::Entry entry;
    process_table::read(pid, entry);
    ender_.end(pid, {.processes = {{pid, entry.start_ticks}}, .groups = {pid}, .mark = child.mark()}, grace_ms,
               [this, pid] { tree_is_gone(pid); });
}

void Supervisor::tree_is_gone(pid_t pid) {
    std::shared_ptr<ChildProcess> child;
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = children_.find(pid); known != children_.end()) child = known->second;
    }
    if (!child) return;
    child->tree_is_gone();
    // The guard and the ledger forget the number before the system may give it to somebody else.
    guard_.forget(pid);
    if (ledger_) ledger_->remove(pid);
    ::waitpid(pid, nullptr, WNOHANG);
    known_children().remove(pid);
    forget_if_done(*child);
}

void Supervisor::forget_if_done(const ChildProcess& child) {
    if (!child.is_done()) return;
    const std::lock_guard lock(mutex_);
    children_.erase(static_cast<pid_t>(child.pid()));
    changed_.notify_all();
}

bool Supervisor::wait_until_empty(std::int64_t wait_ms_max) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(std::max<std::int64_t>(wait_ms_max, 0)),
                             [this] { return children_.empty(); });
}

void Supervisor::stop_all(std::int64_t wait_ms_max) {
    const auto each = [this](void (Process::*request)()) {
        std::vector<std::shared_ptr<ChildProcess>> children;
        {
            const std::lock_guard lock(mutex_);
            for (const auto& [pid, child] : children_) children.push_back(child);
        }
        for (const auto& child : children) (child.get()->*request)();
    };
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
        if (run_id_.empty() || is_closed_) return;
    }
    if (is_io_over()) return;
    // What is being started now is in the list once this has run.
    const auto barrier = std::make_shared<std::promise<void>>();
    auto passed = barrier->get_future();
    post([barrier] { barrier->set_value(); });
    if (passed.wait_for(spawn_wait_max) != std::future_status::ready) return;
    each(&Process::stop);
    if (!wait_until_empty(wait_ms_max)) {
        each(&Process::kill);
        wait_until_empty(kill_wait_ms_max);
    }
    sweep_orphans();
}

// Who lost parent, group and mark is still ours to inherit: when nobody else is left, they are the rest.
void Supervisor::sweep_orphans() {
    const auto swept = std::make_shared<std::promise<void>>();
    auto done = swept->get_future();
    post([self = shared_from_this(), swept] {
        self->ender_.end(orphans_key, {.mark = run_mark(self->run_id_), .takes_unmarked_orphans = true},
                         orphan_grace_ms, [swept] { swept->set_value(); });
    });
    done.wait_for(std::chrono::milliseconds(kill_wait_ms_max));
}

void Supervisor::close() {
    bool is_anybody_left = false;
    {
        const std::lock_guard lock(mutex_);
        if (is_closed_) return;
        is_stopping_ = true;
        is_anybody_left = !children_.empty();
        if (run_id_.empty()) {
            is_closed_ = true;
            return;
        }
    }
    if (is_anybody_left) stop_all(0);
    if (!is_io_over() && !io_.context().get_executor().running_in_this_thread()) {
        const auto barrier = std::make_shared<std::promise<void>>();
        auto passed = barrier->get_future();
        post([self = shared_from_this(), barrier] {
            self->release();
            barrier->set_value();
        });
        if (passed.wait_for(spawn_wait_max) == std::future_status::ready) return;
    }
    release();
}

void Supervisor::release() {
    std::map<pid_t, std::shared_ptr<ChildProcess>> children;
    {
        const std::lock_guard lock(mutex_);
        if (is_closed_) return;
        is_closed_ = true;
        children.swap(children_);
    }
    if (!children.empty()) {
        // The io thread has ended before its children could.
        TreeRoots roots{.mark = run_mark(run_id_)};
        for (const auto& [pid, child] : children) {
            process_table::Entry entry;
            if (process_table::read(pid, entry)) roots.processes[pid] = entry.start_ticks;
            roots.groups.push_back(pid);
        }
        ProcessTree tree(std::move(roots));
        end_tree_now(tree, 0);
    }
    for (const auto& [pid, child] : children) {
        child->abandon();
        if (ledger_) ledger_->remove(pid);
        ::waitpid(pid, nullptr, WNOHANG);
        known_children().remove(pid);
    }
    ender_.clear();
    io_.cancel(orphan_timer_);
    child_signals_.reset();
    guard_.end();
    ledger_.reset();
}

} // namespace pillion
