// What `pillion bench` shows people: tables of measurements and of comparisons, and a view that is drawn anew in place
// while it is measured. Pure but for BenchScreen, which is the main thread's.
#pragma once

#include "modules/benchmarks/benchmarks.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// What is written to: lines of a terminal end at its width, those of a file or a pipe do not.
struct BenchPage {
    std::optional<std::size_t> columns{}; // absent: no terminal
    std::size_t rows = 0;
    bool has_colours = false;
};
// That of stdout, as it is now; without colours if the variable NO_COLOR is set.
BenchPage stdout_page();

// The results, and below them what disturbed or failed.
std::string bench_report(const BenchmarkRun& run, const BenchPage& page);
// Each change, why it could not be told, and the conclusion.
std::string comparison_report(const BenchmarkComparison& comparison, const BenchPage& page);
// One picture of a measurement that goes on.
struct BenchProgress {
    double percentage = 0;
    std::string what{}; // what is being measured
    std::int64_t elapsed_ms = 0;
};
std::string live_report(const std::vector<BenchmarkResult>& so_far, const BenchProgress& progress,
                        const BenchPage& page);
// "about 12 s left"; empty while nobody can know.
std::string time_left(const BenchProgress& progress);

// Draws over what it drew before, with the cursor hidden; gone without a trace at its end.
class BenchScreen {
  public:
    BenchScreen() = default;
    ~BenchScreen() { clear(); }
    BenchScreen(const BenchScreen&) = delete;
    void draw(const std::string& text);
    // What is printed next replaces it.
    void clear();

  private:
    std::size_t lines_ = 0;
};

} // namespace pillion
