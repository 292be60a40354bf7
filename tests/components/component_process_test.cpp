// Tasks, services and libraries as they really are: child processes and shared objects.
#include "modules/components/components.h"
#include "tests/support/temporary_folder.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <future>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

using namespace pillion;
using enum ComponentState;

namespace {

constexpr std::chrono::seconds wait_max{20};

Result<void> check_json(std::string_view text) {
    if (nlohmann::json::accept(text)) return {};
    return fail(ErrorCode::parse_error, "not JSON");
}

struct Fixture {
    std::mutex mutex;
    std::condition_variable changed; // a component's state
    TemporaryFolder folder;
    SystemClock clock;
    std::unique_ptr<Io> io = std::make_unique<Io>(clock);
    std::unique_ptr<ProcessHost> processes =
        std::make_unique<ProcessHost>(*io, clock, ProcessHostOptions{.data_directory = folder.path()});
    std::unique_ptr<Store> store;
    std::unique_ptr<Components> components;

    Fixture() { open(); }
    ~Fixture() { close(); }

    // As a new process on the same data directory.
    void open() {
        store = std::make_unique<Store>(StoreOptions{.path = folder.path() + "/state.db"}, clock);
        Components::add_schema(*store);
        components = std::make_unique<Components>(Components::Host{.io = *io,
                                                                   .timers = *io,
                                                                   .clock = clock,
                                                                   .processes = *processes,
                                                                   .state = store.get(),
                                                                   .check_json = check_json,
                                                                   .on_changed = [this](const ComponentChange&) {
                                                                       const std::lock_guard lock(mutex);
                                                                       changed.notify_all();
                                                                   }});
    }
    void close() {
        components->stop(10'000);
        CHECK(processes->running() == 0);
        // The strand must not be in the middle of what is taken away.
        std::promise<void> settled;
        io->post([&] { settled.set_value(); });
        settled.get_future().wait_for(wait_max);
        components.reset();
        store->stop();
    }

    ComponentSpec shell(ComponentKind kind, const std::string& script) {
        ComponentSpec spec;
        spec.kind = kind;
        spec.command = {"sh", "-c", script};
        spec.workingDirectory = folder.path();
        spec.timeoutMs = 10'000;
        spec.stopMs = 1000;
        return spec;
    }
    ComponentSpec python(const std::string& program) {
        ComponentSpec spec = shell(ComponentKind::service, "");
        spec.command = {"python3", "-c", program};
        return spec;
    }
    void declare(const ComponentSpecs& specs) {
        const auto declared = components->declare(specs);
        if (!declared) FAIL(declared.error().message);
    }
    Result<ComponentLoad> load(const std::string& name) {
        std::promise<Result<ComponentLoad>> answer;
        components->load(name, LoadCause::demand,
                         [&](Result<ComponentLoad> load) { answer.set_value(std::move(load)); });
        auto future = answer.get_future();
        if (future.wait_for(wait_max) != std::future_status::ready) FAIL("the load of " << name << " was not answered");
        return future.get();
    }
    std::string error(const std::string& name) {
        const auto answer = load(name);
        return answer ? "(no error)" : answer.error().message;
    }
    std::string result(const std::string& name) {
        const auto answer = load(name);
        if (!answer) FAIL(answer.error().message);
        return answer->result->text;
    }
    void unload(const std::string& name) {
        std::promise<void> done;
        components->unload(name, [&](const Result<void>&) { done.set_value(); });
        REQUIRE(done.get_future().wait_for(wait_max) == std::future_status::ready);
    }
    // Until the component shows what is wanted.
    void wait_until(const std::string& name, const std::function<bool(const ComponentInfo&)>& is_met) {
        std::unique_lock lock(mutex);
        if (!changed.wait_for(lock, wait_max, [&] { return is_met(*components->find(name)); }))
            FAIL(name << " is in state " << static_cast<int>(components->find(name)->state));
    }
    void wait_for(const std::string& name, ComponentState wanted) {
        wait_until(name, [wanted](const ComponentInfo& info) { return info.state == wanted; });
    }
    void write(const std::string& name, const std::string& text) { std::ofstream(folder.path() + "/" + name) << text; }
    std::size_t lines_of(const std::string& name) {
        std::ifstream file(folder.path() + "/" + name);
        return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
    }
};

// A port on which this test listens.
class Listener {
  public:
    Listener() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(socket_, 1) != 0 ||
            getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            std::abort();
        port_ = ntohs(address.sin_port);
    }
    ~Listener() { close(socket_); }
    Listener(const Listener&) = delete;
    std::uint16_t port() const { return port_; }

