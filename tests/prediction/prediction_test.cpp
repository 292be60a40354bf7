// What is learned of sequences, how it fades, and that it stays within its bounds.
#include "modules/prediction/prediction.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

using namespace pillion;

namespace {

void repeat(Predictor& predictor, const std::vector<std::string>& names, int times) {
    for (int round = 0; round < times; ++round)
        for (const std::string& name : names) predictor.observe(name);
}

constexpr std::int64_t day_ms = 86'400'000;

} // namespace

TEST_CASE("with nothing observed nothing is predicted", "[prediction]") {
    ManualClock clock;
    const Predictor predictor({}, clock);
    CHECK(predictor.predict(5).empty());
    CHECK(predictor.predict_after("a", 5).empty());
    CHECK(predictor.probability("a") == 0);
    CHECK(predictor.stats().names == 0);
    CHECK(predictor.stats().bytes < 2048);
}

TEST_CASE("what always follows becomes nearly certain, but never quite", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    repeat(predictor, {"editor", "spellcheck", "export"}, 20);
    const auto next = predictor.predict(3);
    REQUIRE(!next.empty());
    CHECK(next[0].name == "editor");
    CHECK(next[0].probability > 0.9);
    CHECK(next[0].probability < 1);
    CHECK(predictor.predict_after("editor", 1)[0].name == "spellcheck");
}

TEST_CASE("one observation does not make a certainty", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    for (const char* name : {"a", "b", "a"}) predictor.observe(name);
    const double after_one = predictor.probability("b");
    CHECK(after_one > 0.3);
    CHECK(after_one < 0.8);
    for (const char* name : {"b", "a", "b", "a"}) predictor.observe(name);
    CHECK(predictor.probability("b") > after_one);
}

TEST_CASE("the last two names tell more than the last one", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    repeat(predictor, {"mail", "compose", "send", "notes", "compose", "save"}, 30);
    PredictionContext context;
    predictor.observe("mail", context);
    predictor.observe("compose", context);
    CHECK(predictor.predict(1, 0, context)[0].name == "send");
    CHECK(predictor.probability("send", context) > 0.8);
    const auto alone = predictor.predict_after("compose", 2);
    CHECK(alone[0].probability == Approx(0.47).margin(0.06));
}

TEST_CASE("an unseen pair falls back to what follows its last name", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    repeat(predictor, {"a", "b", "c"}, 20);
    PredictionContext context;
    predictor.observe("new", context);
    predictor.observe("b", context);
    CHECK(predictor.predict(1, 0, context)[0].name == "c");
}

TEST_CASE("where nothing is known the most used names are guessed", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    repeat(predictor, {"often", "x", "often", "y"}, 10);
    const auto next = predictor.predict(1, 0, PredictionContext{});
    REQUIRE(next.size() == 1);
    CHECK(next[0].name == "often");
    CHECK(next[0].probability == Approx(0.5).margin(0.05));
}

TEST_CASE("probabilities are a distribution", "[prediction]") {
    ManualClock clock;
    for (const Repeats repeats : {Repeats::ignored, Repeats::counted}) {
        Predictor predictor({.repeats = repeats}, clock);
        std::mt19937 random(1);
        for (int round = 0; round < 3000; ++round) {
            predictor.observe("n" + std::to_string(static_cast<int>(std::sqrt(random() % 400))));
            if (round % 100 != 99) continue;
            double sum = 0;
            for (int name = 0; name < 20; ++name) {
                const double probability = predictor.probability("n" + std::to_string(name));
                CHECK(probability >= 0);
                CHECK(probability <= 1);
                sum += probability;
            }
            // What was never seen has the rest.
            CHECK(sum <= 1.0001);
            CHECK(sum > 0.9);
        }
    }
}

TEST_CASE("the same name twice in a row counts once, unless it is meant to", "[prediction]") {
    ManualClock clock;
    Predictor ignoring({}, clock);
    repeat(ignoring, {"a", "a", "a", "b"}, 10);
    CHECK(ignoring.predict_after("a", 1)[0].name == "b");
    Predictor counting({.repeats = Repeats::counted}, clock);
    repeat(counting, {"a", "a", "a", "b"}, 10);
    CHECK(counting.predict_after("a", 1)[0].name == "a");
}

TEST_CASE("new habits outweigh old ones", "[prediction]") {
    ManualClock clock;
    Predictor predictor({.half_life_uses = 10}, clock);
    repeat(predictor, {"a", "old"}, 200);
    repeat(predictor, {"a", "new"}, 25);
    CHECK(predictor.predict_after("a", 1)[0].name == "new");
    CHECK(predictor.predict_after("a", 1)[0].probability > 0.7);
}

