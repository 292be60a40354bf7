// The policies on keys alone. A load is the share of the capacity that something takes, by weight or by count,
// whichever is more; in it all shares are compared, so that unit and byte weights are one case.
//
// lru      The oldest access goes.
// arc      Megiddo, Modha: "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003. Ghosts of those seen once
//          and of those seen again shift the balance between the two lists.
// s3fifo   Yang, Zhang, Qiu, Yue, Rashmi: "FIFO Queues are All You Need for Cache Eviction", SOSP 2023. A small queue,
//          a main queue with reinsertion, a queue of ghosts. `fills_one_in` is ours, after the bimodal insertion of
//          Qureshi et al., "Adaptive Insertion Policies for High Performance Caching", ISCA 2007.
// tinylfu  Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 2017. A window
//          before a segmented LRU, entered by those the sketch has seen more often than who would have to leave.
#include "modules/memory_store/shadow_cache.h"

#include "modules/memory_store/frequency_sketch.h"
#include "modules/memory_store/shadow_lists.h"

#include <algorithm>

namespace pillion {

namespace {

using NodeId = ShadowLists::NodeId;

// Sums of shares are not exact.
constexpr double slack = 1e-9;

class Shadow : public ShadowCache {
  public:
    explicit Shadow(ShadowCapacity capacity) { Shadow::resize(capacity); }

    bool access(std::uint64_t hash, std::uint32_t weight) final {
        const NodeId node = lists_.find(hash);
        if (node != ShadowLists::none && is_resident(lists_[node].list)) {
            if (lists_[node].weight != weight) lists_.set_weight(node, weight);
            hit(node);
            make_room(0);
            return true;
        }
        if (load_of(weight) > 1 + slack) {
            if (node != ShadowLists::none) lists_.erase(node);
            let_go(hash);
            return false;
        }
        miss(hash, weight, node);
        return false;
    }
    bool contains(std::uint64_t hash) const final {
        const NodeId node = lists_.find(hash);
        return node != ShadowLists::none && is_resident(lists_[node].list);
    }
    void remove(std::uint64_t hash) final {
        const NodeId node = lists_.find(hash);
        if (node != ShadowLists::none) lists_.erase(node);
    }
    void resize(ShadowCapacity capacity) override {
        per_weight_ = 1.0 / static_cast<double>(std::max<std::uint64_t>(capacity.weight_max, 1));
        per_entry_ = 1.0 / static_cast<double>(std::max<std::uint64_t>(capacity.entries_max, 1));
    }
    void report_evicted(std::vector<std::uint64_t>* evicted) final { evicted_ = evicted; }
    std::size_t bytes() const override { return lists_.bytes(); }

  protected:
    virtual bool is_resident(std::uint8_t list) const = 0;
    virtual void hit(NodeId node) = 0;
    // `node` is the key's ghost, or none.
    virtual void miss(std::uint64_t hash, std::uint32_t weight, NodeId node) = 0;
    // Lets go until what is resident leaves this load free.
    virtual void make_room(double load) = 0;

    double load_of(std::uint32_t weight) const {
        return std::max(static_cast<double>(weight) * per_weight_, per_entry_);
    }
    double load(std::size_t list) const { return load_between(list, list); }
    // Of the lists from `first` to `last` together.
    double load_between(std::size_t first, std::size_t last) const {
        std::uint64_t weight = 0;
        std::uint64_t entries = 0;
        for (std::size_t i = first; i <= last; ++i) {
            weight += lists_.list(i).weight;
            entries += lists_.list(i).entries;
        }
        return std::max(static_cast<double>(weight) * per_weight_, static_cast<double>(entries) * per_entry_);
    }
    void let_go(std::uint64_t hash) {
        if (evicted_ != nullptr) evicted_->push_back(hash);
    }
    void evict(NodeId node) {
        let_go(lists_[node].hash);
        lists_.erase(node);
    }
    void evict_to(NodeId node, std::uint8_t ghosts) {
        let_go(lists_[node].hash);
        lists_.move(node, ghosts);
    }
    NodeId oldest(std::size_t list) const { return lists_.list(list).oldest; }
    bool is_empty(std::size_t list) const { return lists_.list(list).entries == 0; }

    ShadowLists lists_;

