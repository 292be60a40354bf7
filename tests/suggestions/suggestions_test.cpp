// Trials of advice, on time that stands still until moved: what proves itself stays, everything else is taken back.
#include "modules/storage/storage.h"
#include "modules/suggestions/suggestions_rpc.h"
#include "tests/suggestions/advised_app.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/wire_fixture.h"

#include <latch>
#include <thread>

using namespace pillion;
using namespace pillion::test;

TEST_CASE("advice that makes the figure better is kept, with both figures", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked asked;
    asked(suggestions, {.id = tune});
    CHECK(app.policy == "adaptive"); // the window before was there already
    CHECK(app.is_recording);
    CHECK_FALSE(asked.outcome.has_value());
    app.live(whole_trial_s);
    const SuggestionTrial& trial = asked.trial();
    CHECK(trial.verdict == SuggestionVerdict::kept);
    CHECK(trial.inForce);
    CHECK(app.policy == "adaptive");
    REQUIRE(trial.measured.has_value());
    CHECK(trial.measured->before.median == Approx(0.5).margin(0.02));
    CHECK(trial.measured->before.low <= trial.measured->before.median);
    CHECK(trial.measured->after.median == Approx(0.8).margin(0.02));
    CHECK(*trial.measured->shift == Approx(0.3).margin(0.03));
    CHECK(*trial.measured->shiftLow > 0.2);
    CHECK(*trial.measured->probability < 0.001);
    CHECK(trial.measured->before.samples >= 25);
    CHECK(trial.reason.find("which is better") != std::string::npos);
    CHECK(trial.configuration.find("[cache.namespaces.voices]") == 0);
    REQUIRE(app.told.size() == 2);
    CHECK(app.told[0].verdict == SuggestionVerdict::running);
    CHECK(app.told[1].verdict == SuggestionVerdict::kept);
    CHECK_FALSE(app.is_recording);
}

