// The nearest valid spelling to what somebody wrote, for error messages. Any thread.
#pragma once

#include <string_view>

namespace pillion {

// Edits between two words: insertions, deletions, substitutions and swaps of neighbours (optimal string alignment),
// letters of either case being equal. Words over 64 bytes are never near anything.
unsigned spelling_distance(std::string_view a, std::string_view b);

// Keeps the best of the candidates it is shown.
class NearestName {
  public:
    explicit NearestName(std::string_view wanted) : wanted_(wanted) {}
    void consider(std::string_view candidate);
    // Empty if nothing came near enough to be meant: about a third of the word may differ.
    std::string_view best() const { return best_; }

  private:
    std::string_view wanted_;
    std::string_view best_{};
    unsigned distance_ = ~0u;
};

} // namespace pillion
