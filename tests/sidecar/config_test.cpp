#include "sidecar/config.h"
#include "sidecar/config_rpc.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace pillion {
enum class Colour { red, green };
PILLION_ENUM(Colour, "red", "green")
struct WireSection {
    std::int64_t workers = 2;
    std::int64_t messageBytesMax = 1024;
    bool isStrict = true;
    Colour colour = Colour::red;
};
PILLION_WIRE(WireSection, PILLION_FIELD(workers, "Threads.", between(0, 64), defaulted),
             PILLION_FIELD(messageBytesMax, "Largest message.", at_least(16), defaulted),
             PILLION_FIELD(isStrict, "Whether it is strict.", defaulted),
             PILLION_FIELD(colour, "A colour.", defaulted, live))
inline std::vector<std::string> default_tags() { return {"first"}; } // a list here crashes g++ 12 in Boost.PFR
struct NoteSection {
    std::string title = "plain";
    double ratio = 0.5;
    std::vector<std::string> tags = default_tags();
    std::vector<std::int64_t> ports{};
    std::optional<std::int64_t> limit{};
    std::string password{};
};
PILLION_WIRE(NoteSection, PILLION_FIELD(title, "A \"title\".", at_most(20), defaulted, live),
             PILLION_FIELD(ratio, "A share.", between(0, 1), defaulted, live),
             PILLION_FIELD(tags, "Words.", defaulted, live), PILLION_FIELD(ports, "Numbers.", defaulted),
             PILLION_FIELD(limit, "None if left out.", between(1, 9), live),
             PILLION_FIELD(password, "Not for others.", defaulted, secret))
struct PartSection {
    std::vector<std::string> command{};
    std::int64_t timeoutMs = 1000;
};
PILLION_WIRE(PartSection, PILLION_FIELD(command, "What to run.", at_least(1)),
             PILLION_FIELD(timeoutMs, "How long to wait.", between(0, 5000), defaulted))
} // namespace pillion

using namespace pillion;

namespace {

struct Fixture {
    WireSection ipc{};
    NoteSection note{};
    Configuration configuration{{config_section("ipc", ipc), config_section("note", note)}};
    std::string path = "/tmp/pillion_config_test_" + std::to_string(::getpid()) + ".toml";
    ~Fixture() { std::remove(path.c_str()); }

    Result<void> load(const std::string& toml, std::vector<const char*> environment = {},
                      std::vector<std::string> set = {}) {
        std::ofstream(path) << toml;
        environment.push_back(nullptr);
        return configuration.load({path, environment.data(), std::move(set)});
    }
    std::string error(const std::string& toml, std::vector<const char*> environment = {},
                      std::vector<std::string> set = {}) {
        const auto loaded = load(toml, std::move(environment), std::move(set));
        REQUIRE_FALSE(loaded);
        std::string message = loaded.error().message;
        if (message.starts_with(path)) message.replace(0, path.size(), "pillion.toml");
        return message;
    }
    Result<std::vector<std::string>> change(const std::string& key, const std::string& json) {
        return configuration.set({{key, Json{json}}});
    }
};

} // namespace

TEST_CASE("without any source the initialisers stand", "[config]") {
    Fixture f;
    REQUIRE(f.configuration.load({}));
    CHECK(f.configuration.get("ipc") ==
          R"({"ipc":{"workers":2,"messageBytesMax":1024,"isStrict":true,"colour":"red"}})");
}

TEST_CASE("the environment is stronger than the file and --set is stronger than both", "[config]") {
    Fixture f;
    REQUIRE(f.load("[ipc]\nworkers = 3\nmessageBytesMax = 100\nisStrict = false\n",
                   {"PATH=/bin", "PILLION_IPC_WORKERS=4", "PILLION_IPC_MESSAGE_BYTES_MAX=200"}, {"ipc.workers=5"}));
    CHECK(f.ipc.workers == 5);
    CHECK(f.ipc.messageBytesMax == 200);
    CHECK_FALSE(f.ipc.isStrict);
}

TEST_CASE("values from text are read by the type of their key", "[config]") {
    Fixture f;
    REQUIRE(f.load("", {"PILLION_NOTE_TITLE=42 \"x\"", "PILLION_IPC_COLOUR=green", "PILLION_NOTE_TAGS=a,b"},
                   {"note.ports=[1, 2]", "note.ratio=0.25", "ipc.isStrict=false", "note.limit=3"}));
    CHECK(f.note.title == "42 \"x\"");
    CHECK(f.ipc.colour == Colour::green);
    CHECK(f.note.tags == std::vector<std::string>{"a", "b"});
    CHECK(f.note.ports == std::vector<std::int64_t>{1, 2});
    CHECK(f.note.ratio == 0.25);
    CHECK(f.note.limit == 3);
}

