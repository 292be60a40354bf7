// Layout, version 1. Numbers are LEB128 varints; signed ones are zigzag; times are differences, so that they are short.
//
//     byte     version
//     2 bytes  flags, little endian: which of the optional members follow, and the booleans
//     created; then, each only if its flag is set: fresh_until - created, gone_at - created, sliding, made_in,
//     version - created, plain size (where it is not the payload's), priority (one byte), key id
//     then, each only if its flag is set, with its length before it: content type, etag, last modified, parts, tags
//     (of which each has its length before it again)
//     the payload, to the end
//
// Differences wrap around, so every time comes back as it was. A reader of this version refuses flags it does not know.
#include "modules/cache_entry/cache_record.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr char version = 1;
constexpr std::size_t fixed_bytes = 3; // version and flags
constexpr std::size_t varint_bytes_max = 10;
constexpr std::uint32_t priority_min = 1;
constexpr std::uint32_t priority_max = 10;
constexpr std::string_view json_type = "application/json";

enum Flag : std::uint32_t {
    has_fresh_until = 1 << 0,
    has_gone_at = 1 << 1,
    has_sliding = 1 << 2,
    has_made_in = 1 << 3,
    has_version = 1 << 4,
    has_plain_bytes = 1 << 5,
    has_priority = 1 << 6,
    has_key_id = 1 << 7,
    has_content_type = 1 << 8,
    has_etag = 1 << 9,
    has_last_modified = 1 << 10,
    has_parts = 1 << 11,
    has_tags = 1 << 12,
    negative = 1 << 13,
    compressed = 1 << 14,
    all_flags = (1 << 15) - 1,
};

constexpr std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}
constexpr std::int64_t difference(std::int64_t later, std::int64_t earlier) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(later) - static_cast<std::uint64_t>(earlier));
}
constexpr std::int64_t sum(std::int64_t earlier, std::int64_t difference) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(earlier) + static_cast<std::uint64_t>(difference));
}

void append_number(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

void append_text(std::string& out, std::string_view text) {
    append_number(out, text.size());
    out.append(text);
}

std::uint32_t flags_of(const RecordMeta& meta, std::string_view payload) {
    const auto flag = [](Flag which, bool is_set) { return is_set ? static_cast<std::uint32_t>(which) : 0U; };
    return flag(has_fresh_until, meta.fresh_until_ms != never_ms) | flag(has_gone_at, meta.gone_at_ms != never_ms) |
           flag(has_sliding, meta.sliding_ms != 0) | flag(has_made_in, meta.made_in_ms != 0) |
           flag(has_version, meta.version_ms != 0) | flag(has_plain_bytes, meta.plain_bytes != payload.size()) |
           flag(has_priority, meta.priority != RecordMeta{}.priority) | flag(has_key_id, meta.key_id != 0) |
           flag(has_content_type, meta.content_type != json_type) | flag(has_etag, !meta.etag.empty()) |
           flag(has_last_modified, !meta.last_modified.empty()) | flag(has_parts, !meta.parts.empty()) |
           flag(has_tags, !meta.tags.empty()) | flag(negative, meta.is_negative) | flag(compressed, meta.is_compressed);
}

// A record's members where they stand. Reading goes on after damage, which `ok` remembers: one test at the end.
class Reader {
  public:
    explicit Reader(std::string_view rest) : rest_(rest) {}

    std::uint64_t number() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 7 * varint_bytes_max; shift += 7) {
            if (rest_.empty()) break;
            const auto byte = static_cast<unsigned char>(rest_.front());
            if (shift == 63 && byte > 1) break; // past 64 bits
            rest_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        return damaged();
    }
    std::int64_t signed_number() { return unzigzag(number()); }
    std::uint32_t small_number() {
        const std::uint64_t value = number();
        return static_cast<std::uint32_t>(value <= std::numeric_limits<std::uint32_t>::max() ? value : damaged());
    }
    std::string_view text() {
        const std::uint64_t size = number();
        if (size > rest_.size()) return (void)damaged(), std::string_view();
        const std::string_view found = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return found;
    }
    std::string_view rest() const { return rest_; }
    bool ok() const { return ok_; }

  private:
    std::uint64_t damaged() {
        ok_ = false;
        rest_ = {};
        return 0;
    }
    std::string_view rest_;
    bool ok_ = true;
};

struct Fields {
    std::uint32_t flags = 0;
    std::int64_t created_ms = 0, fresh_until_ms = never_ms, gone_at_ms = never_ms, sliding_ms = 0, made_in_ms = 0,
                 version_ms = 0;
    std::uint64_t plain_bytes = 0;
    std::uint32_t priority = 5; // as RecordMeta has it; asking one allocates its content type, at every hit
    std::uint32_t key_id = 0;
    std::string_view content_type = json_type, etag{}, last_modified{}, parts{}, tags{}, payload{};

    bool has(Flag flag) const { return (flags & flag) != 0; }
};

std::unexpected<Error> no_record(const char* reason) {
    return fail(ErrorCode::corrupt, std::string("this is no cache record: ") + reason);
}

