// Hit ratios on traces and synthetic requests. The reference is the best of LRU, ARC and S3-FIFO, run beside it; the
// goal is to be within half a point of it. Of loops and scans the figure itself is judged.
#include "modules/cache_simulation/cache_simulation.h"
#include "modules/memory_store/memory_store.h"
#include "requests.h"
#include "rows.h"

#include <algorithm>
#include <filesystem>

namespace pillion::bench {

namespace {

struct TraceCase {
    const char* name;
    std::vector<std::uint64_t> capacities;
};

const std::vector<TraceCase>& trace_cases() {
    static const std::vector<TraceCase> cases{
        {"lirs_multi3", {500, 1000, 2000, 5963}}, {"lirs_sprite", {200, 500, 1000, 4245}},
        {"lirs_loop", {256, 512, 909, 1000}},     {"lirs_2_pools", {100, 500, 1000}},
        {"c2k_web07", {250, 1000, 4000, 12290}},  {"address_gcc", {256, 512, 1024}},
    };
    return cases;
}

// One row, in percent, with a peer for each policy.
std::vector<Row> rows_of(const std::string& name, const Trace& trace, const std::vector<std::uint64_t>& capacities) {
    std::vector<Row> rows;
    const auto simulation = simulate_trace(
        trace, {.policies = {"adaptive", "lru", "arc", "s3fifo", "tinylfu", "opt"}, .capacities = capacities});
    if (!simulation) {
        return {Row{.key = name,
                    .title = name,
                    .unit = "%",
                    .reference = "",
                    .figures = {{.peer = "pillion", .failure = simulation.error().message}}}};
    }
    for (const std::uint64_t capacity : simulation->capacities) {
        const std::string title = name + " @ " + std::to_string(capacity);
        Row row{.key = "hitRatio." + name + '.' + std::to_string(capacity),
                .title = title,
                .unit = "%",
                .reference = "best of lru, arc, s3fifo"};
        double best = 0;
        for (const SimulationResult& result : simulation->results) {
            if (result.capacity != capacity) continue;
            const double percent = 100 * result.hitRatio;
            if (result.policy == "lru" || result.policy == "arc" || result.policy == "s3fifo")
                best = std::max(best, percent);
            row.figures.push_back(
                {.peer = result.policy == "adaptive" ? "pillion" : result.policy, .samples = {percent}});
        }
        row.figures.push_back({.peer = row.reference, .samples = {best}});
        row.goal.figure_min = std::max(best - 0.5, 0.0);
        rows.push_back(std::move(row));
    }
    return rows;
}

Trace trace_of(const std::vector<std::uint32_t>& keys, bool has_sizes) {
    Trace trace{.requests = {}, .hasSizes = has_sizes};
    std::vector<bool> seen(*std::max_element(keys.begin(), keys.end()) + 1);
    for (const std::uint32_t key : keys) {
        const std::uint32_t weight = has_sizes ? 100 + key * 2'654'435'761U % 10'000 : 1;
        const std::string_view bytes(reinterpret_cast<const char*>(&key), sizeof key);
        trace.requests.push_back({.key = MemoryStore::hash_of(bytes), .weight = weight});
        if (seen[key]) continue;
        seen[key] = true;
        ++trace.distinctKeys;
        trace.distinctBytes += weight;
    }
    return trace;
}

} // namespace

std::vector<Row> hit_ratio_rows(bool is_quick, const std::string& traces, std::vector<std::string>& skipped) {
    std::vector<Row> rows;
    const auto add = [&rows](std::vector<Row> more) {
        rows.insert(rows.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    };
    for (const TraceCase& each : trace_cases()) {
        const auto trace = read_trace((std::filesystem::path(traces) / (std::string(each.name) + ".txt.gz")).string());
        if (trace) {
            add(rows_of(each.name, *trace, each.capacities));
        } else {
            skipped.emplace_back(each.name);
        }
    }
    const std::size_t count = is_quick ? 200'000 : 1'000'000;
    add(rows_of("zipf 0.8", trace_of(zipf(count, 50'000, 0.8, 1), false), {500, 5'000}));
    add(rows_of("zipf 0.99", trace_of(zipf(count, 200'000, 0.99, 2), false), {2'000, 40'000}));
    add(rows_of("zipf with scans", trace_of(zipf_with_scans(count, 20'000, 5'000, 3), false), {1'000, 4'000}));
    add(rows_of("loop of 3,000", trace_of(loop(count, 3'000), false), {1'000, 2'500}));
    add(rows_of("shifting", trace_of(shifting(count, 5'000, 100'000, 4), false), {500, 2'000}));
    add(rows_of("zipf in bytes", trace_of(zipf(count, 20'000, 0.9, 5), true), {1'000'000, 10'000'000}));
    return rows;
}

} // namespace pillion::bench
