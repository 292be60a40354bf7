// The worker's rules, with a link that does as the test says.
#include "modules/remote_store/remote_tier.h"
#include "tests/remote_store/tier_calls.h"

#include <atomic>
#include <deque>

using namespace pillion;
using namespace pillion::test;

namespace {

// What the server does, shared by a link and the test.
struct Script {
    std::mutex mutex; // guards what follows
    std::condition_variable changed;
    std::deque<Error> refused_openings; // one for each attempt
    std::deque<Error> lost_exchanges;   // after answering the first call
    std::deque<std::string> log;
    bool is_held = false; // an exchange waits
    bool is_waiting = false;

    void say(std::string line) {
        const std::lock_guard lock(mutex);
        log.push_back(std::move(line));
    }
    std::string said() {
        const std::lock_guard lock(mutex);
        std::string all;
        for (const std::string& line : log) all += line + " ";
        log.clear();
        return all;
    }
    void hold() {
        const std::lock_guard lock(mutex);
        is_held = true;
    }
    void wait_until_held() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return is_waiting; });
    }
    void release() {
        const std::lock_guard lock(mutex);
        is_held = false;
        changed.notify_all();
    }
};

std::optional<Error> take_first(Script& script, std::deque<Error>& errors) {
    const std::lock_guard lock(script.mutex);
    if (errors.empty()) return std::nullopt;
    Error first = errors.front();
    errors.pop_front();
    return first;
}

class ScriptedLink final : public RemoteLink {
  public:
    explicit ScriptedLink(Script& script) : script_(script) {}
    Result<void> open() override {
        if (auto error = take_first(script_, script_.refused_openings)) {
            script_.say("refused");
            return std::unexpected(*error);
        }
        script_.say("open");
        is_open_ = true;
        return {};
    }
    bool is_open() const override { return is_open_; }
    void close() override { is_open_ = false; }
    Result<void> exchange(std::span<RemoteCall> calls) override {
        {
            std::unique_lock lock(script_.mutex);
            script_.is_waiting = true;
            script_.changed.notify_all();
            script_.changed.wait(lock, [this] { return !script_.is_held; });
            script_.is_waiting = false;
        }
        const auto lost = take_first(script_, script_.lost_exchanges);
        std::string names;
        for (RemoteCall& call : calls) {
            if (call.outcome) continue;
            names += call.key.name;
            call.outcome = std::optional<TierValue>();
            if (!lost) continue;
            script_.say("lost:" + names);
            is_open_ = false;
            return std::unexpected(*lost);
        }
        script_.say(names);
        return {};
    }
    Result<void> ping() override {
        script_.say("ping");
        return {};
    }
    Result<void> publish(const std::string& message) override {
        const std::size_t first = message.find("s=");
        script_.say(first == std::string::npos ? "!all" : "!" + message.substr(first + 2));
        return {};
    }
    Result<SliceEnd> sweep(RemoteSweep& sweep) override {
        script_.say("sweep");
        return ++sweep.count < 3 ? SliceEnd::more : SliceEnd::done;
    }
    Result<SliceEnd> list(RemoteListing&) override { return SliceEnd::done; }
    Result<SliceEnd> survey(RemoteSurvey&) override { return SliceEnd::done; }

  private:
    Script& script_;
    bool is_open_ = false;
};

struct Scripted {
    Script script;
    ManualClock clock;
    std::unique_ptr<RemoteTier> tier;

    Scripted() {
        RemoteTier::Parts parts;
        parts.name = "scripted";
        parts.app = "app";
        parts.limits = {.where = "it", .command_ms = 1000, .backoff_ms_min = 100, .backoff_ms_max = 400};
        parts.notice_bytes_max = 1000;
        parts.links.push_back(std::make_unique<ScriptedLink>(script));
        tier = std::make_unique<RemoteTier>(std::move(parts), clock);
    }
};

const Error lost{ErrorCode::unavailable, "gone"};
const Error silent{ErrorCode::timeout, "silent"};
const Error denied{ErrorCode::denied, "who are you"};

bool is(const auto& result, ErrorCode code) { return !result && result.error().code == code; }

} // namespace

TEST_CASE("what was not answered before a connection broke is sent once more", "[remote][worker]") {
    Scripted it;
    REQUIRE(put(*it.tier, key_of("x"), "1"));
    it.script.hold();
    it.tier->get(key_of("h"), [](auto) {});
    it.script.wait_until_held();
    {
        const std::lock_guard lock(it.script.mutex);
        it.script.lost_exchanges = {lost};
    }
    it.script.release();
    CHECK(get(*it.tier, key_of("a")));
    CHECK(it.script.said() == "open x lost:h open  a ");
}

TEST_CASE("a connection that cannot be made again after it broke is an error", "[remote][worker]") {
    Scripted it;
    REQUIRE(probe(*it.tier));
    it.script.hold();
    std::promise<Result<std::optional<TierValue>>> first;
    it.tier->get(key_of("a"), [&first](auto got) { first.set_value(std::move(got)); });
    it.script.wait_until_held();
    {
        const std::lock_guard lock(it.script.mutex);
        it.script.lost_exchanges = {lost};
        it.script.refused_openings = {denied};
    }
    it.script.release();
    CHECK(first.get_future().get()); // had its answer before
    CHECK(is(get(*it.tier, key_of("b")), ErrorCode::denied));
    CHECK(it.script.said() == "open ping lost:a refused ");
}