TEST_CASE("a list replaces the default one instead of adding to it", "[config]") {
    Fixture f;
    REQUIRE(f.load("[note]\ntags = [\"x\"]\n", {}, {"note.tags=y,z"}));
    CHECK(f.note.tags == std::vector<std::string>{"y", "z"});
    REQUIRE(f.load("", {}, {"note.tags="}));
    CHECK(f.note.tags.empty());
}

TEST_CASE("an error in the file names file, line, key, bound and value", "[config]") {
    Fixture f;
    CHECK(f.error("\n[ipc]\n\nworkers = 400\n") == "pillion.toml:4: ipc.workers must be at most 64, got 400");
    CHECK(f.error("[ipc]\nisStrict = 1\n") == "pillion.toml:2: ipc.isStrict must be true or false, got 1");
    CHECK(f.error("[ipc]\nworkers = 1.5\n") == "pillion.toml:2: ipc.workers must be an integer, got 1.5");
    CHECK(f.error("[note]\nratio = inf\n") == "pillion.toml:2: note.ratio must be a finite number, got inf");
    CHECK(f.error("[note]\nports = [1, \"a\"]\n") == "pillion.toml:2: note.ports/1 must be an integer, got \"a\"");
    CHECK(f.error("[ipc]\ncolour = \"gren\"\n") ==
          "pillion.toml:2: ipc.colour must be one of \"red\", \"green\", got \"gren\"");
}

TEST_CASE("an unknown name in the file gives the nearest one", "[config]") {
    Fixture f;
    CHECK(f.error("[ipc]\nworkrs = 4\n") == "pillion.toml:2: unknown key ipc.workrs; did you mean ipc.workers?");
    CHECK(f.error("[ipd]\nworkers = 4\n") == "pillion.toml:1: unknown section [ipd]; did you mean [ipc]?");
    CHECK(f.error("[elephants]\n") == "pillion.toml:1: unknown section [elephants]; known sections are ipc, note");
    CHECK(f.error("workers = 4\n") == "pillion.toml:1: unknown key workers; did you mean ipc.workers?");
    CHECK(f.error("ipc = 4\n") == "pillion.toml:1: ipc is a section; write [ipc] and its keys below it");
}

TEST_CASE("broken TOML is refused with line and column", "[config]") {
    Fixture f;
    CHECK(f.error("[ipc]\nworkers = \n").starts_with("pillion.toml:2:"));
    CHECK(f.error("[ipc]\nworkers = 1\nworkers = 2\n").starts_with("pillion.toml:3:"));
    CHECK(f.error("[ipc").starts_with("pillion.toml:1:"));
}

TEST_CASE("a file that is not there is refused", "[config]") {
    Fixture f;
    const auto loaded = f.configuration.load({.file = "/nonexistent/pillion.toml"});
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().message == "/nonexistent/pillion.toml: cannot be read: No such file or directory");
    CHECK_FALSE(f.configuration.load({.file = "/tmp"}));
}

TEST_CASE("errors from the environment and --set name where they come from", "[config]") {
    Fixture f;
    CHECK(f.error("", {"PILLION_IPC_WORKERS=many"}) ==
          "PILLION_IPC_WORKERS: ipc.workers must be an integer, got \"many\"");
    CHECK(f.error("", {}, {"ipc.workers=-1"}) == "--set ipc.workers=-1: ipc.workers must be at least 0, got -1");
    CHECK(f.error("", {}, {"ipc.workers"}) == "--set ipc.workers: write it as section.key=value");
    CHECK(f.error("", {}, {"ipc.wokers=1"}) == "--set ipc.wokers=1: unknown key ipc.wokers; did you mean ipc.workers?");
    CHECK(f.error("", {}, {"note.ports=[1"}) == "--set note.ports=[1: note.ports must be an array, got \"[1\"");
}

TEST_CASE("an unknown PILLION_ variable is refused unless the process itself uses it", "[config]") {
    Fixture f;
    CHECK(f.error("", {"PILLION_IPC_WORKER=1"}) ==
          "unknown environment variable PILLION_IPC_WORKER; did you mean PILLION_IPC_WORKERS?");
    CHECK(f.error("", {"PILLION_QQ=1"}).find("PILLION_SECTION_KEY") != std::string::npos);
    CHECK(f.load("", {"PILLION_BINARY=/x", "PILLION_DATA_DIR=/x", "PILLIONX=1"}));
}

TEST_CASE("after an error nothing is applied, not even what was right", "[config]") {
    Fixture f;
    CHECK_FALSE(f.load("[ipc]\nworkers = 9\n[note]\ntitle = \"new\"\ntags = []\n", {}, {"ipc.colour=blue"}));
    CHECK(f.ipc.workers == 2);
    CHECK(f.note.title == "plain");
    CHECK(f.note.tags == std::vector<std::string>{"first"});
}

