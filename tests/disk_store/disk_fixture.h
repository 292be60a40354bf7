// A disk tier on a file of its own, and ways to ask it that wait for the answer.
#pragma once

#include "modules/disk_store/disk_store.h"
#include "tests/support/temporary_folder.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

namespace pillion::test {

// The answer of a call that gives it to a callback.
template <class Value, class Call>
Result<Value> wait_for(Call call) {
    std::promise<Result<Value>> promise;
    auto future = promise.get_future();
    call([&promise](Result<Value> result) { promise.set_value(std::move(result)); });
    return future.get();
}

// The tier and its store, which come and go together.
struct OpenDisk {
    Store store;
    DiskStore disk;

    OpenDisk(StoreOptions store_options, const Clock& clock, DiskStoreOptions options)
        : store(std::move(store_options), clock), disk(store, clock, options) {}
    ~OpenDisk() {
        disk.stop();
        store.stop();
    }

    Result<void> put(const TierKey& key, std::string record, std::int64_t gone_at_ms = never_ms) {
        return wait_for<void>([&](auto done) { disk.put(key, {std::move(record), gone_at_ms}, std::move(done)); });
    }
    Result<void> remove(const TierKey& key) {
        return wait_for<void>([&](auto done) { disk.remove(key, std::move(done)); });
    }
    Result<std::optional<TierValue>> get(const TierKey& key) {
        return wait_for<std::optional<TierValue>>([&](auto got) { disk.get(key, std::move(got)); });
    }
    // The record, "absent" or the error's kind.
    std::string read(const TierKey& key) {
        const auto found = disk.find(key);
        if (!found) return std::string(error_kind(found.error().code));
        return *found ? (*found)->record : "absent";
    }
    Result<std::uint64_t> invalidate(const TierSelection& selection) {
        return wait_for<std::uint64_t>([&](auto counted) { disk.invalidate(selection, std::move(counted)); });
    }
    Result<std::vector<TierKey>> list(const TierSelection& selection, const std::string& after, std::size_t limit) {
        return wait_for<std::vector<TierKey>>(
            [&](auto listed) { disk.list(selection, after, limit, std::move(listed)); });
    }
};

struct DiskFixture {
    TemporaryFolder folder;
    ManualClock clock;
    StoreOptions store_options = DiskStore::store_options(folder.path() + "/cache.db");
    DiskStoreOptions options{};
    std::unique_ptr<OpenDisk> it;

    DiskFixture() { open(); }
    const std::string& path() const { return store_options.path; }
    void close() { it.reset(); }
    OpenDisk& open() {
        it.reset();
        it = std::make_unique<OpenDisk>(store_options, clock, options);
        return *it;
    }
    // The file as it is without its journal.
    std::string file() const {
        std::ifstream stream(path(), std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), {}};
    }
    void write_file(const std::string& bytes, const char* suffix = "") const {
        std::ofstream(path() + suffix, std::ios::binary | std::ios::trunc) << bytes;
    }
    std::size_t files_set_aside() const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
            count += entry.path().string().find("cache.db.damaged-") != std::string::npos ? 1 : 0;
        return count;
    }
};

inline TierKey key(std::string name, std::string space = "audio") {
    return {.space = std::move(space), .name = std::move(name)};
}

} // namespace pillion::test