  private:
    double per_weight_ = 1;
    double per_entry_ = 1;
    std::vector<std::uint64_t>* evicted_ = nullptr;
};

class LruShadow final : public Shadow {
  public:
    using Shadow::Shadow;

  private:
    bool is_resident(std::uint8_t) const override { return true; }
    void hit(NodeId node) override { lists_.move(node, 0); }
    void miss(std::uint64_t hash, std::uint32_t weight, NodeId) override {
        make_room(load_of(weight));
        lists_.add(hash, weight, 0);
    }
    void make_room(double free) override {
        while (!is_empty(0) && load(0) + free > 1 + slack) evict(oldest(0));
    }
};

class ArcShadow final : public Shadow {
  public:
    using Shadow::Shadow;

  private:
    enum List : std::uint8_t { recent, frequent, recent_ghosts, frequent_ghosts };

    bool is_resident(std::uint8_t list) const override { return list <= frequent; }
    void hit(NodeId node) override { lists_.move(node, frequent); }
    void miss(std::uint64_t hash, std::uint32_t weight, NodeId ghost) override {
        const double free = load_of(weight);
        if (ghost != ShadowLists::none) {
            was_frequent_ = lists_[ghost].list == frequent_ghosts;
            const double recents = load(recent_ghosts);
            const double frequents = load(frequent_ghosts);
            recent_target_ = was_frequent_ ? std::max(0.0, recent_target_ - free * std::max(1.0, recents / frequents))
                                           : std::min(1.0, recent_target_ + free * std::max(1.0, frequents / recents));
            lists_.erase(ghost);
            make_room(free);
            lists_.add(hash, weight, frequent);
            was_frequent_ = false;
            return;
        }
        while (!is_empty(recent_ghosts) && load(recent) + load(recent_ghosts) + free > 1 + slack) {
            lists_.erase(oldest(recent_ghosts));
        }
        while (!is_empty(recent) && load(recent) + free > 1 + slack) evict(oldest(recent));
        while (!is_empty(frequent_ghosts) && load_between(recent, frequent_ghosts) + free > 2 + slack) {
            lists_.erase(oldest(frequent_ghosts));
        }
        make_room(free);
        lists_.add(hash, weight, recent);
    }
    void make_room(double free) override {
        while (load_between(recent, frequent) + free > 1 + slack && !(is_empty(recent) && is_empty(frequent))) {
            const double excess = load(recent) - recent_target_;
            const bool from_recent =
                !is_empty(recent) && (is_empty(frequent) || excess > slack || (was_frequent_ && excess > -slack));
            if (from_recent) {
                evict_to(oldest(recent), recent_ghosts);
            } else {
                evict_to(oldest(frequent), frequent_ghosts);
            }
        }
    }

    double recent_target_ = 0;
    bool was_frequent_ = false;
};

class S3FifoShadow final : public Shadow {
  public:
    S3FifoShadow(const ShadowSpec& spec, ShadowCapacity capacity) : Shadow(capacity), spec_(spec) {}

  private:
    enum List : std::uint8_t { small, main, ghosts };
    static constexpr std::uint8_t count_max = 3;

    bool is_resident(std::uint8_t list) const override { return list <= main; }
    void hit(NodeId node) override {
        if (lists_[node].count < count_max) ++lists_[node].count;
    }
    void miss(std::uint64_t hash, std::uint32_t weight, NodeId ghost) override {
        const bool was_ghost = ghost != ShadowLists::none;
        if (was_ghost) lists_.erase(ghost);
        make_room(load_of(weight));
        // Without a small queue this is CLOCK with a counter.
        lists_.add(hash, weight, was_ghost || spec_.window_share == 0 ? main : small);
    }
    void make_room(double free) override {
        while (load_between(small, main) + free > 1 + slack) {
            if (!is_empty(small) && (load(small) > spec_.window_share + slack || is_empty(main))) {
                take_from_small();
            } else if (!is_empty(main)) {
                take_from_main();
            } else {
                return;
            }
        }
    }
    void take_from_small() {
        const NodeId node = oldest(small);
        if (lists_[node].count >= spec_.count_to_stay || takes_over()) {
            lists_[node].count = 0;
            lists_.move(node, main);
            if (load(main) > 1 - spec_.window_share + slack) take_from_main();
            return;
        }
        evict_to(node, ghosts);
        while (load(ghosts) > spec_.ghosts_share + slack) lists_.erase(oldest(ghosts));
    }
    void take_from_main() {
        for (;;) {
            const NodeId node = oldest(main);
            if (lists_[node].count == 0) return evict(node);
            --lists_[node].count;
            lists_.move(node, main);
        }
    }
    bool takes_over() {
        return spec_.fills_one_in != 0 && load(main) < 0.98 * (1 - spec_.window_share) &&
               ++let_go_ % spec_.fills_one_in == 0;
    }

