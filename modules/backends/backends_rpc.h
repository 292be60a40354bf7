// How backends look on the wire: the description of their specs, the methods `backends.*`, the routing of NAME/METHOD,
// the events of the topic `backends`. Constants; any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/backends/backends.h"
#include "modules/backends/client_link.h"

#include <vector>

namespace pillion {

PILLION_ENUM(BackendKind, "plain", "mcp", "lsp")
PILLION_ENUM(BackendFraming, "auto", "lines", "headers")
PILLION_ENUM(BackendState, "cold", "starting", "ready", "asleep", "stopping", "stopped", "waiting", "failed")
PILLION_ENUM(BreakerState, "closed", "open", "halfOpen")

PILLION_WIRE(
    BackendCacheRule,
    PILLION_FIELD(methods, "Methods it is for: names in which * stands for any characters.", between(1, 256)),
    PILLION_FIELD(tools, "For MCP's tools/call: the tools whose answers may be kept.", defaulted, at_most(1024)),
    PILLION_FIELD(ttlMs, "How long an answer is good, in milliseconds; without it until it is invalidated.",
                  at_least(0)),
    PILLION_FIELD(keyFields, "Params that make two calls different, as paths (\"arguments.path\"); empty: all of them.",
                  defaulted, at_most(64)),
    PILLION_FIELD(tags, "Names for backends.invalidate.", defaulted, at_most(64)),
    PILLION_FIELD(staleWhileRevalidateMs,
                  "How long past its time an answer is given while a fresh one is fetched, in milliseconds.",
                  at_least(0), defaulted),
    PILLION_FIELD(staleIfErrorMs, "How long past its time an answer is given where the backend fails, in milliseconds.",
                  at_least(0), defaulted),
    PILLION_FIELD(invalidatedBy, "Notifications, from the backend or to it, that make these answers void.", defaulted,
                  at_most(64)))

PILLION_WIRE(BackendRoot, PILLION_FIELD(uri, "A folder the backend may work in, as a file: URI.", between(1, 8192)),
             PILLION_FIELD(name, "What people call it; the URI's last part by default."))

PILLION_WIRE(
    BackendSpec, PILLION_FIELD(kind, "The protocol it speaks, which decides on handshake and framing.", defaulted),
    PILLION_FIELD(framing, "How messages are told apart; `auto`: headers for language servers, else lines.", defaulted),
    PILLION_FIELD(command, "Program, looked up in PATH, and its arguments.", between(1, 1024)),
    PILLION_FIELD(environment, "Variables beside Pillion's own.", defaulted),
    PILLION_FIELD(workingDirectory, "Where it runs; Pillion's own folder by default.", defaulted),
    PILLION_FIELD(version, "Version of the program: capability lists kept from another one are not used.", defaulted),
    PILLION_FIELD(protocolVersion, "Version of MCP that is offered to it.", defaulted),
    PILLION_FIELD(capabilities, "The client's capabilities for its handshake, instead of those that follow from this."),
    PILLION_FIELD(initializationOptions, "A language server's own options."),
    PILLION_FIELD(rootUri, "A language server's root; the first of `roots` by default."),
    PILLION_FIELD(roots, "Answers roots/list and workspace/workspaceFolders.", defaulted, at_most(256)),
    PILLION_FIELD(settings, "Answers workspace/configuration, section by section."),
    PILLION_FIELD(answers, "Answers to other requests of the backend, by method.", defaulted),
    PILLION_FIELD(handshakeMs, "How long its handshake may take, in milliseconds.", between(1, 600'000), defaulted),
    PILLION_FIELD(clientRequestMs, "How long the client may take over a request of the backend, in milliseconds.",
                  between(1, 3'600'000), defaulted),
    PILLION_FIELD(timeoutMs, "How long a call may take, in milliseconds; 0 for any time.", between(0, 86'400'000),
                  defaulted),
    PILLION_FIELD(concurrency, "Calls sent to it and not yet answered.", between(1, 4096), defaulted),
    PILLION_FIELD(queueMax, "Calls waiting beyond those; past it they are refused with -32004.", between(1, 100'000),
                  defaulted),
    PILLION_FIELD(messageBytesMax, "Largest message taken from it, in bytes.", between(1024, 1024.0 * 1024 * 1024),
                  defaulted),
    PILLION_FIELD(acceptsBatches, "Whether waiting calls may be sent as one JSON-RPC array.", defaulted),
    PILLION_FIELD(idleMs,
                  "Without a call for so long it is stopped until the next one; 0 for never; 5 min by default, for "
                  "language servers never.",
                  between(0, 86'400'000.0 * 30)),
    PILLION_FIELD(cache, "Which answers are kept; the first rule that fits a call counts.", defaulted, at_most(256)),
    PILLION_FIELD(cacheLists, "Whether MCP's capability lists are kept until they change.", defaulted),
    PILLION_FIELD(singleFlight,
                  "Further methods without side effects, as for rules: equal calls at one time share one run.",
                  defaulted, at_most(256)),
    PILLION_FIELD(cacheEntriesMax, "Answers kept at most.", between(0, 1'000'000), defaulted),
    PILLION_FIELD(cacheBytesMax, "Bytes of answers kept at most.", between(0, 4.0 * 1024 * 1024 * 1024), defaulted),
    PILLION_FIELD(breakerFailures, "Failures in a row after which calls are refused for a while.", between(1, 1000),
                  defaulted),
    PILLION_FIELD(breakerOpenMs, "For how long at first, in milliseconds; doubled each time a try fails.",
                  between(1, 3'600'000), defaulted),
    PILLION_FIELD(breakerOpenMsMax, "For how long at most, in milliseconds.", between(1, 86'400'000), defaulted),
    PILLION_FIELD(restart, "Whether it is started again after a crash, with growing delays.", defaulted),
    PILLION_FIELD(restartsMax, "Crashes within restartWindowMs after which it is left alone.", between(1, 1000),
                  defaulted),
    PILLION_FIELD(restartWindowMs, "The time in which crashes are counted, in milliseconds.", between(1, 86'400'000),
                  defaulted),
    PILLION_FIELD(memoryBytesMax, "Memory it may use, in bytes; 0 for any.", at_least(0), defaulted),
    PILLION_FIELD(niceness, "How far it steps back for others, 0 to 19.", between(0, 19), defaulted),
    PILLION_FIELD(stopMs, "From the request to end until it is made to, in milliseconds.", between(0, 600'000),
                  defaulted))

PILLION_WIRE(BackendStatus, PILLION_FIELD(name, "The backend.", sortable), PILLION_FIELD(kind, "What it speaks."),
             PILLION_FIELD(state, "Where it is in its life.", sortable),
             PILLION_FIELD(breaker, "Whether calls are let through."),
             PILLION_FIELD(pid, "Its process, while it has one."), PILLION_FIELD(command, "How it is started."),
             PILLION_FIELD(reason, "Why it is in this state, where that is not plain."),
             PILLION_FIELD(inFlight, "Calls sent and not yet answered.", sortable),
             PILLION_FIELD(queued, "Messages waiting to be sent.", sortable))

PILLION_WIRE(BackendLatency, PILLION_FIELD(count, "Answers measured."),
             PILLION_FIELD(p50Us, "Half of them took at most this, in microseconds."),
             PILLION_FIELD(p95Us, "95 percent took at most this."),
             PILLION_FIELD(p99Us, "99 percent took at most this."), PILLION_FIELD(maxUs, "The slowest."))

PILLION_WIRE(
    BackendStats, PILLION_FIELD(name, "The backend.", sortable), PILLION_FIELD(state, "Where it is in its life."),
    PILLION_FIELD(breaker, "Whether calls are let through."),
    PILLION_FIELD(calls, "Calls asked for, however they were answered.", sortable),
    PILLION_FIELD(hits, "Of these, answered from the cache."),
    PILLION_FIELD(staleServed, "Answers given past their time or kept from an earlier process."),
    PILLION_FIELD(coalesced, "Calls that shared the run of an equal one."),
    PILLION_FIELD(sent, "Requests sent to the backend."), PILLION_FIELD(batches, "Arrays they were sent in."),
    PILLION_FIELD(errors, "Errors that the backend answered."),
    PILLION_FIELD(failures, "Calls that failed since it was not there: -32005."),
    PILLION_FIELD(timeouts, "Calls without an answer in time."),
    PILLION_FIELD(cancelled, "Calls cancelled by callers."),
    PILLION_FIELD(refused, "Calls refused because the queue was full."),
    PILLION_FIELD(notificationsIn, "Notifications from it."), PILLION_FIELD(notificationsOut, "Notifications to it."),
    PILLION_FIELD(clientRequests, "Requests from it to the client."),
    PILLION_FIELD(garbage, "Lines that were no message."), PILLION_FIELD(oversized, "Messages over messageBytesMax."),
    PILLION_FIELD(unknownIds, "Answers to requests that were never made."),
    PILLION_FIELD(duplicateAnswers, "Second answers to one request."),
    PILLION_FIELD(lateAnswers, "Answers to calls that had been given up."),
    PILLION_FIELD(starts, "Starts of its process."), PILLION_FIELD(restarts, "Of these, after a crash."),
    PILLION_FIELD(crashes, "Ends that nobody asked for."),
    PILLION_FIELD(sleeps, "Times it was stopped for want of work."), PILLION_FIELD(wakes, "Times a call woke it."),
    PILLION_FIELD(breakerOpenings, "Times the circuit breaker opened."),
    PILLION_FIELD(invalidations, "Cached answers dropped because they became void."),
    PILLION_FIELD(inFlight, "Calls sent and not yet answered."), PILLION_FIELD(queued, "Messages waiting to be sent."),
    PILLION_FIELD(queueHighWater, "Most that ever waited."), PILLION_FIELD(cacheEntries, "Answers kept."),
    PILLION_FIELD(cacheBytes, "Bytes of these."), PILLION_FIELD(cacheEvictions, "Answers dropped for want of room."),
    PILLION_FIELD(memoryBytes, "Memory of its processes.", sortable),
    PILLION_FIELD(latency, "From the call to the answer, of requests sent to it."))

struct BackendCallParams {
    std::string_view backend;
    std::string_view method;
    std::optional<JsonView> params;
};
PILLION_WIRE(BackendCallParams, PILLION_FIELD(backend, "Which backend.", between(1, 64)),
             PILLION_FIELD(method, "The method as the backend calls it.", between(1, 1024)),
             PILLION_FIELD(params, "Its params, an object or a list."))

struct BackendListParams {};
PILLION_WIRE_EMPTY(BackendListParams)

struct BackendStatsParams {
    std::optional<std::string_view> backend;
};
PILLION_WIRE(BackendStatsParams, PILLION_FIELD(backend, "One backend only.", between(1, 64)))

struct BackendNotifyResult {};
PILLION_WIRE_EMPTY(BackendNotifyResult)

struct BackendInvalidateParams {
    std::string_view backend;
    std::optional<std::string_view> method;
    std::optional<std::string_view> tag;
};
PILLION_WIRE(BackendInvalidateParams, PILLION_FIELD(backend, "Which backend.", between(1, 64)),
             PILLION_FIELD(method, "Answers of these methods only: a name in which * stands for any characters.",
                           at_most(1024)),
             PILLION_FIELD(tag, "Answers under rules with this tag only.", at_most(256)))

struct BackendInvalidateResult {
    std::int64_t removed = 0;
};
PILLION_WIRE(BackendInvalidateResult, PILLION_FIELD(removed, "Cached answers dropped."))

PILLION_WIRE(BackendChange, PILLION_FIELD(backend, "Which backend."), PILLION_FIELD(state, "Its new state."),
             PILLION_FIELD(reason, "Why; empty where that is plain."))

struct BackendNotificationEvent {
    std::string backend;
    std::string method;
    Json params;
};
PILLION_WIRE(BackendNotificationEvent, PILLION_FIELD(backend, "Who sent it."),
             PILLION_FIELD(method, "The notification's method, as the backend calls it."),
             PILLION_FIELD(params, "Its params as they came; null where there were none."))

inline constexpr Event backends_notification_event =
    event<BackendNotificationEvent>("backends.notification", "backends", EventKind::change,
                                    "A backend has sent a notification that is not about one call's progress.");
inline constexpr Event backends_changed_event = event<BackendChange>(
    "backends.changed", "backends", EventKind::change, "A backend was started, put to sleep, stopped, or has failed.");

BackendNotificationEvent to_event(const BackendNotification& notification);

std::vector<Method> backends_methods(Backends& backends, const Clock& clock);

// Serves NAME/METHOD for every declared backend NAME: for MethodTable::set_fallback, with routes_to_backend.
Method backend_route(Backends& backends, const Clock& clock);
// Whether a name that no method has is meant for a backend.
bool routes_to_backend(const Backends& backends, std::string_view name);

} // namespace pillion
