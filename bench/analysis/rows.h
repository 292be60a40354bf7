// What the benchmark of analysis measures, each part with its rows.
#pragma once

#include "report.h"

#include <cstdint>

namespace pillion::bench {

struct Effort {
    int weeks = 3;  // of each kind of noise
    int leaks = 20; // of each rate and kind of noise
    int comparisons = 400;
    int series = 200;
    std::uint64_t seed = 60'000'000; // of the courses shaped after apps
};

void measure_leaks(const Effort& effort, Report& report);
void measure_regressions(const Effort& effort, Report& report);
void measure_changes(const Effort& effort, Report& report);
void measure_anomalies(const Effort& effort, Report& report);
void measure_app_leaks(const Effort& effort, Report& report);
void measure_other_leaks(const Effort& effort, Report& report);
void measure_comparisons(const Effort& effort, Report& report);
void measure_app_anomalies(const Effort& effort, Report& report);
void measure_costs(Report& report);

} // namespace pillion::bench
