// Detection quality on synthetic series with known truth. Nothing is timed: every figure is a share of trials, a number
// of false alarms or the time that passed in the series until a leak was found. Seeds are fixed.
#include "rows.h"

#include <iostream>
#include <string>
#include <vector>

namespace pillion::bench {

namespace {

int run(const std::vector<std::string>& arguments) {
    std::string json;
    Effort effort;
    for (std::size_t index = 0; index < arguments.size(); ++index) {
        if (arguments[index] == "--quick") effort = {.weeks = 1, .leaks = 6, .comparisons = 200, .series = 60};
        if (arguments[index] == "--json" && index + 1 < arguments.size()) json = arguments[++index];
    }
    Report report("Analysis", "pillion", "");
    measure_leaks(effort, report);
    measure_regressions(effort, report);
    measure_changes(effort, report);
    measure_anomalies(effort, report);
    report.print(std::cout);
    if (!json.empty() && !report.write_json(json)) return 2;
    return report.has_failures() ? 1 : 0;
}

} // namespace

} // namespace pillion::bench

int main(int count, char** values) { return pillion::bench::run({values + 1, values + count}); }
