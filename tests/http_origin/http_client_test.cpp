// Against a real server in a process of its own (origin_server.py).
#include "modules/http_origin/http_origin.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fcntl.h>
#include <future>
#include <set>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace pillion;

namespace {

class OriginServer {
  public:
    OriginServer() {
        int input[2], output[2];
        REQUIRE(pipe2(input, O_CLOEXEC) == 0);
        REQUIRE(pipe2(output, O_CLOEXEC) == 0);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, input[0], 0);
        posix_spawn_file_actions_adddup2(&actions, output[1], 1);
        const std::string script = PILLION_TESTS "/http_origin/origin_server.py";
        const char* const arguments[] = {"python3", script.c_str(), nullptr};
        REQUIRE(posix_spawnp(&pid_, "python3", &actions, nullptr, const_cast<char**>(arguments), environ) == 0);
        posix_spawn_file_actions_destroy(&actions);
        close(input[0]);
        close(output[1]);
        input_ = input[1];
        FILE* const reader = fdopen(output[0], "r");
        REQUIRE(std::fscanf(reader, "%d", &port_) == 1);
        std::fclose(reader);
    }
    ~OriginServer() {
        close(input_);
        waitpid(pid_, nullptr, 0);
    }
    std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

  private:
    pid_t pid_ = 0;
    int input_ = -1;
    int port_ = 0;
};

struct Client {
    OriginServer server;
    HttpClient client{system_clock(), {}};
    Result<HttpResponse> ask(HttpRequest request) {
        std::promise<Result<HttpResponse>> answer;
        client.send(std::move(request), [&](Result<HttpResponse> got) { answer.set_value(std::move(got)); });
        return answer.get_future().get();
    }
    Result<HttpResponse> get(const std::string& path) { return ask({.url = server.url(path)}); }
};

} // namespace

TEST_CASE_METHOD(Client, "an answer comes with its status, headers and body", "[http]") {
    const auto answer = get("/plain?q=1");
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->body == "hello");
    CHECK(judge_freshness(200, answer->headers, answer->asked_ms, answer->answered_ms).groups.size() == 2);
    CHECK(answer->asked_ms <= answer->answered_ms);
}

TEST_CASE_METHOD(Client, "an unchanged answer is told from its validator", "[http]") {
    const auto answer = ask({.url = server.url("/etag"), .headers = {{"If-None-Match", "\"v1\""}}});
    REQUIRE(answer);
    CHECK(answer->status == 304);
    CHECK(answer->body.empty());
}

TEST_CASE_METHOD(Client, "an error of the server is an answer", "[http]") {
    CHECK(get("/error")->status == 503);
    CHECK(get("/nowhere")->status == 404);
}

TEST_CASE_METHOD(Client, "a body is sent as it is", "[http]") {
    const std::string body("a\0b", 3);
    const auto answer = ask({.method = "POST", .url = server.url("/"), .body = body});
    REQUIRE(answer);
    CHECK(answer->body == body);
    CHECK(groups_made_void(answer->headers) == std::vector<std::string>{"one"});
}

TEST_CASE_METHOD(Client, "redirects are followed, but not for ever and to no other kind of address", "[http]") {
    CHECK(get("/redirect")->body == "hello");
    CHECK(get("/redirect")->url == server.url("/plain"));
    CHECK(get("/loop").error().code == ErrorCode::unavailable);
    CHECK(!get("/elsewhere"));
}

TEST_CASE_METHOD(Client, "what cannot be asked for is refused", "[http]") {
    CHECK(ask({.url = "file:///etc/passwd"}).error().code == ErrorCode::invalid_params);
    CHECK(ask({.url = "http://"}).error().code == ErrorCode::invalid_params);
    CHECK(ask({.url = "http://127.0.0.1:1/?token=secret"}).error().code == ErrorCode::unavailable);
    CHECK(ask({.url = "http://127.0.0.1:1/?token=secret"}).error().message.find("secret") == std::string::npos);
}

TEST_CASE_METHOD(Client, "an answer that is too large, cut off or no HTTP is an error", "[http]") {
    CHECK(ask({.url = server.url("/large"), .body_bytes_max = 1'000'000}).error().code == ErrorCode::exhausted);
    CHECK(ask({.url = server.url("/large"), .body_bytes_max = 2'000'000})->body.size() == 2'000'000);
    CHECK(get("/half").error().code == ErrorCode::unavailable);
    CHECK(get("/garbage").error().code == ErrorCode::unavailable);
}

TEST_CASE_METHOD(Client, "a server that does not answer is given up in time", "[http]") {
    const auto answer = ask({.url = server.url("/hang"), .timeout_ms = 100});
    REQUIRE(!answer);
    CHECK(answer.error().code == ErrorCode::timeout);
    CHECK(answer.error().message.find("within 100 ms") != std::string::npos);
}

TEST_CASE_METHOD(Client, "a request can be cancelled, and the end cancels all", "[http]") {
    std::promise<ErrorCode> first, second;
    const auto keep = [](std::promise<ErrorCode>& promise) {
        return [&promise](const Result<HttpResponse>& got) { promise.set_value(got.error().code); };
    };
    const auto ticket = client.send({.url = server.url("/hang")}, keep(first));
    client.send({.url = server.url("/hang")}, keep(second));
    client.cancel(ticket);
    CHECK(first.get_future().get() == ErrorCode::cancelled);
    client.stop();
    CHECK(second.get_future().get() == ErrorCode::unavailable);
    client.cancel(ticket); // too late, and no harm
    CHECK(get("/plain").error().code == ErrorCode::unavailable);
}

TEST_CASE_METHOD(Client, "many requests are under way at once", "[http]") {
    std::vector<std::promise<std::string>> answers(50);
    for (std::size_t index = 0; index < answers.size(); ++index)
        client.send({.url = server.url("/echo"), .headers = {{"X-Test", std::to_string(index)}}},
                    [&answers, index](Result<HttpResponse> got) {
                        answers[index].set_value(got ? got->body : got.error().message);
                    });
    for (std::size_t index = 0; index < answers.size(); ++index)
        CHECK(answers[index].get_future().get() == std::to_string(index));
}

TEST_CASE("past the bound of requests the next is refused", "[http]") {
    HttpClient client(system_clock(), {.requests_max = 0});
    ErrorCode code{};
    client.send({.url = "http://127.0.0.1:1/"}, [&](const Result<HttpResponse>& got) { code = got.error().code; });
    CHECK(code == ErrorCode::exhausted);
}
