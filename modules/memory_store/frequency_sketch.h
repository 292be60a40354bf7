// How often keys were seen lately, about: a count-min sketch of 4-bit counters whose counts are halved from time to
// time (Einziger, Friedman, Manes, "TinyLFU", 2017). Private to memory_store; one thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pillion {

class FrequencySketch {
  public:
    // Counts are halved each time as many as ten times the entries were added.
    void make_room_for(std::size_t entries) {
        sample_max_ = std::max(sample_max_, entries * 10);
        // Twice the same table says of every key what it said before.
        while (table_.size() < entries) {
            table_.reserve(table_.size() * 2);
            table_.insert(table_.end(), table_.begin(), table_.end());
        }
    }
    std::size_t bytes() const { return table_.capacity() * sizeof(std::uint64_t); }
    unsigned count(std::uint64_t hash) const {
        unsigned least = 15;
        for (unsigned row = 0; row < 4; ++row) {
            const Place place = place_of(hash, row);
            least = std::min(least, static_cast<unsigned>(table_[place.word] >> place.shift & 15U));
        }
        return least;
    }
    void add(std::uint64_t hash) {
        bool is_counted = false;
        for (unsigned row = 0; row < 4; ++row) {
            const Place place = place_of(hash, row);
            if ((table_[place.word] >> place.shift & 15U) == 15U) continue;
            table_[place.word] += std::uint64_t{1} << place.shift;
            is_counted = true;
        }
        if (is_counted && ++added_ >= sample_max_) halve();
    }

  private:
    struct Place {
        std::size_t word;
        unsigned shift;
    };
    Place place_of(std::uint64_t hash, unsigned row) const {
        constexpr std::uint64_t seeds[] = {0xC3A5C85C97CB3127ULL, 0xB492B66FBE98F273ULL, 0x9AE16A3B2F90404FULL,
                                           0xCBF29CE484222325ULL};
        std::uint64_t mixed = (hash + seeds[row]) * seeds[row];
        mixed ^= mixed >> 32;
        const unsigned counter = static_cast<unsigned>(mixed >> 40 & 3U) * 4 + row;
        return {static_cast<std::size_t>(mixed) & (table_.size() - 1), counter * 4};
    }
    void halve() {
        for (std::uint64_t& word : table_) word = word >> 1 & 0x7777777777777777ULL;
        added_ /= 2;
    }

    std::vector<std::uint64_t> table_ = std::vector<std::uint64_t>(64, 0);
    std::size_t added_ = 0;
    std::size_t sample_max_ = 640;
};

} // namespace pillion
