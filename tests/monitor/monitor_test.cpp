// The engine: who makes it read, how often, and what it does with a sample. Time is moved by hand; the last tests look
// at the real machine.
#include "modules/monitor/monitor.h"
#include "tests/monitor/monitor_support.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace pillion;

namespace {

struct Watch {
    ManualClock clock{};
    ManualTimers timers{clock};
    FakePlatform* platform = nullptr;
    std::vector<MonitorSample> published{};
    int sunk = 0;
    std::unique_ptr<Monitor> monitor{};

    explicit Watch(std::function<void(std::function<void()>)> run = {}) {
        auto owned = std::make_unique<FakePlatform>();
        platform = owned.get();
        platform->tree.processes = {{.pid = 10, .role = MonitorRole::self, .name = "pillion"}};
        platform->tree.boot_ns = 1'000'000'000'000;
        monitor = std::make_unique<Monitor>(
            Monitor::Host{.timers = timers,
                          .clock = clock,
                          .platform = std::move(owned),
                          .sink = [this](const SeriesSpec&, const SeriesLabels&, double) { ++sunk; },
                          .publish = [this](const MonitorSample& sample) { published.push_back(sample); },
                          .versions = {{"pillion", "1.2.3"}},
                          .run = std::move(run)});
    }
};

} // namespace

