// The tables behind a Predictor: names, and what followed one or two of them. Private to the module; whoever uses it
// holds a lock.
//
// A context is 64 bytes, a cache line: which names it stands for, how much was seen in it, and its six weightiest
// successors. Contexts live in buckets of eight; a full table drops the bucket's lightest. A name is 32 bytes beside
// its text; a full table drops the lightest of sixteen taken at random. An id holds a generation beside the place in
// the table, so that what was learned of a dropped name is never taken for its successor's.
#pragma once

#include "modules/prediction/prediction.h"

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

using NameId = std::uint32_t; // generation in the upper 14 bits, place + 1 in the lower 18; 0: none
inline constexpr unsigned place_bits = 18;
inline constexpr NameId place_mask = (1u << place_bits) - 1;

struct Successor {
    NameId name = 0;
    float weight = 0;
};

struct LearnedContext {
    static constexpr std::size_t successors_max = 6;
    NameId last = 0;                // 0: the place is free
    NameId before = 0;              // 0: the context is `last` alone
    float total = 0;                // of all weights seen, those of dropped successors included
    std::uint32_t minutes : 31 = 0; // model time of the last change
    std::uint32_t is_unsaved : 1 = 0;
    std::array<Successor, successors_max> successors{};
};
static_assert(sizeof(LearnedContext) == 64);

class PredictionModel {
  public:
    explicit PredictionModel(const PredictorOptions& options);
    // From here on changes are kept for take_changes().
    void track_changes() { is_tracking_ = true; }

    // The id of a name, made if it is new; 0 if it is too long.
    NameId intern(std::string_view name, std::uint32_t minutes);
    NameId find(std::string_view name) const;
    std::string_view text(NameId id) const;
    bool is_known(NameId id) const;
    // `next` came after `last`, which came after `before`.
    void learn(NameId before, NameId last, NameId next, std::uint32_t minutes);

    double probability(NameId before, NameId last, NameId next, std::uint32_t minutes) const;
    struct Candidate {
        NameId name;
        double probability;
    };
    // What is likely after these, most probable first.
    std::vector<Candidate> candidates(NameId before, NameId last, std::uint32_t minutes) const;

    // Rows as they are stored: by the names' hashes, which mean the same to every process.
    struct NameRow {
        std::uint64_t hash;
        std::string text;
        double weight;
        std::uint32_t minutes;
    };
    struct ContextRow {
        std::uint64_t last, before;
        double total;
        std::uint32_t minutes;
        std::string successors; // 12 bytes each: hash and weight, little-endian
    };
    struct Changes {
        std::vector<NameRow> names{};
        std::vector<std::uint64_t> dropped_names{};
        std::vector<ContextRow> contexts{};
        std::vector<std::pair<std::uint64_t, std::uint64_t>> dropped_contexts{};
        bool empty() const {
            return names.empty() && dropped_names.empty() && contexts.empty() && dropped_contexts.empty();
        }
    };
    // What changed since it was last taken, at most so many rows. Looks through the tables: up to a millisecond.
    Changes take_changes(std::size_t rows_max);
    std::size_t unsaved() const { return unsaved_names_ + unsaved_contexts_ + dropped_.size(); }
    // Takes in what was stored, without marking it changed. Names first. What is known already is left as it is.
    void restore(const NameRow& row);
    void restore(const ContextRow& row);

    void fill(PredictorStats& stats) const;

  private:
    struct Name {
        std::unique_ptr<char[]> text{};
        std::uint64_t hash = 0;
        float weight = 0;
        std::uint32_t minutes = 0;
        std::uint16_t bytes = 0;
        std::uint16_t generation = 0; // of 14 bits
        bool is_unsaved = false;
    };
    struct Dropped {
        std::uint64_t last, before;
        bool is_name;
    };
    static constexpr std::size_t bucket = 8;
    static constexpr std::size_t top_max = 16;
    // Of what was dropped and not taken yet; rows beyond stay in the store until it is read again.
    static constexpr std::size_t dropped_max = 16'384;
    // What the allocator adds to a name's text.
    static constexpr std::size_t name_overhead = 16;

    void take_names(Changes& changes, std::size_t rows_max);
    void take_contexts(Changes& changes, std::size_t rows_max);
    const Name& name_of(NameId id) const { return names_[(id & place_mask) - 1]; }
    Name& name_of(NameId id) { return names_[(id & place_mask) - 1]; }
    NameId id_of(std::size_t place) const {
        return (static_cast<NameId>(names_[place].generation) << place_bits) | static_cast<NameId>(place + 1);
    }
    NameId add_name(std::string_view name, std::uint64_t hash);
    void drop_lightest_name();
    std::size_t slot_of(std::uint64_t hash) const;
    void grow_index();
    void erase_from_index(std::uint64_t hash);
    void touch_name(NameId id, std::uint32_t minutes);
    void keep_top(NameId id);
    double decay(std::uint32_t from_minutes, std::uint32_t to_minutes) const;

    std::size_t bucket_of(NameId last, NameId before) const;
    const LearnedContext* find_context(NameId last, NameId before) const;
    LearnedContext& context(NameId last, NameId before, std::uint32_t minutes);
    void grow_contexts();
    void add(LearnedContext& context, NameId next, std::uint32_t minutes);
    // One order of the model, ready to be asked for any name.
    struct Order {
        const LearnedContext* context = nullptr;
        double aged = 1;       // factor on the context's weights
        double total = 0;      // of all uses
        double kinds = 0;      // of names, the faded ones in part
        double lost_share = 0; // of a name it does not hold, by its fallback: what dropped successors left
        double blend(NameId next, double fallback) const;
    };
    // All that is known after two names.
    struct Reading {
        NameId last = 0;
        std::uint32_t minutes = 0;
        double names_weight = 1;
        Order first{}, second{};
    };
    Reading reading(NameId before, NameId last, std::uint32_t minutes) const;
    Order order(const LearnedContext* context, const Reading& reading, const Order& lower) const;
    double unigram(const Reading& reading, NameId next) const;
    double probability(const Reading& reading, NameId next) const;
    std::uint32_t random_below(std::size_t limit);
    void note_dropped(const Dropped& dropped);
    bool is_room() const {
        return names_.size() - free_places_.size() < std::min<std::size_t>(options_.names_max, place_mask - 1);
    }

    const PredictorOptions& options_;
    const float use_decay_;
    std::vector<Name> names_;
    std::vector<std::uint32_t> index_; // open addressing, a power of two: place + 1, 0 for free
    std::vector<std::uint32_t> free_places_;
    std::size_t names_bytes_ = 0;
    double names_weight_ = 0; // sum over all names, as of names_minutes_
    std::uint32_t names_minutes_ = 0;
    std::array<NameId, top_max> top_{}; // the weightiest names, for where nothing else is known
    std::vector<LearnedContext> contexts_;
    std::size_t contexts_count_ = 0;
    std::uint64_t random_ = 0x9E3779B97F4A7C15u;
    std::uint64_t forgotten_ = 0;
    std::uint64_t refused_ = 0;
    // How many are marked unsaved, and where the search for them goes on.
    std::size_t unsaved_names_ = 0;
    std::size_t unsaved_contexts_ = 0;
    std::size_t name_cursor_ = 0;
    std::size_t context_cursor_ = 0;
    std::vector<Dropped> dropped_;
    bool is_tracking_ = false;
};

} // namespace pillion
