// Damage, a full disk, a lock, a kill: never a wrong value, and no more lost than is said.
#include "tests/disk_store/disk_fixture.h"

#include <csignal>
#include <cstdio>
#include <random>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace pillion;
using test::DiskFixture;
using test::key;

namespace {

std::string record_of(int number) {
    return "record " + std::to_string(number) + std::string(static_cast<std::size_t>(number * 37 % 9000), 'v');
}

void fill(DiskFixture& disk, int count) {
    for (int i = 0; i < count; ++i)
        disk.it->disk.put(key("k" + std::to_string(i)), {record_of(i), never_ms}, [](const Result<void>&) {});
    disk.close();
}

// How many are whole; the others must be missing, or an error.
int whole(DiskFixture& disk, int count) {
    int found = 0;
    for (int i = 0; i < count; ++i) {
        const auto value = disk.it->disk.find(key("k" + std::to_string(i)));
        if (!value || !*value) continue;
        CHECK((*value)->record == record_of(i));
        ++found;
    }
    return found;
}

// Another process's transaction, as far as SQLite can tell.
Database lock(const DiskFixture& disk) {
    auto other = Database::open({.path = disk.path(), .busy_wait_ms = 1000});
    REQUIRE(other);
    REQUIRE(other->execute("BEGIN IMMEDIATE"));
    return std::move(*other);
}

} // namespace

TEST_CASE("a file that is no database is set aside and made anew", "[disk_store]") {
    for (const std::string& garbage :
         {std::string("not a database, but long enough to look like one").append(5000, '!'),
          std::string("SQLite format 3\0", 16) + std::string(4080, '\xff')}) {
        DiskFixture disk;
        disk.write_file(garbage);
        CHECK(disk.it->put(key("a"), "v"));
        CHECK(disk.it->read(key("a")) == "v");
        CHECK(disk.files_set_aside() == 1);
    }
}

TEST_CASE("a file whose structure is damaged is set aside in use, and the tier goes on", "[disk_store]") {
    DiskFixture disk;
    fill(disk, 300);
    std::string bytes = disk.file();
    for (std::size_t page = 1; page < bytes.size() / 4096; ++page) bytes[page * 4096] = '\x77'; // each page's kind
    disk.write_file(bytes);
    disk.open();
    static_cast<void>(disk.it->put(key("a"), "v")); // may be what meets the damage
    CHECK(whole(disk, 300) == 0);
    disk.it->store.flush();
    CHECK(disk.it->put(key("b"), "v"));
    CHECK(disk.it->read(key("b")) == "v");
    CHECK(disk.files_set_aside() >= 1);
}

TEST_CASE("a file cut short serves nothing wrong, and goes on", "[disk_store]") {
    DiskFixture disk;
    fill(disk, 300);
    const std::string bytes = disk.file();
    disk.write_file(bytes.substr(0, bytes.size() / 2));
    disk.open();
    static_cast<void>(whole(disk, 300));
    static_cast<void>(disk.it->put(key("a"), "v"));
    disk.it->store.flush();
    CHECK(disk.it->put(key("b"), "v"));
    CHECK(disk.it->read(key("b")) == "v");
}

