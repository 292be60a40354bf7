// Several policies play the same requests on keys alone (shadow_cache.h); the store follows the one that missed least
// of late. Which one that is changes with the work: recency wins here, frequency there, and a loop needs one that
// stands firm.
//
// Up to 16,384 entries the shadows have the store's own capacity and see every request, and the store *imitates* the
// leader: what must go is an entry that the leader does not have (an orphan), the one it let go of first. Whatever the
// leader holds comes into the store with its next request, so that the store becomes what the leader is, in one
// turnover at most and without moving anything. (Subramanian, Smaragdakis, Loh, "Adaptive Caches: Effective Shaping of
// Cache Behavior to Workloads", MICRO 2006, who bound the misses at twice the better policy's; measured it is within a
// few tenths of a percent of the best, and better where the best one changes.) Rivals: LRU, ARC, S3-FIFO with bimodal
// filling, and W-TinyLFU with a small and with a large window.
//
// Beyond that the shadows are miniatures: they see the keys whose hash has some bits zero, with a capacity as much
// smaller (Waldspurger, Saemundsson, Ahmad, Park, "Cache Modeling and Optimization using Miniature Simulations", ATC
// 2017). They cannot be imitated, so the store itself does as the leader does, in its own two queues. The rivals:
// S3-FIFO, whose small queue lets keys stay that were used once or twice (with once it does what ARC does for skewed
// requests); the same with a larger small queue; one that fills its main queue with whatever comes first and then
// stands firm, for loops; and LRU, whose order is kept up lazily (recency_list.h), since CLOCK loses points to it where
// keys drift. A read then costs no more than raising a counter in a line it has read.
//
// Misses of late are counts that fade over thirty times as many requests as there are entries (ten in a miniature).
// What all miss, as every key that is new, tells nothing: it is not counted, but in a miniature, whose sample may
// mislead, and whose changes of mind it slows down. The leader changes when another has missed less by half the
// standard deviation that chance would give such counts (by a whole one of a miniature's), and by two.
//
// Nothing of this is there before the store is half full: while nobody has to go, nobody need be chosen.
#include "modules/memory_store/memory_store_adaptive.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint64_t exact_entries_max = 16'384;
constexpr std::uint64_t sampled_entries_min = 2'048; // of a miniature
constexpr unsigned sample_bits_max = 10;
constexpr double slack = 1e-9;
// How full a store is when the rivals begin, and when they end.
constexpr double load_to_watch = 0.5;
constexpr double load_to_rest = 0.25;
// How the store's own queues are kept while there is no leader that says it.
constexpr ShadowSpec own_spec{.policy = ShadowPolicy::s3fifo, .window_share = 0.1, .fills_one_in = 32};

const std::vector<ShadowSpec>& rivals_of(bool is_exact) {
    // The first leads until more is known: the one that is nowhere far behind.
    static const std::vector<ShadowSpec> exact{
        {.policy = ShadowPolicy::tinylfu, .window_share = 0.5},
        {.policy = ShadowPolicy::s3fifo, .window_share = 0.1, .fills_one_in = 32},
        {.policy = ShadowPolicy::tinylfu, .window_share = 0.01},
        {.policy = ShadowPolicy::lru},
        {.policy = ShadowPolicy::arc},
    };
    static const std::vector<ShadowSpec> sampled{
        {.policy = ShadowPolicy::s3fifo, .window_share = 0.1, .fills_one_in = 32, .count_to_stay = 1},
        {.policy = ShadowPolicy::s3fifo, .window_share = 0.1, .fills_one_in = 32},
        {.policy = ShadowPolicy::s3fifo, .window_share = 0.3, .fills_one_in = 32, .count_to_stay = 1},
        {.policy = ShadowPolicy::s3fifo,
         .window_share = 0.01,
         .fills_one_in = 1,
         .count_to_stay = 1,
         .ghosts_share = 0},
        {.policy = ShadowPolicy::lru, .window_share = 0},
    };
    return is_exact ? exact : sampled;
}

// Keys are sampled by so many bits of their hash.
unsigned sample_bits_for(std::uint64_t entries) {
    unsigned bits = 0;
    if (entries < exact_entries_max) return bits;
    while (bits < sample_bits_max && entries >> (bits + 1) >= sampled_entries_min) ++bits;
    return bits;
}

} // namespace

