// Sampling. Each thread has a POSIX timer on its CPU clock (timer_create, SIGEV_THREAD_ID), so that a thread that waits
// is never disturbed and time counts where it is spent. The handler is async-signal-safe: it takes room in an arena
// that was mapped beforehand by one atomic add, walks the stack (stack_walk.h) and publishes the sample by its header
// word.
#include "modules/profiler/sampler.h"

#include "modules/profiler/sample_arena.h"
#include "modules/profiler/stack_walk.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

namespace pillion {

namespace {

constinit std::atomic<SampleArena*> active_arena{nullptr};
constinit StackWalker walker; // of the arena that is active
constinit std::atomic<int> handlers_running{0};

// The CPU clock of one thread of this process, as the kernel numbers them (include/linux/posix-timers_types.h).
clockid_t thread_cpu_clock(std::int32_t id) {
    constexpr clockid_t per_thread = 4, scheduled_time = 2;
    return static_cast<clockid_t>((~static_cast<unsigned>(id) << 3) | per_thread | scheduled_time);
}

std::string read_thread_name(std::int32_t id) {
    const std::string path = "/proc/self/task/" + std::to_string(id) + "/comm";
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    char name[32];
    const ssize_t n = ::read(file, name, sizeof name);
    close(file);
    std::string text(name, n > 0 ? static_cast<std::size_t>(n) : 0);
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

std::vector<std::int32_t> thread_ids() {
    std::vector<std::int32_t> ids;
    DIR* const folder = opendir("/proc/self/task");
    if (folder == nullptr) return ids;
    while (const dirent* const entry = readdir(folder)) {
        const char* const name = entry->d_name;
        std::int32_t id = 0;
        if (std::from_chars(name, name + std::strlen(name), id).ec == std::errc{}) ids.push_back(id);
    }
    closedir(folder);
    return ids;
}

void take_sample(SampleArena& arena, const siginfo_t& info, const void* context) {
    std::uint64_t addresses[CpuSampler::frames_max];
    const StackWalk walked = walk_stack(context, addresses, walker);
    const auto overrun = static_cast<std::uint32_t>(info.si_overrun > 0 ? info.si_overrun : 0);
    arena.take(
        {.thread = gettid(), .weight = overrun + 1, .is_cut = walked.is_cut, .words = {addresses, walked.depth}});
}

// Runs on the thread that is sampled, between any two of its instructions.
void on_sample(int, siginfo_t* info, void* context) {
    const int error = errno;
    handlers_running.fetch_add(1);
    SampleArena* const arena = active_arena.load();
    if (arena != nullptr && info->si_code == SI_TIMER && info->si_value.sival_ptr == arena)
        take_sample(*arena, *info, context);
    handlers_running.fetch_sub(1);
    errno = error;
}

Result<void> install_handler() {
    struct sigaction before {};
    sigaction(SIGPROF, nullptr, &before);
    if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction == on_sample) return {};
    if ((before.sa_flags & SA_SIGINFO) != 0 || (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN))
        return fail(ErrorCode::failed_precondition,
                    "SIGPROF is in use by something else in this process; the profiler needs it for itself");
    struct sigaction action {};
    action.sa_sigaction = on_sample;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    if (sigaction(SIGPROF, &action, nullptr) != 0)
        return fail(ErrorCode::unavailable, std::string("SIGPROF cannot be handled: ") + std::strerror(errno));
    return {};
}

} // namespace

CpuSampler::CpuSampler(std::int64_t hz, std::unique_ptr<SampleArena> arena) : hz_(hz), arena_(std::move(arena)) {}

CpuSampler::~CpuSampler() { end(); }

Result<std::unique_ptr<CpuSampler>> CpuSampler::create(std::int64_t hz) {
    auto arena = SampleArena::create();
    if (!arena) return fail(ErrorCode::exhausted, "there is no memory for samples");
    const StackWalker own_walker = PILLION_TRY(create_stack_walker());
    PILLION_TRY(install_handler());
    walker = own_walker; // the same each time
    SampleArena* none = nullptr;
    if (!active_arena.compare_exchange_strong(none, arena.get()))
        return fail(ErrorCode::conflict, "this process is being profiled already");
    std::unique_ptr<CpuSampler> sampler(new CpuSampler(hz, std::move(arena)));
    if (!sampler->add_thread(gettid()))
        return fail(ErrorCode::unavailable,
                    std::string("the system gives no timer on a thread's CPU clock: ") + std::strerror(errno));
    sampler->scan_threads();
    return sampler;
}

bool CpuSampler::add_thread(std::int32_t id) {
    struct sigevent event {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGPROF;
    event.sigev_value.sival_ptr = arena_.get();
    event._sigev_un._tid = id; // glibc names it sigev_notify_thread_id only since 2.38
    Thread thread;
    if (timer_create(thread_cpu_clock(id), &event, &thread.timer) != 0) return false;
    itimerspec period{};
    const std::int64_t period_ns = 1'000'000'000 / hz_;
    period.it_interval = {.tv_sec = period_ns / 1'000'000'000, .tv_nsec = period_ns % 1'000'000'000};
    // Threads that begin together do not tick together.
    const std::int64_t first_ns = period_ns - period_ns * (id % 16) / 32;
    period.it_value = {.tv_sec = first_ns / 1'000'000'000, .tv_nsec = first_ns % 1'000'000'000};
    if (timer_settime(thread.timer, 0, &period, nullptr) != 0) {
        timer_delete(thread.timer);
        return false;
    }
    thread.name = read_thread_name(id);
    threads_.insert_or_assign(id, std::move(thread));
    return true;
}

void CpuSampler::scan_threads() {
    if (has_ended_) return;
    const std::vector<std::int32_t> ids = thread_ids();
    for (auto& [id, thread] : threads_) ++thread.scans;
    for (const std::int32_t id : ids) {
        const auto known = threads_.find(id);
        if (known == threads_.end() || !known->second.is_alive) {
            add_thread(id); // one that has ended meanwhile is none of ours
        } else if (known->second.scans <= 4) {
            known->second.name = read_thread_name(id); // it names itself after it has begun
        }
    }
    for (auto& [id, thread] : threads_) {
        if (!thread.is_alive || std::find(ids.begin(), ids.end(), id) != ids.end()) continue;
        timer_delete(thread.timer);
        thread.is_alive = false;
    }
}

void CpuSampler::end() {
    if (has_ended_) return;
    has_ended_ = true;
    for (auto& [id, thread] : threads_) {
        if (!thread.is_alive) continue;
        timer_delete(thread.timer);
        if (std::string name = read_thread_name(id); !name.empty()) thread.name = std::move(name);
    }
    SampleArena* ours = arena_.get();
    active_arena.compare_exchange_strong(ours, nullptr);
    while (handlers_running.load() != 0) sched_yield(); // a handler takes microseconds
}

std::uint64_t CpuSampler::samples() const { return arena_->samples(); }
std::uint64_t CpuSampler::dropped() const { return arena_->dropped(); }

std::vector<RawSample> CpuSampler::read() const {
    std::vector<RawSample> samples;
    for (const ArenaSample& sample : arena_->read())
        samples.push_back(
            {.thread = sample.thread, .weight = sample.weight, .is_cut = sample.is_cut, .addresses = sample.words});
    return samples;
}

std::map<std::int32_t, std::string> CpuSampler::threads() const {
    std::map<std::int32_t, std::string> names;
    for (const auto& [id, thread] : threads_) {
        std::string now = has_ended_ || !thread.is_alive ? std::string() : read_thread_name(id);
        names.emplace(id, now.empty() ? thread.name : std::move(now));
    }
    return names;
}

} // namespace pillion
