// The keys that values are encrypted with: the current one, which seals, and older ones, which still open. They come
// from the OS keyring (Secret Service through libsecret), a file or an environment variable, as text: keys apart by
// white space or commas, the current one first, each 32 bytes as hex or base64.
//
// A KeyRing does not change; rotated() makes another. Any thread. Keys lie in memory that is locked, left out of core
// dumps and wiped; their bytes appear in no error and no log, their ids (the first bytes of their SHA-256) do.
#pragma once

#include "ipc/base/error.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

inline constexpr std::size_t key_bytes = 32;

enum class KeySource : std::uint8_t { keyring, file, environment };
enum class WhenAbsent : std::uint8_t { make, refuse };

struct KeyRingOptions {
    KeySource source = KeySource::keyring;
    std::string app = "pillion";                // keyring: whose item
    std::string path{};                         // file: only its owner may read it
    std::string variable = "PILLION_CACHE_KEY"; // environment
    WhenAbsent when_absent = WhenAbsent::make;  // keyring and file
};

class SecretKey {
  public:
    using Bytes = std::array<unsigned char, key_bytes>;
    SecretKey(); // all zero
    SecretKey(SecretKey&&) noexcept = default;
    SecretKey& operator=(SecretKey&&) noexcept = default;

    Bytes& bytes() { return *bytes_; }
    const Bytes& bytes() const { return *bytes_; }
    std::uint32_t id() const { return id_; }
    void set_id(std::uint32_t id) { id_ = id; }

  private:
    struct Wipe {
        void operator()(Bytes* bytes) const;
    };
    std::unique_ptr<Bytes, Wipe> bytes_;
    std::uint32_t id_ = 0; // never 0 in a ring
};

class KeyRing {
  public:
    static constexpr std::size_t keys_max = 16; // the oldest go first

    // -32005: the source cannot be reached; -32002: it has no key and none shall be made; -32006: a file that others
    // may read; -32602: the text is no keys.
    static Result<KeyRing> open(const KeyRingOptions& options);
    // A ring with a new current key before the others, written back to the source. -32007 for the environment.
    Result<KeyRing> rotated(const KeyRingOptions& options) const;

    const SecretKey& current() const { return keys_.front(); }
    const SecretKey* find(std::uint32_t id) const;
    std::span<const SecretKey> keys() const { return keys_; }

  private:
    static Result<KeyRing> parse(std::string_view text, const std::string& source);
    static Result<KeyRing> make(const KeyRingOptions& options);
    Result<void> add(SecretKey key);
    std::string text() const;

    std::vector<SecretKey> keys_; // at least one
};

} // namespace pillion
