// The policies that follow one rule. lru, fifo and priority are lists; lfu is a list for each count from 1 to 255,
// which finds the least in constant time (after Shah, Mitra, Matani, 2010), with counts halved once entries were read
// ten times each on average; ttl is a heap whose items are checked against their entry when they come up.
#include "modules/memory_store/memory_store_policy.h"

#include "modules/memory_store/memory_store_adaptive.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pillion {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

class ListPolicy final : public StorePolicy {
  public:
    // Entries from `threshold` on are in a list of their own.
    ListPolicy(EvictionPolicy policy, int threshold) : policy_(policy), threshold_(threshold) {}

    Reads reads() const override { return {.are_noted = policy_ != EvictionPolicy::fifo}; }
    void add(MemoryEntry* entry, std::uint64_t, Arrival) override {
        const bool stays = policy_ == EvictionPolicy::priority && entry->priority() >= threshold_;
        entry->set_mark(stays ? 1 : 0);
        lists_[stays ? 1 : 0].push_newest(entry);
    }
    void remove(MemoryEntry* entry) override { list_of(entry).unlink(entry); }
    void hit(MemoryEntry* entry, std::uint64_t) override {
        list_of(entry).unlink(entry);
        list_of(entry).push_newest(entry);
    }
    MemoryEntry* victim() override { return lists_[lists_[0].is_empty() ? 1 : 0].oldest(); }
    std::vector<MemoryEntry*> order() const override {
        std::vector<MemoryEntry*> order;
        for (const EntryList& list : lists_) list.append_to(order);
        return order;
    }
    std::string_view followed() const override { return eviction_policy_name(policy_); }

  private:
    EntryList& list_of(MemoryEntry* entry) { return lists_[entry->mark()]; }

    const EvictionPolicy policy_;
    const int threshold_;
    std::array<EntryList, 2> lists_;
};

class LfuPolicy final : public StorePolicy {
  public:
    Reads reads() const override { return {.are_noted = true}; }
    void add(MemoryEntry* entry, std::uint64_t, Arrival arrival) override {
        const std::uint8_t before = arrival == Arrival::replaced ? entry->count.load(relaxed) : std::uint8_t{0};
        ++entries_;
        place(entry, before);
    }
    void remove(MemoryEntry* entry) override {
        lists_[entry->count.load(relaxed)].unlink(entry);
        --entries_;
    }
    void hit(MemoryEntry* entry, std::uint64_t) override {
        const std::uint8_t count = entry->count.load(relaxed);
        lists_[count].unlink(entry);
        place(entry, count);
        if (++hits_ >= entries_ * 10) halve();
    }
    MemoryEntry* victim() override {
        for (const EntryList& list : lists_) {
            if (!list.is_empty()) return list.oldest();
        }
        return nullptr;
    }
    std::vector<MemoryEntry*> order() const override {
        std::vector<MemoryEntry*> order;
        for (const EntryList& list : lists_) list.append_to(order);
        return order;
    }
    std::string_view followed() const override { return "lfu"; }

  private:
    void place(MemoryEntry* entry, std::uint8_t count) {
        const auto next = static_cast<std::uint8_t>(count < 255 ? count + 1 : 255);
        entry->count.store(next, relaxed);
        lists_[next].push_newest(entry);
    }
    void halve() {
        hits_ = 0;
        const std::vector<MemoryEntry*> entries = order();
        lists_ = {};
        for (MemoryEntry* const entry : entries) {
            place(entry, static_cast<std::uint8_t>((entry->count.load(relaxed) - 1) / 2));
        }
    }

    std::array<EntryList, 256> lists_;
    std::uint64_t entries_ = 0;
    std::uint64_t hits_ = 0;
};

class RandomPolicy final : public StorePolicy {
  public:
    explicit RandomPolicy(const EntryIndex& index) : index_(index) {}

    Reads reads() const override { return {}; }
    void add(MemoryEntry* entry, std::uint64_t, Arrival) override {
        entries_.push_newest(entry);
        entry->set_mark(1);
    }
    void remove(MemoryEntry* entry) override {
        entries_.unlink(entry);
        entry->set_mark(0);
    }
    MemoryEntry* victim() override {
        constexpr int tries_max = 64;
        random_ = random_ * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
        std::uint64_t rank = random_;
        for (int i = 0; i < tries_max; ++i) {
            index_.step(rank, found_, hash_of);
            for (const EntryIndex::Ranked& found : found_) {
                if (found.entry->mark() == 1) return found.entry;
            }
        }
        return entries_.oldest(); // few are left of what once were many
    }
    std::vector<MemoryEntry*> order() const override {
        std::vector<MemoryEntry*> order;
        entries_.append_to(order);
        return order;
    }
    std::string_view followed() const override { return "random"; }

