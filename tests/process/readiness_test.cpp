// Probes of real children and real ports.
#include "tests/support/process_fixture.h"

#include <arpa/inet.h>
#include <future>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace pillion;
using namespace pillion::process_test;

namespace {

Result<void> probe(Fixture& fixture, ProbeSpec spec, std::shared_ptr<Process> process = nullptr) {
    const auto promise = std::make_shared<std::promise<Result<void>>>();
    auto answer = promise->get_future();
    const auto started = start_probe(fixture.io, system_clock(), std::move(spec), std::move(process),
                                     [promise](Result<void> result) { promise->set_value(std::move(result)); });
    if (!started) return std::unexpected(started.error());
    REQUIRE(answer.wait_for(wait_max) == std::future_status::ready);
    return answer.get();
}

// Listens, and answers nothing.
class Listener {
  public:
    Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), length) == 0);
        REQUIRE(::listen(socket_, 8) == 0);
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length);
        port_ = ntohs(address.sin_port);
    }
    ~Listener() { ::close(socket_); }
    std::uint16_t port() const { return port_; }

  private:
    int socket_;
    std::uint16_t port_ = 0;
};

} // namespace

TEST_CASE("a process is up when it still runs after a moment", "[process]") {
    Fixture fixture;
    Observed observed;
    CHECK(probe(fixture, {}, fixture.shell("exec sleep 1000", observed)).has_value());
}

TEST_CASE("a process that ended is not ready, and its last words are told", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("echo no licence >&2; exit 1", observed, {.name = "engine"});
    const auto answer = probe(fixture, {.kind = ProbeKind::line, .text = "ready"}, process);
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().code == ErrorCode::unavailable);
    CHECK(answer.error().message.starts_with("'engine' ended after"));
    CHECK(answer.error().message.ends_with("last line printed: no licence"));
}

TEST_CASE("a line is seen whether it comes later or came before", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process =
        fixture.shell("echo booting; echo server ready on 80; read x; echo late ready; exec sleep 1000", observed,
                      {.has_input = true});
    observed.output(2);
    CHECK(probe(fixture, {.kind = ProbeKind::line, .text = "server ready"}, process).has_value());
    CHECK(probe(fixture, {.kind = ProbeKind::pattern, .text = "ready on [0-9]+$"}, process).has_value());
    fixture.io.post([process] { static_cast<void>(process->write("go\n")); });
    CHECK(probe(fixture, {.kind = ProbeKind::pattern, .text = "^late"}, process).has_value());
}

TEST_CASE("a line that never comes is a timeout that tells what came", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("echo still loading; exec sleep 1000", observed, {.name = "slow"});
    observed.output();
    const auto answer = probe(fixture, {.kind = ProbeKind::pattern, .text = "(a+)+$", .timeout_ms = 100}, process);
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().code == ErrorCode::timeout);
    CHECK(answer.error().message ==
          "'slow' was not ready within 100 ms; Pillion waited for a line that matches '(a+)+$' "
          "on stdout; last line printed: still loading");
}

TEST_CASE("an expression that would never come back does come back", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell(
        "echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab; echo ready; exec sleep 1000", observed);
    CHECK(probe(fixture, {.kind = ProbeKind::pattern, .text = "^(a+)+$|ready"}, process).has_value());
}

TEST_CASE("a port is ready when it takes connections", "[process]") {
    Fixture fixture;
    const Listener listener;
    CHECK(probe(fixture, {.kind = ProbeKind::tcp, .port = listener.port()}).has_value());
    CHECK(probe(fixture, {.kind = ProbeKind::tcp, .host = "localhost", .port = listener.port()}).has_value());
}

TEST_CASE("a refused connection is told when the time is up", "[process]") {
    Fixture fixture;
    const auto port = find_free_port();
    REQUIRE(port.has_value());
    const auto answer = probe(fixture, {.kind = ProbeKind::tcp, .port = *port, .timeout_ms = 1000});
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().code == ErrorCode::timeout);
    CHECK(answer.error().message.ends_with("last seen: connection refused on 127.0.0.1:" + std::to_string(*port)));
}

