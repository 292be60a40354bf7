// What Pillion sends unasked, declared as methods are: one constant per event, beside its payload struct.
//
//     inline constexpr Event memory_pressure = event<MemoryPressure>("memory.pressure", "memory", EventKind::change,
//     "...");
//     ... bus.publish(memory_pressure, MemoryPressure{...});
#pragma once

#include "ipc/wire_type.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace pillion {

enum class EventKind : std::uint8_t {
    sample, // a reading: a newer one replaces one that was not sent yet
    change, // something happened: kept in order, dropped only past the subscription's bound
};

struct Event {
    std::string_view name;  // the notification's method, "metrics.sample"
    std::string_view topic; // what events.subscribe takes, "metrics"
    EventKind kind;
    std::string_view summary;
    const wire::Type* payload;
};

template <class Payload>
constexpr Event event(std::string_view name, std::string_view topic, EventKind kind, std::string_view summary) {
    return {name, topic, kind, summary, &wire::type_of<Payload>};
}

// What stands around every event's data.
struct EventEnvelope {
    std::string subscription;
    std::int64_t seq = 0;
    std::int64_t dropped = 0;
    std::int64_t at = 0;
    Json data;
};
PILLION_WIRE(EventEnvelope,
             PILLION_FIELD(subscription, "The subscription this belongs to, as events.subscribe answered."),
             PILLION_FIELD(seq, "Counts this subscription's events from 1."),
             PILLION_FIELD(dropped, "Events of this subscription dropped so far because they were not read in time."),
             PILLION_FIELD(at, "When it happened, in milliseconds since the Unix epoch."),
             PILLION_FIELD(data, "The event's own data."))

} // namespace pillion