Result<Fields> read_fields(std::string_view record) {
    if (record.size() < fixed_bytes) return no_record("it is too short");
    if (record[0] != version) return no_record("its version is not 1");
    Fields fields;
    fields.flags =
        static_cast<unsigned char>(record[1]) | static_cast<std::uint32_t>(static_cast<unsigned char>(record[2])) << 8;
    if ((fields.flags & ~static_cast<std::uint32_t>(all_flags)) != 0) return no_record("it has unknown flags");

    Reader reader(record.substr(fixed_bytes));
    const std::int64_t created = fields.created_ms = reader.signed_number();
    if (fields.has(has_fresh_until)) fields.fresh_until_ms = sum(created, reader.signed_number());
    if (fields.has(has_gone_at)) fields.gone_at_ms = sum(created, reader.signed_number());
    if (fields.has(has_sliding)) fields.sliding_ms = reader.signed_number();
    if (fields.has(has_made_in)) fields.made_in_ms = reader.signed_number();
    if (fields.has(has_version)) fields.version_ms = sum(created, reader.signed_number());
    if (fields.has(has_plain_bytes)) fields.plain_bytes = reader.small_number();
    if (fields.has(has_priority)) fields.priority = reader.small_number();
    if (fields.has(has_key_id)) fields.key_id = reader.small_number();
    if (fields.has(has_content_type)) fields.content_type = reader.text();
    if (fields.has(has_etag)) fields.etag = reader.text();
    if (fields.has(has_last_modified)) fields.last_modified = reader.text();
    if (fields.has(has_parts)) fields.parts = reader.text();
    if (fields.has(has_tags)) fields.tags = reader.text();
    if (!reader.ok()) return no_record("it ends too early, or a number in it is too large");

    fields.payload = reader.rest();
    if (!fields.has(has_plain_bytes)) fields.plain_bytes = fields.payload.size();
    if (fields.plain_bytes > std::numeric_limits<std::uint32_t>::max()) return no_record("its value is over 4 GiB");
    if (fields.priority < priority_min || fields.priority > priority_max)
        return no_record("its priority is not within 1 and 10");
    if (fields.has(negative) && !fields.payload.empty()) return no_record("it tells of an absent value and has one");
    return fields;
}

} // namespace

std::string encode_record(const RecordMeta& meta, std::string_view payload) {
    std::size_t texts_bytes =
        meta.content_type.size() + meta.etag.size() + meta.last_modified.size() + meta.parts.size();
    std::size_t tags_bytes = 0;
    for (const std::string& tag : meta.tags) tags_bytes += varint_bytes_max + tag.size();

    std::string out;
    out.reserve(fixed_bytes + 14 * varint_bytes_max + texts_bytes + tags_bytes + payload.size());
    const std::uint32_t flags = flags_of(meta, payload);
    const std::int64_t created = meta.created_ms;
    out.push_back(version);
    out.push_back(static_cast<char>(flags & 0xff));
    out.push_back(static_cast<char>(flags >> 8));
    append_number(out, zigzag(created));
    if (flags & has_fresh_until) append_number(out, zigzag(difference(meta.fresh_until_ms, created)));
    if (flags & has_gone_at) append_number(out, zigzag(difference(meta.gone_at_ms, created)));
    if (flags & has_sliding) append_number(out, zigzag(meta.sliding_ms));
    if (flags & has_made_in) append_number(out, zigzag(meta.made_in_ms));
    if (flags & has_version) append_number(out, zigzag(difference(meta.version_ms, created)));
    if (flags & has_plain_bytes) append_number(out, meta.plain_bytes);
    if (flags & has_priority) append_number(out, std::clamp<std::uint32_t>(meta.priority, priority_min, priority_max));
    if (flags & has_key_id) append_number(out, meta.key_id);
    if (flags & has_content_type) append_text(out, meta.content_type);
    if (flags & has_etag) append_text(out, meta.etag);
    if (flags & has_last_modified) append_text(out, meta.last_modified);
    if (flags & has_parts) append_text(out, meta.parts);
    if (flags & has_tags) {
        std::string tags;
        tags.reserve(tags_bytes);
        for (const std::string& tag : meta.tags) append_text(tags, tag);
        append_text(out, tags);
    }
    out.append(payload);
    return out;
}

Result<RecordView> decode_record(std::string_view record) {
    const Fields fields = PILLION_TRY(read_fields(record));
    RecordView view{.meta = {.created_ms = fields.created_ms,
                             .fresh_until_ms = fields.fresh_until_ms,
                             .gone_at_ms = fields.gone_at_ms,
                             .sliding_ms = fields.sliding_ms,
                             .made_in_ms = fields.made_in_ms,
                             .version_ms = fields.version_ms,
                             .plain_bytes = static_cast<std::uint32_t>(fields.plain_bytes),
                             .priority = static_cast<std::uint8_t>(fields.priority),
                             .is_negative = fields.has(negative),
                             .is_compressed = fields.has(compressed),
                             .key_id = fields.key_id,
                             .content_type = std::string(fields.content_type),
                             .etag = std::string(fields.etag),
                             .last_modified = std::string(fields.last_modified),
                             .parts = std::string(fields.parts)},
                    .payload = fields.payload};
    Reader tags(fields.tags);
    while (!tags.rest().empty()) view.meta.tags.emplace_back(tags.text());
    if (!tags.ok()) return no_record("its tags are damaged");
    return view;
}

Result<RecordGlance> glance_record(std::string_view record) {
    const Fields fields = PILLION_TRY(read_fields(record));
    return RecordGlance{.created_ms = fields.created_ms,
                        .fresh_until_ms = fields.fresh_until_ms,
                        .gone_at_ms = fields.gone_at_ms,
                        .version_ms = fields.version_ms,
                        .sliding_ms = fields.sliding_ms,
                        .made_in_ms = fields.made_in_ms,
                        .priority = static_cast<std::uint8_t>(fields.priority),
                        .is_json = fields.content_type == json_type,
                        .is_plain = !fields.has(negative) && !fields.has(compressed) && fields.key_id == 0,
                        .has_tags = fields.has(has_tags),
                        .etag = fields.etag,
                        .payload = fields.payload};
}

} // namespace pillion
