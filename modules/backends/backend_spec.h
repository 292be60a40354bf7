// What is declared of a backend: how it is started and spoken to, what of its answers may be kept, when it sleeps.
// Plain values with the wire's member names; described for the wire in backends_rpc.h. Any thread.
#pragma once

#include "ipc/base/error.h"
#include "ipc/wire_type.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

enum class BackendKind : std::uint8_t {
    plain, // JSON-RPC 2.0 without a handshake
    mcp,   // a server of the Model Context Protocol
    lsp,   // a language server
};
enum class BackendFraming : std::uint8_t { automatic, lines, headers };

// Which answers are kept, for how long, and what makes them void. The first rule that fits a call is taken.
struct BackendCacheRule {
    std::vector<std::string> methods;    // globs: * within a segment, ** across segments, ?
    std::vector<std::string> tools;      // of these tools, for MCP's tools/call, which no rule without tools covers
    std::optional<std::int64_t> ttlMs{}; // absent: until invalidated
    std::vector<std::string> keyFields;  // paths into the params ("arguments.path"); empty: all of the params
    std::vector<std::string> tags;       // for backends.invalidate
    std::int64_t staleWhileRevalidateMs = 0;
    std::int64_t staleIfErrorMs = 0;
    std::vector<std::string> invalidatedBy; // notifications, from it or to it, that make these answers void
};

struct BackendRoot {
    std::string uri;
    std::optional<std::string> name{};
};

struct BackendSpec {
    BackendKind kind = BackendKind::plain;
    BackendFraming framing = BackendFraming::automatic; // by kind: headers for language servers, else lines
    std::vector<std::string> command;
    std::map<std::string, std::string> environment;
    std::string workingDirectory;
    std::string version; // of the program, if known: kept lists of another version are void

    // The handshake.
    std::string protocolVersion = "2025-06-18"; // MCP
    std::optional<Json> capabilities{};         // of the client, instead of those that follow from the rest
    std::optional<Json> initializationOptions{};
    std::optional<std::string> rootUri{};
    std::vector<BackendRoot> roots;
    std::optional<Json> settings{};      // for workspace/configuration
    std::map<std::string, Json> answers; // results for other requests of its own
    std::int64_t handshakeMs = 10'000;
    std::int64_t clientRequestMs = 60'000; // how long the client may take over a request of the backend

    std::int64_t timeoutMs = 60'000; // of a call; 0: none
    std::int64_t concurrency = 32;
    std::int64_t queueMax = 1024;
    std::int64_t messageBytesMax = 64 * 1024 * 1024;
    bool acceptsBatches = false;
    std::optional<std::int64_t> idleMs{}; // 0: never sleeps; absent: 5 min, for language servers never

    std::vector<BackendCacheRule> cache;
    bool cacheLists = true;                // MCP's capability lists, until they change
    std::vector<std::string> singleFlight; // globs of methods without side effects, whose equal calls share one run
    std::int64_t cacheEntriesMax = 1024;
    std::int64_t cacheBytesMax = 8 * 1024 * 1024;

    std::int64_t breakerFailures = 5;
    std::int64_t breakerOpenMs = 1000;
    std::int64_t breakerOpenMsMax = 60'000;
    bool restart = true; // after a crash, with growing delays
    std::int64_t restartsMax = 5;
    std::int64_t restartWindowMs = 60'000;

    std::int64_t memoryBytesMax = 0;
    std::int64_t niceness = 0;
    std::int64_t stopMs = 5000; // from the request to end until it is made to
};

// What bounds on single fields cannot say; `name` stands in the error.
Result<void> check_backend_spec(const std::string& name, const BackendSpec& spec);

Result<void> check_backend_specs(const std::map<std::string, BackendSpec>& specs);

// The framing that is spoken.
bool speaks_headers(const BackendSpec& spec);
std::int64_t idle_ms(const BackendSpec& spec);

} // namespace pillion