TEST_CASE("what was learned long ago is believed less, and sooner overruled", "[prediction]") {
    ManualClock clock;
    Predictor predictor({.half_life_days = 10}, clock);
    repeat(predictor, {"a", "b"}, 5);
    predictor.observe("a");
    const double fresh = predictor.probability("b");
    clock.advance_ms(60 * day_ms);
    CHECK(predictor.probability("b") < fresh);
    repeat(predictor, {"c", "a"}, 3);
    CHECK(predictor.predict_after("a", 1)[0].name == "c");
}

TEST_CASE("a wall clock that jumps ages nothing", "[prediction]") {
    ManualClock clock;
    Predictor predictor({.half_life_days = 1}, clock);
    repeat(predictor, {"a", "b"}, 5);
    const double before = predictor.probability("a");
    clock.jump_wall_ms(1000 * day_ms);
    CHECK(predictor.probability("a") == before);
    clock.jump_wall_ms(-5000 * day_ms);
    predictor.observe("a");
    CHECK(predictor.probability("b") > 0.5);
}

TEST_CASE("who goes different ways at once keeps a context for each", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    PredictionContext first, second;
    for (int round = 0; round < 20; ++round) {
        for (const char* step : {"1", "2", "3"}) {
            predictor.observe(std::string("left") + step, first);
            predictor.observe(std::string("right") + step, second);
        }
    }
    CHECK(predictor.predict_after("left1", 1)[0].name == "left2");
    CHECK(predictor.predict(1, 0, second)[0].name == "right1");
}

TEST_CASE("a name too long or empty is not learned and breaks the sequence", "[prediction]") {
    ManualClock clock;
    Predictor predictor({.name_bytes_max = 8}, clock);
    repeat(predictor, {"a", "far too long a name", "b"}, 5);
    predictor.observe("");
    CHECK(predictor.stats().names == 2);
    CHECK(predictor.stats().refused_names == 6);
    CHECK(predictor.stats().contexts == 1); // "b", then "a"
}

TEST_CASE("a hundred thousand names fit into 16 MiB, and more push out the least used", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    const auto key = [](int number) { return "documents/4711/section-" + std::to_string(number); };
    for (int round = 0; round < 10; ++round)
        for (int common = 0; common < 20; ++common) predictor.observe("common" + std::to_string(common));
    for (int number = 0; number < 130'000; ++number) predictor.observe(key(number));
    const PredictorStats stats = predictor.stats();
    CHECK(stats.names <= 100'000);
    CHECK(stats.names > 95'000);
    CHECK(stats.contexts <= 98'304);
    CHECK(stats.forgotten_names >= 30'000);
    CHECK(stats.bytes < 16u << 20);
    CHECK(predictor.predict_after("common3", 1)[0].name == "common4");
}

TEST_CASE("names that come and go never stand for each other", "[prediction]") {
    ManualClock clock;
    Predictor predictor({.names_max = 50, .contexts_max = 64}, clock);
    std::mt19937 random(9);
    for (int round = 0; round < 20'000; ++round) {
        // In pairs: "k7a" is followed by "k7b" and nothing else is ever followed by it.
        const std::string key = "k" + std::to_string(random() % 200);
        predictor.observe(key + "a");
        predictor.observe(key + "b");
        const auto next = predictor.predict_after(key + "a", 1);
        if (!next.empty() && next[0].probability > 0.6) CHECK(next[0].name == key + "b");
    }
    CHECK(predictor.stats().names <= 50);
}

TEST_CASE("seven successors and more leave room for the weightiest", "[prediction]") {
    ManualClock clock;
    Predictor predictor({.half_life_uses = 1000}, clock);
    std::mt19937 random(3);
    for (int round = 0; round < 2000; ++round) {
        predictor.observe("hub");
        predictor.observe(random() % 2 == 0 ? std::string("main") : "rare" + std::to_string(random() % 100));
    }
    predictor.observe("hub");
    const auto next = predictor.predict(16);
    CHECK(next[0].name == "main");
    CHECK(next[0].probability == Approx(0.5).margin(0.08));
}

TEST_CASE("forgetting leaves nothing", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    repeat(predictor, {"a", "b"}, 5);
    CHECK(predictor.forget() == 2u);
    CHECK(predictor.predict(5).empty());
    CHECK(predictor.stats().names == 0);
    repeat(predictor, {"c", "d"}, 5);
    CHECK(predictor.predict(1)[0].name == "c");
}

TEST_CASE("a context from before a forgetting does no harm", "[prediction]") {
    ManualClock clock;
    Predictor predictor({}, clock);
    PredictionContext context;
    for (int name = 0; name < 100; ++name) predictor.observe("n" + std::to_string(name), context);
    REQUIRE(predictor.forget());
    CHECK(predictor.predict(5, 0, context).empty());
    predictor.observe("a", context);
    predictor.observe("b", context);
    CHECK(predictor.predict_after("a", 1)[0].name == "b");
}