TEST_CASE("a port that takes connections and never answers is not ready for HTTP", "[process]") {
    Fixture fixture;
    const Listener listener;
    const auto answer =
        probe(fixture, {.kind = ProbeKind::http, .port = listener.port(), .attempt_ms_max = 50, .timeout_ms = 200});
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().code == ErrorCode::timeout);
    CHECK(answer.error().message.find("no answer to the last attempt within 50 ms") != std::string::npos);
}

TEST_CASE("a service is ready for HTTP when it answers 2xx", "[process]") {
    Fixture fixture;
    Observed observed;
    const TemporaryFolder folder;
    const auto port = find_free_port();
    REQUIRE(port.has_value());
    const auto process =
        fixture.start({.name = "web",
                       .command = {"python3", "-m", "http.server", std::to_string(*port), "--bind", "127.0.0.1"},
                       .working_directory = folder.path()},
                      observed);
    CHECK(probe(fixture, {.kind = ProbeKind::http, .port = *port}, process).has_value());
    const auto missing =
        probe(fixture, {.kind = ProbeKind::http, .port = *port, .path = "/missing", .timeout_ms = 2000}, process);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().message.find("last seen: HTTP status 404") != std::string::npos);
}

TEST_CASE("a check of the caller's own is repeated until it succeeds", "[process]") {
    Fixture fixture;
    int calls = 0;
    const auto check = [&calls](const std::function<void(Result<void>)>& done) {
        if (++calls < 3)
            done(fail(ErrorCode::unavailable, "not yet"));
        else
            done({});
        done({});
    };
    CHECK(probe(fixture, {.kind = ProbeKind::custom, .check = check, .interval_ms = 1}).has_value());
    CHECK(calls == 3);
}

TEST_CASE("a check that never calls back is a timeout", "[process]") {
    Fixture fixture;
    const auto answer = probe(
        fixture, {.kind = ProbeKind::custom, .check = [](const auto&) {}, .attempt_ms_max = 20, .timeout_ms = 100});
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().code == ErrorCode::timeout);
}

TEST_CASE("a cancelled probe does not answer", "[process]") {
    Fixture fixture;
    bool has_answered = false;
    std::function<void(Result<void>)> kept;
    const auto check = [&kept](const std::function<void(Result<void>)>& done) { kept = done; };
    const auto started = start_probe(fixture.io, system_clock(), {.kind = ProbeKind::custom, .check = check}, nullptr,
                                     [&](Result<void>) { has_answered = true; });
    REQUIRE(started.has_value());
    fixture.pass_io();
    (*started)->cancel();
    fixture.pass_io();
    fixture.io.post([&] { kept({}); });
    fixture.pass_io();
    CHECK_FALSE(has_answered);
}

TEST_CASE("a probe that cannot work is refused", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("exec sleep 1000", observed);
    const auto refused = [&](ProbeSpec spec) {
        const auto answer = probe(fixture, std::move(spec), process);
        REQUIRE_FALSE(answer.has_value());
        CHECK(answer.error().code == ErrorCode::invalid_params);
        return answer.error().field;
    };
    CHECK(refused({.kind = ProbeKind::pattern, .text = "(unclosed"}) == "/text");
    CHECK(refused({.kind = ProbeKind::line}) == "/text");
    CHECK(refused({.kind = ProbeKind::tcp}) == "/port");
    CHECK(refused({.kind = ProbeKind::tcp, .host = "example.org", .port = 80}) == "/host");
    CHECK(refused({.kind = ProbeKind::http, .port = 80, .path = "no slash"}) == "/path");
    CHECK(refused({.kind = ProbeKind::custom}) == "/kind");
    CHECK(refused({.timeout_ms = 0}) == "/timeoutMs");
    CHECK_FALSE(probe(fixture, {.kind = ProbeKind::line, .text = "x"}).has_value());
}
