// What is asked of Pillion and of Redis, and what each must answer, byte for byte: keys and values have one length, so
// every answer is known before it is asked for. Values without state, and the sending of them; one thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pillion::bench {

inline constexpr std::size_t traffic_entries = 100'000;
inline constexpr std::size_t traffic_value_bytes = 100; // as JSON, quotes included
inline constexpr int pipeline_requests = 50;

enum class Wire { singles, batches, redis };

// Requests and the answers that they must get.
struct Traffic {
    std::string sent;
    std::string answered;
    std::size_t requests = 0;
};

std::string traffic_key(std::size_t number);
std::string traffic_value(std::size_t number);

// Reads of keys by zipf 0.99, so many of them.
Traffic reads(Wire wire, std::size_t count);
// One read of one key.
Traffic one_read(Wire wire, std::size_t number);
// Writes of entries from `begin` to before `end`; Pillion's get the tag unless it is empty.
Traffic writes(Wire wire, std::size_t begin, std::size_t end, const std::string& tag);
Traffic ping();

// The two ends of a connection to a server that answers in order.
struct Connection {
    int input = -1;
    int output = -1;
};
// Sends all and reads the answers meanwhile; the seconds it took. The answers are compared if `is_compared`, else only
// counted. Throws PeerFailure where they are not what they must be.
enum class Answers { compared, counted };
double seconds_of(const Connection& connection, const Traffic& traffic, std::size_t times, Answers answers);
// The same with one write and no second thread: for what fits into a pipe.
double exchange_seconds(const Connection& connection, const Traffic& traffic);

} // namespace pillion::bench
