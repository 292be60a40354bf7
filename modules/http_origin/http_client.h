// HTTP(S) requests without blocking: one thread with a libcurl multi handle, started at the first request. `done` comes
// on that thread and must not block. Any thread may call. Owned by whoever composes; stop() ends what is under way with
// -32005.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "modules/http_origin/freshness.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace pillion {

struct HttpRequest {
    std::string method = "GET";
    std::string url{};
    HttpHeaders headers{};
    std::string body{};
    std::int64_t connect_timeout_ms = 3000;
    std::int64_t timeout_ms = 30'000; // for all of it
    std::size_t body_bytes_max = 64 * 1024 * 1024;
    int redirects_max = 5; // GET only; never from https to http
    // AWS signature version 4, as curl makes it: "aws:amz:REGION:s3", and "ACCESS:SECRET". Empty: not signed.
    std::string sign_as{};
    std::string credentials{};
};

struct HttpResponse {
    int status = 0;
    HttpHeaders headers{}; // of the last response
    std::string body{};
    std::string url{}; // after redirects
    std::int64_t asked_ms = 0;
    std::int64_t answered_ms = 0;
};

struct HttpOptions {
    std::string ca_file{}; // certificates to trust instead of the system's
    std::string user_agent = "pillion";
    std::size_t requests_max = 256; // under way and waiting; past it -32004
    std::int64_t connections_max = 16;
};

class HttpClient {
  public:
    using Done = std::function<void(Result<HttpResponse>)>;
    // Names a request under way; 0 names none.
    using Ticket = std::uint64_t;

    HttpClient(const Clock& clock, HttpOptions options);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;

    // Any status is a response; errors are what kept one from coming: -32602 for the URL, -32001, -32004 for a body
    // over its limit, -32005. No credentials or query strings in their texts.
    Ticket send(HttpRequest request, Done done);
    // Runs a task on the client's thread, for what must not hold up the caller: it may read a file, not wait for
    // others.
    void post(std::function<void()> task);
    // Its `done` comes with -32800, if it had not come yet.
    void cancel(Ticket ticket);
    void stop();

  private:
    struct Engine;
    const Clock& clock_;
    const HttpOptions options_;
    std::shared_ptr<Engine> engine_;
};

// The URL as it may stand in a message: without user, password and query.
std::string printable_url(std::string_view url);

} // namespace pillion
