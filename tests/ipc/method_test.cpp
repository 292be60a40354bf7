#include "ipc/method.h"

#include <catch2/catch.hpp>
#include <deque>
#include <string>

namespace pillion {

enum class MethodState : std::uint8_t { idle, running, stopped };
PILLION_ENUM(MethodState, "idle", "running", "stopped")

struct MethodRow {
    std::string id;
    std::int32_t rank = 0;
    std::uint32_t size = 0;
    double score = 0;
    bool active = false;
    MethodState state = MethodState::idle;
    std::optional<std::string> owner;
    std::int64_t secret = 0;
};
PILLION_WIRE(MethodRow, PILLION_FIELD(id, ".", sortable), PILLION_FIELD(rank, ".", sortable),
             PILLION_FIELD(size, ".", sortable), PILLION_FIELD(score, ".", sortable),
             PILLION_FIELD(active, ".", sortable), PILLION_FIELD(state, ".", sortable),
             PILLION_FIELD(owner, ".", sortable), PILLION_FIELD(secret, "."))

struct MethodId {
    std::string id;
};
PILLION_WIRE(MethodId, PILLION_FIELD(id, ".", sortable))

struct MethodPlain {
    std::int64_t n = 0;
};
PILLION_WIRE(MethodPlain, PILLION_FIELD(n, "."))

} // namespace pillion

using namespace pillion;

namespace {

Method named(std::string_view name) { return {.name = name, .summary = "A test."}; }

std::vector<MethodRow> rows() {
    std::vector<MethodRow> rows;
    rows.push_back({.id = "b",
                    .rank = -1,
                    .size = 4'000'000'000,
                    .score = 0.5,
                    .active = true,
                    .state = MethodState::stopped,
                    .owner = "z"});
    rows.push_back(
        {.id = "a", .rank = 5, .size = 1, .score = -2, .active = false, .state = MethodState::running, .owner = {}});
    rows.push_back(
        {.id = "c", .rank = -20, .size = 2, .score = 0.25, .active = true, .state = MethodState::idle, .owner = "a"});
    return rows;
}

template <class Row>
Result<std::string> page_of(std::vector<Row> items, const RequestMeta& meta) {
    BufferPool pool;
    Buffer out(pool);
    if (auto encoded = encode_page(wire::type_of<std::vector<Row>>, &items, meta, out); !encoded)
        return std::unexpected(encoded.error());
    return std::string(out.view());
}

// The ids of the page, in order.
std::string ids(const RequestMeta& meta) {
    const auto json = page_of(rows(), meta);
    REQUIRE(json);
    std::string found;
    for (std::size_t at = json->find("\"id\":\""); at != std::string::npos; at = json->find("\"id\":\"", at + 1))
        found += (*json)[at + 6];
    return found;
}

std::string sorted(std::string_view by, std::optional<SortOrder> order = {}) {
    RequestMeta meta;
    meta.sortBy = by;
    meta.sortOrder = order;
    return ids(meta);
}

std::vector<MethodId> numbered(int count) {
    std::vector<MethodId> items;
    for (int i = 1; i <= count; ++i) items.push_back({std::to_string(i)});
    return items;
}

} // namespace

TEST_CASE("a method is found by its name and by nothing else", "[method]") {
    MethodTable table;
    table.add({named("rpc.ping"), named("cache.get")});
    REQUIRE(table.find("rpc.ping") != nullptr);
    CHECK(table.find("rpc.ping")->name == "rpc.ping");
    CHECK(table.find("cache.get")->name == "cache.get");
    for (const std::string_view name : {"", "rpc", "rpc.pin", "rpc.pings", "RPC.PING", "rpc.ping "})
        CHECK(table.find(name) == nullptr);
    CHECK(MethodTable{}.find("rpc.ping") == nullptr);
}

TEST_CASE("an alias finds the same method", "[method]") {
    MethodTable table;
    std::vector<Method> methods;
    methods.push_back(named("rpc.discover").alias("rpc.describe").alias("openrpc"));
    table.add(std::move(methods));
    CHECK(table.find("rpc.describe") == table.find("rpc.discover"));
    CHECK(table.find("openrpc")->name == "rpc.discover");
    CHECK(table.names() == 3);
    CHECK(table.all().size() == 1);
}

TEST_CASE("the nearest name is suggested, aliases too", "[method]") {
    MethodTable table;
    std::vector<Method> methods;
    methods.push_back(named("cache.get").alias("store.fetch"));
    methods.push_back(named("metrics.query"));
    table.add(std::move(methods));
    CHECK(table.nearest("cache.gte") == "cache.get");
    CHECK(table.nearest("stor.fetch") == "store.fetch");
    CHECK(table.nearest("Metrics.Query") == "metrics.query");
    CHECK(table.nearest("completely.different").empty());
}

