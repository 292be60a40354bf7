// Verification is generous with what JSON leaves open (order of members, spaces) and strict with the rest.

#include "requests.h"

#include <nlohmann/json.hpp>

namespace pillion::bench {

namespace {

using nlohmann::json;

constexpr int verified_lines = 2'000;
constexpr int lines_in_flight = 100; // 10 kB: fits into any pipe, so one thread can write first and then read

std::string member(RequestKind kind, int id) {
    const std::string head = R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":"rpc.)";
    if (kind == RequestKind::ping) return head + R"(ping"})";
    const std::string opening = head + R"(echo","params":{"text":")" + std::to_string(id);
    const std::string closing = R"("}})";
    const std::size_t filled_bytes = opening.size() + closing.size() + 1;
    return opening + std::string(echo_request_bytes - filled_bytes, 'x') + closing;
}

// Printable and without a period that a compressor or a cache line could guess.
std::string large_text() {
    std::string text(large_text_bytes, ' ');
    unsigned state = 1;
    for (char& letter : text) {
        state = state * 1664525U + 1013904223U;
        letter = static_cast<char>('a' + (state >> 24U) % 26U);
    }
    return text;
}

void check_answer(const json& answer, const json& request) {
    json expected = {{"jsonrpc", "2.0"}, {"id", request["id"]}};
    expected["result"] = request.contains("params") ? request["params"] : json::object();
    if (answer == expected) return;
    throw PeerFailure("it answered " + answer.dump().substr(0, 200) + " to " + request.dump().substr(0, 200));
}

json parsed(std::string_view line) {
    json message = json::parse(line, nullptr, false);
    if (message.is_discarded()) throw PeerFailure("it answered no JSON: " + std::string(line.substr(0, 200)));
    return message;
}

// Sends `lines` in groups and checks each answer with `check(answer, request)`.
template <typename Check>
std::size_t verify(PeerProcess& peer, const std::vector<std::string>& lines, std::size_t group, Check check) {
    const Watch watch(peer);
    std::size_t answer_bytes = 0;
    for (std::size_t first = 0; first < lines.size(); first += group) {
        const std::size_t last = std::min(first + group, lines.size());
        std::string sent;
        for (std::size_t index = first; index < last; ++index) sent += lines[index];
        peer.write_all(sent);
        for (std::size_t index = first; index < last; ++index) {
            const std::string_view line = peer.read_line();
            check(parsed(line), parsed(lines[index]));
            answer_bytes = line.size() + 1;
        }
    }
    return answer_bytes;
}

} // namespace

std::string single_request(RequestKind kind, int id) { return member(kind, id) + '\n'; }

std::string echo_batch(int id_of_first) {
    std::string line = "[";
    for (int index = 0; index < batch_members; ++index) {
        if (index > 0) line += ',';
        line += member(RequestKind::echo, id_of_first + index);
    }
    return line + "]\n";
}

std::string large_request(int id) {
    return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":"rpc.echo","params":{"text":")" +
           large_text() + "\"}}\n";
}

std::size_t verify_singles(PeerProcess& peer, RequestKind kind) {
    std::vector<std::string> lines;
    for (int index = 0; index < verified_lines; ++index) lines.push_back(single_request(kind, first_id + index));
    return verify(peer, lines, lines_in_flight, check_answer);
}

std::size_t verify_batches(PeerProcess& peer) {
    std::vector<std::string> lines;
    for (int index = 0; index < verified_lines; index += batch_members) lines.push_back(echo_batch(first_id + index));
    return verify(peer, lines, lines_in_flight / batch_members, [](const json& answers, const json& requests) {
        if (!answers.is_array() || answers.size() != requests.size()) {
            throw PeerFailure("it did not answer a batch with an array of as many members");
        }
        for (std::size_t index = 0; index < requests.size(); ++index) check_answer(answers[index], requests[index]);
    });
}

std::size_t verify_large(PeerProcess& peer) { return verify(peer, {large_request(first_id)}, 1, check_answer); }

} // namespace pillion::bench