void GhostTable::reset(std::size_t ghosts) {
    table_.clear();
    table_.shrink_to_fit();
    added_ = 0;
    if (ghosts == 0) return;
    // A third more room than ghosts: the buckets do not fill alike.
    table_.assign((ghosts + ghosts / 3) / bucket * bucket + bucket, 0);
    constexpr std::uint64_t ticks = 4'096;
    tick_ = std::max<std::uint64_t>(ghosts / ticks, 1);
    age_max_ = static_cast<std::uint32_t>(ghosts / tick_);
}

std::size_t GhostTable::begin_of(std::uint64_t hash) const {
    return static_cast<std::size_t>((hash & 0xFFFFFFFF) * (table_.size() / bucket) >> 32) * bucket;
}

void GhostTable::add(std::uint64_t hash) {
    if (table_.empty()) return;
    ++added_;
    const auto begin = table_.begin() + static_cast<std::ptrdiff_t>(begin_of(hash));
    const auto oldest = std::max_element(begin, begin + bucket, [this](std::uint32_t a, std::uint32_t b) {
        return (a == 0 ? 0x10000 : age_of(a)) < (b == 0 ? 0x10000 : age_of(b));
    });
    *oldest = print_of(hash) << 16 | now();
}

bool GhostTable::contains(std::uint64_t hash) const {
    if (table_.empty()) return false;
    const auto begin = table_.begin() + static_cast<std::ptrdiff_t>(begin_of(hash));
    return std::any_of(begin, begin + bucket,
                       [&](std::uint32_t ghost) { return ghost >> 16 == print_of(hash) && age_of(ghost) <= age_max_; });
}

AdaptivePolicy::AdaptivePolicy(const EntryIndex& index) : index_(index), spec_(own_spec) {}

StorePolicy::Reads AdaptivePolicy::reads() const {
    return {.are_counted = true, .stamp = main_.stamp(), .are_noted = is_watching(), .sample_mask = sample_mask()};
}

std::string_view AdaptivePolicy::followed() const {
    return shadow_policy_name(is_watching() ? rivals_[leader_].spec.policy : spec_.policy);
}

void AdaptivePolicy::announce(std::uint64_t hash, std::uint64_t weight) {
    fit_rivals();
    play(hash, weight);
}

void AdaptivePolicy::hit(MemoryEntry* entry, std::uint64_t hash) { play(hash, entry->weight()); }

void AdaptivePolicy::add(MemoryEntry* entry, std::uint64_t hash, Arrival arrival) {
    const bool was_main = arrival == Arrival::replaced && list_of(entry) == main;
    if (is_exact()) {
        place(entry, was_main ? main : small, 0);
        if (is_watching() && !rivals_[leader_].shadow->contains(hash)) orphans_.push_back(hash);
    } else {
        const bool was_ghost = spec_.ghosts_share > 0 && ghosts_.contains(hash);
        place(entry, was_main || spec_.window_share == 0 || was_ghost ? main : small, 0);
    }
}

void AdaptivePolicy::remove(MemoryEntry* entry) {
    unlink(entry);
    entry->set_mark(entry->mark() | loose_bit);
}

void AdaptivePolicy::forget(std::uint64_t hash) {
    if (!is_sampled(hash, sample_mask())) return;
    for (Rival& rival : rivals_) rival.shadow->remove(hash);
}

MemoryEntry* AdaptivePolicy::victim() {
    if (is_exact() && is_watching()) {
        if (MemoryEntry* const orphan = find_orphan(); orphan != nullptr) return orphan;
    }
    return find_queue_victim();
}

std::vector<MemoryEntry*> AdaptivePolicy::order() const {
    std::vector<MemoryEntry*> order;
    for (const List each : {small, main}) list(each).append_to(order);
    return order;
}

void AdaptivePolicy::resize(ShadowCapacity capacity) {
    capacity_ = capacity;
    for (Rival& rival : rivals_) rival.shadow->resize(shadow_capacity());
}

std::size_t AdaptivePolicy::bytes() const {
    std::size_t bytes = ghosts_.bytes() + orphans_.capacity() * sizeof(std::uint64_t);
    for (const Rival& rival : rivals_) bytes += rival.shadow->bytes();
    return bytes;
}

// --- The store's own queues

AdaptivePolicy::List AdaptivePolicy::list_of(MemoryEntry* entry) const {
    return (entry->mark() & main_bit) != 0 ? main : small;
}

void AdaptivePolicy::unlink(MemoryEntry* entry) {
    if (list_of(entry) == main) {
        main_.unlink(entry);
    } else {
        small_.unlink(entry);
    }
}