  private:
    int socket_;
    std::uint16_t port_ = 0;
};

const std::string listening = "import os, socket, time\n"
                              "s = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n"
                              "while True: s.accept()\n";

} // namespace

TEST_CASE_METHOD(Fixture, "a task's result is what it prints", "[components][process]") {
    declare({{"index", shell(ComponentKind::task, R"(echo; echo '{"rows": 3}'; echo counted >&2)")}});
    CHECK(result("index") == R"({"rows": 3})");
    CHECK(components->find("index")->state == ready);
}

TEST_CASE_METHOD(Fixture, "a task that prints no JSON is refused with what it printed", "[components][process]") {
    declare({{"index", shell(ComponentKind::task, "echo 'Reading 3 files ...'")},
             {"silent", shell(ComponentKind::task, "true")},
             {"long", shell(ComponentKind::task, "head -c 9000000 /dev/zero")}});
    CHECK(
        error("index") ==
        "component \"index\": printed no JSON value, as a task must: not JSON; it begins with \"Reading 3 files ...\"");
    CHECK(error("silent") == "component \"silent\": printed nothing; a task prints its result as one JSON value");
    CHECK(error("long") == "component \"long\": printed more than 8 MiB, the most that a result may have");
}

TEST_CASE_METHOD(Fixture, "a task that fails is refused with its status and last lines", "[components][process]") {
    declare({{"index", shell(ComponentKind::task, "echo no such table >&2; exit 3")}});
    const std::string why = error("index");
    CHECK(why.find("\"index\"") != std::string::npos);
    CHECK(why.find("exited with status 3") != std::string::npos);
    CHECK(why.find("no such table") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a missing program is named with its component", "[components][process]") {
    ComponentSpec spec = shell(ComponentKind::service, "");
    spec.command = {"no-such-program-of-ours"};
    declare({{"app", spec}});
    const std::string why = error("app");
    CHECK(why.find("app") != std::string::npos);
    CHECK(why.find("no-such-program-of-ours") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a task runs once for the same inputs, also in a later process", "[components][process]") {
    ComponentSpec spec = shell(ComponentKind::task, R"(echo run >> runs; cat input.json)");
    spec.inputs.files = {"input.json"};
    write("input.json", "1");
    declare({{"index", spec}});
    CHECK(result("index") == "1");
    CHECK(lines_of("runs") == 1);
    store->flush();
    close();
    open();
    declare({{"index", spec}});
    const auto again = load("index");
    REQUIRE(again);
    CHECK(again->cached);
    CHECK(again->result->text == "1");
    CHECK(lines_of("runs") == 1);
    CHECK(components->usage()[0].savedMs > 0);
    unload("index");
    write("input.json", "2");
    CHECK(result("index") == "2");
    CHECK(lines_of("runs") == 2);
    unload("index");
    CHECK(*components->startup_host().forget_results() == 1);
    CHECK(result("index") == "2");
    CHECK(lines_of("runs") == 3);
}

TEST_CASE_METHOD(Fixture, "a task without inputs runs each time", "[components][process]") {
    declare({{"index", shell(ComponentKind::task, "echo run >> runs; echo 1")}});
    CHECK(result("index") == "1");
    unload("index");
    CHECK(result("index") == "1");
    CHECK(lines_of("runs") == 2);
}

TEST_CASE_METHOD(Fixture, "a service is ready when its port takes connections", "[components][process]") {
    ComponentSpec spec = python(listening);
    spec.portWanted = true;
    spec.readiness.by = ReadyRule::tcp;
    declare({{"server", spec}});
    const auto loaded = load("server");
    if (!loaded) FAIL(loaded.error().message);
    CHECK(loaded->port > 0);
    const ComponentInfo info = *components->find("server");
    CHECK(info.pid > 0);
    CHECK(components->usage()[0].processes >= 1);
    CHECK(components->usage()[0].memoryBytes > 0);
    unload("server");
    CHECK(kill(static_cast<pid_t>(*info.pid), 0) != 0);
}

TEST_CASE_METHOD(Fixture, "a service whose port is taken is refused before it starts", "[components][process]") {
    const Listener other;
    ComponentSpec spec = shell(ComponentKind::service, "echo run >> runs; sleep 100");
    spec.readiness.by = ReadyRule::tcp;
    spec.readiness.port = other.port();
    declare({{"server", spec}});
    CHECK(error("server") == "component \"server\": port " + std::to_string(other.port()) +
                                 ", on which it is to listen, is already taken");
    CHECK(lines_of("runs") == 0);
}

TEST_CASE_METHOD(Fixture, "a service is ready when it has said so", "[components][process]") {
    ComponentSpec spec = shell(ComponentKind::service, "echo starting; echo listening on 80; exec sleep 100");
    spec.readiness.by = ReadyRule::line;
    spec.readiness.pattern = "listening on [0-9]+";
    declare({{"server", spec}});
    CHECK(load("server"));
}

TEST_CASE_METHOD(Fixture, "a service that dies before it is ready is refused with its last words",
                 "[components][process]") {
    ComponentSpec spec = shell(ComponentKind::service, "echo bad option >&2; exit 2");
    spec.readiness.by = ReadyRule::line;
    spec.readiness.text = "ready";
    declare({{"server", spec}});
    const std::string why = error("server");
    CHECK(why.find("exited with status 2") != std::string::npos);
    CHECK(why.find("bad option") != std::string::npos);
    CHECK(components->find("server")->state == failed);
}

TEST_CASE_METHOD(Fixture, "a service that is never ready is stopped when its time is up", "[components][process]") {
    ComponentSpec spec = shell(ComponentKind::service, "exec sleep 100");
    spec.readiness.by = ReadyRule::line;
    spec.readiness.text = "ready";
    spec.timeoutMs = 200;
    declare({{"server", spec}});
    const auto answer = load("server");
    REQUIRE(!answer);
    CHECK(answer.error().code == ErrorCode::timeout);
    wait_for("server", failed);
    CHECK(processes->running() == 0);
}

TEST_CASE_METHOD(Fixture, "a service that crashes again and again is given up", "[components][process]") {
    ComponentSpec spec = shell(ComponentKind::service, "echo run >> runs; echo up; sleep 0.05; exit 1");
    spec.readiness.by = ReadyRule::line;
    spec.readiness.text = "up";
    spec.restart = {.delayMs = 10, .delayMsMax = 20, .crashesMax = 2};
    declare({{"server", spec}});
    CHECK(load("server"));
    wait_for("server", failed);
    const std::string why = *components->find("server")->reason;
    CHECK(why.starts_with("it went down 3 times within 60000 ms and is given up: exited with status 1"));
    CHECK(lines_of("runs") == 3);
}

TEST_CASE_METHOD(Fixture, "a service killed from outside comes up again", "[components][process]") {
    ComponentSpec spec = shell(ComponentKind::service, "echo up; exec sleep 100");
    spec.readiness.by = ReadyRule::line;
    spec.readiness.text = "up";
    spec.restart.delayMs = 10;
    declare({{"server", spec}});
    REQUIRE(load("server"));
    const auto pid = *components->find("server")->pid;
    kill(static_cast<pid_t>(pid), SIGKILL);
    wait_until("server", [](const ComponentInfo& info) { return info.restarts == 1; });
    CHECK(components->find("server")->restarts == 1);
    CHECK(components->find("server")->pid != pid);
}

TEST_CASE_METHOD(Fixture, "a stop in the middle of a start leaves nothing", "[components][process]") {
    ComponentSpecs specs;
    for (int i = 0; i < 12; ++i) {
        ComponentSpec spec = shell(ComponentKind::service, "trap '' TERM; (sleep 100 & wait) & wait");
        spec.readiness.by = ReadyRule::line;
        spec.readiness.text = "never";
        spec.stopMs = 300;
        specs["service" + std::to_string(i)] = spec;
    }
    declare(specs);
    std::promise<std::string> ended;
    components->startup_host().run({}, [&](const Result<std::shared_ptr<const StartupTimeline>>& done) {
        ended.set_value(done ? "" : done.error().message);
    });
    wait_for("service0", loading);
    components->stop(10'000);
    CHECK(processes->running() == 0);
    CHECK(ended.get_future().get() == "the start was broken off: Pillion is ending");
    CHECK(error("service0").find("Pillion is ending") != std::string::npos);
}
