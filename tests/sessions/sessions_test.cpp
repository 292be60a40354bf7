#include "ipc/wire_text.h"
#include "modules/sessions/sessions_rpc.h"
#include "modules/storage/storage.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace pillion;

namespace {

constexpr std::int64_t minute_ms = 60'000;

SeriesChange change(std::string metric, std::int64_t at, double before, double after,
                    TrendMeaning meaning = TrendMeaning::worse) {
    return {.metric = std::move(metric),
            .at = at,
            .before = before,
            .after = after,
            .changeShare = before != 0 ? (after - before) / before : 0,
            .meaning = meaning};
}

// What sessions look at, as the test says it is; work runs where it is asked for.
struct Fixture {
    TemporaryFolder folder;
    ManualClock clock;
    ManualTimers timers{clock};
    Store store{{.path = folder.path() + "/state.db"}, clock};
    double score = 90;
    std::vector<SeriesChange> changes{};
    std::vector<SeriesAnomaly> anomalies{};
    std::vector<Alert> alerts{};
    std::vector<SuggestionTrial> trials{};
    std::vector<bool> watched{};
    std::map<std::string, AlertNotice> raised{};
    std::vector<Session> ended{};
    std::vector<std::string> alive{};
    int advised = 0;
    std::unique_ptr<Sessions> sessions = make("1:1");

    Fixture() { Sessions::add_schema(store); }
    ~Fixture() {
        sessions.reset();
        store.stop();
    }
    std::unique_ptr<Sessions> make(std::string owner) {
        return std::make_unique<Sessions>(Sessions::Host{
            .clock = clock,
            .timers = timers,
            .store = &store,
            .set_watched = [this](bool is_wanted) { watched.push_back(is_wanted); },
            .analyse = [this](const AnalysisRange& range) -> Result<AnalysisReport> {
                AnalysisReport report{.at = clock.wall_ms()};
                // Before a session all was well.
                report.score = range.to_ms < clock.wall_ms() || watched.size() < 2 ? 95 : score;
                report.anomalies = anomalies;
                return report;
            },
            .changes = [this](const AnalysisRange&) -> Result<std::vector<SeriesChange>> { return changes; },
            .alerts = [this] { return alerts; },
            .trials = [this]() -> Result<std::vector<SuggestionTrial>> { return trials; },
            .raise = [this](AlertNotice notice) { raised[notice.key] = notice; },
            .resolve = [this](const std::string& key) { raised.erase(key); },
            .try_advice = [this] { ++advised; },
            .on_ended = [this](const Session& session) { ended.push_back(session); },
            .run = [](const std::function<void()>& work) { work(); },
            .summary_text = wire::text_of<SessionSummary>,
            .read_summary = wire::read_text<SessionSummary>,
            .owner = std::move(owner),
            .is_alive = [this](const std::string& name) { return std::ranges::count(alive, name) > 0; }});
    }
    Session start(std::optional<std::int64_t> duration_ms = {}, bool applies_advice = false) {
        return sessions->start({.name = "try", .duration_ms = duration_ms, .applies_advice = applies_advice}).value();
    }
    Result<Session> stop(const std::string& id) {
        std::optional<Result<Session>> answer;
        sessions->stop(id, [&](Result<Session> session) { answer = std::move(session); });
        return answer.value();
    }
};

} // namespace

TEST_CASE("what ended worse than it began is a degradation, by its share", "[sessions]") {
    const auto found = degradations_of(std::vector{change("slow", 10, 100, 112), change("slower", 10, 100, 130),
                                                   change("slowest", 10, 100, 150), change("hits", 10, 0.8, 0.3),
                                                   change("barely", 10, 100, 109)},
                                       5);
    REQUIRE(found.size() == 4);
    CHECK(found[0].metric == "hits");
    CHECK(found[0].level == AlertLevel::critical);
    CHECK(found[0].changeShare == Approx(-0.625));
    CHECK(found[1].metric == "slowest");
    CHECK(found[1].level == AlertLevel::critical);
    CHECK(found[2].level == AlertLevel::warning);
    CHECK(found[3].level == AlertLevel::info);
    CHECK(found[3].before == 100);
    CHECK(found[3].now == 112);
}

