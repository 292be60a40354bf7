// AES-256-GCM (NIST SP 800-38D), SHA-256 and random bytes by libcrypto, opened at the first use. Private to the module;
// any thread.
#pragma once

#include "modules/value_codec/key_ring.h"

namespace pillion {

// Nonce, ciphertext, tag. The nonce is random: one key is good for 2^32 values (birthday bound of SP 800-38D, 8.3).
inline constexpr std::size_t nonce_bytes = 12;
inline constexpr std::size_t tag_bytes = 16;

Result<std::string> encrypt(const SecretKey& key, std::string_view plain, std::string_view associated);
// -32008 for what was not made by encrypt() with the same key and associated data.
Result<std::string> decrypt(const SecretKey& key, std::string_view sealed, std::string_view associated);

Result<void> fill_random(std::span<unsigned char> bytes);
// The id a key goes by: the first four bytes of its SHA-256; 0, which stands for none, becomes 1.
Result<std::uint32_t> key_id(const SecretKey::Bytes& key);

} // namespace pillion
