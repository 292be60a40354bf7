// What is left when Pillion is killed by SIGKILL: nothing while it has a guard, and nothing after the next start if the
// guard was killed too. This program plays the sidecar and the guard itself, started anew in those roles.
#include "modules/process/ledger.h"
#include "modules/process/process_table.h"
#include "tests/support/process_fixture.h"

#include <array>
#include <fcntl.h>
#include <iostream>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

using namespace pillion;
using namespace pillion::process_test;

namespace {

constexpr const char* role_name = "the sidecar that other tests kill";

// The guard's role is taken before main, as the product's main() does first of all.
[[gnu::constructor]] void become_guard(int argc, char** argv, char**) {
    if (is_guard(argc, argv)) ::_exit(run_guard(argc, argv));
}

// A process that nobody supervises: started plainly, its stdout read to the first line.
class Plain {
  public:
    Plain(std::vector<std::string> command, std::vector<std::string> more_environment = {}) {
        std::array<int, 2> output{};
        REQUIRE(::pipe2(output.data(), O_CLOEXEC) == 0);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
        std::vector<char*> arguments;
        for (std::string& word : command) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        std::vector<char*> environment;
        for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
        for (std::string& variable : more_environment) environment.push_back(variable.data());
        environment.push_back(nullptr);
        const int error = ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environment.data());
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(output[1]);
        output_ = output[0];
        REQUIRE(error == 0);
    }
    Plain(const Plain&) = delete;
    ~Plain() {
        kill();
        ::close(output_);
    }
    std::string line() const {
        std::string text;
        for (char byte = 0; ::read(output_, &byte, 1) == 1 && byte != '\n';) text += byte;
        return text;
    }
    // The line that begins with `beginning`, without that.
    std::string line_after(const std::string& beginning) const {
        for (std::string text = line(); !text.empty(); text = line())
            if (text.starts_with(beginning)) return text.substr(beginning.size());
        FAIL("no line begins with " << beginning);
        return {};
    }
    pid_t pid() const { return pid_; }
    void kill() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

  private:
    pid_t pid_ = 0;
    int output_ = -1;
};

struct Sidecar : Plain {
    Sidecar(const std::string& data_directory, const char* guard)
        : Plain({"/proc/self/exe", role_name},
                {"PILLION_TEST_DATA=" + data_directory, std::string("PILLION_TEST_GUARD=") + guard}) {}
};

std::uint64_t start_ticks(pid_t pid) {
    process_table::Entry entry;
    REQUIRE(process_table::read(pid, entry));
    return entry.start_ticks;
}

std::string ledger_text(const LedgerEntry& entry) {
    std::string boot;
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
    return "pillion-children 1 " + boot + " 0123456789abcdef0123456789abcdef\n+ " + std::to_string(entry.pid) + " " +
           std::to_string(entry.start_ticks) + " " + entry.executable + " " + entry.name + "\n";
}

// Of a process that cannot be alive.
constexpr const char* dead_ledger = "run/4194303-1-0.children";

std::size_t ledgers_in(const TemporaryFolder& folder) {
    std::size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder.path() + "/run")) count += file.exists();
    return count;
}

} // namespace

TEST_CASE(role_name, "[.]") {
    const char* const data_directory = std::getenv("PILLION_TEST_DATA");
    const char* const guard = std::getenv("PILLION_TEST_GUARD");
    REQUIRE(data_directory != nullptr);
    REQUIRE(guard != nullptr);
    Fixture fixture({.data_directory = data_directory, .guard_program = guard});
    Observed observed;
    Observed other;
    fixture.python(stubborn_tree, observed, {.name = "stubborn"});
    fixture.shell("echo $$; exec sleep 1000", other);
    const std::string first = observed.output();
    std::cout << "children " << first.substr(0, first.size() - 1) << " " << other.output() << std::flush;
    ::pause();
}