TEST_CASE("what got better, came back, means nothing or was so before is no degradation", "[sessions]") {
    CHECK(degradations_of(std::vector{change("better", 10, 100, 50, TrendMeaning::better)}, 5).empty());
    CHECK(degradations_of(std::vector{change("back", 10, 100, 200), change("back", 20, 200, 101, TrendMeaning::better)},
                          5)
              .empty());
    CHECK(degradations_of(std::vector{change("users", 10, 100, 200, TrendMeaning::neutral)}, 5).empty());
    CHECK(degradations_of(std::vector{change("before", 4, 100, 200)}, 5).empty());
    CHECK(degradations_of({}, 0).empty());
}

TEST_CASE("a degradation that eased but stands is judged from where it began", "[sessions]") {
    const auto found = degradations_of(
        std::vector{change("slow", 10, 100, 200), change("slow", 20, 200, 130, TrendMeaning::better)}, 5);
    REQUIRE(found.size() == 1);
    CHECK(found.front().level == AlertLevel::warning);
    CHECK(found.front().since == 10);
    CHECK(found.front().now == 130);
}

TEST_CASE_METHOD(Fixture, "a timed session ends by itself and is told with its summary", "[sessions]") {
    const Session session = start(5 * minute_ms);
    CHECK(session.state == SessionState::running);
    CHECK(session.endsAt == session.startedAt + 5 * minute_ms);
    CHECK(watched == std::vector{true});
    timers.advance_ms(5 * minute_ms - 1);
    CHECK(ended.empty());
    timers.advance_ms(1);
    REQUIRE(ended.size() == 1);
    CHECK(ended.front().id == session.id);
    CHECK(ended.front().state == SessionState::ended);
    CHECK(ended.front().endedAt == session.startedAt + 5 * minute_ms);
    REQUIRE(ended.front().summary);
    CHECK(ended.front().summary->scoreBefore == 95);
    CHECK(watched == std::vector{true, false});
    CHECK(sessions->get(session.id)->state == SessionState::ended);
}

TEST_CASE_METHOD(Fixture, "the machine is watched until the last session ends", "[sessions]") {
    const Session first = start();
    const Session second = start();
    REQUIRE(stop(first.id));
    CHECK(std::ranges::count(watched, false) == 0);
    REQUIRE(stop(second.id));
    CHECK(std::ranges::count(watched, false) == 1);
}

TEST_CASE_METHOD(Fixture, "alerts, anomalies and trials of its time are in the summary, earlier ones are not",
                 "[sessions]") {
    clock.advance_ms(minute_ms);
    const Session session = start();
    const std::int64_t now = session.startedAt;
    alerts = {{.state = AlertState::resolved, .worst = AlertLevel::critical, .raisedAt = now - 1},
              {.state = AlertState::resolved, .worst = AlertLevel::critical, .raisedAt = now},
              {.state = AlertState::raised, .worst = AlertLevel::warning, .raisedAt = now + 1},
              {.state = AlertState::raised, .worst = AlertLevel::info, .raisedAt = now + 2}};
    anomalies.resize(Sessions::findings_max + 7);
    trials = {{.id = "before", .beganAt = now - 1}, {.id = "meanwhile", .beganAt = now + 1}};
    const Session stopped = stop(session.id).value();
    const SessionSummary& summary = stopped.summary.value();
    CHECK(summary.alerts.critical == 1);
    CHECK(summary.alerts.warning == 1);
    CHECK(summary.alerts.info == 1);
    CHECK(summary.alerts.standing == 2);
    CHECK(summary.anomaliesCount == 57);
    CHECK(summary.anomalies.size() == 50);
    REQUIRE(summary.trials.size() == 1);
    CHECK(summary.trials.front().id == "meanwhile");
}

TEST_CASE_METHOD(Fixture, "what gets worse is an alert until it is better or no session sees it", "[sessions]") {
    const Session first = start();
    const Session second = start();
    changes = {change("wire.time", first.startedAt + 1, 2, 3)};
    timers.advance_ms(Sessions::look_ms);
    REQUIRE(raised.contains("sessions.degraded/wire.time"));
    CHECK(raised.begin()->second.level == AlertLevel::critical);
    CHECK_THAT(raised.begin()->second.detail, Catch::Contains("+50 %"));
    REQUIRE(stop(first.id));
    CHECK(raised.size() == 1);
    changes.clear();
    timers.advance_ms(Sessions::look_ms);
    CHECK(raised.empty());
    changes = {change("wire.time", first.startedAt + 1, 2, 3)};
    timers.advance_ms(Sessions::look_ms);
    CHECK(raised.size() == 1);
    REQUIRE(stop(second.id));
    CHECK(raised.empty());
}

