// One thing that can be measured. Private to the module; used by the thread that measures.
#pragma once

#include "ipc/base/error.h"
#include "modules/benchmarks/benchmarks.h"
#include "modules/process/process.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pillion {

class BenchmarkCase {
  public:
    virtual ~BenchmarkCase() = default;
    // Once, before the first operation; what it makes goes with the case.
    virtual Result<void> prepare() { return {}; }
    // Before each run, outside of what is measured.
    virtual Result<void> begin_run() { return {}; }
    // Does it once; the nanoseconds that count.
    virtual Result<double> operate() = 0;
};

// What cases are made of.
struct BenchmarkSurroundings {
    const Benchmarks::Host& host;
    PlainChildren& children;
    std::string folder;          // a temporary one, removed afterwards
    std::int64_t timeout_ms = 0; // of one operation
    std::function<bool()> is_cancelled{};
};

// A case of the catalogue.
struct BenchmarkDeclaration {
    std::string name;
    std::string suite;
    std::string summary;
    std::function<std::unique_ptr<BenchmarkCase>(const BenchmarkSurroundings&)> make;
};

// A case made of a function that is timed as a whole.
class TimedCase final : public BenchmarkCase {
  public:
    TimedCase(const Clock& clock, std::function<Result<void>()> prepare, std::function<Result<void>()> operate)
        : clock_(clock), prepare_(std::move(prepare)), operate_(std::move(operate)) {}
    Result<void> prepare() override { return prepare_ ? prepare_() : Result<void>{}; }
    Result<double> operate() override {
        const std::int64_t began_ns = clock_.now_ns();
        PILLION_TRY(operate_());
        return static_cast<double>(clock_.now_ns() - began_ns);
    }

  private:
    const Clock& clock_;
    const std::function<Result<void>()> prepare_;
    const std::function<Result<void>()> operate_;
};

std::vector<BenchmarkDeclaration> startup_benchmarks(const Benchmarks::Host& host);
std::vector<BenchmarkDeclaration> ipc_benchmarks();
std::vector<BenchmarkDeclaration> memory_benchmarks();
std::vector<BenchmarkDeclaration> filesystem_benchmarks();
std::vector<BenchmarkDeclaration> database_benchmarks();
std::vector<BenchmarkDeclaration> cache_benchmarks();
std::vector<BenchmarkDeclaration> memory_store_benchmarks(); // those of cache that need no process of their own
// What the user names.
std::unique_ptr<BenchmarkCase> command_benchmark(std::vector<std::string> command, const BenchmarkSurroundings&);
// In this process.
std::unique_ptr<BenchmarkCase> method_benchmark(std::string method, std::string params, const BenchmarkSurroundings&);
// In a process of its own for each run, over the wire.
std::unique_ptr<BenchmarkCase> served_method_benchmark(std::string_view method, std::string_view params,
                                                       const BenchmarkSurroundings&);

} // namespace pillion