TEST_CASE("a sidecar killed by SIGKILL takes whole trees along", "[process]") {
    const TemporaryFolder folder;
    Sidecar sidecar(folder.path(), "/proc/self/exe");
    const auto tree = watch_all(sidecar.line_after("children "));
    REQUIRE(tree.size() == 3);
    for (const Watched& member : tree) CHECK_FALSE(member.is_gone());
    sidecar.kill();
    for (const Watched& member : tree) CHECK(member.ends());
}

TEST_CASE("a sidecar killed in the middle of its starts leaves nothing", "[process]") {
    const TemporaryFolder folder;
    for (int delay_ms = 0; delay_ms < 40; delay_ms += 4) {
        Sidecar sidecar(folder.path(), "/proc/self/exe");
        ::poll(nullptr, 0, delay_ms);
        // Its children are known by their environment: they inherit this test's own variable.
        sidecar.kill();
        const std::string mark = "PILLION_TEST_DATA=" + folder.path();
        std::size_t left = 1;
        for (int looks = 0; looks < 1000 && left > 0; ++looks) {
            left = 0;
            process_table::for_each([&](const process_table::Entry& entry) {
                if (entry.is_alive() && process_table::has_environment(entry.pid, mark)) ++left;
            });
            if (left > 0) ::poll(nullptr, 0, 10);
        }
        CHECK(left == 0);
    }
}

TEST_CASE("the guard ends with its sidecar when nothing is wrong", "[process]") {
    Io io(system_clock());
    std::vector<Watched> guards;
    {
        ProcessHost host(io, system_clock(), {.guard_program = "/proc/self/exe"});
        REQUIRE(host.spawn({.name = "a", .command = {"sleep", "1000"}}, {}).has_value());
        process_table::for_each([&](const process_table::Entry& entry) {
            if (entry.parent == ::getpid() && process_table::has_environment(entry.pid, "PILLION_GUARD=")) {
                guards.emplace_back(entry.pid);
                ::kill(entry.pid, SIGTERM);
                ::kill(entry.pid, SIGINT);
                ::kill(entry.pid, SIGHUP);
            }
        });
        REQUIRE(guards.size() == 1);
        CHECK_FALSE(guards.front().is_gone());
        host.stop_all(5000);
    }
    CHECK(guards.front().ends());
}

TEST_CASE("a guard that cannot be started does not keep children from starting", "[process]") {
    Fixture fixture({.guard_program = "/no/such/guard"});
    Observed observed;
    fixture.shell("exit 0", observed);
    CHECK(observed.exit().code == 0);
}

TEST_CASE("what a crash left alive is ended at the next start", "[process]") {
    const TemporaryFolder folder;
    Sidecar sidecar(folder.path(), "");
    const std::string pids = sidecar.line_after("children ");
    const auto tree = watch_all(pids);
    sidecar.kill();
    REQUIRE_FALSE(tree.front().is_gone());
    Fixture fixture({.data_directory = folder.path()});
    const auto leftovers = fixture.host.end_leftovers();
    const auto stubborn = std::ranges::find(leftovers, std::string("stubborn"), &Leftover::name);
    REQUIRE(stubborn != leftovers.end());
    CHECK(stubborn->pid == std::stoll(pids));
    for (const Watched& member : tree) CHECK(member.ends());
    CHECK(ledgers_in(folder) == 0);
    CHECK(fixture.host.end_leftovers().empty());
}

TEST_CASE("two sidecars on one data directory leave each other's children alone", "[process]") {
    const TemporaryFolder folder;
    Sidecar sidecar(folder.path(), "/proc/self/exe");
    const auto tree = watch_all(sidecar.line_after("children "));
    Fixture here({.data_directory = folder.path()});
    Fixture there({.data_directory = folder.path()});
    Observed observed;
    const auto process = here.shell("exec sleep 1000", observed);
    CHECK(here.host.end_leftovers().empty());
    CHECK(there.host.end_leftovers().empty());
    CHECK(ledgers_in(folder) == 2);
    for (const Watched& member : tree) CHECK_FALSE(member.is_gone());
    there.host.stop_all(1000);
    CHECK(process->is_running());
    sidecar.kill();
    for (const Watched& member : tree) CHECK(member.ends());
}