void AdaptivePolicy::place(MemoryEntry* entry, List list, std::uint8_t count) {
    entry->set_mark(list == main ? main_bit : 0);
    entry->count.store(count, relaxed);
    if (list == main) {
        main_.push_newest(entry);
    } else {
        small_.push_newest(entry);
    }
}

// Into the main queue, where an entry that was used like this belongs.
void AdaptivePolicy::put_back(MemoryEntry* entry, std::uint8_t use) {
    unlink(entry);
    if (spec_.policy != ShadowPolicy::lru) return place(entry, main, static_cast<std::uint8_t>(Use::count(use) - 1));
    entry->set_mark(main_bit);
    entry->count.store(0, relaxed);
    main_.put_back(entry, Use::stamp(use));
}

double AdaptivePolicy::load(std::uint64_t weight, std::uint64_t entries) const {
    return std::max(static_cast<double>(weight) / static_cast<double>(capacity_.weight_max),
                    static_cast<double>(entries) / static_cast<double>(capacity_.entries_max));
}

MemoryEntry* AdaptivePolicy::find_queue_victim() {
    while (!small_.is_empty() && (load(small) > spec_.window_share + slack || list(main).is_empty())) {
        MemoryEntry* const entry = small_.oldest();
        if (Use::count(entry->count.load(relaxed)) < spec_.count_to_stay && !takes_over()) {
            if (!is_exact()) ghosts_.add(hash_of(*entry));
            return entry;
        }
        unlink(entry);
        place(entry, main, 0);
        if (load(main) > 1 - spec_.window_share + slack) break;
    }
    return take_from_main();
}

MemoryEntry* AdaptivePolicy::take_from_main() {
    if (list(main).is_empty()) return small_.oldest();
    for (;;) {
        // An entry is looked at twice at most while it goes from the newest to the oldest, so that its stamp is not
        // taken for one of a later round.
        constexpr std::uint64_t stretches = Use::stamps * 3 / 8;
        if (++looks_ > list(main).entries() / stretches) {
            looks_ = 0;
            main_.advance();
        }
        MemoryEntry* const entry = list(main).oldest();
        const std::uint8_t use = entry->count.load(relaxed);
        if (Use::count(use) == 0) return entry;
        put_back(entry, use);
    }
}

bool AdaptivePolicy::takes_over() {
    return spec_.fills_one_in != 0 && load(main) < 0.98 * (1 - spec_.window_share) &&
           ++let_go_ % spec_.fills_one_in == 0;
}

// --- The rivals

void AdaptivePolicy::fit_rivals() {
    const std::uint64_t count = entries();
    const double used = load(small_.weight() + list(main).weight(), count);
    if (!is_watching() && used < load_to_watch) return;
    if (used < load_to_rest) return rest();
    if (!is_watching()) return restart(sample_bits_for(count));
    if (is_exact() ? count < exact_entries_max : count < restarted_entries_ * 2 && count > restarted_entries_ / 4)
        return;
    restart(sample_bits_for(count));
}

void AdaptivePolicy::rest() {
    rivals_.clear();
    orphans_ = {};
    orphans_taken_ = 0;
    leader_ = 0;
    sample_bits_ = 0;
    ghosts_.reset(0);
    spec_ = own_spec;
}

// What is there is played to the new shadows, oldest first, so that they start with about what the store has.
void AdaptivePolicy::restart(unsigned sample_bits) {
    const bool was_exact = is_exact();
    const bool was_watching = is_watching();
    const ShadowPolicy policy_before = was_watching ? rivals_[leader_].spec.policy : spec_.policy;
    sample_bits_ = sample_bits;
    restarted_entries_ = entries();
    rivals_.clear();
    orphans_.clear();
    orphans_taken_ = 0;
    for (const ShadowSpec& spec : rivals_of(is_exact())) {
        rivals_.push_back({.spec = spec, .shadow = make_shadow_cache(spec, shadow_capacity())});
    }
    if (was_watching && was_exact != is_exact()) {
        const auto same = std::find_if(rivals_.begin(), rivals_.end(),
                                       [&](const Rival& rival) { return rival.spec.policy == policy_before; });
        leader_ = same == rivals_.end() ? 0 : static_cast<std::size_t>(same - rivals_.begin());
    }
    for (MemoryEntry* const entry : order()) {
        const std::uint64_t hash = hash_of(*entry);
        if (!is_sampled(hash, sample_mask())) continue;
        const bool was_used = Use::count(entry->count.load(relaxed)) != 0;
        for (int times = was_used ? 2 : 1; times > 0; --times) play(hash, entry->weight());
    }
    for (Rival& rival : rivals_) rival.misses = 0;
    // As many as the main queue will hold when the store is full.
    const double used = load(small_.weight() + list(main).weight(), restarted_entries_);
    ghosts_.reset(is_exact() ? 0 : static_cast<std::size_t>(0.9 * static_cast<double>(restarted_entries_) / used));
    follow(leader_);
}

