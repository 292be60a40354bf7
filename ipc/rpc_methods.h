// The methods of the wire itself: rpc.*, initialize, shutdown, events.*.
#pragma once

#include "ipc/dispatcher.h"
#include "ipc/event_hub.h"
#include "ipc/method.h"

#include <functional>
#include <string>
#include <vector>

namespace pillion {

struct PingResult {};
PILLION_WIRE_EMPTY(PingResult)

struct DelayParams {
    std::int64_t durationMs = 0;
    std::int64_t steps = 1;
};
PILLION_WIRE(DelayParams,
             PILLION_FIELD(durationMs, "How long to wait before answering, in milliseconds.", between(0, 600'000)),
             PILLION_FIELD(steps, "Progress reports on the way, evenly spread.", between(1, 1000), defaulted))

struct DelayResult {
    std::int64_t delayedMs = 0;
};
PILLION_WIRE(DelayResult, PILLION_FIELD(delayedMs, "Milliseconds that really passed."))

struct InitializeParams {
    std::optional<std::string_view> client;
};
PILLION_WIRE(InitializeParams, PILLION_FIELD(client, "Name and version of the calling app, for the log.", at_most(200)))

struct WireLimits {
    std::int64_t messageBytesMax = 0;
    std::int64_t nestingMax = 0;
    std::int64_t batchMax = 0;
    std::int64_t inFlightCallsMax = 0;
    std::int64_t inFlightBytesMax = 0;
    std::int64_t outboxBytesMax = 0;
};
PILLION_WIRE(WireLimits, PILLION_FIELD(messageBytesMax, "Largest message in bytes."),
             PILLION_FIELD(nestingMax, "Deepest nesting of arrays and objects."),
             PILLION_FIELD(batchMax, "Most members of a batch."),
             PILLION_FIELD(inFlightCallsMax, "Requests accepted and not yet answered; past it reading stops."),
             PILLION_FIELD(inFlightBytesMax, "Bytes of their params; past it reading stops."),
             PILLION_FIELD(outboxBytesMax, "Bytes of answers waiting to be read; past it reading stops."))

struct InitializeResult {
    std::string name;
    std::string version;
    std::int64_t pid = 0;
    WireLimits limits;
    std::int64_t methods = 0;
    std::vector<std::string> features;
    std::string dataDirectory;
};
PILLION_WIRE(InitializeResult, PILLION_FIELD(name, "Always \"pillion\"."),
             PILLION_FIELD(version, "Version of this program."), PILLION_FIELD(pid, "Process id."),
             PILLION_FIELD(limits, "Bounds of the wire."),
             PILLION_FIELD(methods, "Number of method names, aliases included."),
             PILLION_FIELD(features, "Modules that are built in."),
             PILLION_FIELD(dataDirectory, "Where Pillion keeps its files."))

struct ShutdownResult {
    bool accepted = true;
};
PILLION_WIRE(
    ShutdownResult,
    PILLION_FIELD(
        accepted,
        "Always true: no more requests are read, accepted ones are finished, then the process ends with status 0."))

struct SubscribeParams {
    std::vector<std::string> topics;
    std::int64_t intervalMs = 1000;
};
PILLION_WIRE(SubscribeParams, PILLION_FIELD(topics, "Topics to hear of.", between(1, 64)),
             PILLION_FIELD(intervalMs,
                           "Milliseconds between samples; events that are no samples come when they happen.",
                           between(50, 3'600'000), defaulted))

struct SubscribeResult {
    std::string subscription;
};
PILLION_WIRE(SubscribeResult, PILLION_FIELD(subscription, "Id of the subscription; every event carries it."))

struct UnsubscribeParams {
    std::string_view subscription;
};
PILLION_WIRE(UnsubscribeParams, PILLION_FIELD(subscription, "What events.subscribe answered.", at_most(32)))

struct UnsubscribeResult {
    bool ended = true;
};
PILLION_WIRE(UnsubscribeResult, PILLION_FIELD(ended, "Always true; an unknown subscription is -32002."))

struct RpcHost {
    Timers& timers;
    const Clock& clock;
    EventHub& events;
    std::function<std::string()> discover;      // the OpenRPC document
    std::function<InitializeResult()> describe; // what initialize answers
    std::function<void()> request_shutdown;
};

std::vector<Method> rpc_methods(const RpcHost& host);

} // namespace pillion
