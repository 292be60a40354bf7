// Detection quality on synthetic series with known truth: shares of trials, numbers of false alarms, the time that
// passed in the series until a leak was found; and what the search costs. Seeds are fixed; `--seed N` takes others, and
// `--only PART` measures one part.
#include "rows.h"

#include <iostream>
#include <string>
#include <vector>

namespace pillion::bench {

namespace {

struct Part {
    const char* name;
    void (*measure)(const Effort&, Report&);
};
constexpr Part parts[] = {{"leaks", measure_leaks},
                          {"app-leaks", measure_app_leaks},
                          {"other-leaks", measure_other_leaks},
                          {"regressions", measure_regressions},
                          {"comparisons", measure_comparisons},
                          {"changes", measure_changes},
                          {"anomalies", measure_anomalies},
                          {"app-anomalies", measure_app_anomalies},
                          {"costs", [](const Effort&, Report& report) { measure_costs(report); }}};

int run(const std::vector<std::string>& arguments) {
    std::string json;
    std::string only;
    Effort effort;
    for (std::size_t index = 0; index < arguments.size(); ++index) {
        const bool has_value = index + 1 < arguments.size();
        if (arguments[index] == "--quick")
            effort = {.weeks = 1, .leaks = 4, .comparisons = 200, .series = 40, .seed = effort.seed};
        else if (arguments[index] == "--json" && has_value)
            json = arguments[++index];
        else if (arguments[index] == "--only" && has_value)
            only = arguments[++index];
        else if (arguments[index] == "--seed" && has_value)
            effort.seed = std::stoull(arguments[++index]);
    }
    Report report("Analysis", "pillion", "");
    for (const Part& part : parts)
        if (only.empty() || only == part.name) part.measure(effort, report);
    report.print(std::cout);
    if (!json.empty() && !report.write_json(json)) return 2;
    return report.has_failures() ? 1 : 0;
}

} // namespace

} // namespace pillion::bench

int main(int count, char** values) { return pillion::bench::run({values + 1, values + count}); }
