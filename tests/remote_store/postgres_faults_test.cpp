// The tables as people see them, and what PostgreSQL refuses.
#include "tests/remote_store/tier_calls.h"
#include "tests/support/postgres_server.h"

#include <thread>

using namespace pillion;
using namespace pillion::test;

namespace {

std::string new_schema() {
    static int number = 0;
    return "cache_" + std::to_string(++number);
}

struct Tables {
    PostgresServer& server = shared_postgres();
    std::string schema = new_schema();
    std::string url = server.url();
    std::int64_t clean_interval_ms = 0;

    std::unique_ptr<RemoteStore> tier() const {
        auto tier = create_postgres_tier({.url = url,
                                          .schema = schema,
                                          .commandMs = 20'000,
                                          .backoffMsMin = 10,
                                          .backoffMsMax = 20,
                                          .cleanIntervalMs = clean_interval_ms},
                                         "app", system_clock());
        if (!tier) FAIL(tier.error().message);
        return std::move(*tier);
    }
    std::string sql(std::string statement) const {
        for (std::size_t at = statement.find("S."); at != std::string::npos;
             at = statement.find("S.", at + schema.size())) {
            statement.replace(at, 2, schema + ".");
        }
        return server.sql(statement);
    }
};

std::string record_of(std::string_view payload, const std::string& content_type, bool is_compressed = false) {
    RecordMeta meta;
    meta.created_ms = 1'700'000'000'123;
    meta.content_type = content_type;
    meta.is_compressed = is_compressed;
    meta.plain_bytes = static_cast<std::uint32_t>(payload.size());
    return encode_record(meta, payload);
}

template <class T>
const Error& error_of(const Result<T>& result) {
    if (result) FAIL("this should have failed");
    return result.error();
}

} // namespace

TEST_CASE("psql shows composite keys in typed columns, and JSON as JSON", "[postgres]") {
    const Tables tables;
    const auto tier = tables.tier();
    REQUIRE(put(*tier, key_of("#1", "embedding", R"({"model":"m","provider":"p","textHash":"h"})"),
                record_of("[1,2]", "application/json")));
    REQUIRE(put(*tier, key_of("#2", "vectorSearch", R"({"collection":"c","query":"q","topK":5})"),
                record_of("{}", "application/json")));
    REQUIRE(put(*tier,
                key_of("#3", "llmResponse", R"({"contextHash":"c","model":"m","promptHash":"x","provider":"p"})"),
                record_of(R"({"text":"hi"})", "application/json"), 1'900'000'000'000));
    REQUIRE(put(*tier, key_of("#4", "audioChunk", R"({"format":"wav","provider":"p","textHash":"h","voiceId":"v"})"),
                record_of("RIFF", "audio/wav")));
    CHECK(tables.sql("SELECT text_hash, provider, model, value->>1, bytes FROM S.embedding_cache") == "h|p|m|2|");
    CHECK(tables.sql("SELECT query_hash = md5('q'), collection, top_k, filter_hash FROM S.vector_search_cache") ==
          "t|c|5|");
    CHECK(
        tables.sql("SELECT prompt_hash, context_hash, provider, model, value->>'text', extract(epoch FROM created_at), "
                   "extract(epoch FROM expires_at) FROM S.llm_response_cache") ==
        "x|c|p|m|hi|1700000000.123000|1900000000.000000");
    CHECK(tables.sql("SELECT text_hash, voice_id, provider, format, value, convert_from(bytes, 'UTF8'), content_type, "
                     "expires_at "
                     "FROM S.audio_chunk_cache") == "h|v|p|wav||RIFF|audio/wav|");
    REQUIRE(put(*tier, key_of("a:b", "session"), record_of("true", "application/json")));
    REQUIRE(put(*tier, key_of("z", "session"), record_of("zzz", "application/json", true)));
    CHECK(tables.sql("SELECT app, space, convert_from(key, 'UTF8'), value, bytes FROM S.cache_entries ORDER BY key") ==
          "app|session|a:b|true|\napp|session|z||\\x7a7a7a");
    CHECK(record_at(*tier, key_of("z", "session")) == record_of("zzz", "application/json", true));
    CHECK(record_at(*tier, key_of("#4", "audioChunk")) == record_of("RIFF", "audio/wav"));
    const auto listed = list(*tier, {.space = "embedding"});
    REQUIRE((listed && listed->size() == 1));
    CHECK(listed->front().parts == R"({"model":"m","provider":"p","textHash":"h"})");
}

