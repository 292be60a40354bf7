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
    ListPolicy(SlotTable& slots, EvictionPolicy policy, int threshold)
        : slots_(slots), policy_(policy), threshold_(threshold) {}

    Reads reads() const override { return {.are_noted = policy_ != EvictionPolicy::fifo}; }
    void add(SlotId slot, std::uint64_t, Arrival) override {
        const bool stays = policy_ == EvictionPolicy::priority && slots_[slot].priority() >= threshold_;
        slots_[slot].set_mark(stays ? 1 : 0);
        lists_[stays ? 1 : 0].push_newest(slots_, slot);
    }
    void remove(SlotId slot) override { list_of(slot).unlink(slots_, slot); }
    void hit(SlotId slot, std::uint64_t) override {
        list_of(slot).unlink(slots_, slot);
        list_of(slot).push_newest(slots_, slot);
    }
    SlotId victim() override { return lists_[lists_[0].is_empty() ? 1 : 0].oldest(); }
    std::vector<SlotId> order() const override {
        std::vector<SlotId> order;
        for (const SlotList& list : lists_) list.append_to(slots_, order);
        return order;
    }
    std::string_view followed() const override { return eviction_policy_name(policy_); }

  private:
    SlotList& list_of(SlotId slot) { return lists_[slots_[slot].mark()]; }

    SlotTable& slots_;
    const EvictionPolicy policy_;
    const int threshold_;
    std::array<SlotList, 2> lists_;
};

class LfuPolicy final : public StorePolicy {
  public:
    explicit LfuPolicy(SlotTable& slots) : slots_(slots) {}

    Reads reads() const override { return {.are_noted = true}; }
    void add(SlotId slot, std::uint64_t, Arrival arrival) override {
        const std::uint8_t before = arrival == Arrival::replaced ? slots_[slot].count.load(relaxed) : std::uint8_t{0};
        ++entries_;
        place(slot, before);
    }
    void remove(SlotId slot) override {
        lists_[slots_[slot].count.load(relaxed)].unlink(slots_, slot);
        --entries_;
    }
    void hit(SlotId slot, std::uint64_t) override {
        const std::uint8_t count = slots_[slot].count.load(relaxed);
        lists_[count].unlink(slots_, slot);
        place(slot, count);
        if (++hits_ >= entries_ * 10) halve();
    }
    SlotId victim() override {
        for (const SlotList& list : lists_) {
            if (!list.is_empty()) return list.oldest();
        }
        return no_slot;
    }
    std::vector<SlotId> order() const override {
        std::vector<SlotId> order;
        for (const SlotList& list : lists_) list.append_to(slots_, order);
        return order;
    }
    std::string_view followed() const override { return "lfu"; }

  private:
    void place(SlotId slot, std::uint8_t count) {
        const auto next = static_cast<std::uint8_t>(count < 255 ? count + 1 : 255);
        slots_[slot].count.store(next, relaxed);
        lists_[next].push_newest(slots_, slot);
    }
    void halve() {
        hits_ = 0;
        const std::vector<SlotId> slots = order();
        lists_ = {};
        for (const SlotId slot : slots) {
            place(slot, static_cast<std::uint8_t>((slots_[slot].count.load(relaxed) - 1) / 2));
        }
    }

    SlotTable& slots_;
    std::array<SlotList, 256> lists_;
    std::uint64_t entries_ = 0;
    std::uint64_t hits_ = 0;
};

class RandomPolicy final : public StorePolicy {
  public:
    explicit RandomPolicy(SlotTable& slots) : slots_(slots) {}

