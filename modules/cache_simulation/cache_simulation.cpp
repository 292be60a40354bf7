#include "modules/cache_simulation/cache_simulation.h"

#include "modules/cache_simulation/simulation_opt.h"
#include "modules/memory_store/memory_store.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace pillion {

namespace {

constexpr EvictionPolicy store_policies[] = {EvictionPolicy::adaptive, EvictionPolicy::lru, EvictionPolicy::lfu,
                                             EvictionPolicy::fifo, EvictionPolicy::random};
constexpr ShadowPolicy compared_policies[] = {ShadowPolicy::arc, ShadowPolicy::s3fifo, ShadowPolicy::tinylfu};
constexpr std::string_view optimum = "opt";

// Follows a run through all policies and capacities.
class Progress {
  public:
    Progress(const SimulationOptions& options, std::uint64_t steps) : options_(options), steps_(steps) {}

    // After every so many requests; false: stop.
    bool step(std::uint64_t requests) {
        done_ += requests;
        if (options_.progress) options_.progress(100.0 * static_cast<double>(done_) / static_cast<double>(steps_));
        return !options_.is_cancelled || !options_.is_cancelled();
    }

  private:
    const SimulationOptions& options_;
    const std::uint64_t steps_;
    std::uint64_t done_ = 0;
};

template <class Request>
Result<OptimumHits> run(const Trace& trace, Progress& progress, const Request& request) {
    constexpr std::uint64_t stretch = 65'536;
    OptimumHits hits;
    std::uint64_t since = 0;
    for (const TraceRequest& each : trace.requests) {
        if (request(each)) {
            hits.requests += 1;
            hits.bytes += each.weight;
        }
        if (++since < stretch) continue;
        if (!progress.step(std::exchange(since, 0))) return fail(ErrorCode::cancelled, "the simulation was cancelled");
    }
    if (!progress.step(since)) return fail(ErrorCode::cancelled, "the simulation was cancelled");
    return hits;
}

Result<OptimumHits> run_store(const Trace& trace, EvictionPolicy policy, std::uint64_t capacity, Progress& progress) {
    MemoryStoreConfig config{.entry_share_max = 1, .policy = policy};
    if (trace.hasSizes) {
        config.bytes_max = capacity;
    } else {
        config.bytes_max = std::uint64_t{1} << 60;
        config.entries_max = capacity;
    }
    MemoryStore store(config);
    return run(trace, progress,
               [&](const TraceRequest& request) { return store.simulate(request.key, request.weight); });
}

Result<OptimumHits> run_shadow(const Trace& trace, ShadowPolicy policy, std::uint64_t capacity, Progress& progress) {
    const auto shadow = make_shadow_cache(shadow_spec(policy), {.weight_max = capacity});
    return run(trace, progress,
               [&](const TraceRequest& request) { return shadow->access(request.key, request.weight); });
}

Result<OptimumHits> run_policy(const Trace& trace, std::string_view name, std::uint64_t capacity, Progress& progress) {
    for (const EvictionPolicy policy : store_policies) {
        if (name == eviction_policy_name(policy)) return run_store(trace, policy, capacity, progress);
    }
    for (const ShadowPolicy policy : compared_policies) {
        if (name == shadow_policy_name(policy)) return run_shadow(trace, policy, capacity, progress);
    }
    const OptimumHits hits = trace.hasSizes ? hits_bound(trace, capacity) : belady_hits(trace, capacity);
    if (!progress.step(trace.requests.size())) return fail(ErrorCode::cancelled, "the simulation was cancelled");
    return hits;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

// In the order of simulation_policies(), each once.
Result<std::vector<std::string>> chosen_policies(const std::vector<std::string>& wanted) {
    const std::vector<std::string> all = simulation_policies();
    if (wanted.empty()) return all;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (std::find(all.begin(), all.end(), wanted[i]) == all.end()) {
            return fail(ErrorCode::invalid_params, "there is no policy \"" + wanted[i].substr(0, 40) + "\" to simulate",
                        "/policies/" + std::to_string(i), "one of " + joined(all));
        }
    }
    std::vector<std::string> chosen;
    std::copy_if(all.begin(), all.end(), std::back_inserter(chosen), [&](const std::string& name) {
        return std::find(wanted.begin(), wanted.end(), name) != wanted.end();
    });
    return chosen;
}

Result<std::vector<std::uint64_t>> chosen_capacities(const Trace& trace, const std::vector<std::uint64_t>& wanted) {
    constexpr std::uint64_t capacity_max = (std::uint64_t{1} << 53) - 1;
    std::vector<std::uint64_t> capacities = wanted;
    for (std::size_t i = 0; i < capacities.size(); ++i) {
        if (capacities[i] == 0 || capacities[i] > capacity_max) {
            return fail(ErrorCode::invalid_params,
                        "the capacity " + std::to_string(capacities[i]) + " is not between 1 and " +
                            std::to_string(capacity_max),
                        "/capacities/" + std::to_string(i));
        }
    }
    if (capacities.empty()) {
        for (const std::uint64_t percent : {1, 2, 5, 10, 20, 40, 80}) {
            capacities.push_back(std::max<std::uint64_t>(trace.distinctBytes * percent / 100, 1));
        }
    }
    std::sort(capacities.begin(), capacities.end());
    capacities.erase(std::unique(capacities.begin(), capacities.end()), capacities.end());
    return capacities;
}

} // namespace

