#include "traffic.h"

#include "../memory_store/requests.h"
#include "../wire/peer_process.h"

#include <chrono>
#include <thread>
#include <unistd.h>
#include <vector>

namespace pillion::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t id_of_first = 1'000'000; // seven digits throughout

std::string member(std::size_t id, const std::string& method_and_params) {
    return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":)" + method_and_params + "}";
}

std::string answer(std::size_t id, const std::string& result) {
    return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"result":)" + result + "}";
}

std::string get(std::size_t id, std::size_t number) {
    return member(id, R"("cache.get","params":{"key":")" + traffic_key(number) + R"("})");
}

std::string got(std::size_t id, std::size_t number) {
    return answer(id, R"({"found":true,"value":)" + traffic_value(number) + "}");
}

void add_read(Traffic& traffic, Wire wire, std::size_t number) {
    const std::size_t id = id_of_first + traffic.requests;
    const std::size_t place = traffic.requests++ % pipeline_requests;
    switch (wire) {
    case Wire::singles:
        traffic.sent += get(id, number) + '\n';
        traffic.answered += got(id, number) + '\n';
        return;
    case Wire::batches:
        traffic.sent += (place == 0 ? '[' : ',') + get(id, number);
        traffic.answered += (place == 0 ? '[' : ',') + got(id, number);
        if (place + 1 < pipeline_requests) return;
        traffic.sent += "]\n";
        traffic.answered += "]\n";
        return;
    case Wire::redis:
        const std::string key = traffic_key(number);
        traffic.sent += "*2\r\n$3\r\nGET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n";
        traffic.answered += "$" + std::to_string(traffic_value_bytes) + "\r\n" + traffic_value(number) + "\r\n";
    }
}

void write_all(int to, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(to, text.data(), text.size());
        if (written <= 0) return; // the reader sees the end
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

// Reads as much as the answers are long.
void read_answers(int from, std::string_view expected, std::size_t times, Answers answers) {
    thread_local std::vector<char> buffer(256 * 1024);
    std::size_t left = expected.size() * times;
    std::size_t at = 0;
    while (left > 0) {
        const ssize_t got = read(from, buffer.data(), buffer.size());
        if (got <= 0) throw PeerFailure("it ended, or was killed for its silence, before it had answered all");
        const auto bytes = static_cast<std::size_t>(got);
        if (bytes > left) throw PeerFailure("it answered more than it was asked");
        if (answers == Answers::compared) {
            if (expected.substr(at, bytes) != std::string_view(buffer.data(), bytes))
                throw PeerFailure("it answered " + std::string(buffer.data(), std::min<std::size_t>(bytes, 200)));
            at += bytes;
        }
        left -= bytes;
    }
}

} // namespace

std::string traffic_key(std::size_t number) { return "segment:" + std::to_string(1'000'000 + number); }

std::string traffic_value(std::size_t number) {
    std::string value = '"' + traffic_key(number) + ' ';
    unsigned state = static_cast<unsigned>(number);
    while (value.size() + 1 < traffic_value_bytes) {
        state = state * 1664525U + 1013904223U;
        value += static_cast<char>('a' + (state >> 24U) % 26U);
    }
    return value + '"';
}

Traffic reads(Wire wire, std::size_t count) {
    Traffic traffic;
    for (const std::uint32_t number : zipf(count, traffic_entries, 0.99, 7)) add_read(traffic, wire, number);
    return traffic;
}

Traffic one_read(Wire wire, std::size_t number) {
    Traffic traffic;
    add_read(traffic, wire, number);
    return traffic;
}

Traffic writes(Wire wire, std::size_t begin, std::size_t end, const std::string& tag) {
    Traffic traffic;
    traffic.requests = 1;
    if (wire == Wire::redis) {
        for (std::size_t number = begin; number < end; ++number) {
            const std::string key = traffic_key(number);
            traffic.sent += "*3\r\n$3\r\nSET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n$" +
                            std::to_string(traffic_value_bytes) + "\r\n" + traffic_value(number) + "\r\n";
            traffic.answered += "+OK\r\n";
        }
        return traffic;
    }
    std::string entries;
    for (std::size_t number = begin; number < end; ++number) {
        entries += (entries.empty() ? "" : ",") + (R"({"key":")" + traffic_key(number)) + R"(","value":)" +
                   traffic_value(number) + (tag.empty() ? "" : R"(,"tags":[")" + tag + R"("])") + "}";
    }
    traffic.sent = member(id_of_first, R"("cache.putMany","params":{"entries":[)" + entries + "]}") + '\n';
    traffic.answered = answer(id_of_first, R"({"stored":)" + std::to_string(end - begin) + R"(,"errors":[]})") + '\n';
    return traffic;
}

Traffic ping() { return {member(id_of_first, R"("rpc.ping")") + '\n', answer(id_of_first, "{}") + '\n', 1}; }

double seconds_of(const Connection& connection, const Traffic& traffic, std::size_t times, Answers answers) {
    const auto start = Clock::now();
    const std::jthread writer([&] {
        for (std::size_t i = 0; i < times; ++i) write_all(connection.input, traffic.sent);
    });
    read_answers(connection.output, traffic.answered, times, answers);
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double exchange_seconds(const Connection& connection, const Traffic& traffic) {
    const auto start = Clock::now();
    write_all(connection.input, traffic.sent);
    read_answers(connection.output, traffic.answered, 1, Answers::compared);
    return std::chrono::duration<double>(Clock::now() - start).count();
}

} // namespace pillion::bench