TEST_CASE("what no readable column can hold is kept all the same", "[postgres]") {
    const Tables tables;
    const auto tier = tables.tier();
    const std::string nul_parts = R"({"provider":"\u0000","text":"t"})";
    const std::string long_parts = R"({"provider":")" + std::string(9000, 'p') + R"("})";
    const std::string odd_json = R"({"a":"\u0000","b":1e999999})";
    REQUIRE(put(*tier, key_of("a", "embedding", nul_parts), record_of("1", "application/json")));
    REQUIRE(put(*tier, key_of("b", "embedding", long_parts), record_of("1", "application/json")));
    REQUIRE(put(*tier, key_of("c", "embedding"), record_of(odd_json, "application/json")));
    REQUIRE(put(*tier, key_of("d", "embedding", "{no json"), record_of("no json either", "application/json")));
    REQUIRE(put(*tier, key_of("e", "vectorSearch", R"({"topK":"many"})"), "no record at all"));
    CHECK(record_at(*tier, key_of("a", "embedding")) == record_of("1", "application/json"));
    CHECK(record_at(*tier, key_of("b", "embedding")) == record_of("1", "application/json"));
    CHECK(record_at(*tier, key_of("c", "embedding")) == record_of(odd_json, "application/json"));
    CHECK(record_at(*tier, key_of("d", "embedding")) == record_of("no json either", "application/json"));
    CHECK(record_at(*tier, key_of("e", "vectorSearch")) == "no record at all");
    CHECK(tier->stats().errors == 0);
    CHECK(invalidate(*tier, {.space = "embedding", .pattern = R"(*\\u0000*)"}) == 1U);
}

TEST_CASE("a namespace that is no text is refused, and the next call goes on", "[postgres]") {
    const Tables tables;
    const auto tier = tables.tier();
    CHECK(error_of(put(*tier, key_of("a", std::string("s\0p", 3)), "1")).code == ErrorCode::invalid_params);
    CHECK(error_of(get(*tier, key_of("a", "\xff"))).code == ErrorCode::invalid_params);
    CHECK(put(*tier, key_of("a", "fine'; DROP TABLE x; --"), "1"));
}

TEST_CASE("one bad call among many concerns only itself", "[postgres]") {
    const Tables tables;
    const auto tier = tables.tier();
    std::atomic<int> stored = 0;
    std::atomic<int> refused = 0;
    const auto count = [&](Result<void> done) { ++(done ? stored : refused); };
    for (int i = 0; i < 300; ++i) {
        const bool is_bad = i % 100 == 50;
        tier->put(key_of(std::to_string(i), is_bad ? std::string("s\0p", 3) : "session"), {std::to_string(i), never_ms},
                  count);
    }
    CHECK(invalidate(*tier, {.space = "nothing"}) == 0U);
    CHECK(stored == 297);
    CHECK(refused == 3);
    for (const int i : {0, 49, 51, 299})
        CHECK(record_at(*tier, key_of(std::to_string(i), "session")) == std::to_string(i));
}

TEST_CASE("machines that write the same keys in different orders do not block each other", "[postgres]") {
    const Tables tables;
    const auto one = tables.tier();
    const auto two = tables.tier();
    std::atomic<int> stored = 0;
    const auto count = [&stored](Result<void> done) { stored += done ? 1 : 0; };
    for (int i = 0; i < 2000; ++i) {
        one->put(key_of(std::to_string(i % 40)), {"1", never_ms}, count);
        two->put(key_of(std::to_string(39 - i % 40)), {"2", never_ms}, count);
        if (i % 3 == 0) one->get(key_of(std::to_string(i % 40)), [](auto) {});
    }
    one->stop();
    two->stop();
    CHECK(stored == 4000);
    CHECK(one->stats().errors + two->stats().errors == 0);
}

