// The cache's tier on disk: records in cache.db, an SQLite file that several sidecars may share and that may be deleted
// at any time. Owned by the composition root, which stops it before the Store it uses. Any thread may call.
//
// What is promised: a put whose `done` reported success is on the disk as far as our own crash or kill -9 is concerned;
// with the power, what was committed since the last checkpoint (Durability::relaxed) may be lost, but the file stays
// whole. Reads see what was put, removed or invalidated before, committed or not. A record with a wrong checksum is
// counted, removed and never served. A full disk fails puts with -32004 while reads go on; a file locked by another
// process fails them with -32005 after the Store's busy time.
//
// Writes gather while a commit is under way and go with the next one. With nothing asked of it, it has started no
// thread and opened no file.
#pragma once

#include "ipc/base/clock.h"
#include "modules/cache_entry/cache_entry.h"
#include "modules/storage/storage.h"

#include <memory>
#include <span>

namespace pillion {

struct DiskStoreOptions {
    std::uint64_t bytes_max = std::uint64_t{1} << 30;  // of records and keys; past it the least worthy go
    std::uint64_t queued_bytes_max = 32 * 1024 * 1024; // waiting to be written; past it a put is refused with -32004
};

class DiskStore final : public CacheTier {
  public:
    // How the Store of `path` is best set up for this.
    static StoreOptions store_options(std::string path);

    // At composition: adds its tables to the store's schema.
    DiskStore(Store& store, const Clock& clock, DiskStoreOptions options = {});
    ~DiskStore() override;

    std::string_view name() const override { return "disk"; }
    void get(TierKey key, Got got) override;
    void put(TierKey key, TierValue value, Done done) override;
    void remove(TierKey key, Done done) override;
    // Tags are the cache's to check: a selection by tag is answered 0.
    void invalidate(TierSelection selection, Counted counted) override;
    // In the order of the keys' hashes. `after` is the last key's name; where the selection names no space, its space,
    // a NUL and its name.
    void list(TierSelection selection, std::string after, std::size_t limit, Listed listed) override;
    void probe(Done done) override;
    TierStats stats() const override;
    // Nothing comes: other sidecars' caches check what they hold themselves.
    void on_notice(std::function<void(const Notice&)> listener) override;
    void announce(const TierSelection& selection) override;
    void stop() override;

    // get() on the caller's thread, which may wait for the disk: for workers.
    Result<std::optional<TierValue>> find(const TierKey& key);
    // Several in one look; answers stand where their keys do.
    std::vector<Result<std::optional<TierValue>>> find_many(std::span<const TierKey> keys);

    // Says that a key was used `uses` times where this tier did not see it (in memory). Kept in memory and written now
    // and then; it decides what stays here and what hottest() brings back.
    void touch(const TierKey& key, std::uint32_t uses);
    // Hands over what was used most and last, the hottest first, up to `bytes_max` bytes of records; how many there
    // were. `take` ends it with false. On the caller's thread, for a warm restart in the background.
    Result<std::uint64_t> hottest(std::uint64_t bytes_max, const std::function<bool(TierKey, TierValue)>& take);

    // Gives the file's free pages back to the disk, some with each commit. It also happens by itself where much was
    // invalidated.
    void vacuum(Done done);

    // Sizes are of the file as it is now; StoreStats has the rest.
    std::uint64_t file_bytes() const;

  private:
    struct Engine;
    std::unique_ptr<Engine> engine_;
};

} // namespace pillion
