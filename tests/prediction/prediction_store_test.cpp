// What was learned outlives the process, is written late and little, and two processes do not spoil each other's.
#include "modules/prediction/prediction.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

using namespace pillion;

namespace {

struct Folder {
    std::string path;
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "pillion-prediction-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
};

// A process's worth of it.
struct Session {
    ManualClock& clock;
    ManualTimers timers{clock};
    Store store;
    Predictor predictor;
    Session(const Folder& folder, ManualClock& the_clock, PredictorOptions options = {.scope = "test"})
        : clock(the_clock), store({.path = folder.path + "/state.db"}, clock), predictor(std::move(options), clock) {
        Predictor::add_schema(store);
        predictor.persist(store, timers);
    }
    ~Session() {
        predictor.stop();
        store.stop();
    }
    void use(std::vector<std::string> names, int times = 10) {
        for (int round = 0; round < times; ++round)
            for (const std::string& name : names) predictor.observe(name);
    }
};

} // namespace

TEST_CASE("what was learned is there after a restart", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    double before = 0;
    {
        Session session(folder, clock);
        session.use({"a", "b", "c"});
        before = session.predictor.probability("a");
    }
    Session session(folder, clock);
    CHECK(session.predictor.predict_after("a", 1).empty());
    REQUIRE(session.predictor.load());
    REQUIRE(session.predictor.load());
    CHECK(session.predictor.predict_after("a", 1)[0].name == "b");
    PredictionContext context;
    session.predictor.observe("b", context);
    session.predictor.observe("c", context);
    CHECK(session.predictor.probability("a", context) == Approx(before).margin(0.02));
}