std::vector<std::string> simulation_policies() {
    std::vector<std::string> names;
    for (const EvictionPolicy policy : store_policies) names.emplace_back(eviction_policy_name(policy));
    for (const ShadowPolicy policy : compared_policies) names.emplace_back(shadow_policy_name(policy));
    names.emplace_back(optimum);
    return names;
}

Result<Simulation> simulate_trace(const Trace& trace, const SimulationOptions& options) {
    if (trace.requests.empty()) return fail(ErrorCode::invalid_params, "the trace has no requests");
    Simulation simulation{.requests = trace.requests.size(),
                          .distinctKeys = trace.distinctKeys,
                          .distinctBytes = trace.distinctBytes,
                          .hasSizes = trace.hasSizes};
    simulation.capacities = PILLION_TRY(chosen_capacities(trace, options.capacities));
    simulation.policies = PILLION_TRY(chosen_policies(options.policies));
    double total_bytes = 0;
    for (const TraceRequest& request : trace.requests) total_bytes += request.weight;
    Progress progress(options, trace.requests.size() * simulation.capacities.size() * simulation.policies.size());
    for (const std::uint64_t capacity : simulation.capacities) {
        for (const std::string& policy : simulation.policies) {
            const OptimumHits hits = PILLION_TRY(run_policy(trace, policy, capacity, progress));
            simulation.results.push_back({.policy = policy,
                                          .capacity = capacity,
                                          .hitRatio = hits.requests / static_cast<double>(trace.requests.size()),
                                          .byteHitRatio = hits.bytes / total_bytes,
                                          .requests = trace.requests.size()});
        }
    }
    return simulation;
}

std::string simulation_table(const Simulation& simulation) {
    std::string table = simulation.hasSizes ? "hit ratio in percent by capacity in bytes\n"
                                            : "hit ratio in percent by capacity in entries\n";
    const auto cell = [&table](std::string_view text, int width) {
        char padded[64];
        std::snprintf(padded, sizeof padded, "%*.*s", width, static_cast<int>(text.size()), text.data());
        table += padded;
    };
    std::size_t name_width = 0;
    for (const std::string& policy : simulation.policies) name_width = std::max(name_width, policy.size());
    const std::size_t capacity_width = std::to_string(simulation.capacities.back()).size();
    const int width = static_cast<int>(std::max<std::size_t>(capacity_width, 6) + 2);
    cell("", static_cast<int>(name_width));
    for (const std::uint64_t capacity : simulation.capacities) cell(std::to_string(capacity), width);
    table += '\n';
    for (std::size_t i = 0; i < simulation.policies.size(); ++i) {
        cell(simulation.policies[i], -static_cast<int>(name_width));
        for (std::size_t j = 0; j < simulation.capacities.size(); ++j) {
            char number[32];
            const SimulationResult& result = simulation.results[j * simulation.policies.size() + i];
            std::snprintf(number, sizeof number, "%.2f", 100 * result.hitRatio);
            cell(number, width);
        }
        table += '\n';
    }
    return table;
}

} // namespace pillion
