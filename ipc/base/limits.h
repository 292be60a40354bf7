// Every bound of the wire, with its arithmetic. Those a user may set are members of the `ipc` configuration section
// (ipc/ipc_config.h), which takes its defaults from here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pillion::limits {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

// One JSON text. 64 MiB holds a 48 MiB file as base64.
inline constexpr std::size_t message_bytes = 64 * kMiB;
// Arrays and objects inside each other. The scanner recurses: 256 frames of about 100 bytes fit any stack.
inline constexpr std::size_t nesting = 256;
// What `ipc.nestingMax` may be raised to, and what text that has passed the wire's own limit is read with.
inline constexpr std::size_t nesting_ceiling = 1024;
// Members of one batch. 1,000 requests of 100 bytes are one 100 KB write.
inline constexpr std::size_t batch = 1000;
// Requests accepted and not yet answered (direct ones never count). Past it reading stops.
inline constexpr std::size_t in_flight_calls = 4096;
// Bytes of their params. One message of the largest size always fits, so the bound is this plus one message.
inline constexpr std::size_t in_flight_bytes = 64 * kMiB;
// Answers waiting for the reader of stdout. Past it reading stops; the bound is this plus one answer.
inline constexpr std::size_t outbox_bytes = 8 * kMiB;
// Events wait in their subscription, not in the outbox, once this much is waiting to be written.
inline constexpr std::size_t outbox_event_bytes = 256 * kKiB;
// Subscriptions of one connection.
inline constexpr std::size_t subscriptions = 256;
// Events kept per subscription for a slow reader, by count and by bytes; then the oldest go and are counted.
inline constexpr std::size_t subscription_events = 256;
inline constexpr std::size_t subscription_bytes = 1 * kMiB;
// One header line and one header block of LSP framing.
inline constexpr std::size_t header_block_bytes = 4 * kKiB;
// Integers of the wire: what a JavaScript number holds exactly, 2^53 - 1.
inline constexpr std::int64_t integer_max = 9'007'199'254'740'991;
// Longest id kept for a request; longer ones are refused so that an id cannot hold memory hostage.
inline constexpr std::size_t id_bytes = 4 * kKiB;
// How long the end may take: accepted requests are finished and answers flushed within it.
inline constexpr std::int64_t shutdown_ms = 5000;

} // namespace pillion::limits
