// Fingerprints of what a task's result depends on, and the reading of the CPU's load.
#include "modules/components/component_inputs.h"
#include "modules/components/cpu_meter.h"
#include "tests/support/temporary_folder.h"

#include <catch2/catch.hpp>
#include <fstream>

using namespace pillion;

namespace {

struct Fixture {
    TemporaryFolder folder;
    ComponentSpec spec;

    Fixture() {
        spec.kind = ComponentKind::task;
        spec.command = {"index", "--all"};
        spec.workingDirectory = folder.path();
    }
    void write(const std::string& name, const std::string& text) {
        const std::filesystem::path path = folder.path() + "/" + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    // As if it had been written a while ago.
    void age(const std::string& name) {
        std::filesystem::last_write_time(folder.path() + "/" + name,
                                         std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    }
    std::string fingerprint() {
        FileHashes hashes;
        const auto made = task_fingerprint(spec, hashes);
        if (!made) FAIL(made.error().message);
        return *made;
    }
    std::vector<std::string> glob(const std::string& pattern) {
        auto matches = expand_glob(folder.path(), pattern);
        if (!matches) FAIL(matches.error().message);
        for (std::string& match : *matches) match = match.substr(folder.path().size() + 1);
        return *matches;
    }
};

} // namespace

TEST_CASE_METHOD(Fixture, "a fingerprint stays while nothing changes", "[components]") {
    write("a.txt", "one");
    spec.inputs.files = {"a.txt"};
    CHECK(fingerprint().size() == 32);
    CHECK(fingerprint() == fingerprint());
}

TEST_CASE_METHOD(Fixture, "each input changes the fingerprint", "[components]") {
    write("a.txt", "one");
    spec.inputs.files = {"a.txt"};
    spec.inputs.globs = {"src/**/*.txt"};
    const std::string before = fingerprint();
    SECTION("a file's content") { write("a.txt", "two"); }
    SECTION("a file that goes") { std::filesystem::remove(folder.path() + "/a.txt"); }
    SECTION("a file that comes") { write("src/deep/b.txt", ""); }
    SECTION("a value") { spec.inputs.values["version"] = "2"; }
    SECTION("a word of the command") { spec.command.emplace_back("--fast"); }
    SECTION("where the words of the command end") { spec.command = {"index--all", ""}; }
    SECTION("a variable") { spec.environment["LANG"] = "C"; }
    CHECK(fingerprint() != before);
}

TEST_CASE_METHOD(Fixture, "a file of another name or outside the globs changes nothing", "[components]") {
    spec.inputs.globs = {"src/*.txt"};
    write("src/a.txt", "one");
    const std::string before = fingerprint();
    write("src/deep/b.txt", "two");
    write("src/a.md", "three");
    CHECK(fingerprint() == before);
}

TEST_CASE_METHOD(Fixture, "a file that is as it was is not read again", "[components]") {
    write("a.txt", "one");
    age("a.txt");
    spec.inputs.files = {"a.txt"};
    FileHashes first;
    const auto before = task_fingerprint(spec, first);
    REQUIRE(first.fresh.size() == 1);
    FileHashes second;
    int lookups = 0;
    second.find = [&](const std::string& path) {
        ++lookups;
        return std::optional(first.fresh.at(path));
    };
    CHECK(*task_fingerprint(spec, second) == *before);
    CHECK(lookups == 1);
    CHECK(second.fresh.empty());
}

TEST_CASE_METHOD(Fixture, "a file that changed just now is not remembered", "[components]") {
    write("a.txt", "one");
    spec.inputs.files = {"a.txt"};
    FileHashes hashes;
    REQUIRE(task_fingerprint(spec, hashes));
    CHECK(hashes.fresh.empty());
}

TEST_CASE_METHOD(Fixture, "a folder among the files is refused by name", "[components]") {
    write("src/a.txt", "one");
    spec.inputs.files = {"src"};
    FileHashes hashes;
    const auto made = task_fingerprint(spec, hashes);
    REQUIRE(!made);
    CHECK(made.error().message == "its input " + folder.path() + "/src is no regular file");
}

TEST_CASE_METHOD(Fixture, "globs match within names and across folders", "[components]") {
    for (const char* name : {"a.txt", "b.md", "src/c.txt", "src/deep/d.txt", ".git/e.txt", "src/.f.txt"})
        write(name, "");
    CHECK(glob("*.txt") == std::vector<std::string>{"a.txt"});
    CHECK(glob("**/*.txt") == std::vector<std::string>{"a.txt", "src/c.txt", "src/deep/d.txt"});
    CHECK(glob("src/**") == std::vector<std::string>{"src/.f.txt", "src/c.txt", "src/deep/d.txt"});
    CHECK(glob("?.[mt]*") == std::vector<std::string>{"a.txt", "b.md"});
    CHECK(glob("none/*.txt").empty());
}

TEST_CASE_METHOD(Fixture, "a circle of links is not walked", "[components]") {
    write("src/a.txt", "");
    std::filesystem::create_directory_symlink(folder.path(), folder.path() + "/src/up");
    CHECK(glob("**/*.txt") == std::vector<std::string>{"src/a.txt"});
}

TEST_CASE("the CPU's load is what was busy between two looks", "[components]") {
    CpuMeter meter;
    CHECK(!meter.look("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1"));
    CHECK(meter.look("cpu  150 0 100 850 0 0 0 0 0 0\n") == Approx(50));
    CHECK(meter.look("cpu  150 0 100 900 50 0 0 0 0 0\n") == Approx(0).margin(0.01));
    CHECK(!meter.look("cpu  10 0 10 90 50 0 0 0 0 0\n")); // the counters began anew
    CHECK(!meter.look("garbage"));
    CHECK(!meter.look("cpu  1 2 x"));
}