    Reads reads() const override { return {}; }
    void add(SlotId slot, std::uint64_t, Arrival) override {
        entries_.push_newest(slots_, slot);
        slots_[slot].set_mark(1);
    }
    void remove(SlotId slot) override {
        entries_.unlink(slots_, slot);
        slots_[slot].set_mark(0);
    }
    SlotId victim() override {
        constexpr int tries_max = 64;
        for (int i = 0; i < tries_max && slots_.end() > 0; ++i) {
            random_ = random_ * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
            const auto slot = static_cast<SlotId>((random_ >> 32) * slots_.end() >> 32);
            if (slots_[slot].block != nullptr && slots_[slot].mark() == 1) return slot;
        }
        return entries_.oldest(); // few are left of what once were many
    }
    std::vector<SlotId> order() const override {
        std::vector<SlotId> order;
        entries_.append_to(slots_, order);
        return order;
    }
    std::string_view followed() const override { return "random"; }

  private:
    SlotTable& slots_;
    SlotList entries_;
    std::uint64_t random_ = 0x9E3779B97F4A7C15ULL;
};

class TtlPolicy final : public StorePolicy {
  public:
    explicit TtlPolicy(SlotTable& slots) : slots_(slots) {}

    Reads reads() const override { return {.are_moves_noted = true}; }
    void add(SlotId slot, std::uint64_t, Arrival) override {
        entries_.push_newest(slots_, slot);
        slots_[slot].set_mark(1);
        push(slot);
    }
    void remove(SlotId slot) override {
        entries_.unlink(slots_, slot);
        slots_[slot].set_mark(0);
    }
    void moved(SlotId slot) override { push(slot); }
    SlotId victim() override {
        while (!heap_.empty()) {
            const Due due = heap_.front();
            if (is_valid(due)) return due.slot;
            std::pop_heap(heap_.begin(), heap_.end(), later);
            heap_.pop_back();
        }
        return entries_.oldest();
    }
    std::vector<SlotId> order() const override {
        std::vector<SlotId> order;
        entries_.append_to(slots_, order);
        std::stable_sort(order.begin(), order.end(), [this](SlotId a, SlotId b) { return gone_at(a) < gone_at(b); });
        return order;
    }
    std::size_t bytes() const override { return heap_.capacity() * sizeof(Due); }
    std::string_view followed() const override { return "ttl"; }

  private:
    struct Due {
        std::int64_t gone_at_ms;
        SlotId slot;
    };
    static bool later(const Due& a, const Due& b) { return a.gone_at_ms > b.gone_at_ms; }
    std::int64_t gone_at(SlotId slot) const { return slots_[slot].gone_at_ms.load(relaxed); }
    bool is_valid(const Due& due) const {
        const Slot& entry = slots_[due.slot];
        return entry.block != nullptr && entry.mark() == 1 && gone_at(due.slot) == due.gone_at_ms;
    }
    void push(SlotId slot) {
        if (heap_.size() > 2 * entries_.entries() + 64) {
            std::erase_if(heap_, [this](const Due& due) { return !is_valid(due); });
            std::make_heap(heap_.begin(), heap_.end(), later);
        }
        heap_.push_back({gone_at(slot), slot});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }

    SlotTable& slots_;
    SlotList entries_;
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

std::unique_ptr<StorePolicy> make_store_policy(const MemoryStoreConfig& config, SlotTable& slots,
                                               const SlotIndex& index) {
    switch (config.policy) {
    case EvictionPolicy::adaptive:
        return std::make_unique<AdaptivePolicy>(slots, index);
    case EvictionPolicy::lfu:
        return std::make_unique<LfuPolicy>(slots);
    case EvictionPolicy::random:
        return std::make_unique<RandomPolicy>(slots);
    case EvictionPolicy::ttl:
        return std::make_unique<TtlPolicy>(slots);
    case EvictionPolicy::lru:
    case EvictionPolicy::fifo:
    case EvictionPolicy::priority:
        break;
    }
    return std::make_unique<ListPolicy>(slots, config.policy, config.priority_threshold);
}

std::string_view eviction_policy_name(EvictionPolicy policy) {
    return std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.second == policy; })->first;
}

const EvictionPolicy* find_eviction_policy(std::string_view name) {
    const auto found = std::find_if(names.begin(), names.end(), [&](const auto& each) { return each.first == name; });
    return found == names.end() ? nullptr : &found->second;
}

} // namespace pillion
