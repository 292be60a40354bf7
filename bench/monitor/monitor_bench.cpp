// What the resource monitor costs at 1 Hz, its series included, over trees of real processes: 30 small ones, 30 of
// twenty threads as a webview has them, 200, and 30 that grow all the time. Seconds are not waited for: the clock is
// moved by hand, so that a sample of each of 60 seconds is read at once; the processor time is the real one.
#include "machine.h"
#include "modules/monitor/monitor.h"
#include "modules/series/series.h"
#include "report.h"
#include "statistics.h"

#include <csignal>
#include <cstring>
#include <ctime>
#include <iostream>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace pillion::bench {

namespace {

struct Load {
    std::size_t processes = 30;
    std::size_t threads = 1;
    std::size_t bytes = 8 << 20;
    bool grows = false;
};

// Children that hold memory and wait; one that grows takes 2 MiB more for each SIGUSR1.
class Tree {
  public:
    explicit Tree(const Load& load) {
        int ready[2];
        if (::pipe(ready) != 0) std::abort();
        for (std::size_t i = 0; i < load.processes; ++i) {
            const pid_t pid = ::fork();
            if (pid == 0) live(load, ready[1]);
            pids_.push_back(pid);
        }
        char byte = 0;
        for (std::size_t i = 0; i < load.processes; ++i)
            if (::read(ready[0], &byte, 1) != 1) std::abort();
        ::close(ready[0]);
        ::close(ready[1]);
    }
    ~Tree() {
        for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
        for (const pid_t pid : pids_) ::waitpid(pid, nullptr, 0);
    }
    Tree(const Tree&) = delete;
    void grow() const {
        for (const pid_t pid : pids_) ::kill(pid, SIGUSR1);
    }

  private:
    [[noreturn]] static void live(const Load& load, int ready) {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGUSR1);
        sigprocmask(SIG_BLOCK, &signals, nullptr);
        take(load.bytes);
        for (std::size_t i = 1; i < load.threads; ++i)
            std::thread([] {
                for (;;) ::pause();
            }).detach();
        if (::write(ready, "r", 1) != 1) ::_exit(1);
        for (int signal = 0;;)
            if (sigwait(&signals, &signal) == 0) take(2 << 20);
    }
    static void take(std::size_t bytes) {
        void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) std::memset(memory, 1, bytes);
    }
    std::vector<pid_t> pids_;
};

double thread_cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

struct Figures {
    std::vector<double> percent{};       // of a core, by second
    std::vector<double> first_percent{}; // the first reading, on its own
    double told = 0;                     // what the monitor says it costs
    std::size_t processes = 0;
    bool is_exact = false;
};

Figures measure(const Load& load, int seconds) {
    const Tree tree(load);
    ManualClock clock;
    ManualTimers timers(clock);
    Series series({.clock = clock, .timers = timers});
    Monitor monitor({.timers = timers,
                     .clock = clock,
                     .platform = create_monitor_platform({}),
                     .component_of = [](std::int64_t pid) { return "part" + std::to_string(pid % 10); },
                     .sink =
                         [&series](const SeriesSpec& spec, const SeriesLabels& labels, double value) {
                             if (!series.observe(spec, labels, value)) std::abort();
                         }});
    Figures figures;
    double told = 0;
    for (int second = 0; second <= seconds; ++second) {
        if (load.grows) tree.grow();
        const double began_ms = thread_cpu_ms();
        if (second == 0) {
            monitor.start(1000);
            timers.advance_ms(0);
        } else
            timers.advance_ms(1000);
        const double percent = (thread_cpu_ms() - began_ms) / 10;
        (second == 0 ? figures.first_percent : figures.percent).push_back(percent);
        told += monitor.latest()->costPercent.value_or(0);
    }
    figures.told = told / seconds;
    figures.processes = monitor.latest()->processes.size();
    figures.is_exact = monitor.latest()->total.memoryBasis == MonitorBasis::proportional;
    return figures;
}

double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

int run(const std::vector<std::string>& arguments) {
    std::string json;
    int seconds = 60;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--quick") seconds = 20;
        if (arguments[i] == "--json" && i + 1 < arguments.size()) json = arguments[++i];
    }
    Report report("Monitor", "pillion", std::string(compiler()) + " " + std::string(optimisation()));
    struct Case {
        const char *key, *title;
        Load load;
        std::optional<double> goal;
    };
    const Case cases[] = {{"small", "30 processes of 8 MiB", {}, 0.3},
                          {"threads", "30 processes of 20 threads", {.threads = 20}, 0.3},
                          {"growing", "30 processes that grow by 2 MiB/s", {.grows = true}, 0.3},
                          {"many", "200 processes of 1 MiB", {.processes = 200, .bytes = 1 << 20}, std::nullopt}};
    for (const auto& [key, title, load, goal] : cases) {
        const Figures figures = measure(load, seconds);
        PeerFigure figure{.peer = "pillion", .samples = {mean(figures.percent)}};
        if (figures.processes < load.processes + 1) figure = {.peer = "pillion", .failure = "processes are missing"};
        const auto text = [](double value) { return std::to_string(value).substr(0, 6); };
        report.add({.key = key,
                    .title = std::string(title) + ", at 1 Hz",
                    .unit = "% of a core",
                    .reference = "",
                    .goal = {.figure_max = goal},
                    .figures = {figure},
                    .note = "itself it says " + text(figures.told) + "; highest second " +
                            text(quantile(figures.percent, 1)) + "; the first reading took " +
                            text(mean(figures.first_percent) * 10) + " ms; memory " +
                            (figures.is_exact ? "of all maps" : "partly resident")});
    }
    report.print(std::cout);
    if (!json.empty() && !report.write_json(json)) return 2;
    return report.has_failures() ? 1 : 0;
}

} // namespace

} // namespace pillion::bench

int main(int count, char** values) { return pillion::bench::run({values + 1, values + count}); }