TEST_CASE("an exchange that timed out is not repeated", "[remote][worker]") {
    Scripted it;
    it.script.lost_exchanges = {silent};
    CHECK(get(*it.tier, key_of("a"))); // had its answer before
    CHECK(is(get(*it.tier, key_of("b")), ErrorCode::unavailable));
    CHECK(it.script.said() == "open lost:a ");
    CHECK(it.tier->stats().trouble == "silent");
    it.clock.advance_ms(100);
    CHECK(get(*it.tier, key_of("b")));
    CHECK(it.tier->stats().is_up);
}

TEST_CASE("a call that waited longer than a command may take is not sent at all", "[remote][worker]") {
    Scripted it;
    it.script.hold();
    it.tier->get(key_of("h"), [](auto) {});
    it.script.wait_until_held();
    std::promise<Result<std::optional<TierValue>>> late;
    it.tier->get(key_of("late"), [&late](auto got) { late.set_value(std::move(got)); });
    it.clock.advance_ms(1001);
    it.script.release();
    CHECK(is(late.get_future().get(), ErrorCode::timeout));
    CHECK(it.script.said() == "open h ");
}

TEST_CASE("attempts to connect are further and further apart, and a probe does not wait", "[remote][worker]") {
    Scripted it;
    it.script.refused_openings = {lost, lost, lost};
    CHECK(is(get(*it.tier, key_of("a")), ErrorCode::unavailable));
    it.clock.advance_ms(49); // the first pause is 50 to 100 ms
    CHECK(is(get(*it.tier, key_of("a")), ErrorCode::unavailable));
    CHECK(it.script.said() == "refused ");
    it.clock.advance_ms(51);
    CHECK(is(get(*it.tier, key_of("a")), ErrorCode::unavailable));
    it.clock.advance_ms(99); // the second one is 100 to 200 ms
    CHECK(is(get(*it.tier, key_of("a")), ErrorCode::unavailable));
    CHECK(it.script.said() == "refused ");
    CHECK(is(probe(*it.tier), ErrorCode::unavailable));
    CHECK(it.script.said() == "refused ");
    CHECK(probe(*it.tier));
    CHECK(get(*it.tier, key_of("a")));
    CHECK(it.script.said() == "open ping a ");
}

TEST_CASE("what does not mend itself is left alone for the longest pause, under its own name", "[remote][worker]") {
    Scripted it;
    it.script.refused_openings = {denied};
    CHECK(is(get(*it.tier, key_of("a")), ErrorCode::denied));
    it.clock.advance_ms(199);
    const auto still = get(*it.tier, key_of("a"));
    CHECK(is(still, ErrorCode::denied));
    CHECK(still.error().message == "it is not connected: who are you");
    CHECK(it.tier->stats().trouble == "who are you");
    it.clock.advance_ms(201);
    CHECK(get(*it.tier, key_of("a")));
}

TEST_CASE("calls go on between the slices of a sweep", "[remote][worker]") {
    Scripted it;
    it.script.hold();
    it.tier->get(key_of("h"), [](auto) {});
    it.script.wait_until_held();
    std::promise<std::uint64_t> swept;
    it.tier->get(key_of("a"), [](auto) {});
    it.tier->invalidate({}, [&swept](Result<std::uint64_t> counted) { swept.set_value(counted.value_or(0)); });
    it.tier->get(key_of("b"), [](auto) {});
    it.script.release();
    CHECK(swept.get_future().get() == 3);
    CHECK(it.script.said() == "open h a b sweep sweep sweep ");
}

TEST_CASE("announcements that find no server are kept, and too many become one of everything", "[remote][worker]") {
    Scripted it;
    it.script.refused_openings = {lost, lost};
    CHECK_FALSE(get(*it.tier, key_of("a")));
    CHECK_FALSE(probe(*it.tier)); // so the pause is at least 100 ms
    it.script.said();
    for (int i = 0; i < 1001; ++i) it.tier->announce({.space = "s" + std::to_string(i)});
    REQUIRE(probe(*it.tier));
    REQUIRE(probe(*it.tier));
    CHECK(it.script.said() == "open ping !all ping ");
    it.tier->announce({.space = "again"});
    REQUIRE(probe(*it.tier));
    CHECK(it.script.said() == "!again ping ");
}

TEST_CASE("a pause grows to its longest and begins anew after a success", "[remote][worker]") {
    RemoteBackoff backoff(100, 1000);
    const auto pause_ms = [&backoff](ErrorCode code) {
        backoff.failed(0, code);
        return backoff.next_ns() / 1'000'000;
    };
    for (const std::int64_t expected : {100, 200, 400, 800, 1000, 1000}) {
        const std::int64_t pause = pause_ms(ErrorCode::unavailable);
        CHECK(pause >= expected / 2);
        CHECK(pause <= expected);
    }
    backoff.succeeded();
    CHECK(backoff.next_ns() == 0);
    CHECK(pause_ms(ErrorCode::timeout) <= 100);
    CHECK(pause_ms(ErrorCode::denied) >= 500);
}
