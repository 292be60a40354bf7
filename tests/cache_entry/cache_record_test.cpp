// Records come back as they were made, and nothing else is taken for one.
#include "modules/cache_entry/cache_entry.h"
#include "tests/support/tight_text.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace pillion;

namespace {

using Random = std::mt19937_64;

std::int64_t any_time(Random& random) {
    switch (random() % 5) {
    case 0:
        return never_ms;
    case 1:
        return std::numeric_limits<std::int64_t>::min();
    case 2:
        return static_cast<std::int64_t>(random());
    case 3:
        return 0;
    default:
        return 1'700'000'000'000 + static_cast<std::int64_t>(random() % 100'000'000);
    }
}

std::string any_text(Random& random, std::size_t bytes_max) {
    std::string text(random() % (bytes_max + 1), '\0');
    for (char& c : text) c = static_cast<char>(random());
    return text;
}

RecordMeta any_meta(Random& random) {
    RecordMeta meta{.created_ms = any_time(random),
                    .fresh_until_ms = any_time(random),
                    .gone_at_ms = any_time(random),
                    .sliding_ms = any_time(random),
                    .made_in_ms = any_time(random),
                    .version_ms = any_time(random),
                    .plain_bytes = static_cast<std::uint32_t>(random()),
                    .priority = static_cast<std::uint8_t>(1 + random() % 10),
                    .is_negative = random() % 8 == 0,
                    .is_compressed = random() % 2 == 0,
                    .key_id = random() % 2 == 0 ? 0 : static_cast<std::uint32_t>(random()),
                    .etag = any_text(random, 20),
                    .last_modified = any_text(random, 30),
                    .parts = any_text(random, 300)};
    if (random() % 2 == 0) meta.content_type = any_text(random, 40);
    for (std::size_t tags = random() % 4; tags > 0; --tags) meta.tags.push_back(any_text(random, 200));
    return meta;
}

void check_same(const RecordMeta& a, const RecordMeta& b) {
    CHECK(a.created_ms == b.created_ms);
    CHECK(a.fresh_until_ms == b.fresh_until_ms);
    CHECK(a.gone_at_ms == b.gone_at_ms);
    CHECK(a.sliding_ms == b.sliding_ms);
    CHECK(a.made_in_ms == b.made_in_ms);
    CHECK(a.version_ms == b.version_ms);
    CHECK(a.plain_bytes == b.plain_bytes);
    CHECK(a.priority == b.priority);
    CHECK(a.is_negative == b.is_negative);
    CHECK(a.is_compressed == b.is_compressed);
    CHECK(a.key_id == b.key_id);
    CHECK(a.content_type == b.content_type);
    CHECK(a.etag == b.etag);
    CHECK(a.last_modified == b.last_modified);
    CHECK(a.parts == b.parts);
    CHECK(a.tags == b.tags);
}

} // namespace

TEST_CASE("a record comes back as it was made, whatever its members are", "[cache_entry]") {
    Random random(1);
    for (int round = 0; round < 2000; ++round) {
        const RecordMeta meta = any_meta(random);
        const std::string payload = meta.is_negative ? "" : any_text(random, 100);
        const std::string record = encode_record(meta, payload);
        const auto view = decode_record(record);
        REQUIRE(view);
        check_same(view->meta, meta);
        CHECK(view->payload == payload);
        if (!payload.empty()) CHECK(view->payload.end() == record.data() + record.size()); // into the record
    }
}

TEST_CASE("a glance sees what a full look sees", "[cache_entry]") {
    Random random(2);
    for (int round = 0; round < 500; ++round) {
        const RecordMeta meta = any_meta(random);
        const std::string record = encode_record(meta, meta.is_negative ? "" : "payload");
        const auto glance = glance_record(record);
        REQUIRE(glance);
        CHECK(glance->created_ms == meta.created_ms);
        CHECK(glance->fresh_until_ms == meta.fresh_until_ms);
        CHECK(glance->gone_at_ms == meta.gone_at_ms);
        CHECK(glance->version_ms == meta.version_ms);
        CHECK(glance->sliding_ms == meta.sliding_ms);
        CHECK(glance->made_in_ms == meta.made_in_ms);
        CHECK(glance->priority == meta.priority);
        CHECK(glance->is_json == (meta.content_type == "application/json"));
        CHECK(glance->is_plain == (!meta.is_negative && !meta.is_compressed && meta.key_id == 0));
        CHECK(glance->has_tags == !meta.tags.empty());
        CHECK(glance->etag == meta.etag);
        CHECK(glance->payload == (meta.is_negative ? "" : "payload"));
    }
}