TEST_CASE("reads are counted as hits", "[postgres]") {
    const Tables tables;
    {
        const auto tier = tables.tier();
        REQUIRE(put(*tier, key_of("a", "embedding"), "1"));
        REQUIRE(put(*tier, key_of("a", "session"), "1"));
        REQUIRE(put(*tier, key_of("b", "session"), "1"));
        for (int i = 0; i < 3; ++i) CHECK(record_at(*tier, key_of("a", "session")) == "1");
        CHECK(record_at(*tier, key_of("a", "embedding")) == "1");
    } // written down at the latest here
    CHECK(tables.sql("SELECT hits FROM S.cache_entries ORDER BY key") == "3\n0");
    CHECK(tables.sql("SELECT hits FROM S.embedding_cache") == "1");
    const auto tier = tables.tier();
    const auto spaces = survey(*tier);
    REQUIRE((spaces && spaces->size() == 2));
    CHECK(spaces->front().table == "embedding_cache");
    CHECK(spaces->back().hits == 3);
    CHECK(spaces->back().bytes > 0);
}

TEST_CASE("what expired is cleaned up, for one namespace when asked and for all by and by", "[postgres]") {
    Tables tables;
    {
        const auto tier = tables.tier();
        REQUIRE(probe(*tier));
        for (const std::string table : {"embedding_cache (", "cache_entries (space, "}) {
            const std::string space = table == "embedding_cache (" ? "" : "'session', ";
            tables.sql("INSERT INTO S." + table + "app, key, created_at, expires_at, record) SELECT " + space +
                       "'app', i::text::bytea, now(), now() - interval '1 s', '' FROM generate_series(1, 2500) i");
        }
        REQUIRE(put(*tier, key_of("stays", "session"), "1"));
        CHECK(list(*tier, {.space = "embedding"})->empty());
        CHECK(invalidate(*tier, {.space = "embedding", .expired = true}) == 2500U);
    }
    CHECK(tables.sql("SELECT count(*) FROM S.cache_entries") == "2501");
    tables.clean_interval_ms = 20;
    const auto tier = tables.tier();
    REQUIRE(probe(*tier));
    while (tier->stats().expired < 2500) std::this_thread::yield();
    CHECK(tables.sql("SELECT count(*) FROM S.cache_entries") == "1");
}

TEST_CASE("several tiers that start at once make the tables once", "[postgres]") {
    const Tables tables;
    std::vector<std::unique_ptr<RemoteStore>> tiers;
    for (int i = 0; i < 5; ++i) tiers.push_back(tables.tier());
    std::vector<std::future<Result<void>>> answers;
    for (const auto& tier : tiers) {
        const auto promise = std::make_shared<std::promise<Result<void>>>();
        answers.push_back(promise->get_future());
        tier->put(key_of("a"), {"1", never_ms}, [promise](Result<void> done) { promise->set_value(std::move(done)); });
    }
    for (auto& answer : answers) {
        const auto result = answer.get();
        if (!result) FAIL_CHECK(result.error().message);
    }
    CHECK(tables.sql("SELECT version FROM S.schema_version") == "1");
    CHECK(tables.sql("SELECT count(*) FROM S.cache_entries") == "1");
}

TEST_CASE("tables that were dropped are made again", "[postgres]") {
    const Tables tables;
    const auto tier = tables.tier();
    REQUIRE(put(*tier, key_of("a"), "1"));
    tables.sql("DROP SCHEMA " + tables.schema + " CASCADE");
    CHECK(record_at(*tier, key_of("a")).empty());
    CHECK(put(*tier, key_of("a"), "2"));
    CHECK(record_at(*tier, key_of("a")) == "2");
}

TEST_CASE("tables of a newer version are left alone", "[postgres]") {
    const Tables tables;
    REQUIRE(probe(*tables.tier()));
    tables.sql("INSERT INTO S.schema_version (version) VALUES (7)");
    const auto tier = tables.tier();
    const Error error = error_of(get(*tier, key_of("a")));
    CHECK(error.code == ErrorCode::failed_precondition);
    CHECK(error.message.find("version 7") != std::string::npos);
}

