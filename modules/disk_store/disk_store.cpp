#include "modules/disk_store/disk_store.h"

#include "modules/disk_store/disk_engine.h"

namespace pillion {

DiskStore::Engine::Engine(Store& store_given, const Clock& clock_given, DiskStoreOptions options_given)
    : store(store_given), clock(clock_given), options(options_given) {}

StoreOptions DiskStore::store_options(std::string path) {
    return {.path = std::move(path),
            .durability = Durability::relaxed,
            .check = OpenCheck::when_in_use,
            .mmap_bytes = std::int64_t{8} << 30, // of address space; memory is used as pages are read
            .checkpoint_pages = 4000,            // 16 MiB: pages that many puts share are folded in once for all
            .vacuum = Vacuum::incremental};
}

DiskStore::DiskStore(Store& store, const Clock& clock, DiskStoreOptions options)
    : engine_(std::make_unique<Engine>(store, clock, options)) {
    store.add_schema("disk_store", disk_migrations);
}

DiskStore::~DiskStore() { stop(); }

void DiskStore::get(TierKey key, Got got) { engine_->get({std::move(key), std::move(got)}); }

void DiskStore::put(TierKey key, TierValue value, Done done) {
    const std::int64_t hash = disk_hash(key.space, key.name);
    engine_->write({.kind = DiskOperation::Kind::put,
                    .key = std::move(key),
                    .hash = hash,
                    .value = std::move(value),
                    .done = std::move(done)});
}

void DiskStore::remove(TierKey key, Done done) {
    const std::int64_t hash = disk_hash(key.space, key.name);
    engine_->write({.kind = DiskOperation::Kind::remove, .key = std::move(key), .hash = hash, .done = std::move(done)});
}

void DiskStore::invalidate(TierSelection selection, Counted counted) {
    engine_->write(
        {.kind = DiskOperation::Kind::invalidate, .selection = std::move(selection), .counted = std::move(counted)});
}

void DiskStore::list(TierSelection selection, std::string after, std::size_t limit, Listed listed) {
    Engine& engine = *engine_;
    const auto shared = std::make_shared<Listed>(std::move(listed));
    const bool posted = engine.worker.post([&engine, selection = std::move(selection), after = std::move(after), limit,
                                            shared] { (*shared)(engine.list(selection, after, limit)); });
    if (!posted) (*shared)(fail(ErrorCode::unavailable, "the disk tier has been stopped, Pillion is ending"));
}

void DiskStore::probe(Done done) { engine_->write({.kind = DiskOperation::Kind::probe, .done = std::move(done)}); }

TierStats DiskStore::stats() const { return engine_->stats(); }

void DiskStore::on_notice(std::function<void(const Notice&)>) {}
void DiskStore::announce(const TierSelection&) {}

void DiskStore::stop() { engine_->stop(); }

Result<std::optional<TierValue>> DiskStore::find(const TierKey& key) {
    return engine_->find(key, Engine::Counting::yes);
}

std::vector<Result<std::optional<TierValue>>> DiskStore::find_many(std::span<const TierKey> keys) {
    return engine_->find_many(keys);
}

void DiskStore::touch(const TierKey& key, std::uint32_t uses) {
    if (!engine_->is_stopped) engine_->touch(disk_hash(key.space, key.name), uses);
}

Result<std::uint64_t> DiskStore::hottest(std::uint64_t bytes_max, const std::function<bool(TierKey, TierValue)>& take) {
    return engine_->hottest(bytes_max, take);
}

void DiskStore::vacuum(Done done) { engine_->write({.kind = DiskOperation::Kind::vacuum, .done = std::move(done)}); }

std::uint64_t DiskStore::file_bytes() const { return engine_->store.stats().file_bytes; }

} // namespace pillion