TEST_CASE("a plain JSON value costs about 16 bytes of metadata", "[cache_entry]") {
    const std::int64_t now = 1'700'000'000'000;
    const RecordMeta meta{.created_ms = now,
                          .fresh_until_ms = now + 3'600'000,
                          .gone_at_ms = now + 3'600'000,
                          .version_ms = now,
                          .plain_bytes = 2};
    CHECK(encode_record(meta, "{}").size() <= 2 + 18);
    CHECK(encode_record({.created_ms = now, .plain_bytes = 2}, "{}").size() <= 2 + 10);
}

TEST_CASE("an empty value, one with NUL and one of a megabyte are values", "[cache_entry]") {
    for (const std::string& payload : {std::string(), std::string("\0a\0", 3), std::string(1 << 20, 'x')}) {
        const auto record = encode_record({.plain_bytes = static_cast<std::uint32_t>(payload.size())}, payload);
        CHECK(decode_record(record)->payload == payload);
        CHECK(decode_record(record)->meta.plain_bytes == payload.size());
    }
}

TEST_CASE("an empty tag is a tag", "[cache_entry]") {
    const auto record = encode_record({.tags = std::vector<std::string>(2)}, "");
    CHECK(decode_record(record)->meta.tags.size() == 2);
}

TEST_CASE("a priority out of range is brought into it", "[cache_entry]") {
    CHECK(decode_record(encode_record({.priority = 0}, ""))->meta.priority == 1);
    CHECK(decode_record(encode_record({.priority = 200}, ""))->meta.priority == 10);
}

TEST_CASE("what is no record is refused as corrupt, with the reason", "[cache_entry]") {
    const std::string good = encode_record({.created_ms = 5, .plain_bytes = 1}, "v");
    const auto reason = [](const std::string& bytes) {
        const auto view = decode_record(bytes);
        REQUIRE_FALSE(view);
        CHECK(view.error().code == ErrorCode::corrupt);
        CHECK(glance_record(bytes).error().message == view.error().message);
        return view.error().message;
    };
    CHECK_THAT(reason(""), Catch::Contains("too short"));
    CHECK_THAT(reason(good.substr(0, 2)), Catch::Contains("too short"));
    CHECK_THAT(reason("{\"json\":1}"), Catch::Contains("version"));
    CHECK_THAT(reason('\2' + good.substr(1)), Catch::Contains("version"));
    CHECK_THAT(reason(good.substr(0, 2) + '\x80' + good.substr(3)), Catch::Contains("unknown flags"));
    CHECK_THAT(reason(good.substr(0, 3)), Catch::Contains("ends too early"));
    CHECK_THAT(reason(good.substr(0, 3) + std::string(9, '\xff') + '\2'), Catch::Contains("too large"));
    CHECK_THAT(reason(std::string("\1\x40\0\0\x0b", 5)), Catch::Contains("priority"));
    CHECK_THAT(reason(std::string("\1\0\x20\0v", 5)), Catch::Contains("absent"));
}

TEST_CASE("tags that do not fill their place are refused", "[cache_entry]") {
    std::string record = encode_record({.tags = std::vector<std::string>{"abc"}}, "");
    record[record.size() - 4] = 9; // the tag's length
    CHECK(decode_record(record).error().code == ErrorCode::corrupt);
}

TEST_CASE("a record cut short is refused or has a shorter payload, never more", "[cache_entry]") {
    Random random(3);
    for (int round = 0; round < 100; ++round) {
        RecordMeta meta = any_meta(random);
        meta.is_negative = false;
        const std::string record = encode_record(meta, "0123456789");
        for (std::size_t size = 0; size < record.size(); ++size) {
            const test::TightText cut(std::string_view(record).substr(0, size));
            if (const auto view = decode_record(cut.view())) CHECK(view->payload.size() < 10);
        }
    }
}

TEST_CASE("whatever bytes come, a record is read the same way twice or refused", "[cache_entry]") {
    Random random(4);
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes = round % 2 == 0 ? any_text(random, 64) : encode_record(any_meta(random), "payload");
        if (!bytes.empty()) bytes[0] = 1;
        for (std::size_t flips = 1 + random() % 3; flips > 0 && bytes.size() > 1; --flips) {
            bytes[1 + random() % (bytes.size() - 1)] = static_cast<char>(random());
        }
        const test::TightText text(bytes);
        const auto view = decode_record(text.view());
        if (!view) {
            CHECK(view.error().code == ErrorCode::corrupt);
            continue;
        }
        const std::string again = encode_record(view->meta, view->payload);
        check_same(decode_record(again)->meta, view->meta);
    }
}
