// The benchmark's requests, and the check that a peer answers them rightly. Pure functions over one peer; main thread.
// Ids have seven digits, so that every request of a kind has the same length and so has every answer.
#pragma once

#include "peer_process.h"

#include <cstddef>
#include <string>

namespace pillion::bench {

constexpr int first_id = 1'000'000;
constexpr std::size_t echo_request_bytes = 100; // the whole line, newline included
constexpr int batch_members = 50;
constexpr std::size_t large_text_bytes = 1024 * 1024;

enum class RequestKind { ping, echo };

// One line each, with its newline.
std::string single_request(RequestKind kind, int id);
std::string echo_batch(int id_of_first);
std::string large_request(int id);

// Each sends requests of its kind and throws PeerFailure unless every answer carries the next id and the result
// it must. They return the bytes of one answered line, newline included, by which measured rounds are checked.
std::size_t verify_singles(PeerProcess& peer, RequestKind kind);
std::size_t verify_batches(PeerProcess& peer);
std::size_t verify_large(PeerProcess& peer);

} // namespace pillion::bench