TEST_CASE("changes are written together, a while after the first, and only once", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    Session session(folder, clock);
    session.use({"a", "b", "c"}, 100);
    CHECK(session.store.stats().writes == 0);
    session.timers.advance_ms(4999);
    CHECK(session.store.stats().writes == 0);
    session.timers.advance_ms(1);
    session.store.flush();
    CHECK(session.store.stats().writes == 1);
    session.timers.advance_ms(100'000);
    session.store.flush();
    CHECK(session.store.stats().writes == 1);
    CHECK(session.predictor.stats().unsaved == 0);
}

TEST_CASE("much to write goes in portions", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    PredictorOptions options{.scope = "test"};
    options.save_rows_max = 100;
    {
        Session session(folder, clock, options);
        for (int name = 0; name < 300; ++name) session.predictor.observe("n" + std::to_string(name));
        session.timers.advance_ms(5000);
        session.store.flush();
        CHECK(session.store.stats().writes == 1);
        CHECK(session.predictor.stats().unsaved > 0);
    }
    Session session(folder, clock, options);
    REQUIRE(session.predictor.load());
    CHECK(session.predictor.stats().names == 300);
    CHECK(session.predictor.predict_after("n17", 1)[0].name == "n18");
}

TEST_CASE("what was observed before loading is kept", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    {
        Session session(folder, clock);
        session.use({"a", "b"});
    }
    Session session(folder, clock);
    session.use({"x", "y"});
    REQUIRE(session.predictor.load());
    CHECK(session.predictor.predict_after("x", 1)[0].name == "y");
    CHECK(session.predictor.predict_after("a", 1)[0].name == "b");
}

TEST_CASE("scopes on one store are apart, in forgetting too", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    ManualTimers timers(clock);
    {
        Session session(folder, clock);
        Predictor other({.scope = "other"}, clock);
        other.persist(session.store, timers);
        session.use({"a", "b"});
        for (const char* name : {"a", "z", "a", "z"}) other.observe(name);
        other.stop();
    }
    Session session(folder, clock);
    REQUIRE(session.predictor.forget());
    Predictor other({.scope = "other"}, clock);
    other.persist(session.store, timers);
    REQUIRE(other.load());
    CHECK(other.predict_after("a", 1)[0].name == "z");
    other.stop();
    Predictor again({.scope = "test"}, clock);
    again.persist(session.store, timers);
    REQUIRE(again.load());
    CHECK(again.stats().names == 0);
}

TEST_CASE("two processes on one file add to each other", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    {
        Session first(folder, clock);
        Session second(folder, clock);
        first.use({"a", "b"});
        second.use({"c", "d"});
    }
    Session session(folder, clock);
    REQUIRE(session.predictor.load());
    CHECK(session.predictor.predict_after("a", 1)[0].name == "b");
    CHECK(session.predictor.predict_after("c", 1)[0].name == "d");
}

TEST_CASE("an absence fades what was learned, but not away", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    {
        Session session(folder, clock);
        session.use({"a", "b"}, 20);
    }
    clock.jump_wall_ms(3650LL * 86'400'000);
    Session session(folder, clock);
    REQUIRE(session.predictor.load());
    const auto next = session.predictor.predict_after("a", 1);
    REQUIRE(next.size() == 1);
    CHECK(next[0].name == "b");
    CHECK(next[0].probability > 0.4);
}

TEST_CASE("a stored time from the future does no harm", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    clock.jump_wall_ms(3650LL * 86'400'000);
    {
        Session session(folder, clock);
        session.use({"a", "b"}, 20);
    }
    clock.jump_wall_ms(-3650LL * 86'400'000);
    Session session(folder, clock);
    REQUIRE(session.predictor.load());
    CHECK(session.predictor.predict_after("a", 1)[0].probability > 0.8);
    session.use({"c", "d"});
    CHECK(session.predictor.predict_after("c", 1)[0].name == "d");
}

TEST_CASE("damaged rows are left out", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    {
        Session session(folder, clock);
        session.use({"a", "b"});
        session.predictor.stop();
        session.store.flush();
        REQUIRE(session.store.write_and_wait([](Database& database) {
            return database.execute("INSERT INTO prediction_name VALUES ('test', 1, 'forged', 1e300, -5);"
                                    "INSERT INTO prediction_name VALUES ('test', 2, '', 1, 1);"
                                    "INSERT INTO prediction_name VALUES ('test', 3, 'late', 1, 9000000000);"
                                    "INSERT INTO prediction_context VALUES ('test', 1, 0, 9e999, 1, x'0102');"
                                    "INSERT INTO prediction_context VALUES ('test', 77, 78, 1, 1, x'');");
        }));
    }
    Session session(folder, clock);
    REQUIRE(session.predictor.load());
    CHECK(session.predictor.stats().names == 2);
    CHECK(session.predictor.predict_after("a", 1)[0].name == "b");
    CHECK(session.predictor.predict_after("a", 1)[0].probability > 0.8);
}

TEST_CASE("a full model whose changes wait to be written stays within 16 MiB", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    Store store({.path = folder.path + "/state.db"}, clock);
    Predictor::add_schema(store);
    ManualTimers timers(clock);
    {
        Predictor predictor({.scope = "full"}, clock);
        predictor.persist(store, timers);
        for (int number = 0; number < 130'000; ++number)
            predictor.observe("documents/4711/section-" + std::to_string(number));
        CHECK(predictor.stats().unsaved > 100'000);
        CHECK(predictor.stats().bytes < 16u << 20);
        REQUIRE(predictor.forget());
    }
    store.stop();
}

TEST_CASE("threads may observe, predict, save and forget at the same time", "[prediction]") {
    const Folder folder;
    ManualClock clock;
    Session session(folder, clock);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread)
        threads.emplace_back([&session, thread] {
            PredictionContext context;
            for (int round = 0; round < 2000; ++round) {
                session.predictor.observe("t" + std::to_string(thread) + "-" + std::to_string(round % 7), context);
                if (round % 5 == 0) static_cast<void>(session.predictor.predict(3, 0.1, context));
            }
        });
    for (int round = 0; round < 10; ++round) session.timers.advance_ms(5000);
    CHECK(session.predictor.forget());
    for (std::thread& thread : threads) thread.join();
    CHECK(session.predictor.stats().observations == 6000);
}
