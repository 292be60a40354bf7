// The tables that PostgreSQL keeps for the cache, the statements over them, and how they come to be. Private to this
// module; the statements are made once per tier and shared by its links.
#pragma once

#include "modules/remote_store/postgres_connection.h"

namespace pillion {

// The statements of one table. Parameters, in this order: $1 the app, $2 the key (bytea), then those that are named;
// the table of all other namespaces takes the namespace as its last one.
struct PostgresTable {
    std::string space{}; // the namespace it is made for; empty: all others
    std::string name{};
    std::string get{};       // $3 now -> record, bytes, expires_at
    std::string put{};       // $3 parts, $4 value, $5 bytes, $6 record, $7 created_at, $8 expires_at, $9 content type
    std::string put_plain{}; // the same; the columns of the key stay empty
    std::string remove{};
    std::string drop{}; // $1 app, $2 created before or null, $3 expired by or null; up to 1,000 rows
    // $2 the key to go on after or null, $3 created before or null, $4 gone by -> key, parts, namespace; up to 1,000
    // rows. The general one also takes $5 the namespace or null for all, $6 the namespace of $2.
    std::string page{};
    std::string count_hits{}; // $2 keys (bytea[]), $3 counts (int8[])
    // Names of the prepared ones.
    std::string get_name{}, put_name{}, put_plain_name{}, remove_name{};

    bool is_general() const { return space.empty(); }
};

inline constexpr std::size_t postgres_page_rows = 1000;

struct PostgresSchema {
    std::string name;
    std::vector<PostgresTable> tables; // the general one is the last
    std::string survey;                // $1 app, $2 now -> namespace, table, entries, expired, bytes, hits

    const PostgresTable& table_of(std::string_view space) const;
};
// `name` has been checked to be a plain identifier.
PostgresSchema make_postgres_schema(const std::string& name);

// Makes or upgrades the tables. Several may do so at once: the first does, the others wait.
Result<void> ensure_postgres_schema(PostgresConnection& connection, const std::string& name);

} // namespace pillion