TEST_CASE("a wrong password and a missing one are denied, and no text shows it", "[postgres]") {
    Tables tables;
    const std::string place = "host=" + tables.server.folder() + " dbname=postgres user=guarded ";
    for (const std::string password : {"password='wrong-pass'", ""}) {
        tables.url = place + password;
        const auto tier = tables.tier();
        const Error error = error_of(get(*tier, key_of("a")));
        CHECK(error.code == (password.empty() ? ErrorCode::unavailable : ErrorCode::denied));
        CHECK((error.message + error.hint + tier->stats().trouble).find("wrong-pass") == std::string::npos);
        CHECK(error.message.find(tables.server.folder()) != std::string::npos);
    }
    tables.url = place + "password='se cret/1'";
    const auto stranger = tables.tier();
    CHECK(error_of(get(*stranger, key_of("a"))).code == ErrorCode::denied); // may not make a schema
    tables.server.sql("GRANT CREATE ON DATABASE postgres TO guarded");
    REQUIRE(probe(*stranger));
    CHECK(put(*stranger, key_of("a"), "1"));
    tables.url = "postgresql://guarded:se%20cret%2F1@/postgres?host=" + tables.server.folder();
    CHECK(record_at(*tables.tier(), key_of("a")) == "1");
}

TEST_CASE("a user who may only use the tables needs no more", "[postgres]") {
    Tables tables;
    REQUIRE(probe(*tables.tier()));
    tables.sql("GRANT USAGE ON SCHEMA " + tables.schema + " TO guarded; GRANT ALL ON ALL TABLES IN SCHEMA " +
               tables.schema + " TO guarded; REVOKE DELETE ON S.cache_entries FROM guarded");
    tables.url = "postgresql://guarded:se%20cret%2F1@/postgres?host=" + tables.server.folder();
    const auto tier = tables.tier();
    CHECK(put(*tier, key_of("a"), "1"));
    CHECK(error_of(remove(*tier, key_of("a"))).code == ErrorCode::denied);
    CHECK(record_at(*tier, key_of("a")) == "1");
}

TEST_CASE("a database that does not exist is said so", "[postgres]") {
    Tables tables;
    tables.url = tables.server.url("nowhere");
    const auto tier = tables.tier();
    const Error error = error_of(get(*tier, key_of("a")));
    CHECK(error.code == ErrorCode::failed_precondition);
    CHECK(error.message.find("nowhere") != std::string::npos);
    CHECK_FALSE(tier->stats().is_up);
}

TEST_CASE("a server that takes no more connections is unavailable until it does", "[postgres]") {
    Tables tables;
    REQUIRE(probe(*tables.tier()));
    tables.server.sql(
        "CREATE ROLE narrow LOGIN SUPERUSER CONNECTION LIMIT 0; CREATE ROLE limited LOGIN CONNECTION LIMIT 1");
    tables.sql("GRANT USAGE ON SCHEMA " + tables.schema + " TO limited; GRANT ALL ON ALL TABLES IN SCHEMA " +
               tables.schema + " TO limited");
    tables.url = "host=" + tables.server.folder() + " dbname=postgres user=limited";
    const auto tier = tables.tier(); // two connections, of which one is refused
    const Error error = error_of(probe(*tier));
    CHECK(error.code == ErrorCode::unavailable);
    tables.server.sql("ALTER ROLE limited CONNECTION LIMIT 5");
    CHECK(probe(*tier));
}

TEST_CASE("a statement that waits for a lock ends with the time of a command", "[postgres]") {
    Tables tables;
    auto tier = *create_postgres_tier({.url = tables.url, .schema = tables.schema, .connections = 1, .commandMs = 1000},
                                      "app", system_clock());
    REQUIRE(put(*tier, key_of("a"), "1"));
    std::thread locked([&tables] {
        tables.sql("BEGIN; LOCK TABLE S.cache_entries; SELECT pg_advisory_lock(77); DO $$ BEGIN WHILE NOT EXISTS "
                   "(SELECT FROM pg_class WHERE relname = 'enough') LOOP PERFORM pg_sleep(0.01); END LOOP; END $$; "
                   "COMMIT");
    });
    while (tables.server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77") == "0") {
    }
    CHECK(error_of(get(*tier, key_of("a"))).code == ErrorCode::timeout);
    CHECK(put(*tier, key_of("a", "embedding"), "1"));
    tables.sql("CREATE TABLE S.enough ()");
    locked.join();
    CHECK(record_at(*tier, key_of("a")) == "1");
}