TEST_CASE("a stranger with a leftover's pid is not ended", "[process]") {
    const TemporaryFolder folder;
    const Plain stranger({"sleep", "1000"});
    const Watched watched(stranger.pid());
    const std::uint64_t ticks = start_ticks(stranger.pid());
    const std::string executable = executable_of(stranger.pid());
    Fixture fixture({.data_directory = folder.path()});
    for (const LedgerEntry& entry : {LedgerEntry{stranger.pid(), ticks + 1, executable, "recycled"},
                                     LedgerEntry{stranger.pid(), ticks, "/usr/bin/other", "recycled"}}) {
        folder.write(dead_ledger, ledger_text(entry));
        CHECK(fixture.host.end_leftovers().empty());
        CHECK(ledgers_in(folder) == 0);
        CHECK_FALSE(watched.is_gone());
    }
    folder.write(dead_ledger, ledger_text({stranger.pid(), ticks, executable, "itself"}));
    const auto leftovers = fixture.host.end_leftovers();
    REQUIRE(leftovers.size() == 1);
    CHECK(leftovers.front().name == "itself");
    CHECK(watched.ends());
}

TEST_CASE("a ledger of another boot matches nobody", "[process]") {
    const TemporaryFolder folder;
    const Plain stranger({"sleep", "1000"});
    const Watched watched(stranger.pid());
    std::string text = ledger_text({stranger.pid(), start_ticks(stranger.pid()), executable_of(stranger.pid()), "old"});
    text.replace(std::string("pillion-children 1 ").size(), 4, "0000");
    folder.write(dead_ledger, text);
    Fixture fixture({.data_directory = folder.path()});
    CHECK(fixture.host.end_leftovers().empty());
    CHECK_FALSE(watched.is_gone());
    CHECK(ledgers_in(folder) == 0);
}

TEST_CASE("a garbage ledger is removed and harms nobody", "[process]") {
    const TemporaryFolder folder;
    Fixture fixture({.data_directory = folder.path()});
    const std::string header = ledger_text({}).substr(0, ledger_text({}).find('\n') + 1);
    for (const std::string& text :
         {std::string(), std::string("\0\xFF\n", 3), std::string("pillion-children 1"), std::string(100'000, '+'),
          header + "+ -5 x y z\n+ 1 1 /sbin/init init\n- \n+\n+ 99999999999999999999 1 a b\n+ 2 3 half", header}) {
        folder.write(dead_ledger, text);
        CHECK(fixture.host.end_leftovers().empty());
        CHECK(ledgers_in(folder) == 0);
    }
}

TEST_CASE("without a place or room for its ledger a child runs all the same", "[process]") {
    const TemporaryFolder folder;
    const std::string file = folder.write("file", "no folder");
    Fixture nowhere({.data_directory = file + "/below"});
    Observed observed;
    nowhere.shell("exit 0", observed);
    CHECK(observed.exit().code == 0);

    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{128, before.rlim_max};
    Ledger ledger(folder.path(), "0123456789abcdef0123456789abcdef");
    ::setrlimit(RLIMIT_FSIZE, &small);
    ledger.add({10, 20, "/usr/bin/first", "first"});
    ledger.add({11, 20, "/usr/bin/second", "second"});
    ::setrlimit(RLIMIT_FSIZE, &before);
    ledger.add({12, 20, "/usr/bin/third", "third one"});
    std::string text;
    for (const auto& path : std::filesystem::directory_iterator(folder.path() + "/run")) {
        std::ifstream stream(path.path());
        text.assign(std::istreambuf_iterator<char>(stream), {});
    }
    for (const char* const name : {"+ 10 20 /usr/bin/first first\n", "second second\n", "third third%20one\n"})
        CHECK(text.find(name) != std::string::npos);
    for (const pid_t pid : {10, 11, 12}) ledger.remove(pid);
}
