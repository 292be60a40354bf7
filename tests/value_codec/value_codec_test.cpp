// Values come back whole, or not at all.
#include "modules/value_codec/value_codec.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <sys/stat.h>
#include <thread>

using namespace pillion;

namespace {

constexpr EntryIdentity entry{"audio", "hello"};

std::string random_bytes(std::size_t size) {
    std::mt19937_64 random(size);
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
}

std::string json_of(std::size_t size) {
    std::string text = "[";
    for (int i = 0; text.size() < size; ++i) text += "{\"word\":" + std::to_string(i * 7919) + ",\"kind\":\"noun\"},";
    return text;
}

struct Fixture {
    TemporaryFolder folder;
    ValueCodec codec{{.keys = {.source = KeySource::file, .path = folder.path() + "/key"}}};

    std::string sealed(std::string_view plain, Protection protection, RecordMeta meta = {}) {
        auto record = codec.seal(entry, std::move(meta), plain, protection);
        REQUIRE(record);
        return *record;
    }
    ErrorCode refused(std::string_view record, const EntryIdentity& identity = entry,
                      Protection protection = Protection::encrypted) {
        const auto opened = codec.open(identity, record, protection);
        REQUIRE_FALSE(opened);
        return opened.error().code;
    }
};

} // namespace

TEST_CASE("values of every kind and size come back as they were", "[value_codec]") {
    Fixture it;
    for (const Protection protection : {Protection::none, Protection::encrypted}) {
        for (const std::size_t size : {0, 1, 15, 16, 1023, 1024, 4096, 100'000, 3'000'000}) {
            for (const std::string& plain : {random_bytes(size), json_of(size), std::string(size, '\0')}) {
                const auto opened =
                    it.codec.open(entry, it.sealed(plain, protection, {.created_ms = 7, .etag = "e"}), protection);
                REQUIRE(opened);
                CHECK(opened->plain == plain);
                CHECK(opened->meta.plain_bytes == plain.size());
                CHECK(opened->meta.created_ms == 7);
                CHECK(opened->meta.etag == "e");
            }
        }
    }
}

TEST_CASE("a value is compressed from the threshold on, where it saves a tenth", "[value_codec]") {
    Fixture it;
    const auto is_compressed = [&](const std::string& plain) {
        return decode_record(it.sealed(plain, Protection::none))->meta.is_compressed;
    };
    CHECK_FALSE(is_compressed(std::string(1023, 'a')));
    CHECK(is_compressed(std::string(1024, 'a')));
    CHECK(is_compressed(json_of(100'000)));
    CHECK_FALSE(is_compressed(random_bytes(4096)));
    CHECK_FALSE(is_compressed(random_bytes(1'000'000)));
    // Text of six bits in eight compresses by a quarter, one of seven and a half does not save a tenth.
    std::string nearly = random_bytes(50'000);
    for (char& c : nearly) c = static_cast<char>(static_cast<unsigned char>(c) % 181);
    CHECK_FALSE(is_compressed(nearly));
}

TEST_CASE("what is absent needs no payload and no key", "[value_codec]") {
    Fixture it;
    const auto opened =
        it.codec.open(entry, it.sealed("", Protection::encrypted, {.is_negative = true}), Protection::encrypted);
    REQUIRE(opened);
    CHECK(opened->meta.is_negative);
    CHECK_FALSE(std::filesystem::exists(it.folder.path() + "/key"));
}

TEST_CASE("an encrypted record shows nothing of its value, and never looks the same twice", "[value_codec]") {
    Fixture it;
    const std::string plain = "a secret that is short";
    const std::string record = it.sealed(plain, Protection::encrypted);
    CHECK(record.find("secret") == std::string::npos);
    CHECK(record != it.sealed(plain, Protection::encrypted));
}

TEST_CASE("a record does not open under another entry or as another type", "[value_codec]") {
    Fixture it;
    const std::string record = it.sealed("value", Protection::encrypted);
    CHECK(it.refused(record, {"audio", "hellp"}) == ErrorCode::corrupt);
    CHECK(it.refused(record, {"asset", "hello"}) == ErrorCode::corrupt);
    CHECK(it.refused(record, {"audioh", "ello"}) == ErrorCode::corrupt);

    const auto with_changed = [&record](auto change) {
        auto view = *decode_record(record);
        change(view.meta);
        return encode_record(view.meta, view.payload);
    };
    CHECK(it.refused(with_changed([](RecordMeta& meta) { meta.content_type = "text/html"; })) == ErrorCode::corrupt);
    CHECK(it.refused(with_changed([](RecordMeta& meta) { meta.plain_bytes = 4; })) == ErrorCode::corrupt);
    CHECK(it.refused(with_changed([](RecordMeta& meta) { meta.is_compressed = true; })) == ErrorCode::corrupt);
    CHECK(it.refused(with_changed([](RecordMeta& meta) { meta.key_id += 1; })) == ErrorCode::corrupt);
    CHECK(it.refused(with_changed([](RecordMeta& meta) { meta.key_id = 0; })) == ErrorCode::corrupt);
    CHECK(it.codec.open(entry, with_changed([](RecordMeta& meta) { meta.gone_at_ms = 9; }), Protection::encrypted));
}

TEST_CASE("any byte of an encrypted payload that changes is noticed", "[value_codec]") {
    Fixture it;
    const std::string record = it.sealed("value", Protection::encrypted);
    const std::size_t payload = static_cast<std::size_t>(decode_record(record)->payload.data() - record.data());
    for (std::size_t at = payload; at < record.size(); ++at) {
        std::string changed = record;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        CHECK(it.refused(changed) == ErrorCode::corrupt);
    }
    CHECK(it.refused(record.substr(0, payload + 20)) == ErrorCode::corrupt);
}

TEST_CASE("a value in the clear is not taken for one of an encrypted namespace", "[value_codec]") {
    Fixture it;
    const std::string record = it.sealed("planted", Protection::none);
    CHECK(it.refused(record) == ErrorCode::corrupt);
    CHECK(it.codec.open(entry, record, Protection::none)->plain == "planted");
}

TEST_CASE("a damaged compressed value is refused", "[value_codec]") {
    Fixture it;
    const std::string record = it.sealed(json_of(5000), Protection::none);
    auto view = *decode_record(record);
    std::string payload(view.payload);
    const auto refused = [&] { return it.refused(encode_record(view.meta, payload), entry, Protection::none); };
    payload.resize(payload.size() / 2);
    CHECK(refused() == ErrorCode::corrupt);
    payload = "not zstd at all";
    CHECK(refused() == ErrorCode::corrupt);
    payload = "";
    CHECK(refused() == ErrorCode::corrupt);
}

TEST_CASE("a decompression bomb is refused before it is unpacked", "[value_codec]") {
    Fixture it;
    const std::string record = it.sealed(std::string(10'000'000, 'a'), Protection::none);
    auto view = *decode_record(record);
    CHECK(record.size() < 10'000);

    view.meta.plain_bytes = 100; // a bomb that says it is small
    CHECK(it.refused(encode_record(view.meta, view.payload), entry, Protection::none) == ErrorCode::corrupt);

    const std::string frame(view.payload); // two frames of which the first says the whole size
    view.meta.plain_bytes = 10'000'000;
    CHECK(it.refused(encode_record(view.meta, frame + frame), entry, Protection::none) == ErrorCode::corrupt);

    ValueCodec small({.plain_bytes_max = 1'000'000});
    const auto opened = small.open(entry, record, Protection::none);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ErrorCode::corrupt);
    CHECK_THAT(opened.error().message, Catch::Contains("limit"));
    CHECK(small.seal(entry, {}, std::string(1'000'001, 'a'), Protection::none).error().code == ErrorCode::exhausted);
}

TEST_CASE("what is no record is refused", "[value_codec]") {
    Fixture it;
    CHECK(it.refused("", entry, Protection::none) == ErrorCode::corrupt);
    CHECK(it.refused("garbage", entry, Protection::none) == ErrorCode::corrupt);
}

TEST_CASE("keys rotate without losing what the old ones sealed", "[value_codec]") {
    Fixture it;
    const std::string old = it.sealed("old value", Protection::encrypted);
    const std::uint32_t old_id = it.codec.key_ids()->front();
    REQUIRE(it.codec.rotate_keys());
    const auto ids = *it.codec.key_ids();
    REQUIRE(ids.size() == 2);
    CHECK(ids[0] != old_id);
    CHECK(ids[1] == old_id);

    const auto opened = it.codec.open(entry, old, Protection::encrypted);
    REQUIRE(opened);
    CHECK(opened->plain == "old value");
    CHECK(decode_record(it.sealed(opened->plain, Protection::encrypted, opened->meta))->meta.key_id == ids[0]);

    ValueCodec restarted({.keys = {.source = KeySource::file, .path = it.folder.path() + "/key"}});
    CHECK(restarted.open(entry, old, Protection::encrypted)->plain == "old value");
}

TEST_CASE("a key that another sidecar rotated in is found", "[value_codec]") {
    Fixture it;
    ValueCodec other({.keys = {.source = KeySource::file, .path = it.folder.path() + "/key"}});
    REQUIRE(it.codec.open(entry, *other.seal(entry, {}, "before", Protection::encrypted), Protection::encrypted));
    REQUIRE(other.rotate_keys());
    const auto record = other.seal(entry, {}, "after", Protection::encrypted);
    CHECK(it.codec.open(entry, *record, Protection::encrypted)->plain == "after");
}

TEST_CASE("a value whose key is lost is refused, by the key's id", "[value_codec]") {
    Fixture it, other;
    const std::string record = other.sealed("value", Protection::encrypted);
    const auto opened = it.codec.open(entry, record, Protection::encrypted);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ErrorCode::corrupt);
    CHECK_THAT(opened.error().message, Catch::Contains("not among those at hand"));
}

TEST_CASE("many threads may seal and open while keys rotate", "[value_codec]") {
    Fixture it;
    std::vector<std::thread> threads;
    std::atomic<int> whole{0};
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            for (int round = 0; round < 50; ++round) {
                const std::string plain = json_of(2000 + static_cast<std::size_t>(thread * 100 + round));
                const auto record = it.codec.seal(entry, {}, plain, Protection::encrypted);
                const auto opened =
                    record ? it.codec.open(entry, *record, Protection::encrypted) : std::unexpected(record.error());
                whole += opened && opened->plain == plain ? 1 : 0;
            }
        });
    }
    for (int round = 0; round < 10; ++round) CHECK(it.codec.rotate_keys());
    for (std::thread& thread : threads) thread.join();
    CHECK(whole == 200);
}