TEST_CASE_METHOD(Fixture, "advice is tried while something is critical, where the session was told so, not too often",
                 "[sessions]") {
    start();
    alerts = {{.level = AlertLevel::critical, .raisedAt = clock.wall_ms()}};
    timers.advance_ms(Sessions::look_ms);
    CHECK(advised == 0);
    start({}, true);
    timers.advance_ms(Sessions::look_ms);
    CHECK(advised == 1);
    timers.advance_ms(Sessions::advice_ms - Sessions::look_ms);
    CHECK(advised == 1);
    timers.advance_ms(Sessions::look_ms);
    CHECK(advised == 2);
    alerts.front().level = AlertLevel::warning;
    timers.advance_ms(Sessions::advice_ms + Sessions::look_ms);
    CHECK(advised == 2);
}

TEST_CASE_METHOD(Fixture, "a session that nobody knows cannot be got or stopped, nor one that ended stopped again",
                 "[sessions]") {
    CHECK(sessions->get("nobody").error().code == ErrorCode::not_found);
    CHECK(stop("nobody").error().code == ErrorCode::not_found);
    const Session session = start();
    REQUIRE(stop(session.id));
    CHECK(stop(session.id).error().code == ErrorCode::not_found);
}

TEST_CASE_METHOD(Fixture, "no more than sixteen sessions run at a time", "[sessions]") {
    for (std::size_t count = 0; count < Sessions::running_max; ++count) start();
    CHECK(sessions->start({}).error().code == ErrorCode::exhausted);
    REQUIRE(stop(sessions->list()->front().id));
    CHECK(sessions->start({}));
}

TEST_CASE_METHOD(Fixture, "sessions of earlier runs are there, with their summaries", "[sessions]") {
    score = 70;
    const Session session = start();
    const Session stopped = stop(session.id).value();
    store.flush();
    sessions = make("2:2");
    const auto listed = sessions->list().value();
    REQUIRE(listed.size() == 1);
    CHECK_FALSE(listed.front().summary);
    const Session found = sessions->get(session.id).value();
    CHECK(found.name == "try");
    CHECK(found.state == SessionState::ended);
    CHECK(wire::text_of(found.summary.value()) == wire::text_of(stopped.summary.value()));
}

TEST_CASE_METHOD(Fixture, "a session whose process is gone was interrupted and keeps its latest summary",
                 "[sessions]") {
    const Session session = start();
    timers.advance_ms(Sessions::look_ms);
    store.flush();
    const auto other = make("2:2");
    CHECK(other->get(session.id)->state == SessionState::interrupted);
    CHECK(other->get(session.id)->summary->at == session.startedAt + Sessions::look_ms);
    alive = {"1:1"};
    CHECK(other->get(session.id)->state == SessionState::running);
    sessions.reset(); // Pillion ends in order
    store.flush();
    const Session left = other->get(session.id).value();
    CHECK(left.state == SessionState::interrupted);
    CHECK(left.endedAt == session.startedAt + Sessions::look_ms);
}

TEST_CASE_METHOD(Fixture, "the oldest sessions are forgotten", "[sessions]") {
    for (std::size_t count = 0; count < Sessions::kept_max + 3; ++count) {
        REQUIRE(stop(start().id));
        clock.advance_ms(1);
    }
    CHECK(sessions->list()->size() == Sessions::kept_max);
    store.flush();
    sessions = make("2:2");
    CHECK(sessions->list()->size() == Sessions::kept_max);
}

TEST_CASE_METHOD(Fixture, "where nothing can be read a session says so by leaving it out", "[sessions]") {
    Sessions bare(Sessions::Host{
        .clock = clock,
        .timers = timers,
        .set_watched = [](bool) {},
        .analyse = [](const AnalysisRange&) -> Result<AnalysisReport> { return fail(ErrorCode::unavailable, "gone"); },
        .changes = [](const AnalysisRange&) -> Result<std::vector<SeriesChange>> {
            return fail(ErrorCode::unavailable, "gone");
        },
        .alerts = [] { return std::vector<Alert>{}; },
        .trials = []() -> Result<std::vector<SuggestionTrial>> { return fail(ErrorCode::unavailable, "gone"); },
        .on_ended = [](const Session&) {},
        .run = [](const std::function<void()>& work) { work(); }});
    const Session session = bare.start({}).value();
    std::optional<Session> stopped;
    bare.stop(session.id, [&](Result<Session> answer) { stopped = answer.value(); });
    REQUIRE(stopped);
    CHECK_FALSE(stopped->summary->score);
    CHECK_FALSE(stopped->summary->scoreBefore);
}
