// Backends without processes: what is written to one can be read, what it says is said by the test, time stands still
// until moved.
#pragma once

#include "modules/backends/backends.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace pillion::test {

using nlohmann::json;

class FakeTransport final : public BackendTransport {
  public:
    explicit FakeTransport(TransportHandlers handlers) : handlers_(std::move(handlers)) {}

    Result<void> write(std::string bytes) override {
        if (write_error) return std::unexpected(*write_error);
        texts.push_back(bytes);
        if (const auto body = bytes.find("\r\n\r\n"); body != std::string::npos) bytes.erase(0, body + 4);
        written.push_back(json::parse(bytes));
        return {};
    }
    void close_input() override { input_closed = true; }
    void stop() override { stop_asked = true; }
    void kill() override { killed = true; }
    std::int64_t pid() const override { return 4711; }
    std::string last_lines() const override { return "last words"; }
    std::uint64_t memory_bytes() const override { return 12345; }

    // What the process does.
    void say_bytes(std::string_view bytes) { handlers_.on_output(bytes); }
    void say(const json& message) { say_bytes(message.dump() + "\n"); }
    void answer(const json& id, const json& result) { say({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}}); }
    void notify(const std::string& method, const json& params) {
        say({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
    }
    void end(int code = 0, std::string last_lines = {}) {
        handlers_.on_end({.code = code,
                          .was_requested = killed || stop_asked || input_closed,
                          .ran_ms = 12,
                          .last_lines = std::move(last_lines)});
    }
    const json& last() const { return written.back(); }

    std::vector<json> written;
    std::vector<std::string> texts;
    std::optional<Error> write_error;
    bool input_closed = false, stop_asked = false, killed = false;

  private:
    const TransportHandlers handlers_;
};

class FakeTransports final : public BackendTransports {
  public:
    Result<std::shared_ptr<BackendTransport>> start(const std::string&, const BackendSpec&,
                                                    TransportHandlers handlers) override {
        if (start_error) return std::unexpected(*start_error);
        started.push_back(std::make_shared<FakeTransport>(std::move(handlers)));
        return started.back();
    }
    FakeTransport& now() { return *started.back(); }

    std::vector<std::shared_ptr<FakeTransport>> started;
    std::optional<Error> start_error;
};

class FakeClient final : public ClientRequests {
  public:
    struct Asked {
        std::string method;
        std::string params;
        std::function<void(const Result<std::string_view>&)> done;
    };
    Result<std::uint64_t> ask(std::string_view method, std::string_view params,
                              std::function<void(const Result<std::string_view>&)> done) override {
        if (refuses) return fail(ErrorCode::unavailable, "the client is gone");
        asked.push_back({std::string(method), std::string(params), std::move(done)});
        return asked.size();
    }
    void forget(std::uint64_t number) override { forgotten.push_back(number); }
    void notify(std::string_view method, std::string_view params) override {
        notified.emplace_back(std::string(method), json::parse(params));
    }
    std::vector<Asked> asked;
    std::vector<std::uint64_t> forgotten;
    std::vector<std::pair<std::string, json>> notified;
    bool refuses = false;
};

// What an earlier process left; loads when told.
class FakeMemory final : public BackendMemory {
  public:
    void load(const std::string&, const std::string& fingerprint,
              std::function<void(std::vector<Item>)> done) override {
        asked_for = fingerprint;
        loads.push_back(std::move(done));
    }
    void save(const std::string&, const std::string&, Item item) override { saved.push_back(std::move(item)); }
    void forget(const std::string&, const std::string& method) override { forgotten.push_back(method); }
    std::string asked_for;
    std::vector<std::function<void(std::vector<Item>)>> loads;
    std::vector<Item> saved;
    std::vector<std::string> forgotten;
};

// Somebody who waits: what came, once.
struct Waiting final : BackendCaller {
    void answered(const Result<std::string_view>& result) override {
        ++answers;
        if (result)
            value = json::parse(*result);
        else
            error = result.error();
    }
    void progressed(double percentage, std::string_view message) override {
        progress.emplace_back(percentage, std::string(message));
    }
    int answers = 0;
    std::optional<json> value;
    std::optional<Error> error;
    std::vector<std::pair<double, std::string>> progress;
};

struct BackendsFixture {
    ManualClock clock;
    ManualTimers timers{clock};
    BufferPool pool;
    FakeTransports transports;
    FakeClient client;
    FakeMemory memory;
    Backends backends{
        {.transports = transports, .timers = timers, .clock = clock, .buffers = pool, .client = &client, .random = [] {
             return 0.5;
         }}};
    std::vector<BackendChange> changes;
    std::vector<std::tuple<std::string, std::string, std::string>> notifications;

    BackendsFixture() {
        backends.on_change([this](const BackendChange& change) { changes.push_back(change); });
        backends.on_notification(
            [this](const BackendNotification& n) { notifications.emplace_back(n.backend, n.method, n.params); });
    }

    static BackendSpec plain() {
        BackendSpec spec;
        spec.command = {"program"};
        return spec;
    }
    static BackendSpec mcp() {
        BackendSpec spec = plain();
        spec.kind = BackendKind::mcp;
        return spec;
    }
    static BackendCacheRule rule(const std::string& method, std::optional<std::int64_t> ttl_ms = 1000) {
        BackendCacheRule rule;
        rule.methods = {method};
        rule.ttlMs = ttl_ms;
        return rule;
    }
    void declare(BackendSpec spec, const std::string& name = "files") {
        const auto declared = backends.declare(name, std::move(spec));
        if (!declared) FAIL(declared.error().message);
    }
    std::shared_ptr<Waiting> call(const std::string& method, const std::string& params = {},
                                  BackendRequest request = {}) {
        auto waiting = std::make_shared<Waiting>();
        request.method = method;
        request.params = params;
        ticket = backends.call("files", request, waiting);
        timers.advance_ms(0);
        return waiting;
    }
    // The handshake of the process that has just been started, with an answer.
    void shake_hands(const json& result = {{"serverInfo", {{"name", "fake"}}}}) {
        timers.advance_ms(0);
        transports.now().answer(transports.now().last()["id"], result);
        timers.advance_ms(0);
    }
    FakeTransport& process() { return transports.now(); }
    BackendStats stats() { return *backends.stats("files"); }
    BackendState state() { return backends.list().front().state; }
    std::optional<json> cached(const std::string& method, const std::string& params = {}) {
        Buffer out(pool);
        const auto found = backends.answer_from_cache("files", {.method = method, .params = params}, out);
        if (!found || !*found) return std::nullopt;
        return json::parse(out.view());
    }
    BackendTicket ticket;
};

} // namespace pillion::test
