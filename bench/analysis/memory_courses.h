// Synthetic courses of private memory with known truth, and the view of them that the series module would give. Pure,
// seeded.
#pragma once

#include "modules/series/series.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace pillion::bench {

inline constexpr std::int64_t course_step_ms = 2000;

// What a process's memory does beside leaking.
enum class MemoryNoise {
    white,       // independent noise
    drifting,    // correlated over minutes
    wandering,   // correlated over hours
    sawtooth,    // garbage collection every 20 s to 20 min
    generations, // small collections, and a large one now and then
    daily,       // a day's rhythm and collections
    documents,   // opened and closed, some megabytes each
    flapping,    // two levels
    restarts,    // every few hours, growing for minutes after each
};
inline constexpr MemoryNoise memory_noises[] = {
    MemoryNoise::white, MemoryNoise::drifting,  MemoryNoise::wandering, MemoryNoise::sawtooth, MemoryNoise::generations,
    MemoryNoise::daily, MemoryNoise::documents, MemoryNoise::flapping,  MemoryNoise::restarts};
std::string name_of(MemoryNoise noise);

// One value every two seconds. The process begins at the first value.
std::vector<double> memory_course(MemoryNoise noise, std::size_t count, std::mt19937_64& random);
// Grows towards a limit and stays there.
std::vector<double> bounded_course(std::size_t count, std::mt19937_64& random);
void add_leak(std::vector<double>& course, double bytes_per_hour, std::size_t from);

// A course as it looks at a time: the newer, the closer.
class CourseView {
  public:
    explicit CourseView(std::vector<double> course);
    std::vector<SeriesPoint> at(std::size_t now) const;
    std::size_t size() const { return levels_.front().size(); }

  private:
    std::vector<std::vector<double>> levels_; // minima of 1, 15, 150 and 1,800 values
};

} // namespace pillion::bench
