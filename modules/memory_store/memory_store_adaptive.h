// The policy that follows whichever policy would hit most. Private to memory_store; the .cpp tells how it works.
#pragma once

#include "modules/memory_store/memory_store_policy.h"
#include "modules/memory_store/recency_list.h"

#include <memory>
#include <vector>

namespace pillion {

// Keys that went lately, by 16 bits of their hash and 16 of the time they went, in buckets of eight: 5 bytes a ghost.
class GhostTable {
  public:
    // Forgets all; then remembers about this many. 0 takes no memory.
    void reset(std::size_t ghosts);
    void add(std::uint64_t hash);
    bool contains(std::uint64_t hash) const;
    std::size_t bytes() const { return table_.capacity() * sizeof(std::uint32_t); }

  private:
    static constexpr std::size_t bucket = 8;
    std::size_t begin_of(std::uint64_t hash) const;
    std::uint32_t age_of(std::uint32_t ghost) const { return (now() - ghost) & 0xFFFF; }
    std::uint32_t now() const { return static_cast<std::uint32_t>(added_ / tick_) & 0xFFFF; }
    static std::uint32_t print_of(std::uint64_t hash) {
        const auto print = static_cast<std::uint32_t>(hash >> 32) & 0xFFFF;
        return print == 0 ? 1 : print;
    }

    std::vector<std::uint32_t> table_; // print << 16 | time; 0: none
    std::uint64_t added_ = 0;
    std::uint64_t tick_ = 1;
    std::uint32_t age_max_ = 0;
};

class AdaptivePolicy final : public StorePolicy {
  public:
    explicit AdaptivePolicy(const EntryIndex& index);

    Reads reads() const override;
    void announce(std::uint64_t hash, std::uint64_t weight) override;
    void add(MemoryEntry* entry, std::uint64_t hash, Arrival arrival) override;
    void remove(MemoryEntry* entry) override;
    void forget(std::uint64_t hash) override;
    void hit(MemoryEntry* entry, std::uint64_t hash) override;
    MemoryEntry* victim() override;
    std::vector<MemoryEntry*> order() const override;
    void resize(ShadowCapacity capacity) override;
    std::size_t bytes() const override;
    std::string_view followed() const override;

  private:
    struct Rival {
        ShadowSpec spec;
        std::unique_ptr<ShadowCache> shadow;
        double misses = 0; // of late
        bool has_missed = false;
    };
    enum List : std::uint8_t { small, main };
    // Bits of MemoryEntry::mark: in the main queue; in no queue, since it is about to go or be replaced.
    static constexpr unsigned main_bit = 1;
    static constexpr unsigned loose_bit = 2;

    bool is_watching() const { return !rivals_.empty(); }
    bool is_exact() const { return sample_bits_ == 0; }
    const EntryList& list(List which) const { return which == small ? small_ : main_.list(); }
    std::uint64_t entries() const { return small_.entries() + main_.list().entries(); }
    std::uint16_t sample_mask() const { return static_cast<std::uint16_t>((1U << sample_bits_) - 1); }
    List list_of(MemoryEntry* entry) const;
    void unlink(MemoryEntry* entry);
    void place(MemoryEntry* entry, List list, std::uint8_t count);
    void put_back(MemoryEntry* entry, std::uint8_t use);
    double load(std::uint64_t weight, std::uint64_t entries) const;
    double load(List which) const { return load(list(which).weight(), list(which).entries()); }

    void fit_rivals();
    void restart(unsigned sample_bits);
    void rest();
    ShadowCapacity shadow_capacity() const;
    void play(std::uint64_t hash, std::uint64_t weight);
    void elect();
    void follow(std::size_t rival);
    MemoryEntry* find_orphan();
    MemoryEntry* find_queue_victim();
    MemoryEntry* take_from_main();
    bool takes_over();

    const EntryIndex& index_;
    ShadowCapacity capacity_{};
    EntryList small_;
    RecencyList main_;
    std::uint64_t looks_ = 0; // in this stretch of time of the main queue
    GhostTable ghosts_;
    ShadowSpec spec_; // how the store's own queues are kept
    std::uint32_t let_go_ = 0;

    unsigned sample_bits_ = 0;
    std::uint64_t restarted_entries_ = 0;
    std::vector<Rival> rivals_;
    std::size_t leader_ = 0;
    std::vector<std::uint64_t> orphans_; // hashes of keys that the leader has let go of
    std::size_t orphans_taken_ = 0;
};

} // namespace pillion
