#include "modules/suggestions/suggestion_rules.h"

#include "modules/suggestions/suggestion_text.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

using namespace suggestion_text;

constexpr double slack_bytes_min = 32 << 20; // of the heap
constexpr double slack_share_min = 0.25;     // of what the heap holds
constexpr double free_bytes_min = 8 << 20;   // of a database file
constexpr double free_share_min = 0.2;       // of a database file
constexpr double component_bytes_min = 16 << 20;
constexpr double load_ms_min = 100; // of a component, that a start would be better without
constexpr std::uint64_t calls_min = 1000;
constexpr double wait_ms_min = 5;      // for a worker, at the 95th percentile
constexpr double busy_share_max = 0.7; // of the processors: past it more threads only take turns
constexpr std::int64_t workers_max = 64;
constexpr std::uint64_t repeated_calls_min = 100;
constexpr std::uint64_t repeats_min = 50;
constexpr double repeated_share_min = 0.3;
constexpr double repeated_ms_min = 1;    // what an answer costs that could have been kept
constexpr std::int64_t kept_ms = 60'000; // an answer, in a first step
constexpr std::int64_t queue_min = 64;
constexpr std::int64_t concurrency_max = 256;
constexpr std::int64_t backend_queue_max = 16'384;
constexpr double requests_per_second_min = 200;
constexpr double batched_share_max = 0.05;

SeriesQuery counted(const std::string& series, const std::string& backend) {
    return {.name = series,
            .labels = {{"backend", backend}},
            .function = SeriesFunction::increase,
            .aggregate = SeriesAggregate::sum};
}

void advise_memory_purge(const Situation& situation, std::vector<Suggestion>& suggestions) {
    if (!situation.memory) return;
    const MemorySituation& memory = *situation.memory;
    const auto committed = static_cast<double>(memory.committed_bytes);
    const auto resident = static_cast<double>(memory.resident_bytes);
    const double unused = std::max(0.0, committed - static_cast<double>(memory.used_bytes));
    const double slack = std::min(resident, unused + static_cast<double>(memory.pools_idle_bytes));
    if (slack < slack_bytes_min || slack < slack_share_min * std::min(resident, committed)) return;
    Suggestion made{.id = "memory.purge", .kind = "memory.purge", .target = "memory"};
    made.title = "Give memory back that nobody uses";
    made.reason = "The heap holds " + bytes(committed) + " of which " + bytes(unused) +
                  " are not in use; idle pools hold " + bytes(static_cast<double>(memory.pools_idle_bytes)) + ".";
    made.evidence = {{.series = "process.memory.usage",
                      .labels = {{"role", "self"}},
                      .what = "resident size of Pillion",
                      .unit = "By",
                      .value = resident},
                     {.series = "pillion.memory.pool.bytes",
                      .what = "held by idle pools",
                      .unit = "By",
                      .value = static_cast<double>(memory.pools_idle_bytes)}};
    made.improvement = {.figure = "resident size",
                        .unit = "By",
                        .now = resident,
                        .modest = resident - slack / 4,
                        .best = resident - slack * 0.9};
    made.lasts = SuggestionLasts::moment;
    made.settings = {{"level", "normal"}};
    made.measure = SuggestionMeasure{
        .figure = "resident size of Pillion",
        .unit = "By",
        .better = SuggestionBetter::lower,
        .query = {.name = "process.memory.usage", .labels = {{"role", "self"}}, .aggregate = SeriesAggregate::sum},
        .effect_share_min = 0,
        .effect_min = slack / 8};
    suggestions.push_back(std::move(made));
}

