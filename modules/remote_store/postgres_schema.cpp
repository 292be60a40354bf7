// A table has a row per key, found by the SHA-256 of the key, since an index entry holds at most a third of a page. The
// empty key has the empty digest, which makes it the first of every listing.
//
// `record` is what the cache keeps. Where its payload is no plain JSON, that stands in `bytes` and record holds only
// what precedes it, so that nothing is stored twice but JSON, which `value` shows.
//
// The columns of a composite key are taken from its parts by PostgreSQL. What these or jsonb cannot hold (\u0000, a
// number beyond its range, a hash that no index takes) is stored by `put_plain`, without the readable columns.
#include "modules/remote_store/postgres_schema.h"

#include <algorithm>

namespace pillion {

namespace {

struct KeyColumn {
    const char* name;
    const char* type;
    const char* from_parts; // p is the parts
};

struct TypedTable {
    const char* space;
    const char* name;
    std::vector<KeyColumn> columns;
};

std::vector<TypedTable> typed_tables() {
    const KeyColumn provider{"provider", "text", "p->>'provider'"};
    const KeyColumn model{"model", "text", "p->>'model'"};
    const KeyColumn text_hash{"text_hash", "text", "coalesce(p->>'textHash', md5(p->>'text'))"};
    return {{"embedding", "embedding_cache", {text_hash, provider, model}},
            {"vectorSearch",
             "vector_search_cache",
             {{"query_hash", "text", "coalesce(p->>'queryHash', md5(p->>'query'))"},
              {"collection", "text", "p->>'collection'"},
              {"filter_hash", "text", "coalesce(p->>'filterHash', md5(p->>'filter'))"},
              {"top_k", "integer", "CASE WHEN p->>'topK' ~ '^[0-9]{1,9}$' THEN (p->>'topK')::integer END"}}},
            {"llmResponse",
             "llm_response_cache",
             {{"prompt_hash", "text", "coalesce(p->>'promptHash', md5(p->>'prompt'))"},
              {"context_hash", "text", "coalesce(p->>'contextHash', md5(p->>'context'))"},
              provider,
              model}},
            {"audioChunk",
             "audio_chunk_cache",
             {text_hash, {"voice_id", "text", "p->>'voiceId'"}, provider, {"format", "text", "p->>'format'"}}}};
}

const TypedTable general_table{"", "cache_entries", {}};

std::string digest_of(std::string_view key) {
    std::string out = "CASE WHEN KEY = ''::bytea THEN ''::bytea ELSE sha256(KEY) END";
    for (std::size_t at = out.find("KEY"); at != std::string::npos; at = out.find("KEY", at + key.size())) {
        out.replace(at, 3, key);
    }
    return "(" + out + ")";
}

bool is_general(const TypedTable& table) { return table.space[0] == '\0'; }

std::vector<std::string> migrations_1(const std::string& schema) {
    std::vector<std::string> out{
        "CREATE TABLE " + schema +
        ".schema_version (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"};
    std::vector<TypedTable> tables = typed_tables();
    tables.push_back(general_table);
    for (const TypedTable& table : tables) {
        const std::string name = schema + "." + table.name;
        std::string columns;
        std::string indexed;
        for (const KeyColumn& column : table.columns) {
            columns += std::string(column.name) + " " + column.type + ", ";
            indexed += std::string(", ") + column.name;
        }
        const std::string space = is_general(table) ? "space text NOT NULL, " : "";
        out.push_back(
            "CREATE TABLE " + name + " (app text NOT NULL, " + space + columns +
            "parts text, content_type text, value jsonb, bytes bytea, created_at timestamptz NOT NULL, "
            "expires_at timestamptz, hits bigint NOT NULL DEFAULT 0, record bytea NOT NULL, key bytea NOT NULL, "
            "key_digest bytea GENERATED ALWAYS AS " +
            digest_of("key") + " STORED, PRIMARY KEY (app, " + (is_general(table) ? "space, " : "") +
            "key_digest)) WITH (fillfactor = 90)");
        // Payloads are compressed by the cache where that pays.
        out.push_back("ALTER TABLE " + name +
                      " ALTER COLUMN record SET STORAGE EXTERNAL, ALTER COLUMN bytes SET STORAGE EXTERNAL");
        out.push_back("CREATE INDEX ON " + name + " (expires_at) WHERE expires_at IS NOT NULL");
        if (!indexed.empty()) out.push_back("CREATE INDEX ON " + name + " (app" + indexed + ")");
    }
    return out;
}

std::string put_statement(const TypedTable& table, const std::string& name, const std::string& parts) {
    std::string columns = "app, key, parts, value, bytes, record, created_at, expires_at, content_type, hits";
    std::string values =
        "$1, $2, $3::text, $4::text::jsonb, $5::bytea, $6::bytea, $7::timestamptz, $8::timestamptz, $9::text, 0";
    if (is_general(table)) {
        columns += ", space";
        values += ", $10::text";
    }
    for (const KeyColumn& column : table.columns) {
        columns += std::string(", ") + column.name;
        values += std::string(", ") + column.from_parts;
    }
    std::string updates;
    std::size_t at = columns.find("parts");
    while (at < columns.size()) {
        const std::size_t end = std::min(columns.find(", ", at), columns.size());
        const std::string column = columns.substr(at, end - at);
        updates += (updates.empty() ? "" : ", ") + column + " = excluded." + column;
        at = end + 2;
    }
    return "INSERT INTO " + name + " (" + columns + ") SELECT " + values + " FROM (SELECT " + parts +
           " AS p) AS given ON CONFLICT (app, " + (is_general(table) ? "space, " : "") + "key_digest) DO UPDATE SET " +
           updates;
}

PostgresTable make_table(const TypedTable& table, const std::string& schema) {
    const std::string name = schema + "." + table.name;
    const auto in_space = [&table](int parameter) {
        return is_general(table) ? " AND space = $" + std::to_string(parameter) + "::text" : std::string();
    };
    const auto in_space_or_all = [&table](int parameter) {
        const std::string at = "$" + std::to_string(parameter) + "::text";
        return is_general(table) ? " AND (" + at + " IS NULL OR space = " + at + ")" : std::string();
    };
    PostgresTable out;
    out.space = table.space;
    out.name = table.name;
    out.get = "SELECT record, bytes, expires_at FROM " + name +
              " WHERE app = $1 AND key_digest = " + digest_of("$2::bytea") +
              " AND key = $2 AND (expires_at IS NULL OR expires_at > $3::timestamptz)" + in_space(4);
    out.put = put_statement(table, name, "$3::text::json");
    out.put_plain = put_statement(table, name, "NULL::json");
    out.remove = "DELETE FROM " + name + " WHERE app = $1 AND key_digest = " + digest_of("$2::bytea") + in_space(3);
    out.drop = "DELETE FROM " + name + " WHERE ctid = ANY (ARRAY(SELECT ctid FROM " + name +
               " WHERE app = $1 AND ($2::timestamptz IS NULL OR created_at < $2) AND ($3::timestamptz IS NULL OR "
               "expires_at <= $3)" +
               in_space_or_all(4) + " LIMIT " + std::to_string(postgres_page_rows) + " FOR UPDATE SKIP LOCKED))";
    // Row by row in the order of the primary key.
    const bool is_one_of_many = is_general(table);
    out.page =
        "SELECT key, coalesce(parts, ''), " + std::string(is_one_of_many ? "space" : "''::text") + " FROM " + name +
        " WHERE app = $1 AND ($2::bytea IS NULL OR " +
        (is_one_of_many ? "(space, key_digest) > ($6::text, " + digest_of("$2::bytea") + ")"
                        : "key_digest > " + digest_of("$2::bytea")) +
        ") AND ($3::timestamptz IS NULL OR created_at < $3) AND (expires_at IS NULL OR expires_at > $4::timestamptz)" +
        in_space_or_all(5) + " ORDER BY " + (is_one_of_many ? "space, " : "") + "key_digest LIMIT " +
        std::to_string(postgres_page_rows);
    // Never waits for a row, so that it is no part of a deadlock.
    const std::string read = is_general(table)
                                 ? "unnest($2::bytea[], $3::int8[], $4::text[]) AS read(key, count, space)"
                                 : "unnest($2::bytea[], $3::int8[]) AS read(key, count)";
    out.count_hits = "WITH free AS (SELECT kept.ctid AS row, read.count FROM " + name + " AS kept JOIN " + read +
                     " ON kept.key_digest = " + digest_of("read.key") +
                     (is_general(table) ? " AND kept.space = read.space" : "") +
                     " WHERE kept.app = $1 FOR UPDATE OF kept SKIP LOCKED) UPDATE " + name +
                     " AS kept SET hits = hits + free.count FROM free WHERE kept.ctid = free.row";
    out.get_name = out.name + "_get";
    out.put_name = out.name + "_put";
    out.put_plain_name = out.name + "_put_plain";
    out.remove_name = out.name + "_remove";
    return out;
}

std::string survey_of(const TypedTable& table, const std::string& schema) {
    const std::string space = is_general(table) ? "space" : "'" + std::string(table.space) + "'::text";
    return "SELECT " + space + ", '" + table.name +
           "'::text, count(*)::int8, (count(*) FILTER (WHERE expires_at <= $2::timestamptz))::int8, "
           "coalesce(sum(octet_length(key) + octet_length(record) + coalesce(octet_length(bytes), 0)), 0)::int8, "
           "coalesce(sum(hits), 0)::int8 FROM " +
           schema + "." + table.name + " WHERE app = $1" +
           (is_general(table) ? " GROUP BY space" : " HAVING count(*) > 0");
}

// Looks into the catalogue by queries: what to_regclass() and its kind know may be older than a lock that was waited
// for.
Result<bool> find_in_catalogue(PostgresConnection& connection, const char* sql, const std::string& schema) {
    const auto found = PILLION_TRY(connection.ask({.sql = sql, .params = {PostgresParam::bytes(schema)}}));
    return found.rows() > 0;
}

Result<int> read_version(PostgresConnection& connection, const std::string& schema) {
    constexpr const char* find_table =
        "SELECT 1 FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON "
        "n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relname = 'schema_version'";
    if (!PILLION_TRY(find_in_catalogue(connection, find_table, schema))) return 0;
    const std::string sql = "SELECT coalesce(max(version), 0)::int8 FROM " + schema + ".schema_version";
    const auto version = PILLION_TRY(connection.ask({.sql = sql.c_str()}));
    return static_cast<int>(version.number(0, 0));
}

Result<void> check_version(const PostgresConnection& connection, const std::string& schema, int found, int known) {
    if (found <= known) return {};
    return fail(ErrorCode::failed_precondition,
                connection.where() + " has version " + std::to_string(found) + " of the schema " + schema +
                    ", which a newer Pillion made; this one knows " + std::to_string(known),
                {}, "update Pillion, or name another schema");
}

} // namespace

const PostgresTable& PostgresSchema::table_of(std::string_view space) const {
    const auto found = std::ranges::find(tables, space, &PostgresTable::space);
    return found == tables.end() ? tables.back() : *found;
}

PostgresSchema make_postgres_schema(const std::string& name) {
    PostgresSchema schema;
    schema.name = name;
    std::vector<TypedTable> tables = typed_tables();
    tables.push_back(general_table);
    for (const TypedTable& table : tables) {
        schema.tables.push_back(make_table(table, name));
        schema.survey += (schema.survey.empty() ? "" : " UNION ALL ") + survey_of(table, name);
    }
    return schema;
}

Result<void> ensure_postgres_schema(PostgresConnection& connection, const std::string& name) {
    const std::vector<std::vector<std::string>> migrations{migrations_1(name)};
    const int latest = static_cast<int>(migrations.size());
    const int found = PILLION_TRY(read_version(connection, name));
    PILLION_TRY(check_version(connection, name, found, latest));
    if (found == latest) return {};

    const std::string lock = "pillion:" + name;
    PILLION_TRY(connection.ask({.sql = "BEGIN"}));
    PILLION_TRY(connection.ask(
        {.sql = "SELECT pg_advisory_xact_lock(hashtext($1::text))::text", .params = {PostgresParam::bytes(lock)}}));
    const int version = PILLION_TRY(read_version(connection, name));
    // CREATE SCHEMA IF NOT EXISTS wants a right that is not needed where the schema is there.
    constexpr const char* find_schema = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1::text";
    if (!PILLION_TRY(find_in_catalogue(connection, find_schema, name))) {
        const std::string create = "CREATE SCHEMA " + name;
        PILLION_TRY(connection.ask({.sql = create.c_str()}));
    }
    for (int next = version; next < latest; ++next) {
        for (const std::string& sql : migrations[static_cast<std::size_t>(next)]) {
            PILLION_TRY(connection.ask({.sql = sql.c_str()}));
        }
        const std::string done =
            "INSERT INTO " + name + ".schema_version (version) VALUES (" + std::to_string(next + 1) + ")";
        PILLION_TRY(connection.ask({.sql = done.c_str()}));
    }
    PILLION_TRY(connection.ask({.sql = "COMMIT"}));
    return {};
}

} // namespace pillion
