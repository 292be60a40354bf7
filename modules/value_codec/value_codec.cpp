// Compression first, then encryption: ciphertext does not compress. The associated data of the encryption are the
// entry's identity and what of the metadata says how the value is to be read, each with its length before it so that
// no two identities read alike.
#include "modules/value_codec/value_codec.h"

#include "modules/value_codec/compression.h"
#include "modules/value_codec/encryption.h"

#include <cstdio>

namespace pillion {

namespace {

void append_text(std::string& out, std::string_view text) { ((out += std::to_string(text.size())) += ':') += text; }

std::string associated_data(const EntryIdentity& identity, const RecordMeta& meta) {
    std::string data = "pillion cache value 1;";
    append_text(data, identity.space);
    append_text(data, identity.name);
    append_text(data, meta.content_type);
    append_text(data, std::to_string(meta.key_id));
    append_text(data, std::to_string(meta.plain_bytes));
    append_text(data, meta.is_compressed ? "zstd" : "");
    return data;
}

std::string hex(std::uint32_t id) {
    char text[9];
    std::snprintf(text, sizeof text, "%08x", id);
    return text;
}

} // namespace

Result<std::string> ValueCodec::seal(const EntryIdentity& identity, RecordMeta meta, std::string_view plain,
                                     Protection protection, std::size_t compress_from_bytes) {
    if (plain.size() > options_.plain_bytes_max)
        return fail(ErrorCode::exhausted, "a value of " + std::to_string(plain.size()) +
                                              " bytes is over the limit of " +
                                              std::to_string(options_.plain_bytes_max));
    meta.plain_bytes = static_cast<std::uint32_t>(plain.size());
    meta.is_compressed = false;
    meta.key_id = 0;
    if (meta.is_negative) return encode_record(meta, {});

    std::optional<std::string> compressed;
    if (plain.size() >= compress_from_bytes) compressed = compress(plain, options_.compression_level);
    meta.is_compressed = compressed.has_value();
    const std::string_view payload = compressed ? std::string_view(*compressed) : plain;
    if (protection == Protection::none) return encode_record(meta, payload);

    const auto ring = PILLION_TRY(keys());
    meta.key_id = ring->current().id();
    return encode_record(meta, PILLION_TRY(encrypt(ring->current(), payload, associated_data(identity, meta))));
}

Result<OpenedValue> ValueCodec::open(const EntryIdentity& identity, std::string_view record, Protection protection) {
    RecordView view = PILLION_TRY(decode_record(record));
    if (view.meta.is_negative) return OpenedValue{.meta = std::move(view.meta)};
    if (view.meta.plain_bytes > options_.plain_bytes_max)
        return fail(ErrorCode::corrupt, "a record claims a value of " + std::to_string(view.meta.plain_bytes) +
                                            " bytes, over the limit of " + std::to_string(options_.plain_bytes_max));
    if (protection == Protection::encrypted && view.meta.key_id == 0)
        return fail(ErrorCode::corrupt, "a record of an encrypted namespace is not encrypted");

    std::string decrypted;
    std::string_view payload = view.payload;
    if (view.meta.key_id != 0) payload = decrypted = PILLION_TRY(decrypt(identity, view));
    if (view.meta.is_compressed) {
        std::string plain = PILLION_TRY(decompress(payload, view.meta.plain_bytes));
        return OpenedValue{.meta = std::move(view.meta), .plain = std::move(plain)};
    }
    if (payload.size() != view.meta.plain_bytes)
        return fail(ErrorCode::corrupt, "a value has another size than its record says");
    if (view.meta.key_id == 0) decrypted = payload;
    return OpenedValue{.meta = std::move(view.meta), .plain = std::move(decrypted)};
}

Result<std::string> ValueCodec::decrypt(const EntryIdentity& identity, const RecordView& view) {
    const auto ring = PILLION_TRY(keys_with(view.meta.key_id));
    const SecretKey* const key = ring->find(view.meta.key_id);
    if (key == nullptr)
        return fail(ErrorCode::corrupt, "a value is encrypted with the key " + hex(view.meta.key_id) +
                                            ", which is not among those at hand");
    return pillion::decrypt(*key, view.payload, associated_data(identity, view.meta));
}

Result<void> ValueCodec::rotate_keys() {
    const std::lock_guard lock(mutex_);
    // From the source, not from memory: another sidecar may have rotated since.
    const KeyRing ring = PILLION_TRY(KeyRing::open(options_.keys));
    keys_ = std::make_shared<const KeyRing>(PILLION_TRY(ring.rotated(options_.keys)));
    return {};
}

Result<std::vector<std::uint32_t>> ValueCodec::key_ids() {
    const auto ring = PILLION_TRY(keys());
    std::vector<std::uint32_t> ids;
    for (const SecretKey& key : ring->keys()) ids.push_back(key.id());
    return ids;
}

Result<std::shared_ptr<const KeyRing>> ValueCodec::keys() {
    const std::lock_guard lock(mutex_);
    if (!keys_) keys_ = std::make_shared<const KeyRing>(PILLION_TRY(KeyRing::open(options_.keys)));
    return keys_;
}

// Another sidecar may have rotated the keys: an id that is not known is worth one look at the source.
Result<std::shared_ptr<const KeyRing>> ValueCodec::keys_with(std::uint32_t id) {
    PILLION_TRY(keys());
    const std::lock_guard lock(mutex_);
    if (keys_->find(id) != nullptr || id == missing_key_id_) return keys_;
    if (auto fresh = KeyRing::open(options_.keys)) keys_ = std::make_shared<const KeyRing>(std::move(*fresh));
    if (keys_->find(id) == nullptr) missing_key_id_ = id;
    return keys_;
}

} // namespace pillion