TEST_CASE("a short window that was recorded is enough too", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(30);
    Asked asked;
    asked(suggestions, {.id = tune, .window_ms = 15'000});
    CHECK(app.policy == "adaptive");
    app.live(21);
    CHECK(asked.trial().verdict == SuggestionVerdict::kept);
}

TEST_CASE("advice that makes the figure worse is undone", "[suggestions]") {
    App app;
    app.tuned_hit_ratio = 0.3;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked asked;
    asked(suggestions, {.id = tune});
    app.live(whole_trial_s);
    CHECK(asked.trial().verdict == SuggestionVerdict::undone);
    CHECK_FALSE(asked.trial().inForce);
    CHECK(asked.trial().reason.find("which is worse; it was taken back") != std::string::npos);
    CHECK(app.policy == "lru");
}

TEST_CASE("a difference that is too small to matter is no reason to keep a change", "[suggestions]") {
    App app;
    app.tuned_hit_ratio = GENERATE(0.5, 0.506);
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked asked;
    asked(suggestions, {.id = tune});
    app.live(whole_trial_s);
    CHECK(asked.trial().verdict == SuggestionVerdict::undone);
    CHECK(asked.trial().measured->effectMin == Approx(0.01).margin(0.001));
    CHECK(app.policy == "lru");
}

TEST_CASE("where nothing was recorded a window is measured first", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    Asked asked;
    asked(suggestions, {.id = tune});
    CHECK(app.is_recording);
    app.live(61);
    CHECK(app.policy == "lru");
    app.live(2);
    CHECK(app.policy == "adaptive");
    app.live(whole_trial_s);
    CHECK(asked.trial().verdict == SuggestionVerdict::kept);
}

TEST_CASE("where too little happens nothing can be decided, and the change is taken back", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked asked;
    asked(suggestions, {.id = tune});
    app.live(whole_trial_s, 0);
    CHECK(asked.trial().verdict == SuggestionVerdict::undecided);
    CHECK(asked.trial().reason.find("too little was measured") == 0);
    CHECK_FALSE(asked.trial().measured->shift);
    CHECK(app.policy == "lru");
}

TEST_CASE("what does something once is judged too, though there is nothing to take back", "[suggestions]") {
    App app;
    app.situation = {.memory = MemorySituation{
                         .resident_bytes = 200'000'000, .committed_bytes = 190'000'000, .used_bytes = 80'000'000}};
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked asked;
    asked(suggestions, {.id = "memory.purge", .window_ms = 30'000});
    const bool comes_back = GENERATE(false, true);
    if (comes_back) app.resident_bytes += 100e6;
    app.live(36);
    CHECK(asked.trial().verdict == (comes_back ? SuggestionVerdict::ineffective : SuggestionVerdict::kept));
    CHECK_FALSE(asked.trial().inForce);
}

TEST_CASE("what cannot be applied or taken back says so", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked asked;
    SECTION("the change is refused") {
        app.applying = fail(ErrorCode::conflict, "no");
        asked(suggestions, {.id = tune});
        CHECK(asked.trial().verdict == SuggestionVerdict::failed);
        CHECK(asked.trial().reason == "it could not be applied: no");
        CHECK_FALSE(asked.trial().inForce);
    }
    SECTION("the way back is") {
        app.tuned_hit_ratio = 0.1;
        app.undoing = fail(ErrorCode::conflict, "no");
        asked(suggestions, {.id = tune});
        app.live(whole_trial_s);
        CHECK(asked.trial().verdict == SuggestionVerdict::failed);
        CHECK(asked.trial().inForce);
    }
}

TEST_CASE("what nothing calls for, nobody can apply or is under way is refused", "[suggestions]") {
    App app;
    app.situation.wire = WireSituation{.requests = 1'000'000, .batches = 0, .requests_per_second = 3000};
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    const auto code = [&](SuggestionRequest request) {
        Asked asked;
        asked(suggestions, std::move(request));
        REQUIRE(asked.error.has_value());
        return *asked.error;
    };
    CHECK(code({.id = "cache.tune:voice"}).code == ErrorCode::not_found);
    CHECK(code({.id = "cache.tune:voice"}).hint == tune);
    CHECK(code({.id = "ipc.batch"}).code == ErrorCode::failed_precondition);
    CHECK(code({.id = "ipc.batch"}).message ==
          "ipc.batch cannot be applied by Pillion itself: whoever sends the requests puts them together");
    Asked first;
    first(suggestions, {.id = tune});
    CHECK(code({.id = tune}).code == ErrorCode::conflict);
}

TEST_CASE("all are tried one after another, and what cannot be is named", "[suggestions]") {
    App app;
    app.situation.memory =
        MemorySituation{.resident_bytes = 200'000'000, .committed_bytes = 190'000'000, .used_bytes = 80'000'000};
    app.situation.wire = WireSituation{.requests = 1'000'000, .batches = 0, .requests_per_second = 3000};
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked asked;
    asked(suggestions, {.all = true});
    app.live(10);
    CHECK((app.policy == "lru") != (app.resident_bytes == 200e6)); // not both at once
    app.live(3 * whole_trial_s);
    REQUIRE(asked.outcome.has_value());
    CHECK(asked.outcome->trials.size() == 2);
    REQUIRE(asked.outcome->skipped.size() == 1);
    CHECK(asked.outcome->skipped[0].id == "ipc.batch");
}

TEST_CASE("what an earlier trial changed and took back is no part of what a later one starts from", "[suggestions]") {
    App app;
    app.tuned_hit_ratio = 0.3;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked first;
    first(suggestions, {.id = tune});
    app.live(whole_trial_s);
    CHECK(first.trial().verdict == SuggestionVerdict::undone);
    app.tuned_hit_ratio = 0.8;
    Asked second;
    second(suggestions, {.id = tune});
    app.live(55);
    CHECK(app.policy == "lru");
    app.live(10 + whole_trial_s);
    CHECK(second.trial().verdict == SuggestionVerdict::kept);
    CHECK(second.trial().measured->before.median == Approx(0.5).margin(0.02));
    CHECK(second.trial().measured->before.low > 0.45);
}

TEST_CASE("what nothing calls for any more when its turn comes is not applied, and why is said", "[suggestions]") {
    App app;
    app.situation.memory =
        MemorySituation{.resident_bytes = 200'000'000, .committed_bytes = 190'000'000, .used_bytes = 80'000'000};
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked asked;
    asked(suggestions, {.all = true});
    app.live(10);
    const bool is_purge_first = app.policy == "lru";
    if (is_purge_first)
        app.situation.caches.clear();
    else
        app.situation.memory.reset();
    app.live(3 * whole_trial_s);
    REQUIRE(asked.outcome.has_value());
    CHECK(asked.outcome->trials.size() == 1);
    REQUIRE(asked.outcome->skipped.size() == 1);
    CHECK(asked.outcome->skipped[0].id == (is_purge_first ? tune : "memory.purge"));
    CHECK(asked.outcome->skipped[0].reason == "nothing called for it any more when its turn came");
    CHECK(suggestions.history()->size() == 1);
    CHECK_FALSE(app.is_recording);
}

TEST_CASE("what is called for no more once it has been measured is not applied", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    Asked asked;
    asked(suggestions, {.id = tune});
    app.live(30);
    app.situation.caches.clear();
    app.live(60);
    REQUIRE(asked.outcome.has_value());
    CHECK(asked.outcome->trials.empty());
    REQUIRE(asked.outcome->skipped.size() == 1);
    CHECK(app.policy == "lru");
    CHECK(app.told.empty());
    Asked again;
    again(suggestions, {.id = tune});
    CHECK(again.error->code == ErrorCode::not_found);
}

TEST_CASE("while one is measured all others can be asked for, and it is named as under way", "[suggestions]") {
    App app;
    app.situation.memory =
        MemorySituation{.resident_bytes = 200'000'000, .committed_bytes = 190'000'000, .used_bytes = 80'000'000};
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked one, all, none;
    one(suggestions, {.id = tune});
    app.live(10);
    all(suggestions, {.all = true});
    none(suggestions, {.all = true});
    REQUIRE(none.outcome.has_value());
    CHECK(none.outcome->trials.empty());
    CHECK(none.outcome->skipped.size() == 2);
    app.live(3 * whole_trial_s);
    CHECK(one.trial().verdict == SuggestionVerdict::kept);
    CHECK(all.trial().id == "memory.purge");
    REQUIRE(all.outcome->skipped.size() == 1);
    CHECK(all.outcome->skipped[0].id == tune);
    CHECK(all.outcome->skipped[0].reason == "another suggestion for the same namespace voices is being tried");
}

TEST_CASE("where nothing is called for, all of it is nothing", "[suggestions]") {
    App app;
    app.situation = {};
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    Asked asked;
    asked(suggestions, {.all = true});
    REQUIRE(asked.outcome.has_value());
    CHECK(asked.outcome->trials.empty());
    CHECK(asked.outcome->skipped.empty());
    CHECK_FALSE(app.is_recording);
}

TEST_CASE("what did not prove itself is left alone for a while, unless it is asked for", "[suggestions]") {
    App app;
    app.tuned_hit_ratio = 0.3;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    app.live(90);
    Asked first;
    first(suggestions, {.all = true});
    app.live(whole_trial_s);
    CHECK(first.trial().verdict == SuggestionVerdict::undone);
    const auto offers = suggestions.list();
    REQUIRE(offers.has_value());
    CHECK(offers->at(0).last_trial->verdict == SuggestionVerdict::undone);
    Asked second;
    second(suggestions, {.all = true});
    REQUIRE(second.outcome.has_value());
    CHECK(second.outcome->trials.empty());
    CHECK(second.outcome->skipped.size() == 1);
    Asked third;
    third(suggestions, {.all = true, .again = true});
    app.live(whole_trial_s);
    CHECK(app.policy == "adaptive");
}

TEST_CASE("a pause longer than the window is refused", "[suggestions]") {
    CHECK(check_suggestions_config({}));
    const auto checked = check_suggestions_config({.windowMs = 10'000, .settleMs = 20'000});
    REQUIRE_FALSE(checked);
    CHECK(checked.error().field == "/settleMs");
}

TEST_CASE("history outlives the process, and what was interrupted says so", "[suggestions]") {
    App app;
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/state.db";
    const auto with_store = [&](std::string owner, const auto& use) {
        Store store({.path = path}, app.clock);
        Suggestions::add_schema(store);
        {
            Suggestions suggestions(app.host(&store, std::move(owner)));
            app.connect(suggestions);
            use(suggestions, store);
        }
        store.stop();
    };
    with_store("first", [&](Suggestions& suggestions, Store&) {
        app.live(90);
        Asked asked;
        asked(suggestions, {.id = tune});
        app.live(whole_trial_s);
        CHECK(asked.trial().verdict == SuggestionVerdict::kept);
    });
    app.policy = "lru"; // as a new process has it
    with_store("second", [&](Suggestions& suggestions, Store&) {
        const auto history = suggestions.history();
        REQUIRE(history.has_value());
        REQUIRE(history->size() == 1);
        CHECK(history->at(0).verdict == SuggestionVerdict::kept);
        CHECK_FALSE(history->at(0).inForce); // it was another process's
        CHECK(history->at(0).measured->after.median == Approx(0.8).margin(0.02));
        CHECK(*history->at(0).measured->shift == Approx(0.3).margin(0.03));
        app.live(90);
        Asked asked;
        asked(suggestions, {.id = tune});
        app.live(10);
        suggestions.stop(); // in the middle of it
        CHECK(asked.trial().verdict == SuggestionVerdict::interrupted);
        CHECK_FALSE(app.is_recording);
    });
    const auto crash = [&](const std::string& owner) {
        Store store({.path = path}, app.clock);
        Suggestions::add_schema(store);
        REQUIRE(store.write_and_wait([&](Database& database) -> Result<void> {
            auto row = PILLION_TRY(database.prepare("INSERT INTO suggestion_trial (id, verdict, in_force, lasts, "
                                                    "began_at, owner) VALUES ('x', 1, 1, 1, 1, ?)"));
            return row.with(std::string_view(owner)).run();
        }));
        store.stop();
    };
    crash("dead");
    crash("alive");
    with_store("third", [&](Suggestions& suggestions, Store&) {
        const auto history = suggestions.history();
        REQUIRE(history.has_value());
        REQUIRE(history->size() == 4);
        CHECK(history->at(0).verdict == SuggestionVerdict::interrupted); // by stop()
        CHECK(history->at(1).verdict == SuggestionVerdict::kept);
        CHECK(history->at(2).verdict == SuggestionVerdict::running); // by a sidecar that runs
        CHECK(history->at(3).verdict == SuggestionVerdict::interrupted);
        CHECK_FALSE(history->at(3).inForce);
    });
}

TEST_CASE("suggestions are listed, applied and remembered through their methods", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    test::WireFixture wire(suggestions_methods(suggestions));
    app.live(90);
    const auto ask = [&](const std::string& method, const std::string& params) {
        return wire.ask(R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":)" + params + "}");
    };
    const auto listed = ask("get_optimization_recommendations", "{}")["result"]["items"];
    REQUIRE(listed.size() == 1);
    CHECK(listed[0]["id"] == tune);
    CHECK(listed[0]["appliesItself"] == true);
    CHECK(listed[0]["evidence"][0]["series"] == "pillion.cache.hits");
    CHECK(listed[0]["improvement"]["best"].get<double>() > listed[0]["improvement"]["modest"].get<double>());
    CHECK(ask("suggestions.apply", "{}")["error"]["code"] == -32602);
    CHECK(ask("suggestions.apply", R"({"id":"x","all":true})")["error"]["code"] == -32602);
    CHECK(ask("suggestions.apply", R"({"id":"x"})")["error"]["code"] == -32002);
    CHECK(ask("suggestions.apply", R"({"all":true,"windowMs":10})")["error"]["code"] == -32602);
    wire.send(R"({"jsonrpc":"2.0","id":2,"method":"force_optimization"})");
    app.live(whole_trial_s);
    const auto applied = wire.next()["result"];
    REQUIRE(applied["trials"].size() == 1);
    CHECK(applied["trials"][0]["verdict"] == "kept");
    CHECK(applied["trials"][0]["measured"]["before"]["samples"].get<int>() >= 25);
    const auto history = ask("suggestions.history", "{}")["result"]["items"];
    REQUIRE(history.size() == 1);
    CHECK(history[0]["id"] == tune);
}

TEST_CASE("the end waits for what is being worked on, and everyone is answered", "[suggestions]") {
    App app;
    std::thread worker;
    std::latch has_begun{1}, may_go_on{1};
    Suggestions::Host host = app.host();
    host.run = [&worker](std::function<void()> work) { worker = std::thread(std::move(work)); };
    host.situation = [&] {
        has_begun.count_down();
        may_go_on.wait();
        return app.situation;
    };
    Suggestions suggestions(std::move(host));
    app.connect(suggestions);
    Asked asked;
    asked(suggestions, {.id = tune});
    has_begun.wait();
    std::thread ender([&suggestions] { suggestions.stop(); });
    may_go_on.count_down();
    ender.join();
    worker.join();
    CHECK(asked.trial().verdict == SuggestionVerdict::interrupted);
    CHECK(app.policy == "lru");
    Asked late;
    late(suggestions, {.id = tune});
    REQUIRE(late.error.has_value());
    CHECK(late.error->code == ErrorCode::unavailable);
}
