// More courses of private memory with known truth, shaped after what apps do: collectors, caches, load that comes and
// goes, allocators that give nothing back, monitors that miss values. Pure, seeded; one value every two seconds, NaN
// where none was taken.
#pragma once

#include "memory_courses.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace pillion::bench {

enum class AppMemory {
    pareto_teeth,    // collections of random period, some of them very long
    promotions,      // small collections promote what only large ones free
    levels,          // jumps between three to six loads
    weekdays,        // working hours, quieter weekends
    bursts,          // spikes that are given back slowly
    quantised,       // pages of 1 to 16 MB at a time
    gaps,            // minutes and hours that nobody measured
    crashes,         // restarts at random, each with a warm-up of its own
    warm_cache,      // fills in steps up to a limit within minutes or hours, then turns over
    tasks,           // each takes 1 to 100 MB for minutes to hours
    load_following,  // memory follows a load that drifts and has a day
    high_water,      // an allocator that keeps the most it ever held
    clipped_wander,  // a random walk between two walls
    pulses_each_hour // a job each hour that holds its memory for ten minutes
};
inline constexpr std::size_t app_memory_count = 14;
std::string name_of(AppMemory kind);

std::vector<double> app_course(AppMemory kind, std::size_t count, std::mt19937_64& random);

enum class AppLeak {
    steady,       // the same all the time
    under_load,   // only while there is something to do, a third of the time
    lumps,        // a piece now and then
    every_request // with noise of its own
};
inline constexpr std::size_t app_leak_count = 4;
std::string name_of(AppLeak kind);
// `bytes_per_hour` is the mean over all the time.
void add_leak(std::vector<double>& course, AppLeak kind, double bytes_per_hour, std::size_t from,
              std::mt19937_64& random);

} // namespace pillion::bench