TEST_CASE("garbage in the journal's place is passed over", "[disk_store]") {
    DiskFixture disk;
    fill(disk, 100);
    disk.write_file(std::string(50'000, '\x5a'), "-wal");
    disk.open();
    CHECK(whole(disk, 100) == 100);
    CHECK(disk.it->put(key("a"), "v"));
    CHECK(disk.it->read(key("a")) == "v");
}

TEST_CASE("a record that changed on disk is counted, removed and never served", "[disk_store]") {
    DiskFixture disk;
    REQUIRE(disk.it->put(key("a"), "the value of a, in the clear"));
    REQUIRE(disk.it->put(key("b"), "the value of b, in the clear"));
    disk.close();
    std::string bytes = disk.file();
    const std::size_t at = bytes.find("the value of a");
    REQUIRE(at != std::string::npos);
    bytes[at] = 'T';
    disk.write_file(bytes);
    auto& it = disk.open();
    CHECK(it.read(key("a")) == "absent");
    CHECK(it.disk.stats().damaged == 1);
    CHECK(it.read(key("b")) == "the value of b, in the clear");
    REQUIRE(it.put(key("c"), "v")); // after the removal
    CHECK(it.read(key("a")) == "absent");
    CHECK(it.disk.stats().damaged == 1);
    CHECK(it.disk.stats().entries == 2);
}

TEST_CASE("a record under another's key, or with its end moved, is not served", "[disk_store]") {
    DiskFixture disk;
    REQUIRE(disk.it->put(key("a"), "value of a", 2'000'000'000'000));
    REQUIRE(disk.it->put(key("b"), "value of b", 2'000'000'000'000));
    REQUIRE(disk.it->store.write_and_wait([](Database& database) {
        return database.execute("UPDATE disk_values SET record = (SELECT record FROM disk_values WHERE id = 1);"
                                "UPDATE disk_entries SET gone_at = gone_at + 1 WHERE name = CAST('a' AS BLOB)");
    }));
    CHECK(disk.it->read(key("a")) == "absent");
    CHECK(disk.it->read(key("b")) == "absent");
    CHECK(disk.it->disk.stats().damaged == 2);
}

TEST_CASE("whatever byte of the file changes, no wrong value is served", "[disk_store]") {
    std::mt19937 random(5);
    DiskFixture disk;
    fill(disk, 60);
    const std::string good = disk.file();
    for (int round = 0; round < 40; ++round) {
        std::string bytes = good;
        for (int flips = 0; flips < 20; ++flips)
            bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
        disk.write_file(bytes);
        disk.open();
        static_cast<void>(whole(disk, 60));
        disk.close();
        for (const char* const suffix : {"-wal", "-shm"}) std::filesystem::remove(disk.path() + suffix);
    }
}

TEST_CASE("with the disk full puts fail and reads go on, until there is room again", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    REQUIRE(it.put(key("a"), "v"));
    REQUIRE(it.store.write_and_wait([](Database& database) { return database.execute("PRAGMA max_page_count = 40"); }));
    Result<void> done{};
    for (int i = 0; i < 100 && done; ++i) done = it.put(key("big" + std::to_string(i)), std::string(10'000, 'v'));
    REQUIRE_FALSE(done);
    CHECK(done.error().code == ErrorCode::exhausted);
    CHECK(it.read(key("a")) == "v");
    CHECK_THAT(it.disk.stats().trouble, Catch::Contains("full"));
    CHECK(it.disk.stats().is_up);
    CHECK(it.disk.stats().errors > 0);
    REQUIRE(
        it.store.write_and_wait([](Database& database) { return database.execute("PRAGMA max_page_count = 100000"); }));
    CHECK(it.put(key("b"), std::string(100'000, 'v')));
    CHECK(it.disk.stats().trouble.empty());
}

TEST_CASE("a file locked by another process delays a put by no more than the busy time", "[disk_store]") {
    DiskFixture disk;
    disk.store_options.busy_wait_ms = 30;
    auto& it = disk.open();
    REQUIRE(it.put(key("a"), "v"));
    {
        const Database other = lock(disk);
        const auto done = it.put(key("b"), "v");
        REQUIRE_FALSE(done);
        CHECK(done.error().code == ErrorCode::unavailable);
        CHECK_THAT(it.disk.stats().trouble, Catch::Contains("lock"));
        CHECK(it.read(key("a")) == "v");
        CHECK(it.read(key("b")) == "absent");
        CHECK_FALSE(test::wait_for<void>([&](auto probed) { it.disk.probe(std::move(probed)); }));
    }
    CHECK(test::wait_for<void>([&](auto probed) { it.disk.probe(std::move(probed)); }));
    CHECK(it.disk.stats().trouble.empty());
    CHECK(it.put(key("b"), "v"));
}

TEST_CASE("two sidecars may use one file", "[disk_store]") {
    DiskFixture disk;
    test::OpenDisk other(disk.store_options, disk.clock, {});
    auto& it = *disk.it;
    std::mutex mutex;
    std::vector<std::string> refused;
    const auto done = [&](const Result<void>& put) {
        const std::lock_guard lock(mutex);
        if (!put) refused.push_back(put.error().message);
    };
    for (int i = 0; i < 200; ++i) {
        it.disk.put(key("a" + std::to_string(i)), {"mine", never_ms}, done);
        other.disk.put(key("b" + std::to_string(i)), {"theirs", never_ms}, done);
    }
    REQUIRE(it.put(key("end"), "v"));
    REQUIRE(other.put(key("end"), "w"));
    CHECK(refused == std::vector<std::string>{});
    CHECK(it.read(key("b199")) == "theirs");
    CHECK(other.read(key("a199")) == "mine");
    CHECK(it.read(key("end")) == "w");
    CHECK(it.disk.stats().entries == 401);
    CHECK(other.disk.stats().entries == 401);
    CHECK(*other.invalidate({.pattern = "a*"}) == 200);
    CHECK(it.read(key("a7")) == "absent");
    CHECK(it.disk.stats().entries == 201);
}

TEST_CASE("a folder that cannot be written to makes the tier unavailable, not the program", "[disk_store]") {
    DiskFixture disk;
    disk.store_options.path = "/proc/no/such/folder/cache.db";
    auto& it = disk.open();
    CHECK(it.put(key("a"), "v").error().code == ErrorCode::unavailable);
    CHECK(it.disk.find(key("a")).error().code == ErrorCode::unavailable);
    CHECK_FALSE(it.disk.stats().is_up);
    CHECK_FALSE(it.disk.stats().trouble.empty());
}

// Run as a process of its own by the tests below: puts for ever, and says of each put that was answered which it was.
TEST_CASE("a writer", "[.writer]") {
    const char* const path = std::getenv("PILLION_TEST_CACHE");
    REQUIRE(path != nullptr);
    if (const char* const limit = std::getenv("PILLION_TEST_FILE_BYTES")) {
        std::signal(SIGXFSZ, SIG_IGN);
        const auto bytes = static_cast<rlim_t>(std::atol(limit));
        const rlimit allowed{bytes, bytes};
        REQUIRE(setrlimit(RLIMIT_FSIZE, &allowed) == 0);
    }
    test::OpenDisk it(DiskStore::store_options(path), system_clock(), {});
    std::mutex mutex;
    std::condition_variable changed;
    int in_flight = 0;
    std::atomic<bool> failed{false};
    for (int number = 0; !failed; ++number) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return in_flight < 50; });
        ++in_flight;
        lock.unlock();
        it.disk.put(key("k" + std::to_string(number)), {record_of(number), never_ms}, [&, number](Result<void> done) {
            const std::string line = done ? "k" + std::to_string(number) + "\n"
                                          : "error " + std::string(error_kind(done.error().code)) + "\n";
            const auto put = ::write(3, line.data(), line.size());
            const std::lock_guard guard(mutex);
            if (!done || put < 0) failed = true;
            --in_flight;
            changed.notify_one();
        });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return in_flight == 0; });
    CHECK(it.read(key("k0")) == record_of(0)); // reads go on
}

namespace {

struct Writer {
    pid_t process = -1;
    int lines = -1;

    explicit Writer(const std::string& path, const char* file_bytes = nullptr) {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
        process = fork();
        REQUIRE(process >= 0);
        if (process == 0) {
            setenv("PILLION_TEST_CACHE", path.c_str(), 1);
            if (file_bytes != nullptr) setenv("PILLION_TEST_FILE_BYTES", file_bytes, 1);
            dup2(ends[1], 3);
            if (ends[0] > 3) ::close(ends[0]);
            if (ends[1] > 3) ::close(ends[1]);
            execl(self.c_str(), self.c_str(), "[.writer]", static_cast<char*>(nullptr));
            _exit(127);
        }
        ::close(ends[1]);
        lines = ends[0];
    }
    Writer(const Writer&) = delete;
    ~Writer() { ::close(lines); }

    // Until `count` lines came, or all.
    std::string read(std::size_t count) const {
        std::string text;
        char chunk[4096];
        while (static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) < count) {
            const ssize_t got = ::read(lines, chunk, sizeof chunk);
            if (got <= 0) break;
            text.append(chunk, static_cast<std::size_t>(got));
        }
        return text;
    }
    int wait() const {
        int status = 0;
        REQUIRE(waitpid(process, &status, 0) == process);
        return status;
    }
};

std::vector<int> numbers_in(const std::string& text) {
    std::vector<int> numbers;
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
        if (text[begin] == 'k') numbers.push_back(std::stoi(text.substr(begin + 1, end - begin - 1)));
    return numbers;
}

} // namespace

TEST_CASE("what was answered for survives kill -9, whole", "[disk_store]") {
    std::mt19937 random(std::random_device{}());
    DiskFixture disk;
    for (int round = 0; round < 5; ++round) {
        std::string reported;
        {
            const Writer writer(disk.path());
            reported = writer.read(1 + random() % 1500);
            REQUIRE(kill(writer.process, SIGKILL) == 0);
            reported += writer.read(std::numeric_limits<std::size_t>::max()); // what it still said
            CHECK(WIFSIGNALED(writer.wait()));
        }
        const auto numbers = numbers_in(reported);
        REQUIRE_FALSE(numbers.empty());
        auto& it = disk.open();
        for (const int number : numbers) REQUIRE(it.read(key("k" + std::to_string(number))) == record_of(number));
        CHECK(it.disk.stats().damaged == 0);
        CHECK(it.disk.stats().entries >= numbers.size());
        CHECK(it.store.read([](Database& database) { return database.check(); }));
        disk.close();
    }
    CHECK(disk.files_set_aside() == 0);
}

TEST_CASE("a process that may write no more gets errors, keeps reading and leaves a whole file", "[disk_store]") {
    DiskFixture disk;
    std::string reported;
    {
        const Writer writer(disk.path(), "3000000");
        reported = writer.read(std::numeric_limits<std::size_t>::max());
        const int status = writer.wait();
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
    CHECK_THAT(reported, Catch::Contains("error exhausted"));
    auto& it = disk.open();
    for (const int number : numbers_in(reported))
        REQUIRE(it.read(key("k" + std::to_string(number))) == record_of(number));
    CHECK(it.put(key("after"), "v"));
    CHECK(disk.files_set_aside() == 0);
}
