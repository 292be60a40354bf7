#include "modules/storage/storage.h"
#include "tests/support/temporary_folder.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>

using namespace pillion;

namespace {

constexpr const char* notes_table = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)";

Store::Work insert(std::int64_t id, std::string text) {
    return [id, text](Database& database) -> Result<void> {
        Statement statement = PILLION_TRY(database.prepare("INSERT INTO notes VALUES (?1, ?2)"));
        return statement.with(id, std::string_view(text)).run();
    };
}

std::int64_t count(Store& store) {
    std::int64_t rows = -1;
    const auto done = store.read([&rows](Database& database) -> Result<void> {
        rows = PILLION_TRY(database.integer("SELECT count(*) FROM notes"));
        return {};
    });
    if (!done) FAIL(done.error().message);
    return rows;
}

Result<void> read_all(Database& database) {
    PILLION_TRY(database.integer("SELECT sum(length(text)) FROM notes"));
    return {};
}

struct Fixture {
    TemporaryFolder folder;
    ManualClock clock;
    std::string path = folder.path() + "/deep/state.db";
    // Opens, but not all of it can be read.
    void make_damaged() {
        {
            const auto store = make();
            for (int id = 0; id < 500; ++id) store->write(insert(id, std::string(1000, 'x')));
            store->flush();
        }
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        for (int page = 2; page < 60; ++page) {
            file.seekp(page * 4096);
            file << std::string(4096, '\xff');
        }
    }
    std::unique_ptr<Store> make(StoreOptions options = {}) {
        options.path = path;
        auto store = std::make_unique<Store>(options, clock);
        store->add_schema("notes", {notes_table});
        return store;
    }
};

} // namespace

TEST_CASE_METHOD(Fixture, "a store that nobody used has made no file", "[storage]") {
    { const auto store = make(); }
    CHECK(!std::filesystem::exists(path));
}

TEST_CASE_METHOD(Fixture, "a write that was answered is there after the store is opened again", "[storage]") {
    {
        const auto store = make();
        REQUIRE(store->write_and_wait(insert(1, "one")));
        CHECK(count(*store) == 1);
    }
    CHECK(count(*make()) == 1);
}

TEST_CASE_METHOD(Fixture, "writes that gather while the writer is busy share a commit", "[storage]") {
    const auto store = make();
    std::promise<void> begun, go_on;
    store->write([&](Database&) -> Result<void> {
        begun.set_value();
        go_on.get_future().wait();
        return {};
    });
    begun.get_future().wait();
    std::atomic<int> done{0};
    for (int id = 0; id < 100; ++id)
        store->write(insert(id, "x"), [&](Result<void> result) { done += result ? 1 : 0; });
    go_on.set_value();
    store->flush();
    CHECK(done == 100);
    CHECK(store->stats().commits == 2);
    CHECK(store->stats().writes == 101);
}

TEST_CASE_METHOD(Fixture, "a write that fails takes none of its group along", "[storage]") {
    const auto store = make();
    std::promise<void> begun, go_on;
    store->write([&](Database&) -> Result<void> {
        begun.set_value();
        go_on.get_future().wait();
        return {};
    });
    begun.get_future().wait();
    std::promise<Result<void>> second;
    store->write(insert(1, "first"));
    store->write(
        [](Database& database) -> Result<void> {
            PILLION_TRY(insert(2, "half")(database));
            return insert(1, "again")(database);
        },
        [&](Result<void> result) { second.set_value(std::move(result)); });
    store->write(insert(3, "third"));
    go_on.set_value();
    store->flush();
    const auto refused = second.get_future().get();
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::conflict);
    CHECK(count(*store) == 2);
}

TEST_CASE_METHOD(Fixture, "a reader cannot write", "[storage]") {
    const auto store = make();
    CHECK(!store->read(insert(1, "one")));
    CHECK(count(*store) == 0);
}

TEST_CASE_METHOD(Fixture, "a file that is no database is set aside and a fresh one made", "[storage]") {
    std::filesystem::create_directories(folder.path() + "/deep");
    std::ofstream(path) << std::string(5000, '#');
    const auto store = make();
    StoreDamage damage;
    store->on_damaged([&](const StoreDamage& found) { damage = found; });
    REQUIRE(store->write_and_wait(insert(1, "one")));
    CHECK(count(*store) == 1);
    CHECK(damage.path == path);
    CHECK(std::filesystem::file_size(damage.set_aside) == 5000);
    CHECK(damage.set_aside.starts_with(path + ".damaged-20231114-"));
}

TEST_CASE_METHOD(Fixture, "damage that is met in use sets the file aside too", "[storage]") {
    make_damaged();
    const auto store = make({.check = OpenCheck::when_in_use});
    std::promise<void> told;
    store->on_damaged([&](const StoreDamage&) { told.set_value(); });
    const auto met = store->read(read_all);
    REQUIRE(!met);
    CHECK(met.error().code == ErrorCode::corrupt);
    told.get_future().wait();
    REQUIRE(store->write_and_wait(insert(1, "one")));
    CHECK(count(*store) == 1);
}

TEST_CASE_METHOD(Fixture, "where nothing can take a damaged file's place, what waits is told so and may use the store",
                 "[storage]") {
    make_damaged();
    const auto store = make({.check = OpenCheck::when_in_use});
    store->on_damaged([&](const StoreDamage&) { std::filesystem::create_directory(path); });
    std::promise<void> began, met;
    store->write([&](Database&) -> Result<void> {
        began.set_value();
        met.get_future().wait();
        return {};
    });
    began.get_future().wait();
    std::promise<Result<void>> told;
    store->write(insert(1000, "waits"), [&](Result<void> done) {
        CHECK_FALSE(store->stats().is_open);
        CHECK_FALSE(store->write_and_wait(insert(1001, "one more")));
        told.set_value(std::move(done));
    });
    CHECK_FALSE(store->read(read_all));
    met.set_value();
    CHECK(told.get_future().get().error().code == ErrorCode::unavailable);
    store->flush();
    CHECK_FALSE(store->read(read_all));
}

