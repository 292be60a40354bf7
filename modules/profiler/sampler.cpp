// Sampling. Each thread has a POSIX timer on its CPU clock (timer_create, SIGEV_THREAD_ID), so that a thread that waits
// is never disturbed and time counts where it is spent. The handler is async-signal-safe: it takes room in an arena
// that was mapped beforehand by one atomic add, walks the stack (stack_walk.h) and publishes the sample by its header
// word.
#include "modules/profiler/sampler.h"

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
#include <sys/mman.h>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::size_t arena_words = std::size_t{4} << 20; // 32 MiB, of which the system gives what is written to
constexpr std::uint64_t done_bit = std::uint64_t{1} << 63;
constexpr std::uint64_t cut_bit = std::uint64_t{1} << 62;
constexpr unsigned weight_shift = 40, depth_shift = 32;
constexpr std::uint32_t weight_max = 0xffff;
static_assert(CpuSampler::frames_max < 256);

constinit std::atomic<SampleArena*> active_arena{nullptr};
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

} // namespace

// Samples one behind the other: a header word (published last), then the addresses.
class SampleArena {
  public:
    explicit SampleArena(std::uint64_t* words) : words_(words) {}
    ~SampleArena() { munmap(words_, arena_words * sizeof *words_); }
    SampleArena(const SampleArena&) = delete;

    static std::unique_ptr<SampleArena> create() {
        void* const memory = mmap(nullptr, arena_words * sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return nullptr;
        return std::make_unique<SampleArena>(static_cast<std::uint64_t*>(memory));
    }

    void take(const siginfo_t& info, const void* context) {
        std::uint64_t addresses[CpuSampler::frames_max];
        const StackWalk walked = walk_stack(context, addresses, walker);
        const std::size_t at = used_.fetch_add(walked.depth + 1, std::memory_order_relaxed);
        if (at + walked.depth + 1 > arena_words) {
            used_.fetch_sub(walked.depth + 1, std::memory_order_relaxed);
            dropped_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        for (std::size_t i = 0; i < walked.depth; ++i) words_[at + 1 + i] = addresses[i];
        const auto overrun = static_cast<std::uint32_t>(info.si_overrun > 0 ? info.si_overrun : 0);
        const std::uint64_t weight = overrun < weight_max ? overrun + 1 : weight_max;
        const std::uint64_t header = done_bit | (walked.is_cut ? cut_bit : 0) | weight << weight_shift |
                                     std::uint64_t{walked.depth} << depth_shift | static_cast<std::uint32_t>(gettid());
        std::atomic_ref(words_[at]).store(header, std::memory_order_release);
        samples_.fetch_add(weight, std::memory_order_relaxed);
    }

    std::vector<RawSample> read() const {
        std::vector<RawSample> samples;
        for (std::size_t at = 0; at < arena_words;) {
            const std::uint64_t header = std::atomic_ref(words_[at]).load(std::memory_order_acquire);
            if ((header & done_bit) == 0) break; // being written, or the end
            const std::size_t depth = header >> depth_shift & 0xff;
            samples.push_back({.thread = static_cast<std::int32_t>(header & 0xffff'ffff),
                               .weight = static_cast<std::uint32_t>(header >> weight_shift & weight_max),
                               .is_cut = (header & cut_bit) != 0,
                               .addresses = {words_ + at + 1, depth}});
            at += depth + 1;
        }
        return samples;
    }

    std::uint64_t samples() const { return samples_.load(std::memory_order_relaxed); }
    std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

    StackWalker walker;

  private:
    std::uint64_t* const words_;
    std::atomic<std::size_t> used_{0};
    std::atomic<std::uint64_t> samples_{0};
    std::atomic<std::uint64_t> dropped_{0};
};

namespace {

// Runs on the thread that is sampled, between any two of its instructions.
void on_sample(int, siginfo_t* info, void* context) {
    const int error = errno;
    handlers_running.fetch_add(1);
    SampleArena* const arena = active_arena.load();
    if (arena != nullptr && info->si_code == SI_TIMER && info->si_value.sival_ptr == arena) arena->take(*info, context);
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
    arena->walker = PILLION_TRY(create_stack_walker());
    PILLION_TRY(install_handler());
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
std::vector<RawSample> CpuSampler::read() const { return arena_->read(); }

std::map<std::int32_t, std::string> CpuSampler::threads() const {
    std::map<std::int32_t, std::string> names;
    for (const auto& [id, thread] : threads_) {
        std::string now = has_ended_ || !thread.is_alive ? std::string() : read_thread_name(id);
        names.emplace(id, now.empty() ? thread.name : std::move(now));
    }
    return names;
}

} // namespace pillion