void advise_storage_vacuum(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const DatabaseSituation& database : situation.databases) {
        const auto free = static_cast<double>(database.free_bytes);
        const auto size = static_cast<double>(database.bytes);
        if (!database.can_shrink || free < free_bytes_min || free < free_share_min * size) continue;
        Suggestion made{
            .id = "storage.vacuum:" + database.name, .kind = "storage.vacuum", .target = "database " + database.name};
        made.title = "Give the free pages of " + database.name + " back to the disk";
        made.reason = "Of its " + bytes(size) + " " + bytes(free) + " hold nothing.";
        made.evidence = {{.series = "pillion.storage.bytes",
                          .labels = {{"database", database.name}},
                          .what = "size of the file",
                          .unit = "By",
                          .value = size},
                         {.series = {}, .what = "of it free", .unit = "By", .value = free}};
        made.improvement = {
            .figure = "size of the file", .unit = "By", .now = size, .modest = size - free / 2, .best = size - free};
        made.lasts = SuggestionLasts::moment;
        made.measure = SuggestionMeasure{.figure = "size of " + database.name,
                                         .unit = "By",
                                         .better = SuggestionBetter::lower,
                                         .query = {.name = "pillion.storage.bytes",
                                                   .labels = {{"database", database.name}},
                                                   .aggregate = SeriesAggregate::sum},
                                         .effect_share_min = 0,
                                         .effect_min = free / 4};
        suggestions.push_back(std::move(made));
    }
}

SuggestionEvidence component_memory(const ComponentSituation& component) {
    return {.series = "process.memory.private",
            .labels = {{"component", component.name}},
            .what = "memory of its processes",
            .unit = "By",
            .value = static_cast<double>(component.memory_bytes)};
}

void advise_component_unload(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const ComponentSituation& component : situation.components) {
        const auto memory = static_cast<double>(component.memory_bytes);
        if (!component.is_ready || component.is_critical || component.is_depended_on || !component.is_process) continue;
        if (component.unused_ms < situation.unused_ms_min || memory < component_bytes_min) continue;
        Suggestion made{.id = "component.unload:" + component.name,
                        .kind = "component.unload",
                        .target = "component " + component.name};
        made.title = "Unload " + component.name + " while nobody uses it";
        made.reason = "It was not used for " + duration(static_cast<double>(component.unused_ms)) + " and holds " +
                      bytes(memory) + ". The price: its next use waits " + duration(component.load_ms) +
                      " for it to load.";
        made.evidence = {component_memory(component)};
        made.improvement = {.figure = "memory of the app's processes, less by",
                            .unit = "By",
                            .now = 0,
                            .modest = memory / 2,
                            .best = memory};
        made.complexity = component.load_ms < 1000 ? SuggestionComplexity::low : SuggestionComplexity::medium;
        made.configuration =
            "[components." + component.name + "]\nkeepAliveMs = " + std::to_string(situation.unused_ms_min);
        made.measure = SuggestionMeasure{.figure = "memory of all processes",
                                         .unit = "By",
                                         .better = SuggestionBetter::lower,
                                         .query = {.name = "pillion.tree.memory", .aggregate = SeriesAggregate::sum},
                                         .effect_share_min = 0,
                                         .effect_min = memory / 2};
        suggestions.push_back(std::move(made));
    }
}

void advise_component_lazy(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const ComponentSituation& component : situation.components) {
        if (!component.is_ready || !component.is_eager || component.is_critical || component.is_depended_on) continue;
        if (component.uses > 0 || component.unused_ms < situation.unused_ms_min || component.load_ms < load_ms_min)
            continue;
        Suggestion made{.id = "component.lazy:" + component.name,
                        .kind = "component.lazy",
                        .target = "component " + component.name};
        made.title = "Load " + component.name + " at its first use";
        made.reason = "It was loaded at the start, which took " + duration(component.load_ms) +
                      ", and nobody has used it in the " + duration(static_cast<double>(component.unused_ms)) +
                      " since.";
        made.evidence = {{.series = "pillion.component.load.duration",
                          .labels = {{"component", component.name}},
                          .what = "time it takes to load",
                          .unit = "ms",
                          .value = component.load_ms},
                         component_memory(component)};
        made.improvement = {.figure = "its time in a start",
                            .unit = "ms",
                            .now = component.load_ms,
                            .modest = component.load_ms,
                            .best = 0};
        made.lasts = SuggestionLasts::forever;
        made.configuration = "[components." + component.name + "]\nload = \"firstUse\"";
        made.by_hand = "it changes how the app starts, and a start cannot be measured again within this run; "
                       "startup.report compares the next ones";
        suggestions.push_back(std::move(made));
    }
}

