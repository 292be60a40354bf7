// The suites startup and ipc, and the parts of cache that go over the wire: a child of this program is spoken with as a
// shell would. Each run has a child of its own.
#include "modules/benchmarks/benchmark_case.h"
#include "modules/benchmarks/benchmark_child.h"

#include <algorithm>
#include <optional>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::string_view ping = R"({"jsonrpc":"2.0","id":1,"method":"rpc.ping"})"
                                  "\n";
constexpr int operations_unmeasured = 10; // of each child, before those that count; fewer where they are slow
constexpr std::int64_t unmeasured_ns_max = 5'000'000;

ChildSurroundings surroundings_of(const BenchmarkSurroundings& around) {
    return {.children = around.children, .wait_ms_max = around.timeout_ms, .is_cancelled = around.is_cancelled};
}

// Goes through what only happens once: code that is not loaded yet, buffers that have to grow.
Result<void> settle(BenchmarkCase& work, const Clock& clock) {
    const std::int64_t until_ns = clock.now_ns() + unmeasured_ns_max;
    for (int count = 0; count < operations_unmeasured && clock.now_ns() < until_ns; ++count)
        PILLION_TRY(work.operate());
    return {};
}

// From the start of a process to its first answer. Its end is not measured.
class StartCase final : public BenchmarkCase {
  public:
    StartCase(const BenchmarkSurroundings& around, std::vector<std::string> options, ChildEnvironment environment,
              std::string request)
        : around_(around), options_(std::move(options)), environment_(environment), request_(std::move(request)) {
        // What a start learns is not to change what the app's own data says.
        if (const auto at = std::ranges::find(options_, "--data-dir"); at != options_.end())
            options_.erase(at, std::min(at + 2, options_.end()));
        options_.insert(options_.begin(), {"--data-dir", around.folder + "/startup"});
    }
    Result<double> operate() override {
        const std::int64_t began_ns = around_.host.clock.now_ns();
        ServedChild child =
            PILLION_TRY(ServedChild::start(around_.host.program, options_, environment_, surroundings_of(around_)));
        PILLION_TRY(child.call(request_));
        return static_cast<double>(around_.host.clock.now_ns() - began_ns);
    }

  private:
    const BenchmarkSurroundings around_;
    std::vector<std::string> options_;
    const ChildEnvironment environment_;
    const std::string request_;
};

struct CallPlan {
    std::vector<std::string> options{};  // of the child
    std::vector<std::string> first{};    // sent before a run's first operation
    std::vector<std::string> requests{}; // sent by turns
    std::string expected{};              // in every answer
    ChildEnvironment environment = ChildEnvironment::without_settings;
};

// Requests to one child.
class CallCase final : public BenchmarkCase {
  public:
    CallCase(const BenchmarkSurroundings& around, CallPlan plan) : around_(around), plan_(std::move(plan)) {}

    Result<void> begin_run() override {
        child_.reset();
        child_.emplace(PILLION_TRY(
            ServedChild::start(around_.host.program, plan_.options, plan_.environment, surroundings_of(around_))));
        for (const std::string& request : plan_.first) PILLION_TRY(child_->call(request));
        return settle(*this, around_.host.clock);
    }
    Result<double> operate() override {
        const std::string& request = plan_.requests[next_++ % plan_.requests.size()];
        const std::int64_t began_ns = around_.host.clock.now_ns();
        const std::string_view answer = PILLION_TRY(child_->call(request));
        const std::int64_t ended_ns = around_.host.clock.now_ns();
        if (answer.find(plan_.expected) == std::string_view::npos)
            return fail(ErrorCode::failed_precondition, "the measured process answered " +
                                                            std::string(answer.substr(0, 300)) + " without " +
                                                            plan_.expected);
        return static_cast<double>(ended_ns - began_ns);
    }

  private:
    const BenchmarkSurroundings around_;
    const CallPlan plan_;
    std::size_t next_ = 0;
    std::optional<ServedChild> child_{};
};

// From a request that changes a value to the event that tells of it.
class EventCase final : public BenchmarkCase {
  public:
    explicit EventCase(const BenchmarkSurroundings& around) : around_(around) {}

    Result<void> begin_run() override {
        child_.reset();
        child_.emplace(PILLION_TRY(ServedChild::start(around_.host.program, {"--data-dir", around_.folder + "/event"},
                                                      ChildEnvironment::without_settings, surroundings_of(around_))));
        PILLION_TRY(
            child_->call(R"({"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"topics":["config"]}})"
                         "\n"));
        return settle(*this, around_.host.clock);
    }
    Result<double> operate() override {
        const std::string request =
            R"({"jsonrpc":"2.0","id":1,"method":"config.set","params":{"values":{"memory.pressureIntervalMs":)" +
            std::to_string(2000 + ++value_ % 1000) + "}}}\n";
        const std::int64_t began_ns = around_.host.clock.now_ns();
        PILLION_TRY(child_->send(request));
        std::optional<std::int64_t> told_ns;
        bool is_answered = false;
        while (!told_ns || !is_answered) {
            const std::string_view line = PILLION_TRY(child_->receive());
            if (line.find("\"config.changed\"") != std::string_view::npos)
                told_ns = around_.host.clock.now_ns();
            else if (line.find("\"result\"") != std::string_view::npos)
                is_answered = true;
            else
                return fail(ErrorCode::failed_precondition,
                            "the measured process answered " + std::string(line.substr(0, 300)));
        }
        return static_cast<double>(*told_ns - began_ns);
    }

  private:
    const BenchmarkSurroundings around_;
    std::optional<ServedChild> child_{};
    int value_ = 0;
};