TEST_CASE_METHOD(Fixture, "whoever reads while a damaged file is replaced disturbs nothing", "[storage]") {
    for (int round = 0; round < 20; ++round) {
        std::filesystem::remove(path);
        make_damaged();
        const auto store = make({.check = OpenCheck::when_in_use});
        std::vector<std::jthread> readers;
        for (int reader = 0; reader < 4; ++reader)
            readers.emplace_back([&](const std::stop_token& stop) {
                while (!stop.stop_requested()) static_cast<void>(store->read(read_all));
            });
        while (!store->read(read_all)) continue;
        readers.clear();
        REQUIRE(store->write_and_wait(insert(1, "one")));
        CHECK(count(*store) == 1);
    }
}

TEST_CASE_METHOD(Fixture, "a failed record is not mistaken for a damaged file", "[storage]") {
    const auto store = make();
    REQUIRE(store->write_and_wait(insert(1, "one")));
    CHECK(!store->write_and_wait([](Database&) { return fail(ErrorCode::corrupt, "a checksum is wrong"); }));
    REQUIRE(store->write_and_wait(insert(2, "two")));
    CHECK(count(*store) == 2);
}

TEST_CASE_METHOD(Fixture, "tables of an older version are brought forward, each step once", "[storage]") {
    REQUIRE(make()->write_and_wait(insert(1, "one")));
    Store newer({.path = path}, clock);
    newer.add_schema("notes", {notes_table, "ALTER TABLE notes ADD COLUMN colour TEXT DEFAULT 'red'"});
    std::string colour;
    REQUIRE(newer.read([&colour](Database& database) -> Result<void> {
        Statement statement = PILLION_TRY(database.prepare("SELECT colour FROM notes"));
        PILLION_TRY(statement.step());
        colour = statement.text(0);
        return {};
    }));
    CHECK(colour == "red");
}

TEST_CASE_METHOD(Fixture, "tables of a newer version are refused and left alone", "[storage]") {
    {
        Store newer({.path = path}, clock);
        newer.add_schema("notes", {notes_table, "ALTER TABLE notes ADD COLUMN colour TEXT"});
        REQUIRE(newer.open());
    }
    const auto store = make();
    const auto opened = store->open();
    REQUIRE(!opened);
    CHECK(opened.error().code == ErrorCode::failed_precondition);
    CHECK(opened.error().message.find("of notes have version 2, this program knows 1") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "two stores work on one file at once", "[storage]") {
    const auto one = make(), other = make();
    std::atomic<int> written{0};
    for (int id = 0; id < 200; ++id)
        (id % 2 == 0 ? one : other)->write(insert(id, "x"), [&](Result<void> done) { written += done ? 1 : 0; });
    one->flush();
    other->flush();
    CHECK(written == 200);
    CHECK(count(*one) == 200);
}

TEST_CASE_METHOD(Fixture, "a folder that cannot be made is an exact error and nothing hangs", "[storage]") {
    std::ofstream(folder.path() + "/deep") << "a file stands here";
    const auto store = make();
    const auto done = store->write_and_wait(insert(1, "one"));
    REQUIRE(!done);
    CHECK(done.error().code == ErrorCode::unavailable);
    CHECK(done.error().message.find("/deep cannot be made") != std::string::npos);
    store->flush();
}

TEST_CASE_METHOD(Fixture, "what is queued when the store is stopped is still written", "[storage]") {
    auto store = make();
    for (int id = 0; id < 50; ++id) store->write(insert(id, "x"));
    store->stop();
    const auto late = store->write_and_wait(insert(99, "late"));
    REQUIRE(!late);
    CHECK(late.error().code == ErrorCode::unavailable);
    CHECK(count(*make()) == 50);
}

TEST_CASE_METHOD(Fixture, "a database that is full says so and keeps what it has", "[storage]") {
    const auto store = make();
    REQUIRE(store->write_and_wait([](Database& database) { return database.execute("PRAGMA max_page_count=20"); }));
    std::size_t kept = 0;
    Result<void> done{};
    while (done && kept < 1000) {
        done = store->write_and_wait(insert(static_cast<std::int64_t>(kept), std::string(3000, 'x')));
        kept += done ? 1 : 0;
    }
    REQUIRE(!done);
    CHECK(done.error().code == ErrorCode::exhausted);
    CHECK(count(*store) == static_cast<std::int64_t>(kept));
}

TEST_CASE_METHOD(Fixture, "text and blobs with null bytes come back whole", "[storage]") {
    const auto store = make();
    const std::string bytes("a\0b\xff", 4);
    REQUIRE(store->write_and_wait([&](Database& database) -> Result<void> {
        Statement statement = PILLION_TRY(database.prepare("INSERT INTO notes VALUES (1, ?1), (2, ?2)"));
        return statement.with(Blob{bytes}, Blob{{}}).run();
    }));
    REQUIRE(store->read([&](Database& database) -> Result<void> {
        Statement statement = PILLION_TRY(database.prepare("SELECT text FROM notes ORDER BY id"));
        PILLION_TRY(statement.step());
        CHECK(statement.text(0) == bytes);
        PILLION_TRY(statement.step());
        CHECK(!statement.is_null(0));
        CHECK(statement.text(0).empty());
        return {};
    }));
}