void advise_worker_count(const Situation& situation, std::vector<Suggestion>& suggestions) {
    if (!situation.workers) return;
    const WorkerSituation& workers = *situation.workers;
    if (workers.calls < calls_min || workers.wait_p95_ms < wait_ms_min || workers.count >= workers_max) return;
    if (workers.cpu_share >= busy_share_max) return; // they wait for processors, not for workers
    const std::int64_t wanted = std::min(workers_max, workers.count * 2);
    Suggestion made{.id = "ipc.workers", .kind = "ipc.workers", .target = "workers"};
    made.title =
        "Let " + std::to_string(wanted) + " workers run slow methods instead of " + std::to_string(workers.count);
    made.reason = "One call in twenty waits " + duration(workers.wait_p95_ms) + " or more for a worker, while " +
                  percent(1 - workers.cpu_share) + " of the processors are idle.";
    made.evidence = {{.series = "pillion.rpc.queue.wait",
                      .what = "95th percentile of " + std::to_string(workers.calls) + " waits",
                      .unit = "ms",
                      .value = workers.wait_p95_ms},
                     {.series = "process.cpu.time",
                      .labels = {{"role", "self"}},
                      .what = "share of all processors that Pillion uses",
                      .unit = "1",
                      .value = workers.cpu_share}};
    made.improvement = {.figure = "95th percentile of the wait for a worker",
                        .unit = "ms",
                        .now = workers.wait_p95_ms,
                        .modest = workers.wait_p95_ms * 0.8,
                        .best = workers.wait_p95_ms * 0.1};
    made.settings = {{"workers", std::to_string(wanted)}};
    made.configuration = "[ipc]\nworkers = " + std::to_string(wanted);
    made.measure = SuggestionMeasure{.figure = "95th percentile of the wait for a worker",
                                     .unit = "ns",
                                     .better = SuggestionBetter::lower,
                                     .query = {.name = "pillion.rpc.queue.wait",
                                               .function = SeriesFunction::percentile,
                                               .percentile = 95,
                                               .aggregate = SeriesAggregate::sum},
                                     .effect_share_min = 0.2,
                                     .effect_min = 1e6};
    suggestions.push_back(std::move(made));
}

void advise_backend_cache(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const MethodSituation& method : situation.methods) {
        const double repeated = static_cast<double>(method.repeats) / std::max(1.0, static_cast<double>(method.calls));
        if (method.calls < repeated_calls_min || method.repeats < repeats_min || method.contradictions > 0) continue;
        if (method.method == "tools/call") continue; // hides many tools, and a rule would have to name them
        if (repeated < repeated_share_min || method.mean_ms < repeated_ms_min) continue;
        const std::string name = method.backend + "/" + method.method;
        Suggestion made{.id = "backend.cache:" + name, .kind = "backend.cache", .target = "backend " + method.backend};
        made.title = "Keep the answers of " + name + " for a minute";
        made.reason = "Of " + std::to_string(method.calls) + " calls " + std::to_string(method.repeats) +
                      " repeated an earlier one, and every one of them got the same answer as before, after " +
                      duration(method.mean_ms) +
                      ". Whether it does nothing but answer only its author "
                      "knows; kept answers may be a minute old.";
        made.evidence = {{.series = "pillion.backend.duration",
                          .labels = {{"backend", method.backend}},
                          .what = "time to an answer that could have been kept",
                          .unit = "ms",
                          .value = method.mean_ms},
                         {.series = {}, .what = "share of calls that repeat", .unit = "1", .value = repeated}};
        made.improvement = {.figure = "calls that reach the backend",
                            .unit = "1",
                            .now = 1,
                            .modest = 1 - repeated / 2,
                            .best = 1 - repeated};
        made.complexity = SuggestionComplexity::medium;
        made.settings = {{"method", method.method}, {"ttlMs", std::to_string(kept_ms)}};
        made.configuration = "[[backends." + method.backend + ".cache]]\nmethods = [\"" + method.method +
                             "\"]\nttlMs = " + std::to_string(kept_ms);
        made.measure = SuggestionMeasure{.figure = "share of the calls of " + method.backend + " that reach no process",
                                         .unit = "1",
                                         .better = SuggestionBetter::higher,
                                         .query = counted("pillion.backend.hits", method.backend),
                                         .whole = {counted("pillion.backend.requests", method.backend)},
                                         .effect_min = 0.02};
        suggestions.push_back(std::move(made));
    }
}

