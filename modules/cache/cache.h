// The cache: namespaces of keys and values in memory, and below it in the tiers that the composition root hands in
// (disk, Redis, PostgreSQL) and in loaders (methods, backends, HTTP origins). Owned by the composition root; any thread
// may call. With nothing asked of it, it has opened no tier, started no thread and holds some kilobytes.
//
// Nothing here blocks: what must wait answers later, on the thread of a tier, a loader, the timers or the cache's own
// executor. An answer comes within the timeouts of the namespace whatever the tiers do.
//
// What it promises: a read gives a value that was written under exactly that key, not older than the last write,
// deletion or invalidation that was answered before the read began, and not past its time unless the request or the
// namespace allows it, which the answer then says.
#pragma once

#include "modules/cache/cache_space.h"
#include "modules/cache/cache_time.h"
#include "modules/cache/cache_types.h"
#include "modules/cache/invalidation_journal.h"
#include "modules/cache/invalidations.h"
#include "modules/cache/tier_gate.h"

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pillion {

// Section `cache`. Described in cache_config_rpc.h.
struct CacheConfig {
    std::int64_t memoryBytesMax = 128LL * 1024 * 1024;
    std::int64_t fileBytesMax = 1024LL * 1024 * 1024;
    std::int64_t leaseMs = 60'000;
    std::int64_t warmBytes = 16LL * 1024 * 1024;
    std::int64_t slowTierMs = 200; // reads slower than this on average: values live longer, stale ones are served first
    double slowTtlFactor = 2;
    std::map<std::string, CacheNamespaceSpec> namespaces{};
};
Result<void> check_cache_config(const CacheConfig& config);

// How values are compressed and encrypted for the slower tiers: modules/value_codec, connected by the composition root.
// Without one, values are kept plain, and namespaces that ask for encryption are refused.
struct CacheCodec {
    // The record of a value; the meta's members of compression and encryption are filled in.
    std::function<Result<std::string>(const TierKey&, RecordMeta meta, std::string_view plain, bool encrypt,
                                      std::size_t compress_from_bytes)>
        seal{};
    // The plain value of a record. -32008: damaged, or not what was written under this key; -32005: its key is missing.
    std::function<Result<CacheValue>(const TierKey&, std::string_view record, bool is_encrypted)> open{};
};

class ValueCodec;
// A codec of modules/value_codec, which outlives the cache.
CacheCodec make_cache_codec(ValueCodec& codec);

struct CacheHost {
    const Clock& clock;
    Timers& timers;
    SerialExecutor& executor;             // outlives the cache
    std::string data_directory{};         // empty: nothing is kept in files
    std::vector<CacheTierSource> tiers{}; // fastest first, at most cache_tiers_max
    CacheCodec codec{};
    CacheLoader loader{}; // may be empty: then `load` is -32005
    // The hottest records of the local tier, hottest first, at most so many bytes: for a warm restart. May be empty.
    using Hot = std::vector<std::pair<TierKey, TierValue>>;
    std::function<void(std::int64_t bytes_max, std::function<void(Hot)> done)> hottest{};
};

// One entry as lists show it.
struct CacheEntryInfo {
    std::string space{};
    CacheKey key{};
    RecordMeta meta{};
    std::uint64_t bytes = 0; // of the record
    std::uint32_t accesses = 0;
    std::int64_t last_access_ms = 0;
    std::int64_t ttl_ms = 0; // left; negative: past its time
};

class Cache {
  public:
    explicit Cache(CacheHost host);
    ~Cache();
    Cache(const Cache&) = delete;

    // Takes a configuration that was checked.
    Result<void> configure(const CacheConfig& config);
    CacheConfig config() const;

    // A namespace by name, made when it is ready-made or configured and not there yet. -32602 names the nearest.
    Result<CacheSpace*> space(std::string_view name);
    // Namespaces in use, configured and ready-made, by name.
    std::vector<CacheSpace*> spaces();
    Result<CachePolicy> set_policy(std::string_view space, const CacheNamespaceSpec& spec);
    // The same with a whole policy.
    Result<void> apply_policy(std::string_view space, CachePolicy policy);

    // Gives a plain JSON value to `use(payload)` if memory holds it fresh and nothing else is to be considered; else
    // false and nothing has happened. Allocates nothing. `now_ns` is a reading of the monotonic clock.
    template <class Use>
    bool find_hot(std::string_view space, std::string_view name, std::int64_t now_ns, bool has_load, Use&& use);

    void get(CacheGet request, CacheReadDone done);
    void put(CachePut request, std::function<void(Result<CachePutOutcome>)> done);
    // Whether there is a fresh value, in memory or in a slower tier.
    void has(const std::string& space, const CacheKey& key, std::function<void(Result<CacheRead>)> done);
    // A new time to live for what is there; `found` false if there is nothing.
    void touch(const std::string& space, const CacheKey& key, std::optional<std::int64_t> ttl_ms,
               std::function<void(Result<bool> found)> done);
    void remove(const std::string& space, const CacheKey& key, std::function<void(Result<CacheInvalidated>)> done);
    void invalidate(CacheSelection selection, std::function<void(Result<CacheInvalidated>)> done);
    // What memory holds of one namespace or all, at most `limit` entries; keys match the pattern unless it is empty.
    Result<std::vector<CacheEntryInfo>> list(const std::optional<std::string>& space, const std::string& pattern,
                                             std::size_t limit);

    const std::vector<std::shared_ptr<TierGate>>& tiers() const { return gates_; }
    std::int64_t now_ms() { return time_.now_ms(); }
    Timers& timers() { return host_.timers; }
    const Clock& clock() const { return host_.clock; }
    SerialExecutor& executor() { return host_.executor; }
    const std::string& data_directory() const { return host_.data_directory; }

    const CacheCodec& codec() const { return host_.codec; }

    struct MemoryUse {
        std::uint64_t bytes = 0;
        std::uint64_t entries = 0;
    };
    MemoryUse memory_use();
    // Makes do with this share of the limits (1 grows back). What went.
    MemoryUse set_share(double share);

    // Listeners, set before use; on any thread, must be short. More than one of each may be added.
    void on_invalidated(std::function<void(const CacheNotice&)> listener) {
        invalidated_.push_back(std::move(listener));
    }
    void on_trouble(std::function<void(const CacheTrouble&)> listener) { troubled_.push_back(std::move(listener)); }
    // Hears of reads in namespaces that are learned.
    using Accessed =
        std::function<void(CacheSpace&, const CacheKey&, const CacheRead&, const std::optional<CacheLoad>&)>;
    void on_accessed(Accessed listener) { accessed_ = std::move(listener); }
    // Gives a time to live to what comes without one; none: the policy's.
    void set_dynamic_ttl(std::function<std::optional<std::int64_t>(CacheSpace&)> ttl) { dynamic_ttl_ = std::move(ttl); }

    // Opens what is needed to go on where the last run ended, in the background: the journal, and the hottest entries.
    void warm_restart();
    // Writes what is pending and closes the tiers; later calls are -32005. Before the executor and the timers stop.
    void stop();

  private:
    static constexpr std::size_t stripes = 32; // ThreadSanitizer follows 64 locks at once
    static constexpr std::size_t spaces_max = 512;
    static constexpr std::int64_t sweep_ms = 30'000;
    static constexpr std::size_t backoffs_max = 10'000;

    struct Reading; // a get under way
    struct Looked { // what the tiers had
        CacheValuePtr value{};
        std::string source{};
        std::optional<Error> damage{};
        std::vector<CacheStep> steps{};
    };
    using LookedDone = std::function<void(const Looked&)>;
    // Several reads of one key that wait for one walk through the tiers, or one load.
    template <class Answer>
    struct Joint {
        CacheSpace* space = nullptr;
        CacheKey key{};
        std::uint64_t hash = 0;
        std::int64_t version = 0;              // when it began
        std::atomic<bool> is_overtaken{false}; // written or invalidated since: nothing of it is kept
        std::vector<std::function<void(const Answer&)>> waiting{}; // guarded by joints_mutex_
        Answer answer{};
        std::size_t tier = 0;  // a walk's next
        CacheValuePtr stale{}; // the best that a walk met
        bool rewrites = false; // what a walk found is to be written back, its times were moved
    };
    using Walk = Joint<Looked>;
    struct LoadAnswer {
        Result<CacheValuePtr> value = CacheValuePtr{}; // null: known to be absent
        double took_ms = 0;
    };
    using Load = Joint<LoadAnswer>;
    using WalkPointer = std::shared_ptr<Walk>;
    using LoadPointer = std::shared_ptr<Load>;

    struct Found {
        CacheValuePtr value{};
        EntryInfo info{};
    };

    // cache.cpp
    CacheSpace* find_space(std::string_view name) const {
        for (std::size_t at = std::hash<std::string_view>{}(name);; ++at) {
            CacheSpace* const space = space_slots_[at % space_slots_.size()].load(std::memory_order_acquire);
            if (space == nullptr || space->name == name) return space;
        }
    }
    Result<CachePolicy> policy_for(std::string_view name) const;
    static std::size_t stripe_of(std::uint64_t hash) { return (hash >> 8) % stripes; }
    std::mutex& stripe(std::uint64_t hash) { return stripes_[stripe_of(hash)]; }
    static TierKey tier_key(const CacheSpace& space, const CacheKey& key) { return {space.name, key.name, key.parts}; }
    static std::string joint_id(const CacheSpace& space, const CacheKey& key);
    InvalidationJournal* journal();
    void catch_up();
    void apply_frame(const JournalFrame& frame);
    void tell(const CacheNotice& notice);
    void tell(const CacheTrouble& trouble);
    void heed(TierGate& gate, const CacheTier::Notice& notice);
    void arm_sweep();
    void sweep();
    void keep_within_budget();
    bool is_slow(const TierGate& gate) const;
    bool any_tier_is_slow(const CachePolicy& policy) const;

    // cache_read.cpp
    std::optional<Found> look_in_memory(CacheSpace& space, const CacheKey& key, std::uint64_t hash, bool counted);
    bool serves(const Reading& reading, const CacheValue& value);
    void start_reading(std::shared_ptr<Reading> reading);
    void slide(CacheSpace& space, const CacheKey& key, std::uint64_t hash, const CacheValue& value,
               const EntryInfo& info);
    void walk(const std::shared_ptr<Reading>& reading);
    void step(const WalkPointer& walk);
    void read_tier(const WalkPointer& walk, TierRead read);
    CacheValuePtr open_record(const WalkPointer& walk, TierGate& gate, const TierValue& sealed, std::string& outcome);
    void set_aside(Walk& walk, TierGate& gate, const TierValue& sealed, const Error& error);
    void end_walk(const WalkPointer& walk, CacheValuePtr value, std::string source);
    void walked(const std::shared_ptr<Reading>& reading, const Looked& looked);
    void arm(const std::shared_ptr<Reading>& reading, std::int64_t ms, std::function<void()> late);
    void on_soft_timeout(const std::shared_ptr<Reading>& reading);
    CacheReadDone take_done(Reading& reading);
    void finish(const std::shared_ptr<Reading>& reading, CacheValuePtr value, std::string source);
    void finish(const std::shared_ptr<Reading>& reading, Error error);
    bool refreshes_early(const CachePolicy& policy, const CacheValue& value);

    // cache_load.cpp
    void load(const std::shared_ptr<Reading>& reading, bool in_background);
    void run_load(const LoadPointer& load, const CacheGet& request, CacheValuePtr stale, std::int64_t give_up_ms);
    void loaded(const LoadPointer& load, const CacheGet& request, CacheValuePtr stale, Result<CacheLoaded> result,
                std::int64_t began_ns);
    void end_load(const LoadPointer& load, LoadAnswer answer);
    void on_loaded(const std::shared_ptr<Reading>& reading, const LoadAnswer& answer);
    bool backs_off(const std::string& id);
    void back_off(const std::string& id, std::int64_t ms);

    // cache_write.cpp
    struct Staged {
        bool is_kept = false; // false: it was void by then
        PutOutcome memory = PutOutcome::refused;
        std::vector<TierGate*> gates{};
        std::optional<Error> error{}; // why the slower tiers do not get it
    };
    using DoneFor = std::function<CacheTier::Done(TierGate&)>;
    // Under the key's lock: puts the value into memory and stages it in the first `tiers_end` tiers, unless `is_void`.
    Staged keep(CacheSpace& space, const CacheKey& key, std::uint64_t hash, const CacheValue& value,
                const CachePolicy& policy, std::size_t tiers_end, const std::function<bool()>& is_void,
                const DoneFor& done_for);
    void stage(CacheSpace& space, const CacheKey& key, const CacheValue& value, std::size_t tiers_end,
               const CachePolicy& policy, const DoneFor& done_for, Staged& staged);
    void push(CacheSpace& space, const CacheKey& key, const CachePolicy& policy, const Staged& staged);
    CacheValue make_value(CacheSpace& space, const CachePolicy& policy, CachePut& put, std::int64_t version);
    void note_written(CacheSpace& space, std::uint64_t hash, const CacheValue& value, bool is_seen) const;
    void put_now(CachePut put, CacheSpace& space, std::function<void(Result<CachePutOutcome>)> done);
    // What follows from a change of a key: others are told, and what was made with it goes.
    void changed(CacheSpace& space, const CacheKey& key);
    Result<void> ready() const;

    // cache_invalidate.cpp
    struct Invalidating;
    void overtake(const CacheSpace& space, const CacheKey& key);
    void overtake_if(const std::function<bool(const CacheSpace&, const CacheKey&)>& covers);
    void invalidate_tiers(const std::shared_ptr<Invalidating>& join, const CacheSelection& selection,
                          const std::vector<CacheSpace*>& affected, std::int64_t version);
    void note_pattern(std::string_view space, const std::string& pattern, std::int64_t version);
    void changed_many(CacheSpace& space);
    std::uint64_t invalidate_memory(const CacheSelection& selection, const std::vector<CacheSpace*>& spaces,
                                    std::int64_t version);
    void note_cut(const CacheSelection& selection, std::int64_t version);
    // The same, and tells other machines of a tag.
    void cut(const CacheSelection& selection, std::int64_t version);

    CacheHost host_;
    CacheTime time_;
    Invalidations invalidations_;
    std::vector<std::shared_ptr<TierGate>> gates_; // constant
    std::vector<std::function<void(const CacheNotice&)>> invalidated_;
    std::vector<std::function<void(const CacheTrouble&)>> troubled_;
    Accessed accessed_;
    std::function<std::optional<std::int64_t>(CacheSpace&)> dynamic_ttl_;

    std::array<std::mutex, stripes> stripes_; // each guards the writing of its keys; the first locks to be taken
    std::array<std::atomic<std::uint64_t>, stripes> stripe_writes_{};
    std::array<std::atomic<CacheSpace*>, spaces_max * 2> space_slots_{};
    mutable std::mutex spaces_mutex_; // guards the next three
    std::vector<std::unique_ptr<CacheSpace>> spaces_;
    CacheConfig config_;
    double share_ = 1;

    std::mutex joints_mutex_; // guards the next three
    std::unordered_map<std::string, WalkPointer> walks_;
    std::unordered_map<std::string, LoadPointer> loads_;
    std::unordered_map<std::string, std::int64_t> backoffs_; // until when (cache time) a failed load is not tried again

    std::once_flag journal_once_;
    std::atomic<InvalidationJournal*> journal_{nullptr};
    std::unique_ptr<InvalidationJournal> owned_journal_;
    std::atomic<bool> stopped_{false};
    std::atomic<bool> sweeping_{false};
    std::atomic<std::int64_t> next_budget_look_bytes_{0};
    // What outlives the cache (timers, loaders) holds this weakly and looks before it touches the cache.
    std::shared_ptr<Cache*> alive_;
};

template <class Use>
bool Cache::find_hot(std::string_view space_name, std::string_view name, std::int64_t now_ns, bool has_load,
                     Use&& use) {
    CacheSpace* const space = find_space(space_name);
    if (space == nullptr || space->is_learned.load(std::memory_order_relaxed)) return false;
    MemoryStore* const store = space->find_store();
    if (store == nullptr || name.empty() || name.front() == '#') return false; // '#': may be a composite key's name
    const InvalidationJournal* const journal = journal_.load(std::memory_order_acquire);
    if (journal != nullptr && journal->is_behind()) return false;
    const std::uint64_t hash = MemoryStore::hash_of(name);
    const std::int64_t now = time_.at_ns(now_ns);
    bool served = false;
    std::int64_t slide_to = 0;
    std::uint64_t weight = 0;
    store->read(name, hash, now, [&](std::string_view record, const EntryInfo& info) {
        const auto glance = glance_record(record);
        if (!glance || !glance->is_json || !glance->is_plain) return;
        if (glance->version_ms < space->cut.load(std::memory_order_acquire)) return;
        if (glance->has_tags && glance->version_ms < invalidations_.last_tag_cut()) return;
        if (glance->sliding_ms > 0) {
            if (info.gone_at_ms - now < glance->sliding_ms - glance->sliding_ms / 8)
                slide_to = now + glance->sliding_ms;
        } else if (now >= glance->fresh_until_ms) {
            return;
        } else if (has_load && glance->fresh_until_ms != never_ms) {
            const std::int64_t left_percent = 100 - space->eager_percent.load(std::memory_order_relaxed);
            if ((glance->fresh_until_ms - now) * 100 < (glance->fresh_until_ms - glance->created_ms) * left_percent)
                return;
        }
        weight = info.weight_bytes;
        served = true;
        use(glance->payload);
    });
    if (!served) return false;
    if (slide_to != 0) store->touch(name, hash, now, slide_to);
    space->counters.hits.fetch_add(1, std::memory_order_relaxed);
    space->counters.memory_hits.fetch_add(1, std::memory_order_relaxed);
    if (space->sample.wants(hash)) space->sample.record(hash, static_cast<std::uint32_t>(weight));
    return true;
}

} // namespace pillion
