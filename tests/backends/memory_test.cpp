#include "modules/backends/backends.h"
#include "modules/storage/storage.h"
#include "tests/support/temporary_folder.h"

#include <catch2/catch.hpp>
#include <future>

using namespace pillion;

namespace {

struct Remembered {
    TemporaryFolder folder;
    ManualClock clock;
    Store store{{.path = folder.path() + "/state.db"}, clock};
    std::unique_ptr<BackendMemory> memory = store_memory(store, clock);
    ~Remembered() { store.stop(); }

    std::vector<BackendMemory::Item> load(const std::string& backend, const std::string& fingerprint) {
        std::promise<std::vector<BackendMemory::Item>> loaded;
        memory->load(backend, fingerprint, [&loaded](auto items) { loaded.set_value(std::move(items)); });
        auto result = loaded.get_future();
        if (result.wait_for(std::chrono::seconds(20)) != std::future_status::ready) FAIL("nothing was loaded");
        return result.get();
    }
};

} // namespace

TEST_CASE_METHOD(Remembered, "what a backend said is found again under the same fingerprint only", "[backends]") {
    CHECK(load("files", "v1").empty());
    memory->save("files", "v1", {"tools/list", "", "{\"tools\":[]}"});
    memory->save("files", "v1", {"tools/list", "{\"cursor\":\"2\"}", "{\"tools\":[1]}"});
    memory->save("files", "v1", {"tools/list", "", "{\"tools\":[2]}"});
    memory->save("other", "v1", {"tools/list", "", "{}"});
    const auto items = load("files", "v1");
    REQUIRE(items.size() == 2);
    CHECK(items[0].method == "tools/list");
    CHECK(items[0].json == "{\"tools\":[2]}");
    CHECK(load("files", "v2").empty());
    memory->forget("files", "tools/list");
    CHECK(load("files", "v1").empty());
    CHECK(load("other", "v1").size() == 1);
}

TEST_CASE("a store that cannot be opened remembers nothing and fails nobody", "[backends]") {
    const ManualClock clock;
    Store store({.path = "/proc/no/such/place/state.db"}, clock);
    const auto memory = store_memory(store, clock);
    std::promise<std::size_t> loaded;
    memory->load("files", "v1", [&loaded](auto items) { loaded.set_value(items.size()); });
    auto result = loaded.get_future();
    REQUIRE(result.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
    CHECK(result.get() == 0);
    store.stop();
}