TEST_CASE("a table grows past 256 names and still finds each", "[method]") {
    MethodTable table;
    std::deque<std::string> names; // names are views: they must stay where they are
    for (int i = 0; i < 1200; ++i) {
        names.push_back("group" + std::to_string(i % 7) + ".method" + std::to_string(i));
        std::vector<Method> one;
        one.push_back(named(names.back()));
        table.add(std::move(one));
        if (i == 255 || i == 256 || i == 511 || i == 512 || i == 1199) {
            CHECK(table.names() == static_cast<std::size_t>(i) + 1);
            for (const std::string& name : names) {
                REQUIRE(table.find(name) != nullptr);
                REQUIRE(table.find(name)->name == name);
            }
            CHECK(table.find("group0.method9999") == nullptr);
        }
    }
    CHECK(table.all().front()->name == "group0.method0");
    CHECK(table.all().back()->name == names.back());
}

TEST_CASE("a method says how it is cached", "[method]") {
    const Method method = named("documents.words").cached(5000, {"documents.changed"});
    CHECK(method.cacheable.ttl_ms == 5000);
    CHECK(method.cacheable.invalidated_by == std::vector<std::string_view>{"documents.changed"});
    CHECK(named("x").cacheable.ttl_ms == 0);
}

TEST_CASE("a list keeps its natural order unless asked, and can be turned round", "[method][page]") {
    CHECK(ids({}) == "bac");
    RequestMeta meta;
    meta.sortOrder = SortOrder::desc;
    CHECK(ids(meta) == "cab");
    meta.sortOrder = SortOrder::asc;
    CHECK(ids(meta) == "bac");
}

TEST_CASE("a list is sorted by each kind of member", "[method][page]") {
    CHECK(sorted("id") == "abc");
    CHECK(sorted("id", SortOrder::desc) == "cba");
    CHECK(sorted("rank") == "cba"); // below zero
    CHECK(sorted("size") == "acb"); // over 2^31
    CHECK(sorted("score") == "acb");
    CHECK(sorted("active") == "abc"); // b before c, as they came
    CHECK(sorted("active", SortOrder::desc) == "bca");
    CHECK(sorted("state") == "cab"); // in the declared order of the names
    CHECK(sorted("owner") == "acb"); // none comes first
    CHECK(sorted("owner", SortOrder::desc) == "bca");
}

TEST_CASE("a member that is not declared sortable does not sort", "[method][page]") {
    RequestMeta meta;
    const auto refused = [&](std::string_view by) {
        meta.sortBy = by;
        const auto page = page_of(rows(), meta);
        REQUIRE_FALSE(page);
        CHECK(page.error().code == ErrorCode::invalid_params);
        CHECK(page.error().field == "/_meta/sortBy");
        return page.error();
    };
    CHECK(refused("secret").message ==
          "sortBy must be one of id, rank, size, score, active, state, owner, got \"secret\"");
    CHECK(refused("rnak").hint == "rank");
    CHECK(refused("Id").hint == "id");
    CHECK(refused("").hint.empty());
    meta.sortBy = "n";
    const auto page = page_of(std::vector<MethodPlain>{{1}}, meta);
    REQUIRE_FALSE(page);
    CHECK(page.error().message == "sortBy must be one of (this list cannot be sorted), got \"n\"");
}

TEST_CASE("a page is cut out of a list and says where it stands", "[method][page]") {
    RequestMeta meta;
    meta.limit = 2;
    CHECK(page_of(numbered(5), meta) ==
          R"({"items":[{"id":"1"},{"id":"2"}],"page":{"page":1,"limit":2,"total":5,"pages":3}})");
    meta.page = 3;
    CHECK(page_of(numbered(5), meta) == R"({"items":[{"id":"5"}],"page":{"page":3,"limit":2,"total":5,"pages":3}})");
    meta.page = 2;
    CHECK(page_of(numbered(4), meta) ==
          R"({"items":[{"id":"3"},{"id":"4"}],"page":{"page":2,"limit":2,"total":4,"pages":2}})");
}

TEST_CASE("twenty items make a page by default", "[method][page]") {
    const auto page = page_of(numbered(21), {});
    REQUIRE(page);
    CHECK(page->ends_with(R"({"id":"20"}],"page":{"page":1,"limit":20,"total":21,"pages":2}})"));
}

TEST_CASE("a page past the end is empty, however far", "[method][page]") {
    RequestMeta meta;
    for (const std::int64_t number : {std::int64_t{2}, std::int64_t{3}, std::int64_t{1'000'000}, limits::integer_max}) {
        meta.page = number;
        CHECK(page_of(numbered(20), meta) ==
              R"({"items":[],"page":{"page":)" + std::to_string(number) + R"(,"limit":20,"total":20,"pages":1}})");
    }
    CHECK(page_of(numbered(0), {}) == R"({"items":[],"page":{"page":1,"limit":20,"total":0,"pages":0}})");
}

TEST_CASE("sorting comes before paging", "[method][page]") {
    RequestMeta meta;
    meta.sortBy = "id";
    meta.sortOrder = SortOrder::desc;
    meta.limit = 1;
    CHECK(ids(meta) == "c");
    meta.page = 3;
    CHECK(ids(meta) == "a");
}
