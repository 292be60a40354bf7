// Advice that is tried without being asked for: only what the configuration allows, and at a suitable time.
#include "tests/suggestions/advised_app.h"

using namespace pillion;
using namespace pillion::test;

TEST_CASE("nothing is tried by itself unless the configuration says so", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    const bool is_automatic = GENERATE(false, true);
    suggestions.configure({.automatic = is_automatic});
    suggestions.begin();
    app.live(800);
    const auto history = suggestions.history();
    REQUIRE(history.has_value());
    CHECK(app.policy == (is_automatic ? "adaptive" : "lru"));
    CHECK(history->size() == (is_automatic ? 1U : 0U));
    if (is_automatic) CHECK(history->at(0).automatic);
}

TEST_CASE("what is tried by itself can be turned on and off while Pillion runs", "[suggestions]") {
    App app;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    suggestions.begin();
    suggestions.configure({.automatic = true});
    app.live(300);
    suggestions.configure({.automatic = false});
    app.live(500);
    CHECK(app.policy == "lru");
    suggestions.configure({.automatic = true});
    app.live(700);
    CHECK(app.policy == "adaptive");
}

TEST_CASE("nothing is tried by itself while the app starts or the machine is busy", "[suggestions]") {
    App app;
    bool is_starting = false;
    double load = 0.1;
    Suggestions::Host host = app.host();
    host.is_starting = [&is_starting] { return is_starting; };
    host.load = [&load] { return std::optional(load); };
    Suggestions suggestions(std::move(host));
    app.connect(suggestions);
    SECTION("the app starts") { is_starting = true; }
    SECTION("the machine is busy") { load = 0.71; }
    suggestions.configure({.automatic = true});
    suggestions.begin();
    app.live(3000);
    CHECK(app.policy == "lru");
    CHECK(app.told.empty());
    CHECK(suggestions.history()->empty());
    is_starting = false;
    load = 0.69;
    app.live(800);
    CHECK(app.policy == "adaptive");
    CHECK(suggestions.history()->at(0).verdict == SuggestionVerdict::kept);
    CHECK(suggestions.history()->at(0).automatic);
    CHECK(app.told.at(1).automatic);
}

TEST_CASE("what gets busy while it is measured is left for another time; what was asked for goes on", "[suggestions]") {
    App app;
    double load = 0.1;
    Suggestions::Host host = app.host();
    host.load = [&load] { return std::optional(load); };
    Suggestions suggestions(std::move(host));
    app.connect(suggestions);
    SECTION("by itself") {
        suggestions.configure({.automatic = true, .automaticMs = 60'000, .windowMs = 300'000});
        suggestions.begin();
        app.live(61);
        load = 5;
        app.live(400);
        CHECK(app.policy == "lru");
        CHECK(suggestions.history()->empty());
        load = 0.1;
        app.live(400);
        CHECK(app.policy == "adaptive");
    }
    SECTION("asked for") {
        load = 5;
        app.live(90);
        Asked asked;
        asked(suggestions, {.id = tune});
        app.live(whole_trial_s);
        CHECK(asked.trial().verdict == SuggestionVerdict::kept);
    }
}

TEST_CASE("only kinds that the configuration names are tried by themselves", "[suggestions]") {
    App app;
    app.situation.memory =
        MemorySituation{.resident_bytes = 200'000'000, .committed_bytes = 190'000'000, .used_bytes = 80'000'000};
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    suggestions.configure({.automatic = true, .automaticKinds = {"memory.purge"}});
    suggestions.begin();
    app.live(3000);
    const auto history = suggestions.history();
    REQUIRE(history->size() == 1);
    CHECK(history->at(0).id == "memory.purge");
    CHECK(app.policy == "lru");
}

TEST_CASE("a trade-off is tried by itself only where its kind is named", "[suggestions]") {
    App app;
    app.situation.caches[0].tuning.reset();
    app.situation.caches[0].ttl_ms = 60'000;
    app.situation.caches[0].looks = 200;
    app.situation.caches[0].fitting_ttl_ms = 3'600'000;
    Suggestions suggestions(app.host());
    suggestions.add_action("cache.ttl", {.former = {},
                                         .apply =
                                             [&app](const Suggestion&, const SuggestionAction::Done& done) {
                                                 app.policy = "longer";
                                                 done({});
                                             },
                                         .undo = {}});
    const bool is_named = GENERATE(false, true);
    suggestions.configure(
        {.automatic = true,
         .automaticKinds = is_named ? std::vector<std::string>{"cache.ttl"} : std::vector<std::string>{}});
    suggestions.begin();
    app.live(900);
    CHECK(app.policy == (is_named ? "longer" : "lru"));
}

TEST_CASE("what made something worse by itself is undone, told of, and left alone for long", "[suggestions]") {
    App app;
    app.tuned_hit_ratio = 0.3;
    Suggestions suggestions(app.host());
    app.connect(suggestions);
    suggestions.configure({.automatic = true});
    suggestions.begin();
    app.live(800);
    CHECK(app.policy == "lru");
    REQUIRE(app.told.size() == 2);
    CHECK(app.told[1].verdict == SuggestionVerdict::undone);
    CHECK(app.told[1].automatic);
    CHECK(app.told[1].measured->after.median < app.told[1].measured->before.median);
    app.live(3000);
    CHECK(suggestions.history()->size() == 1);
}

TEST_CASE("a kind of advice that there is not is refused by its name", "[suggestions]") {
    CHECK(check_suggestions_config({.automaticKinds = {"cache.tune", "memory.purge"}}));
    const auto checked = check_suggestions_config({.automaticKinds = {"cache.tun"}});
    REQUIRE_FALSE(checked);
    CHECK(checked.error().field == "/automaticKinds");
    CHECK(checked.error().message == "there is no kind of advice \"cache.tun\"; did you mean \"cache.tune\"?");
}