std::string request(std::string_view method, std::string_view params) {
    return R"({"jsonrpc":"2.0","id":1,"method":")" + std::string(method) + R"(","params":)" + std::string(params) +
           "}\n";
}

auto calling(std::string folder, std::vector<std::string> first, std::vector<std::string> requests,
             std::string expected) {
    return [=](const BenchmarkSurroundings& around) -> std::unique_ptr<BenchmarkCase> {
        return std::make_unique<CallCase>(around, CallPlan{.options = {"--data-dir", around.folder + "/" + folder},
                                                           .first = first,
                                                           .requests = requests,
                                                           .expected = expected});
    };
}

} // namespace

std::vector<BenchmarkDeclaration> startup_benchmarks(const Benchmarks::Host& host) {
    std::vector<BenchmarkDeclaration> all;
    all.push_back({"startup.first_answer", "startup", "From the start of the program to its first answer.",
                   [](const BenchmarkSurroundings& around) -> std::unique_ptr<BenchmarkCase> {
                       return std::make_unique<StartCase>(around, std::vector<std::string>{},
                                                          ChildEnvironment::without_settings, std::string(ping));
                   }});
    if (host.has_components)
        all.push_back({"startup.components", "startup", "From the start of the program to the end of startup.run.",
                       [](const BenchmarkSurroundings& around) -> std::unique_ptr<BenchmarkCase> {
                           return std::make_unique<StartCase>(around, around.host.program_options,
                                                              ChildEnvironment::as_ours, request("startup.run", "{}"));
                       }});
    return all;
}

std::vector<BenchmarkDeclaration> ipc_benchmarks() {
    constexpr int batch_calls = 100;
    std::string batch = "[";
    for (int call = 0; call < batch_calls; ++call)
        batch += std::string(call == 0 ? "" : ",") + std::string(ping.substr(0, ping.size() - 1));
    const auto text = [](std::size_t bytes) { return "{\"text\":\"" + std::string(bytes, 'x') + "\"}"; };
    std::vector<BenchmarkDeclaration> all;
    all.push_back(
        {"ipc.ping", "ipc", "One rpc.ping and its answer.", calling("ipc", {}, {std::string(ping)}, "\"result\"")});
    all.push_back({"ipc.batch", "ipc", "A batch of 100 rpc.ping and its answers.",
                   calling("ipc", {}, {batch + "]\n"}, "\"result\"")});
    all.push_back(
        {"ipc.echo_1k", "ipc", "rpc.echo of 1 KiB.", calling("ipc", {}, {request("rpc.echo", text(1024))}, "xxx")});
    all.push_back({"ipc.echo_1m", "ipc", "rpc.echo of 1 MiB.",
                   calling("ipc", {}, {request("rpc.echo", text(1024 * 1024))}, "xxx")});
    all.push_back({"ipc.event", "ipc", "From config.set to the event config.changed.",
                   [](const BenchmarkSurroundings& around) -> std::unique_ptr<BenchmarkCase> {
                       return std::make_unique<EventCase>(around);
                   }});
    return all;
}

std::vector<BenchmarkDeclaration> cache_benchmarks() {
    const std::string value = "\"" + std::string(1024, 'v') + "\"";
    const auto put = [&](std::string_view key, std::string_view space) {
        return request("cache.put", R"({"key":")" + std::string(key) + R"(","namespace":")" + std::string(space) +
                                        R"(","value":)" + value + "}");
    };
    // A namespace whose reads find nothing in memory, and whose writes wait for the disk.
    const std::string on_disk = request(
        "cache.setPolicy",
        R"({"namespace":"benchmark","policy":{"tiers":{"memory":{"enabled":false}},"write":"through","ttlMs":600000}})");
    std::vector<std::string> puts;
    for (int key = 0; key < 16; ++key) puts.push_back(put("key" + std::to_string(key), "benchmark"));
    std::vector<BenchmarkDeclaration> all = memory_store_benchmarks();
    all.push_back(
        {"cache.get", "cache", "cache.get of 1 KiB that is in memory, over the wire.",
         calling("cache", {put("key", "default")}, {request("cache.get", R"({"key":"key"})")}, "\"found\":true")});
    all.push_back({"cache.put", "cache", "cache.put of 1 KiB, over the wire.",
                   calling("cache", {}, {put("key", "default")}, "\"stored\":true")});
    all.push_back({"cache.disk_get", "cache", "cache.get of 1 KiB that is on disk only, over the wire.",
                   calling("disk", {on_disk, put("key", "benchmark")},
                           {request("cache.get", R"({"key":"key","namespace":"benchmark"})")}, "\"found\":true")});
    all.push_back({"cache.disk_put", "cache", "cache.put of 1 KiB that waits for the disk, over the wire.",
                   calling("disk", {on_disk}, puts, "\"stored\":true")});
    return all;
}

std::unique_ptr<BenchmarkCase> served_method_benchmark(std::string_view method, std::string_view params,
                                                       const BenchmarkSurroundings& around) {
    return std::make_unique<CallCase>(around, CallPlan{.options = around.host.program_options,
                                                       .requests = {request(method, params)},
                                                       .expected = "\"result\"",
                                                       .environment = ChildEnvironment::as_ours});
}

} // namespace pillion