    const ShadowSpec spec_;
    std::uint32_t let_go_ = 0;
};

class TinyLfuShadow final : public Shadow {
  public:
    TinyLfuShadow(const ShadowSpec& spec, ShadowCapacity capacity) : Shadow(capacity), spec_(spec) {}
    std::size_t bytes() const override { return lists_.bytes() + sketch_.bytes(); }

  private:
    enum List : std::uint8_t { window, probation, protected_ };
    static constexpr double protected_share = 0.8;
    // Candidates seen this often sometimes win for no reason, so that nobody can lock the cache by colliding keys.
    static constexpr unsigned warm_count = 6;

    bool is_resident(std::uint8_t) const override { return true; }
    void hit(NodeId node) override {
        sketch_.add(lists_[node].hash);
        const bool was_window = lists_[node].list == window;
        lists_.move(node, was_window ? window : protected_);
        while (load(protected_) > protected_share * (1 - spec_.window_share) + slack &&
               lists_.list(protected_).entries > 1) {
            lists_.move(oldest(protected_), probation);
        }
    }
    void miss(std::uint64_t hash, std::uint32_t weight, NodeId) override {
        sketch_.make_room_for(lists_.size() + 1);
        sketch_.add(hash);
        lists_.add(hash, weight, window);
        make_room(0);
    }
    void make_room(double free) override {
        while (lists_.list(window).entries > 1 && load(window) > spec_.window_share + slack) {
            lists_.move(oldest(window), probation);
            settle(free);
        }
        while (load_between(window, protected_) + free > 1 + slack && lists_.size() > 0) {
            evict(oldest(!is_empty(probation) ? probation : !is_empty(protected_) ? protected_ : window));
        }
    }
    // The candidate has just come from the window; it or those before it leave until all fits.
    void settle(double free) {
        const NodeId candidate = lists_.list(probation).newest;
        while (load_between(window, protected_) + free > 1 + slack) {
            NodeId victim = oldest(probation);
            if (victim == candidate) victim = oldest(protected_);
            if (victim == ShadowLists::none || !is_admitted(candidate, victim)) return evict(candidate);
            evict(victim);
        }
    }
    bool is_admitted(NodeId candidate, NodeId victim) {
        const unsigned wanted = sketch_.count(lists_[candidate].hash);
        const unsigned held = sketch_.count(lists_[victim].hash);
        if (wanted > held) return true;
        random_ = random_ * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
        return wanted >= warm_count && random_ >> 57 == 0;
    }

    const ShadowSpec spec_;
    FrequencySketch sketch_;
    std::uint64_t random_ = 1;
};

} // namespace

std::string_view shadow_policy_name(ShadowPolicy policy) {
    switch (policy) {
    case ShadowPolicy::lru:
        return "lru";
    case ShadowPolicy::arc:
        return "arc";
    case ShadowPolicy::s3fifo:
        return "s3fifo";
    case ShadowPolicy::tinylfu:
        return "tinylfu";
    }
    return {};
}

ShadowSpec shadow_spec(ShadowPolicy policy) {
    return {.policy = policy, .window_share = policy == ShadowPolicy::tinylfu ? 0.01 : 0.1};
}

std::unique_ptr<ShadowCache> make_shadow_cache(const ShadowSpec& spec, ShadowCapacity capacity) {
    switch (spec.policy) {
    case ShadowPolicy::lru:
        return std::make_unique<LruShadow>(capacity);
    case ShadowPolicy::arc:
        return std::make_unique<ArcShadow>(capacity);
    case ShadowPolicy::s3fifo:
        return std::make_unique<S3FifoShadow>(spec, capacity);
    case ShadowPolicy::tinylfu:
        return std::make_unique<TinyLfuShadow>(spec, capacity);
    }
    return nullptr;
}

} // namespace pillion