// Where calls were refused, that they are not any more; else how long an answer takes, with the wait for it.
void measure_backend_queue(Suggestion& made, const std::string& backend, bool is_refusing) {
    const SuggestionMeasure errors{.figure = "share of the calls of " + backend + " that come to an error",
                                   .unit = "1",
                                   .better = SuggestionBetter::lower,
                                   .query = counted("pillion.backend.errors", backend),
                                   .whole = {counted("pillion.backend.requests", backend)},
                                   .effect_min = 0.005};
    if (is_refusing) {
        made.measure = errors;
        return;
    }
    made.measure = SuggestionMeasure{.figure = "time to an answer of " + backend,
                                     .unit = "s",
                                     .better = SuggestionBetter::lower,
                                     .query = {.name = "pillion.backend.duration",
                                               .labels = {{"backend", backend}},
                                               .aggregate = SeriesAggregate::sum},
                                     .effect_share_min = 0.1};
    made.guards = {errors};
}

void advise_backend_queue(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const BackendSituation& backend : situation.backends) {
        const bool is_refusing = backend.refused > 0 && backend.queue_high_water >= backend.queue_max;
        if (backend.calls < calls_min || (!is_refusing && backend.queue_high_water < queue_min)) continue;
        if (backend.concurrency >= concurrency_max) continue;
        const std::int64_t wanted = std::min(concurrency_max, backend.concurrency * 2);
        Suggestion made{.id = "backend.concurrency:" + backend.name,
                        .kind = "backend.concurrency",
                        .target = "backend " + backend.name};
        made.title = "Send " + backend.name + " " + std::to_string(wanted) + " calls at a time instead of " +
                     std::to_string(backend.concurrency);
        made.reason = "Up to " + std::to_string(backend.queue_high_water) + " calls waited for it and " +
                      std::to_string(backend.refused) +
                      " were refused. It helps if the backend answers calls side by side.";
        made.evidence = {{.series = "pillion.backend.queue.depth",
                          .labels = {{"backend", backend.name}},
                          .what = "most calls that waited",
                          .unit = "{request}",
                          .value = static_cast<double>(backend.queue_high_water)},
                         {.series = "pillion.backend.duration",
                          .labels = {{"backend", backend.name}},
                          .what = "median time to an answer",
                          .unit = "ms",
                          .value = backend.p50_ms}};
        made.improvement = {.figure = "median time to an answer",
                            .unit = "ms",
                            .now = backend.p50_ms,
                            .modest = backend.p50_ms,
                            .best = backend.p50_ms * static_cast<double>(backend.concurrency) /
                                    static_cast<double>(wanted)};
        made.complexity = SuggestionComplexity::medium;
        made.settings = {{"concurrency", std::to_string(wanted)}};
        made.configuration = "[backends." + backend.name + "]\nconcurrency = " + std::to_string(wanted);
        if (is_refusing) {
            const std::string queue_max = std::to_string(std::min(backend_queue_max, backend.queue_max * 4));
            made.settings["queueMax"] = queue_max;
            made.configuration += "\nqueueMax = " + queue_max;
        }
        measure_backend_queue(made, backend.name, is_refusing);
        suggestions.push_back(std::move(made));
    }
}