TEST_CASE("with nothing asked of it the monitor reads nothing", "[monitor]") {
    Watch watch;
    watch.timers.advance_ms(60'000);
    CHECK(watch.platform->trees == 0);
    CHECK_FALSE(watch.monitor->latest());
    CHECK_FALSE(watch.monitor->find_conditions());
    CHECK_FALSE(watch.monitor->status().running);
    CHECK(watch.monitor->cost() == 0);
}

TEST_CASE("started, it reads at once and then at its interval, until it is stopped", "[monitor]") {
    Watch watch;
    const MonitorStatus status = watch.monitor->start(500);
    CHECK(status.running);
    CHECK(status.started);
    CHECK(status.intervalMs == 500);
    watch.timers.advance_ms(0);
    CHECK(watch.platform->trees == 1);
    watch.timers.advance_ms(2000);
    CHECK(watch.platform->trees == 5);
    CHECK(watch.published.size() == 5);
    CHECK(watch.sunk > 0);
    CHECK(watch.published[1].spanMs == 500);
    CHECK_FALSE(watch.monitor->stop().running);
    watch.timers.advance_ms(10'000);
    CHECK(watch.platform->trees == 5);
}

TEST_CASE("without an interval the configured one is taken", "[monitor]") {
    Watch watch;
    watch.monitor->configure({.intervalMs = 2000});
    CHECK(watch.monitor->start({}).intervalMs == 2000);
    watch.timers.advance_ms(4000);
    CHECK(watch.platform->trees == 3);
}

TEST_CASE("starting again changes the interval without a reading in between", "[monitor]") {
    Watch watch;
    watch.monitor->start(60'000);
    watch.timers.advance_ms(0);
    watch.timers.advance_ms(300);
    watch.monitor->start(1000);
    CHECK(watch.platform->trees == 1);
    watch.timers.advance_ms(699);
    CHECK(watch.platform->trees == 1);
    watch.timers.advance_ms(1);
    CHECK(watch.platform->trees == 2);
}

TEST_CASE("the smallest interval that somebody wants counts", "[monitor]") {
    Watch watch;
    watch.monitor->start(10'000);
    watch.monitor->set_wanted("alerts", true);
    CHECK(watch.monitor->status().intervalMs == 1000);
    watch.timers.advance_ms(3000);
    CHECK(watch.platform->trees == 4);
    watch.monitor->set_wanted("alerts", false);
    CHECK(watch.monitor->status().intervalMs == 10'000);
    watch.timers.advance_ms(9999);
    CHECK(watch.platform->trees == 4);
}

TEST_CASE("it goes on until the last who wants it no longer does", "[monitor]") {
    Watch watch;
    watch.monitor->set_wanted("alerts", true);
    watch.monitor->set_wanted("subscribers", true);
    watch.monitor->start({});
    watch.monitor->set_wanted("alerts", false);
    watch.monitor->stop();
    CHECK(watch.monitor->status().running);
    CHECK_FALSE(watch.monitor->status().started);
    watch.monitor->set_wanted("subscribers", false);
    watch.monitor->set_wanted("nobody", false);
    CHECK_FALSE(watch.monitor->status().running);
    watch.timers.advance_ms(5000);
    CHECK(watch.platform->trees == 0);
}

TEST_CASE("the configuration may want it from the start on, and no longer", "[monitor]") {
    Watch watch;
    watch.monitor->configure({.enabled = true});
    watch.timers.advance_ms(1000);
    CHECK(watch.platform->trees == 2);
    watch.monitor->configure({.enabled = false});
    watch.timers.advance_ms(5000);
    CHECK(watch.platform->trees == 2);
}

TEST_CASE("a changed interval of the configuration counts from the latest reading", "[monitor]") {
    Watch watch;
    watch.monitor->configure({.enabled = true});
    watch.timers.advance_ms(0);
    watch.monitor->configure({.enabled = true, .intervalMs = 5000});
    watch.timers.advance_ms(4999);
    CHECK(watch.platform->trees == 1);
    watch.timers.advance_ms(1);
    CHECK(watch.platform->trees == 2);
}

TEST_CASE("an interval out of bounds is brought within them", "[monitor]") {
    Watch watch;
    CHECK(watch.monitor->start(0).intervalMs == Monitor::interval_ms_min);
    CHECK(watch.monitor->start(1'000'000'000).intervalMs == Monitor::interval_ms_max);
}

TEST_CASE("an interval longer than a pause still gives rates", "[monitor]") {
    Watch watch;
    watch.monitor->start(600'000);
    watch.timers.advance_ms(0);
    watch.timers.advance_ms(600'000);
    REQUIRE(watch.published.size() == 2);
    CHECK(watch.published[1].spanMs == 600'000);
}

TEST_CASE("slow surroundings are read every few seconds only", "[monitor]") {
    Watch watch;
    watch.monitor->start(1000);
    watch.timers.advance_ms(0);
    watch.timers.advance_ms(10'000);
    CHECK(watch.platform->trees == 11);
    CHECK(watch.platform->surroundings_read == 3);
}

TEST_CASE("a sample that is asked for while nothing runs is made of two readings", "[monitor]") {
    Watch watch;
    std::vector<MonitorSample> heard;
    watch.monitor->sample_soon([&](const MonitorSample& sample) { heard.push_back(sample); });
    watch.monitor->sample_soon([&](const MonitorSample& sample) { heard.push_back(sample); });
    CHECK(heard.empty());
    watch.timers.advance_ms(Monitor::pair_ms - 1);
    CHECK(heard.empty());
    watch.timers.advance_ms(1);
    REQUIRE(heard.size() == 2);
    CHECK(heard[0].spanMs == Monitor::pair_ms);
    CHECK(watch.platform->trees == 2);
    watch.timers.advance_ms(60'000);
    CHECK(watch.platform->trees == 2);
}

TEST_CASE("soon after an earlier reading one more is enough", "[monitor]") {
    Watch watch;
    int heard = 0;
    const auto hear = [&heard](const MonitorSample&) { ++heard; };
    watch.monitor->sample_soon(hear);
    watch.timers.advance_ms(Monitor::pair_ms);
    watch.monitor->sample_soon(hear); // the same again
    CHECK(heard == 2);
    CHECK(watch.platform->trees == 2);
    watch.timers.advance_ms(5000);
    watch.monitor->sample_soon(hear);
    watch.timers.advance_ms(0);
    CHECK(heard == 3);
    CHECK(watch.platform->trees == 3);
    CHECK(watch.monitor->latest()->spanMs == 5000);
}

TEST_CASE("while it runs the latest sample is given at once", "[monitor]") {
    Watch watch;
    watch.monitor->start(1000);
    watch.timers.advance_ms(0);
    watch.timers.advance_ms(1500);
    int heard = 0;
    watch.monitor->sample_soon([&heard](const MonitorSample& sample) { heard += sample.spanMs == 1000; });
    CHECK(heard == 1);
    CHECK(watch.platform->trees == 2);
}

TEST_CASE("a sample of a long interval is not taken for the present", "[monitor]") {
    Watch watch;
    watch.monitor->start(3'600'000);
    watch.timers.advance_ms(0);
    watch.timers.advance_ms(3'600'000);
    watch.timers.advance_ms(10'000);
    std::int64_t at = 0;
    watch.monitor->sample_soon([&at](const MonitorSample& sample) { at = sample.at; });
    watch.timers.advance_ms(0);
    CHECK(at == watch.clock.wall_ms());
}

TEST_CASE("conditions for background work are those of a sample that is not old", "[monitor]") {
    Watch watch;
    watch.platform->surroundings.power = MonitorPower{.onBattery = true};
    watch.monitor->start(1000);
    watch.timers.advance_ms(0);
    REQUIRE(watch.monitor->find_conditions());
    CHECK(watch.monitor->find_conditions()->onBattery);
    watch.monitor->stop();
    watch.timers.advance_ms(Monitor::stale_ms + 1);
    CHECK_FALSE(watch.monitor->find_conditions());
}

TEST_CASE("a wall clock that jumps changes when samples were taken, not what they tell", "[monitor]") {
    Watch watch;
    watch.monitor->start(1000);
    watch.timers.advance_ms(0);
    watch.clock.jump_wall_ms(-86'400'000);
    watch.timers.advance_ms(1000);
    REQUIRE(watch.published.size() == 2);
    CHECK(watch.published[1].at < watch.published[0].at);
    CHECK(watch.published[1].spanMs == 1000);
    CHECK(watch.published[1].sleptMs == 0);
}

TEST_CASE("a sleep is told and the next sample has rates again", "[monitor]") {
    Watch watch;
    watch.monitor->start(1000);
    watch.timers.advance_ms(0);
    watch.platform->machine.asleep_ns = 8 * 3'600'000'000'000;
    watch.timers.advance_ms(2000);
    REQUIRE(watch.published.size() == 3);
    CHECK(watch.published[1].sleptMs == 8 * 3'600'000);
    CHECK_FALSE(watch.published[1].spanMs);
    CHECK(watch.published[2].spanMs == 1000);
}

TEST_CASE("what readings cost is told in the next sample", "[monitor]") {
    Watch watch;
    watch.platform->walk_ns = 2'000'000;
    watch.monitor->start(1000);
    watch.timers.advance_ms(0);
    CHECK(watch.published[0].readingMs == 2.0);
    CHECK_FALSE(watch.published[0].costPercent);
    watch.timers.advance_ms(1000);
    CHECK(watch.published[1].costPercent == Approx(0.2));
    CHECK(watch.monitor->cost() == Approx(0.002));
    CHECK(watch.monitor->status().costPercent == watch.published[1].costPercent);
}

TEST_CASE("after close nothing is read and nobody hears", "[monitor]") {
    Watch watch;
    int heard = 0;
    watch.monitor->start(1000);
    watch.timers.advance_ms(0);
    watch.monitor->stop();
    watch.timers.advance_ms(60'000);
    watch.monitor->sample_soon([&heard](const MonitorSample&) { ++heard; });
    watch.monitor->close();
    watch.monitor->set_wanted("alerts", true);
    watch.timers.advance_ms(10'000);
    CHECK(watch.platform->trees == 1);
    CHECK(heard == 0);
    CHECK_FALSE(watch.monitor->status().running);
}

TEST_CASE("a reading that was handed over finds nobody once the monitor is gone", "[monitor]") {
    std::vector<std::function<void()>> handed_over;
    Watch watch([&handed_over](std::function<void()> task) { handed_over.push_back(std::move(task)); });
    watch.monitor->start(1000);
    watch.timers.advance_ms(0);
    REQUIRE(handed_over.size() == 1);
    CHECK(watch.platform->trees == 0);
    handed_over[0]();
    CHECK(watch.platform->trees == 1);
    watch.timers.advance_ms(1000);
    REQUIRE(handed_over.size() == 2);
    watch.monitor.reset();
    handed_over[1]();
    CHECK(watch.published.size() == 1);
}

TEST_CASE("what the machine is has the versions that were given", "[monitor]") {
    Watch watch;
    const MonitorMachine machine = watch.monitor->machine();
    CHECK(machine.os == "Test");
    CHECK(machine.versions.at("pillion") == "1.2.3");
}

TEST_CASE("threads that start, stop, ask and close at once do each other no harm", "[monitor]") {
    ManualClock clock;
    ManualTimers timers(clock);
    std::atomic<int> heard{0};
    std::atomic<bool> is_done{false};
    {
        Monitor monitor({.timers = timers, .clock = clock, .platform = std::make_unique<FakePlatform>()});
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i)
            threads.emplace_back([&monitor, &heard, i] {
                for (int round = 0; round < 200; ++round) {
                    if (round % 2 == i % 2)
                        monitor.start(100 + round);
                    else
                        monitor.stop();
                    monitor.set_wanted("thread", round % 3 == 0);
                    monitor.sample_soon([&heard](const MonitorSample&) { ++heard; });
                    static_cast<void>(monitor.find_conditions());
                    static_cast<void>(monitor.machine());
                    static_cast<void>(monitor.status());
                }
            });
        std::thread time([&timers, &is_done] {
            while (!is_done) timers.advance_ms(20);
        });
        for (std::thread& thread : threads) thread.join();
        monitor.close();
        is_done = true;
        time.join();
    }
    CHECK(heard <= 600);
}

// A child that waits until it is killed.
struct Child {
    pid_t pid = ::fork();
    Child() {
        if (pid == 0) {
            for (;;) ::pause();
        }
    }
    ~Child() {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
};

TEST_CASE("a real child is found with its memory, in the tree of the real machine", "[monitor]") {
    const Child child;
    REQUIRE(child.pid > 0);
    ManualClock clock;
    ManualTimers timers(clock);
    Monitor monitor({.timers = timers,
                     .clock = clock,
                     .platform = create_monitor_platform({}),
                     .component_of = [&child](std::int64_t pid) { return pid == child.pid ? "paused" : ""; }});
    monitor.start(1000);
    timers.advance_ms(0);
    timers.advance_ms(1000);
    const auto sample = monitor.latest();
    REQUIRE(sample);
    const auto self = std::ranges::find(sample->processes, MonitorRole::self, &MonitorProcess::role);
    REQUIRE(self != sample->processes.end());
    CHECK(self->pid == ::getpid());
    CHECK(self->cpuPercent);
    CHECK(self->descriptors.value_or(0) >= 3);
    const auto found = std::ranges::find(sample->processes, std::int64_t{child.pid}, &MonitorProcess::pid);
    REQUIRE(found != sample->processes.end());
    CHECK(found->component == "paused");
    CHECK(found->name == self->name);
    CHECK(found->threads >= 1); // a sanitizer has one of its own
    CHECK(found->residentBytes > 0);
    CHECK(found->proportionalBytes.value_or(0) > 0);
    CHECK(found->privateBytes.value_or(0) <= found->proportionalBytes.value_or(0));
    CHECK(std::abs(found->startedAt - system_clock().wall_ms()) < 60'000);
    CHECK(sample->system.cores > 0);
    CHECK(sample->system.memoryBytes > 0);
    CHECK(sample->total.processes >= 2);
}

TEST_CASE("a process of another user is shown with what is permitted", "[monitor]") {
    if (::geteuid() != 0) {
        SUCCEED("only the superuser can become somebody else");
        return;
    }
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t pid = ::fork();
    if (pid == 0) { // nobody, whose parent is the superuser's
        char verdict = 'x';
        if (::setgid(65534) == 0 && ::setuid(65534) == 0) {
            const auto platform = create_monitor_platform({});
            const TreeReading tree = platform->read_tree();
            const auto shell = std::ranges::find(tree.processes, MonitorRole::shell, &ProcessReading::role);
            const auto gap = std::ranges::find(tree.gaps, "process.disk.io", &MonitorGap::what);
            const bool is_right = shell != tree.processes.end() && shell->resident_bytes > 0 && !shell->name.empty() &&
                                  !shell->read_bytes && gap != tree.gaps.end() && gap->why == "not permitted" &&
                                  platform->read_memory(*shell).why.starts_with("not permitted") &&
                                  platform->read_memory(*shell).memory->private_bytes > 0;
            verdict = is_right ? 'y' : 'n';
        }
        static_cast<void>(!::write(ends[1], &verdict, 1));
        ::_exit(0);
    }
    ::close(ends[1]);
    char verdict = 0;
    CHECK(::read(ends[0], &verdict, 1) == 1);
    CHECK(verdict == 'y');
    ::close(ends[0]);
    ::waitpid(pid, nullptr, 0);
}