  private:
    const EntryIndex& index_;
    EntryList entries_;
    std::vector<EntryIndex::Ranked> found_;
    std::uint64_t random_ = 0x9E3779B97F4A7C15ULL;
};

class TtlPolicy final : public StorePolicy {
  public:
    explicit TtlPolicy(const EntryIndex& index) : index_(index) {}

    Reads reads() const override { return {.are_moves_noted = true}; }
    void add(MemoryEntry* entry, std::uint64_t hash, Arrival) override {
        entries_.push_newest(entry);
        entry->set_mark(1);
        push(*entry, hash);
    }
    void remove(MemoryEntry* entry) override {
        entries_.unlink(entry);
        entry->set_mark(0);
    }
    void moved(MemoryEntry* entry) override { push(*entry, hash_of(*entry)); }
    MemoryEntry* victim() override {
        while (!heap_.empty()) {
            if (MemoryEntry* const due = find(heap_.front()); due != nullptr) return due;
            std::pop_heap(heap_.begin(), heap_.end(), later);
            heap_.pop_back();
        }
        return entries_.oldest();
    }
    std::vector<MemoryEntry*> order() const override {
        std::vector<MemoryEntry*> order;
        entries_.append_to(order);
        std::stable_sort(order.begin(), order.end(),
                         [](const MemoryEntry* a, const MemoryEntry* b) { return a->gone_at_ms() < b->gone_at_ms(); });
        return order;
    }
    std::size_t bytes() const override { return heap_.capacity() * sizeof(Due); }
    std::string_view followed() const override { return "ttl"; }

  private:
    struct Due {
        std::int64_t gone_at_ms;
        std::uint64_t hash;
    };
    static bool later(const Due& a, const Due& b) { return a.gone_at_ms > b.gone_at_ms; }
    // Who this is about, if it still is as it was.
    MemoryEntry* find(const Due& due) const {
        return index_.find(due.hash, [&](const MemoryEntry& entry) {
            return entry.mark() == 1 && entry.gone_at_ms() == due.gone_at_ms && hash_of(entry) == due.hash;
        });
    }
    void push(const MemoryEntry& entry, std::uint64_t hash) {
        if (heap_.size() > 2 * entries_.entries() + 64) {
            std::erase_if(heap_, [this](const Due& due) { return find(due) == nullptr; });
            std::make_heap(heap_.begin(), heap_.end(), later);
        }
        heap_.push_back({entry.gone_at_ms(), hash});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }

    const EntryIndex& index_;
    EntryList entries_;
    std::vector<Due> heap_;
};

constexpr std::array<std::pair<std::string_view, EvictionPolicy>, 7> names{{{"adaptive", EvictionPolicy::adaptive},
                                                                            {"lru", EvictionPolicy::lru},
                                                                            {"lfu", EvictionPolicy::lfu},
                                                                            {"fifo", EvictionPolicy::fifo},
                                                                            {"random", EvictionPolicy::random},
                                                                            {"ttl", EvictionPolicy::ttl},
                                                                            {"priority", EvictionPolicy::priority}}};

} // namespace

std::unique_ptr<StorePolicy> make_store_policy(const MemoryStoreConfig& config, const EntryIndex& index) {
    switch (config.policy) {
    case EvictionPolicy::adaptive:
        return std::make_unique<AdaptivePolicy>(index);
    case EvictionPolicy::lfu:
        return std::make_unique<LfuPolicy>();
    case EvictionPolicy::random:
        return std::make_unique<RandomPolicy>(index);
    case EvictionPolicy::ttl:
        return std::make_unique<TtlPolicy>(index);
    case EvictionPolicy::lru:
    case EvictionPolicy::fifo:
    case EvictionPolicy::priority:
        break;
    }
    return std::make_unique<ListPolicy>(config.policy, config.priority_threshold);
}

std::string_view eviction_policy_name(EvictionPolicy policy) {
    return std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.second == policy; })->first;
}

const EvictionPolicy* find_eviction_policy(std::string_view name) {
    const auto found = std::find_if(names.begin(), names.end(), [&](const auto& each) { return each.first == name; });
    return found == names.end() ? nullptr : &found->second;
}

} // namespace pillion