void advise_ipc_batch(const Situation& situation, std::vector<Suggestion>& suggestions) {
    if (!situation.wire) return;
    const WireSituation& wire = *situation.wire;
    if (wire.requests < calls_min || wire.requests_per_second < requests_per_second_min) return;
    const double batched = static_cast<double>(wire.batches) / static_cast<double>(wire.requests);
    if (batched >= batched_share_max) return;
    Suggestion made{.id = "ipc.batch", .kind = "ipc.batch", .target = "client"};
    made.title = "Send requests in batches";
    made.reason = rounded(wire.requests_per_second) +
                  " requests a second come one by one; those that are sent in the " +
                  "same moment can share a message. The client of the frontend bindings does so by itself.";
    made.evidence = {{.series = "rpc.server.duration",
                      .what = "requests a second",
                      .unit = "{request}/s",
                      .value = wire.requests_per_second},
                     {.series = {}, .what = "batches per request", .unit = "1", .value = batched}};
    made.improvement = {.figure = "messages per request", .unit = "1", .now = 1, .modest = 0.5, .best = 0.1};
    made.complexity = SuggestionComplexity::high;
    made.lasts = SuggestionLasts::forever;
    made.by_hand = "whoever sends the requests puts them together";
    suggestions.push_back(std::move(made));
}

constexpr SuggestionRule catalogue[] = {
    {"cache.tune", "Another policy or size of a namespace that hits more often.", advise_cache_tune},
    {"cache.shrink", "A smaller namespace that hits as often.", advise_cache_shrink},
    {"cache.ttl", "A longer time to live of values that seldom change.", advise_cache_ttl},
    {"cache.compress", "Compression of values that are kept plain.", advise_cache_compress},
    {"cache.plain", "No compression of values that do not shrink.", advise_cache_plain},
    {"memory.purge", "Memory back to the system that nobody uses.", advise_memory_purge},
    {"storage.vacuum", "Free pages of a database back to the disk.", advise_storage_vacuum},
    {"component.unload", "A component's processes ended that nobody uses.", advise_component_unload},
    {"component.lazy", "A component loaded at its first use that a start waits for in vain.", advise_component_lazy},
    {"ipc.workers", "More workers where calls wait and processors do not.", advise_worker_count},
    {"backend.cache", "Kept answers of a backend's method that gives the same ones.", advise_backend_cache},
    {"backend.concurrency", "More calls at a time to a backend that has a queue.", advise_backend_queue},
    {"ipc.batch", "Batches where many requests come one by one.", advise_ipc_batch}};

double relative_gain(const Suggestion& suggestion) {
    if (!suggestion.improvement) return 0;
    const SuggestionImprovement& improvement = *suggestion.improvement;
    const double expected = (improvement.modest + improvement.best) / 2;
    const double scale = std::max(std::abs(improvement.now), std::abs(expected));
    return scale == 0 ? 0 : std::abs(expected - improvement.now) / scale;
}

} // namespace

std::span<const SuggestionRule> suggestion_rules() { return catalogue; }

std::vector<Suggestion> advise(const Situation& situation) {
    std::vector<Suggestion> suggestions;
    for (const SuggestionRule& rule : catalogue) rule.advise(situation, suggestions);
    std::ranges::stable_sort(suggestions, [](const Suggestion& a, const Suggestion& b) {
        if (a.complexity != b.complexity) return a.complexity < b.complexity;
        return relative_gain(a) > relative_gain(b);
    });
    return suggestions;
}

} // namespace pillion
