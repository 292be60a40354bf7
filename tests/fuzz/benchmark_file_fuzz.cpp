// Whatever a file holds, it is refused by name or read; what was read is written and read the same, and compares with
// itself without a finding.
#include "modules/benchmarks/benchmarks_rpc.h"
#include "tests/support/tight_text.h"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace pillion;

void require(bool fact) {
    if (!fact) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const test::TightText text(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto run = parse_benchmark_file("a.json", text.view());
    if (!run) {
        require(run.error().code == ErrorCode::corrupt && run.error().message.starts_with("a.json"));
        return 0;
    }
    const std::string once = benchmark_file_text(*run);
    const auto again = parse_benchmark_file("a.json", once);
    require(again.has_value() && benchmark_file_text(*again) == once);

    const BenchmarkComparison comparison = compare_benchmarks(*run, *again, {});
    for (const BenchmarkChange& change : comparison.changes)
        require(change.verdict != BenchmarkVerdict::slower && change.verdict != BenchmarkVerdict::faster);
    return 0;
}