TEST_CASE("a weaker source is checked even where a stronger one overrides it", "[config]") {
    Fixture f;
    CHECK_FALSE(f.load("[ipc]\nworkers = 400\n", {}, {"ipc.workers=1"}));
}

TEST_CASE("a live value changes while running and listeners are told which section", "[config]") {
    Fixture f;
    std::vector<std::string> told;
    f.configuration.on_change([&](std::string_view section) {
        told.push_back(std::string(section) + " " + *f.configuration.get("note.title"));
    });
    CHECK(f.change("note.title", R"("new")") == std::vector<std::string>{"note.title"});
    CHECK(f.note.title == "new");
    CHECK(told == std::vector<std::string>{R"(note {"note":{"title":"new"}})"});
    CHECK(f.change("note.tags", R"(["a"])") == std::vector<std::string>{"note.tags"});
    CHECK(f.note.tags == std::vector<std::string>{"a"});
}

TEST_CASE("setting what is set already changes nothing and tells nobody", "[config]") {
    Fixture f;
    int told = 0;
    f.configuration.on_change([&](std::string_view) { ++told; });
    CHECK(f.change("note.title", R"("plain")") == std::vector<std::string>{});
    CHECK(told == 0);
}

TEST_CASE("a value that is not live needs a restart", "[config]") {
    Fixture f;
    const auto changed = f.change("ipc.workers", "4");
    REQUIRE_FALSE(changed);
    CHECK(changed.error().code == ErrorCode::failed_precondition);
    CHECK(changed.error().message.find("needs a restart") != std::string::npos);
    CHECK(changed.error().field == "/values/ipc.workers");
    CHECK(f.ipc.workers == 2);
}

TEST_CASE("a change is refused whole: unknown, out of bounds, of another type, null", "[config]") {
    Fixture f;
    const auto unknown = f.change("note.titel", R"("x")");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().code == ErrorCode::invalid_params);
    CHECK(unknown.error().hint == "note.title");
    CHECK_FALSE(f.configuration.set({{"note.ratio", Json{"2"}}, {"ipc.colour", Json{"\"green\""}}}));
    CHECK_FALSE(f.change("note.title", "5"));
    CHECK_FALSE(f.change("note.limit", "null"));
    CHECK(f.ipc.colour == Colour::red);
    CHECK_FALSE(f.note.limit.has_value());
}

TEST_CASE("get answers all, a section or a value, and refuses the rest", "[config]") {
    Fixture f;
    CHECK(f.configuration.get("ipc.workers") == R"({"ipc":{"workers":2}})");
    CHECK(f.configuration.get("note.limit") == R"({"note":{"limit":null}})");
    CHECK(nlohmann::json::parse(*f.configuration.get()).at("note").at("title") == "plain");
    const auto wrong = f.configuration.get("icp.workers");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().field == "/key");
}

TEST_CASE("the schema has each key's meaning, default, bounds and whether it is live", "[config]") {
    Fixture f;
    const auto schema = nlohmann::json::parse(f.configuration.schema());
    const auto& workers = schema.at("properties").at("ipc").at("properties").at("workers");
    CHECK(workers ==
          nlohmann::json::parse(
              R"({"type":"integer","description":"Threads.","default":2,"minimum":0,"maximum":64,"x-live":false})"));
    const auto& note = schema.at("properties").at("note").at("properties");
    CHECK(note.at("title").at("maxLength") == 20);
    CHECK(note.at("title").at("x-live") == true);
    CHECK_FALSE(note.at("limit").contains("default"));
    CHECK(schema.at("properties").at("ipc").at("properties").at("colour").at("enum") == nlohmann::json{"red", "green"});
}

TEST_CASE("the default file loads as it is and with every key uncommented, to the defaults", "[config]") {
    Fixture f;
    const std::string toml = f.configuration.default_toml();
    const std::string before = *f.configuration.get();
    REQUIRE(f.load(toml));
    CHECK(f.configuration.get() == before);
    std::string bare;
    for (std::size_t i = 0; i < toml.size(); ++i) {
        const bool at_line = i == 0 || toml[i - 1] == '\n';
        if (!(at_line && toml[i] == '#' && toml[i + 1] != ' ')) bare += toml[i];
    }
    CHECK(bare.find("\nworkers = 2\n") != std::string::npos);
    REQUIRE(f.load(bare));
    CHECK(f.configuration.get() == before);
}

TEST_CASE("config.get and config.schema are cached, and get until something changes", "[config]") {
    Fixture f;
    const auto methods = config_methods(f.configuration, {});
    REQUIRE(methods.size() == 3);
    CHECK(methods[0].cacheable.invalidated_by == std::vector<std::string_view>{"config.changed"});
    CHECK(methods[1].cacheable.ttl_ms == 0);
    CHECK(methods[2].cacheable.ttl_ms == 3'600'000);
}

