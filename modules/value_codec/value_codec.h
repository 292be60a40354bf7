// Makes records of values and values of records: compressed when it pays, encrypted where a namespace asks for it. The
// cache owns one. Any thread; seal() and open() work on the caller's thread, and the first use of the keys may wait
// for the user to unlock the keyring, so it belongs on a worker.
//
// A record is bound to its entry: copied under another key, or with its content type changed, it does not open. What
// an encrypted record leaves readable is its metadata: times, sizes, tags, etag, the parts of its key.
//
// With nothing asked of it, it has opened no library and read no key.
#pragma once

#include "modules/cache_entry/cache_entry.h"
#include "modules/value_codec/key_ring.h" // IWYU pragma: export

#include <memory>
#include <mutex>

namespace pillion {

struct ValueCodecOptions {
    std::size_t compress_from_bytes = 1024;
    int compression_level = 3;                        // zstd's
    std::uint64_t plain_bytes_max = 64 * 1024 * 1024; // a record that claims more is not opened
    KeyRingOptions keys{};
};

// What a value is bound to.
struct EntryIdentity {
    std::string_view space{}; // the namespace
    std::string_view name{};  // the key
};

enum class Protection : std::uint8_t { none, encrypted };

struct OpenedValue {
    RecordMeta meta{};
    std::string plain{};
};

class ValueCodec {
  public:
    explicit ValueCodec(ValueCodecOptions options) : options_(std::move(options)) {}
    ValueCodec(const ValueCodec&) = delete;

    // The record of `plain`. Of `meta`, plain_bytes, is_compressed and key_id are filled in. Without zstd the value is
    // kept as it is; without libcrypto or a key an encrypted one is refused (-32005, or what the key's source said).
    // Compressed are values of `compress_from_bytes` or more.
    Result<std::string> seal(const EntryIdentity& identity, RecordMeta meta, std::string_view plain,
                             Protection protection, std::size_t compress_from_bytes);
    Result<std::string> seal(const EntryIdentity& identity, RecordMeta meta, std::string_view plain,
                             Protection protection) {
        return seal(identity, std::move(meta), plain, protection, options_.compress_from_bytes);
    }
    // -32008 for what is damaged, does not decompress or does not decrypt; also for a value in the clear where
    // `protection` asks for encryption: it did not come from here.
    Result<OpenedValue> open(const EntryIdentity& identity, std::string_view record, Protection protection);

    // Makes a new key the current one; values sealed with the old ones still open, and take the new key when they are
    // sealed again. -32007 where the keys come from the environment.
    Result<void> rotate_keys();
    // Ids of the keys, current one first.
    Result<std::vector<std::uint32_t>> key_ids();

  private:
    Result<std::shared_ptr<const KeyRing>> keys();
    Result<std::shared_ptr<const KeyRing>> keys_with(std::uint32_t id);
    Result<std::string> decrypt(const EntryIdentity& identity, const RecordView& view);

    const ValueCodecOptions options_;
    std::mutex mutex_; // guards what follows
    std::shared_ptr<const KeyRing> keys_;
    std::uint32_t missing_key_id_ = 0; // the last one that a fresh look did not find either
};

} // namespace pillion