ShadowCapacity AdaptivePolicy::shadow_capacity() const {
    return {.weight_max = capacity_.weight_max >> sample_bits_,
            .entries_max = capacity_.entries_max == UINT64_MAX ? UINT64_MAX : capacity_.entries_max >> sample_bits_};
}

void AdaptivePolicy::play(std::uint64_t hash, std::uint64_t weight) {
    if (!is_watching() || !is_sampled(hash, sample_mask())) return;
    const auto capped = static_cast<std::uint32_t>(std::min<std::uint64_t>(weight, UINT32_MAX));
    const std::uint64_t rounds = is_exact() ? 30 : 10;
    const auto window = static_cast<double>(std::max<std::uint64_t>(rounds * (entries() >> sample_bits_), 1'000));
    const double fade = 1 - 1 / window;
    std::size_t missed = 0;
    for (Rival& rival : rivals_) {
        rival.has_missed = !rival.shadow->access(hash, capped);
        missed += rival.has_missed ? 1 : 0;
    }
    const bool is_telling = missed != 0 && missed != rivals_.size();
    for (Rival& rival : rivals_)
        rival.misses = rival.misses * fade + ((is_telling || !is_exact()) && rival.has_missed ? 1 : 0);
    if (is_telling) elect();
    // Hits take no orphan away; what gathers meanwhile is named anew.
    constexpr std::size_t orphans_max = 4 * exact_entries_max;
    if (orphans_.size() > orphans_max) follow(leader_);
}

void AdaptivePolicy::elect() {
    // What holds on to whatever was there first is hard to undo, and must be worth it.
    constexpr double firm_handicap = 1.1;
    const auto misses_of = [this](std::size_t i) {
        const bool is_firm = i != leader_ && rivals_[i].spec.ghosts_share == 0;
        return rivals_[i].misses * (is_firm ? firm_handicap : 1);
    };
    std::size_t best = leader_;
    for (std::size_t i = 0; i < rivals_.size(); ++i) {
        if (misses_of(i) < misses_of(best)) best = i;
    }
    if (best == leader_) return;
    const double lead = misses_of(leader_) - misses_of(best);
    // A change costs a turnover of the store, which a miniature's few misses must not set off by chance.
    const double deviations = is_exact() ? 0.5 : 1.0;
    if (lead > deviations * std::sqrt(rivals_[leader_].misses + rivals_[best].misses) + 2) follow(best);
}

void AdaptivePolicy::follow(std::size_t rival) {
    rivals_[leader_].shadow->report_evicted(nullptr);
    leader_ = rival;
    orphans_.clear();
    orphans_taken_ = 0;
    spec_ = is_exact() ? own_spec : rivals_[leader_].spec;
    if (!is_exact()) return;
    const ShadowCache& shadow = *rivals_[leader_].shadow;
    for (MemoryEntry* const entry : order()) {
        const std::uint64_t hash = hash_of(*entry);
        if (!shadow.contains(hash)) orphans_.push_back(hash);
    }
    rivals_[leader_].shadow->report_evicted(&orphans_);
}

MemoryEntry* AdaptivePolicy::find_orphan() {
    constexpr std::size_t taken_max = 4'096;
    while (orphans_taken_ < orphans_.size()) {
        const std::uint64_t hash = orphans_[orphans_taken_++];
        if (orphans_taken_ >= taken_max) {
            orphans_.erase(orphans_.begin(), orphans_.begin() + static_cast<std::ptrdiff_t>(orphans_taken_));
            orphans_taken_ = 0;
        }
        if (rivals_[leader_].shadow->contains(hash)) continue;
        MemoryEntry* const entry = index_.find(hash, [&](const MemoryEntry& found) { return hash_of(found) == hash; });
        if (entry != nullptr && (entry->mark() & loose_bit) == 0) return entry;
    }
    return nullptr;
}

} // namespace pillion