namespace {

struct Parts : Fixture {
    std::map<std::string, PartSection> parts{};
    Configuration with_parts{{config_section("ipc", ipc), config_section("parts", parts)}};
    Result<void> load_parts(const std::string& toml, std::vector<std::string> set = {}) {
        std::ofstream(path) << toml;
        return with_parts.load({path, nullptr, std::move(set)});
    }
    std::string parts_error(const std::string& toml, std::vector<std::string> set = {}) {
        auto loaded = load_parts(toml, std::move(set));
        REQUIRE_FALSE(loaded);
        return loaded.error().message.starts_with(path) ? loaded.error().message.substr(path.size())
                                                        : loaded.error().message;
    }
};

} // namespace

TEST_CASE_METHOD(Parts, "a section may hold tables under names of the user's own", "[config]") {
    REQUIRE(load_parts("[ipc]\nworkers = 3\n[parts.db]\ncommand = [\"a\", \"b\"]\n[parts.web]\ncommand = "
                       "[\"c\"]\ntimeoutMs = 7\n"));
    REQUIRE(parts.size() == 2);
    CHECK(parts["db"].command == std::vector<std::string>{"a", "b"});
    CHECK(parts["db"].timeoutMs == 1000);
    CHECK(parts["web"].timeoutMs == 7);
    CHECK(with_parts.get("parts.web").value() == R"({"parts":{"web":{"command":["c"],"timeoutMs":7}}})");
    CHECK(with_parts.get("parts.web.timeoutMs").value() == R"({"parts":{"web":{"timeoutMs":7}}})");
    CHECK(with_parts.get("parts").value().starts_with(R"({"parts":{"db":{)"));
}

TEST_CASE_METHOD(Parts, "--set changes one member of such a table, or all of it", "[config]") {
    const std::string file = "[parts.db]\ncommand = [\"a\"]\ntimeoutMs = 7\n";
    REQUIRE(load_parts(file, {"parts.db.timeoutMs=9"}));
    CHECK(parts["db"].timeoutMs == 9);
    CHECK(parts["db"].command == std::vector<std::string>{"a"});
    REQUIRE(load_parts(file, {R"(parts.db={"command":["z"]})"}));
    CHECK(parts["db"].command == std::vector<std::string>{"z"});
    CHECK(parts["db"].timeoutMs == 1000);
}

TEST_CASE_METHOD(Parts, "errors in such a table name it", "[config]") {
    CHECK(parts_error("[parts.db]\ncommand = [\"a\"]\ntimeoutMs = 9000\n").find("parts.db.timeoutMs must be") !=
          std::string::npos);
    CHECK(parts_error("[parts.db]\ntimeoutMs = 1\n").find("parts.db.command") != std::string::npos);
    CHECK(parts_error("[parts.db]\ncommand = [\"a\"]\ntimeoutMS = 1\n").find("timeoutMs") != std::string::npos);
    CHECK(parts_error("[parts]\ndb = 3\n").find("parts.db must be a table, [parts.db], got 3") != std::string::npos);
    CHECK(parts_error("", {"parts.db.timeoutMs=x"}).find("--set parts.db.timeoutMs=x: parts.db.timeoutMs") == 0);
    CHECK(parts_error("", {"parts.db.timoutMs=1"}).find("did you mean parts.db.timeoutMs?") != std::string::npos);
    CHECK(parts_error("", {"parts.=1"}).find("a name is missing") != std::string::npos);
}

TEST_CASE_METHOD(Parts, "the default file shows such a table as an example that is off", "[config]") {
    const std::string toml = with_parts.default_toml();
    CHECK(toml.find("#[parts.NAME]") != std::string::npos);
    REQUIRE(load_parts(toml));
    CHECK(parts.empty());
    CHECK(
        nlohmann::json::parse(
            with_parts.schema())["properties"]["parts"]["additionalProperties"]["properties"]["timeoutMs"]["default"] ==
        1000);
}

TEST_CASE_METHOD(Fixture, "a secret is taken but not told", "[config]") {
    REQUIRE(load("[note]\npassword = \"hush\"\n"));
    CHECK(note.password == "hush");
    for (const char* const key : {"", "note", "note.password"}) {
        CHECK(configuration.get(key).value().find("hush") == std::string::npos);
        CHECK(configuration.get(key).value().find("***") != std::string::npos);
    }
}

TEST_CASE_METHOD(Fixture, "an error with a secret in it does not tell it", "[config]") {
    CHECK(error("[note]\npassword = [\"hush\"]\n").find("hush") == std::string::npos);
    CHECK(error("", {}, {"note.title=a title far too long for this", "note.password=hush"}).find("hush") ==
          std::string::npos);
}
