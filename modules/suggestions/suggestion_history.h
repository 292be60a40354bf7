// Trials of suggestions, in `state.db` where there is a store: those of this process beside those of earlier ones and
// of other sidecars on the same data directory. Owned by the engine; any thread. Nothing is opened before the first
// call.
#pragma once

#include "modules/suggestions/suggestions.h"

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace pillion {

// Why a trial has no verdict that Pillion ended under way.
inline constexpr const char* suggestion_interrupted =
    "Pillion ended before it was measured, and with it what had been changed";

class SuggestionHistory {
  public:
    SuggestionHistory(Store* store, std::string owner) : store_(store), owner_(std::move(owner)) {}
    static void add_schema(Store& store);

    // A trial begins: it gets its number. When this returns without an error it is on the disk. An error leaves it
    // known to this process alone.
    Result<void> add(SuggestionTrial& trial);
    // It has come further; written in the background.
    void update(const SuggestionTrial& trial);
    // Records trials whose process is gone as interrupted. What they changed went with it.
    Result<void> close_orphans(const std::function<bool(const std::string& owner)>& is_alive, std::int64_t now_ms);
    // The latest first.
    Result<std::vector<SuggestionTrial>> trials() const;

  private:
    Store* const store_;
    const std::string owner_;
    mutable std::mutex mutex_;        // guards what follows
    std::deque<SuggestionTrial> own_; // of this process, oldest first
    std::int64_t number_ = 0;         // of the latest, where no store gives numbers
};

} // namespace pillion
