// One cached value as every tier keeps it: a record, which is a few bytes of metadata and the payload. The memory and
// disk tiers, Redis and PostgreSQL carry records without looking inside; only the cache makes and reads them.
//
// Values and functions without state: any thread. Integrity is each tier's own (checksums on disk); what a record says
// about compression and encryption is carried out by modules/value_codec.
#pragma once

#include "ipc/base/error.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// When something never expires.
inline constexpr std::int64_t never_ms = std::numeric_limits<std::int64_t>::max();

struct RecordMeta {
    std::int64_t created_ms = 0;            // wall clock
    std::int64_t fresh_until_ms = never_ms; // then stale: may be served while a new value is fetched, or on error
    std::int64_t gone_at_ms = never_ms;     // >= fresh_until_ms; then it is not there any more
    std::int64_t sliding_ms = 0;            // a read moves both times to this much later; 0: they stand
    std::int64_t made_in_ms = 0;            // what it cost to make, 0 unknown
    std::int64_t version_ms = 0;            // invalidation clock at the time it was written (see cache tags)
    std::uint32_t plain_bytes = 0;          // size of the value before compression and encryption
    std::uint8_t priority = 5;              // 1 (goes first) .. 10 (stays longest)
    bool is_negative = false;               // known to be absent; the payload is empty
    bool is_compressed = false;             // zstd
    std::uint32_t key_id = 0;               // of the encryption key; 0: not encrypted
    std::string content_type = "application/json";
    std::string etag{};
    std::string last_modified{}; // as the origin said it
    std::string parts{};         // canonical JSON of a composite key, empty for a plain one
    std::vector<std::string> tags{};
};

// Metadata and payload in one string. A plain JSON value costs about 16 bytes of metadata.
std::string encode_record(const RecordMeta& meta, std::string_view payload);

struct RecordView {
    RecordMeta meta;
    std::string_view payload; // into the record
};
// -32008 for what is no record.
Result<RecordView> decode_record(std::string_view record);

// The members a hit needs, read without allocation.
struct RecordGlance {
    std::int64_t created_ms = 0;
    std::int64_t fresh_until_ms = 0;
    std::int64_t gone_at_ms = 0;
    std::int64_t version_ms = 0;
    std::int64_t sliding_ms = 0;
    std::int64_t made_in_ms = 0;
    std::uint8_t priority = 5;
    bool is_json = false;  // content type application/json
    bool is_plain = false; // neither compressed nor encrypted nor negative
    bool has_tags = false;
    std::string_view etag{};
    std::string_view payload{};
};
Result<RecordGlance> glance_record(std::string_view record);

} // namespace pillion
