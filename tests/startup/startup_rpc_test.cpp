// The methods `startup.*` on a host of the test's own.
#include "ipc/base/memory_pools.h"
#include "modules/startup/startup_rpc.h"
#include "tests/startup/played_start.h"

#include <nlohmann/json.hpp>

using namespace pillion;

namespace {

struct Sink final : CallSink {
    std::string answer;
    std::optional<Error> error;
    std::vector<double> progress;
    void answered(Call&, const Result<std::string_view>& result) override {
        if (result)
            answer = *result;
        else
            error = result.error();
    }
    void progressed(Call&, double percentage, std::string_view) override { progress.push_back(percentage); }
};

struct Fixture {
    ManualClock clock;
    MemoryPools pools;
    MethodTable table;
    StartupHistory history{nullptr};
    std::shared_ptr<StartupTimeline> timeline;
    StartupHost::Done finish;
    StartupHost::Progress tell;

    Fixture() {
        StartupHost host;
        host.run = [this](StartupHost::Progress progress, StartupHost::Done done) {
            tell = std::move(progress);
            finish = std::move(done);
        };
        host.timeline = [this] { return timeline; };
        host.mark = [this](const std::string& name) -> Result<bool> {
            if (!timeline) return fail(ErrorCode::failed_precondition, "nothing has been started yet");
            for (const StartupMark& mark : timeline->marks)
                if (mark.name == name) return false;
            timeline->marks.push_back({name, timeline->began_ns + 7'000'000});
            return true;
        };
        host.forget_results = []() -> Result<std::uint64_t> { return 4; };
        table.add(startup_methods(std::move(host), history, clock));
    }
    void start() {
        PlayedStart played({{.name = "a", .ms = 30, .is_critical = true},
                            {.name = "b", .fails = true},
                            {.name = "c", .needs = {"b"}}});
        timeline = std::make_shared<StartupTimeline>(played.play());
    }
    std::shared_ptr<Call> call_of(std::string_view name, Sink& sink) {
        const Method* const found = table.find(name);
        REQUIRE(found != nullptr);
        return std::make_shared<Call>(*found, pools.buffers, sink);
    }
    Result<nlohmann::json> ask(std::string_view name) {
        Sink sink;
        const auto call = call_of(name, sink);
        Buffer out(pools.buffers);
        PILLION_TRY(call->method().run(*call, out));
        return nlohmann::json::parse(out.view());
    }
};

} // namespace

TEST_CASE("before the first start there is nothing to report", "[startup]") {
    Fixture it;
    CHECK((*it.ask("startup.status"))["stage"] == "none");
    for (const char* name : {"startup.report", "startup.plot"}) {
        const auto answer = it.ask(name);
        REQUIRE_FALSE(answer);
        CHECK(answer.error().code == ErrorCode::failed_precondition);
        CHECK(answer.error().hint == "call startup.run first");
    }
}

TEST_CASE("startup.run answers when the start is done, and tells progress meanwhile", "[startup]") {
    Fixture it;
    Sink sink;
    {
        const auto call = it.call_of("startup.run", sink);
        call->method().start(call);
    }
    it.tell(50, "a is ready");
    CHECK(sink.answer.empty());
    it.start();
    it.finish(it.timeline);
    const auto answer = nlohmann::json::parse(sink.answer);
    CHECK(answer["verdict"] == "partial");
    CHECK(answer["wallMs"] == 30.0);
    CHECK(answer["criticalMs"] == 30.0);
    CHECK(answer["ready"] == 1);
    CHECK(answer["failed"] == 1);
    CHECK(answer["skipped"] == 1);
    it.tell(100, "late"); // must find its call
}

TEST_CASE("a start that cannot begin is an error of startup.run", "[startup]") {
    Fixture it;
    Sink sink;
    const auto call = it.call_of("startup.run", sink);
    call->method().start(call);
    it.finish(fail(ErrorCode::invalid_params, "component \"a\" depends on itself"));
    REQUIRE(sink.error);
    CHECK(sink.error->message == "component \"a\" depends on itself");
}

TEST_CASE("status, report and chart tell of the last start", "[startup]") {
    Fixture it;
    it.start();
    const auto status = *it.ask("startup.status");
    CHECK(status["stage"] == "partial");
    CHECK(status["done"] == 3);
    CHECK(status["components"][2]["error"] == "skipped because \"b\" failed");
    const auto report = *it.ask("startup.report");
    CHECK(report["components"][0]["name"] == "a");
    CHECK(report["criticalChain"][0]["waitedFor"] == "none");
    CHECK_FALSE(report.contains("text"));
    CHECK((*it.ask("startup.plot"))["svg"].get<std::string>().starts_with("<svg "));
}

TEST_CASE("forgetting says how much was forgotten", "[startup]") {
    Fixture it;
    it.start();
    it.history.record(*it.timeline);
    const auto answer = *it.ask("startup.forget");
    CHECK(answer["starts"] == 1);
    CHECK(answer["results"] == 4);
    CHECK(it.history.starts().empty());
}

TEST_CASE("a mark needs a name", "[startup]") {
    Fixture it;
    it.start();
    const auto answer = it.ask("startup.mark");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::invalid_params);
}
