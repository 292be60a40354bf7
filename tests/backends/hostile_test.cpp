// Real processes, each with a fault of its own: the error is exact, the others' answers are right, nothing is left.
#include "ipc/io.h"
#include "modules/backends/backends.h"
#include "modules/process/process.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <poll.h>

using namespace pillion;
using nlohmann::json;

namespace {

constexpr auto wait_max = std::chrono::seconds(20);

struct Answer final : BackendCaller {
    void answered(const Result<std::string_view>& result) override {
        promise.set_value(result ? Result<std::string>(std::string(*result)) : std::unexpected(result.error()));
    }
    void progressed(double, std::string_view) override {}
    std::promise<Result<std::string>> promise;
};

class Pending {
  public:
    explicit Pending(const std::shared_ptr<Answer>& answer) : future_(answer->promise.get_future()) {}
    Result<std::string> take() {
        if (future_.wait_for(wait_max) != std::future_status::ready) FAIL("no answer came");
        return future_.get();
    }
    json value() {
        auto result = take();
        if (!result) FAIL(result.error().message);
        return json::parse(*result);
    }

  private:
    std::future<Result<std::string>> future_;
};

bool is_running(int pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(stat, line);
    const auto end = line.rfind(')');
    return end != std::string::npos && line.compare(end + 2, 1, "Z") != 0;
}

// For what the system does not tell of: looks again until the time is up.
bool comes_true(const std::function<bool()>& condition) {
    for (int i = 0; i < 4000; ++i) {
        if (condition()) return true;
        poll(nullptr, 0, 5);
    }
    return false;
}

struct RealFixture {
    Io io{system_clock()};
    BufferPool pool;
    ProcessHost host{io, system_clock(), {}};
    std::unique_ptr<BackendTransports> transports = process_transports(host);
    Backends backends{{.transports = *transports, .timers = io, .clock = system_clock(), .buffers = pool}};

    ~RealFixture() {
        host.stop_all(5000);
        io.stop();
    }
    void declare(const std::string& mode, const std::function<void(BackendSpec&)>& change = {}) {
        BackendSpec spec;
        const auto script = std::filesystem::path(PILLION_TESTS "/backends/hostile_backend.py");
        spec.command = {"python3", script.string(), mode};
        spec.stopMs = 200;
        if (change) change(spec);
        if (const auto declared = backends.declare("it", std::move(spec)); !declared) FAIL(declared.error().message);
    }
    Pending call(const std::string& method = "m", const std::string& params = "{}") {
        const auto answer = std::make_shared<Answer>();
        Pending pending(answer);
        backends.call("it", {.method = method, .params = params}, answer);
        return pending;
    }
    void stop() {
        std::promise<void> stopped;
        backends.stop("it", [&stopped](const Result<void>&) { stopped.set_value(); });
        if (stopped.get_future().wait_for(wait_max) != std::future_status::ready) FAIL("it did not stop");
        CHECK(comes_true([this] { return host.running() == 0; }));
    }
    BackendStats stats() { return *backends.stats("it"); }
};

} // namespace

TEST_CASE_METHOD(RealFixture, "a real process answers a thousand calls, each with its own", "[backends][process]") {
    declare("echo");
    std::vector<Pending> pending;
    for (int i = 0; i < 1000; ++i) pending.push_back(call("m", json{{"i", i}}.dump()));
    for (int i = 0; i < 1000; ++i) CHECK(pending[static_cast<std::size_t>(i)].value() == json{{"i", i}});
    CHECK(stats().memoryBytes > 1'000'000);
    stop();
    CHECK(stats().crashes == 0);
}

TEST_CASE_METHOD(RealFixture, "garbage is passed over", "[backends][process]") {
    declare("garbage");
    CHECK(call().value() == "after the garbage");
    CHECK(stats().garbage == 7);
    stop();
}

TEST_CASE_METHOD(RealFixture, "half a line is no answer", "[backends][process]") {
    declare("half-line", [](BackendSpec& spec) { spec.restart = false; });
    const auto result = call().take();
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::unavailable);
    CHECK(result.error().message.find("\"it\"") != std::string::npos);
    CHECK(stats().garbage == 1);
}

TEST_CASE_METHOD(RealFixture, "a hundred megabytes without a line end are never held", "[backends][process]") {
    declare("flood", [](BackendSpec& spec) { spec.messageBytesMax = 1024 * 1024; });
    CHECK(call().value() == "after the flood");
    CHECK(stats().oversized == 1);
    CHECK(pool.oversize_bytes() <= 4 * 1024 * 1024);
    stop();
}

TEST_CASE_METHOD(RealFixture, "a backend that dies in mid-answer is told with its last words and started again",
                 "[backends][process]") {
    declare("dies");
    const auto result = call().take();
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::unavailable);
    CHECK(result.error().message.find("SIGKILL") != std::string::npos);
    CHECK((result.error().message + result.error().hint).find("the disk is on fire") != std::string::npos);
    CHECK(comes_true([this] { return stats().restarts == 1; }));
    stop();
}

TEST_CASE_METHOD(RealFixture, "a backend that never answers runs into the deadline", "[backends][process]") {
    declare("silent", [](BackendSpec& spec) { spec.timeoutMs = 100; });
    const auto result = call().take();
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::timeout);
    stop();
}

TEST_CASE_METHOD(RealFixture, "second answers and unknown ids reach nobody", "[backends][process]") {
    declare("twice");
    CHECK(call().value() == "first");
    CHECK(call().value() == "first");
    stop();
    CHECK(stats().duplicateAnswers == 2);
    declare("unknown-id");
    CHECK(call().value() == "mine");
    CHECK(stats().unknownIds == 1);
    stop();
}

TEST_CASE_METHOD(RealFixture, "a full stderr does not block the answers", "[backends][process]") {
    declare("fills-stderr");
    CHECK(call().value() == "after the noise");
    stop();
}

TEST_CASE_METHOD(RealFixture, "a grandchild in a session of its own does not stay behind", "[backends][process]") {
    declare("grandchild");
    const int pid = call().value();
    CHECK(is_running(pid));
    stop();
    CHECK(comes_true([pid] { return !is_running(pid); }));
}

TEST_CASE_METHOD(RealFixture, "a backend that ignores the request to end is made to", "[backends][process]") {
    declare("ignores-term");
    const int pid = call().value();
    stop();
    CHECK_FALSE(is_running(pid));
}

TEST_CASE_METHOD(RealFixture, "a question of the backend's own is answered from its spec", "[backends][process]") {
    declare("asks", [](BackendSpec& spec) { spec.roots.push_back({"file:///a", "a"}); });
    CHECK(call().value()["roots"][0]["uri"] == "file:///a");
    stop();
}

TEST_CASE_METHOD(RealFixture, "a missing program is an error that names the backend and the program",
                 "[backends][process]") {
    declare("echo", [](BackendSpec& spec) { spec.command = {"no-such-program-at-all"}; });
    const auto result = call().take();
    REQUIRE_FALSE(result);
    CHECK(result.error().message.find("no-such-program-at-all") != std::string::npos);
    CHECK(result.error().message.find("it") != std::string::npos);
    CHECK(host.running() == 0);
}
