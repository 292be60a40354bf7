// The rules that are there without being declared: one for each thing that makes an app slow and that Pillion measures.
// What has no metric (a damaged store, a lost cache tier, a leak) is raised directly by the part that notices.
#include "modules/alerts/alert_rule.h"

namespace pillion {

namespace {

constexpr std::int64_t minute_ms = 60'000;

void add_machine_rules(std::map<std::string, AlertRule>& rules) {
    rules["systemMemory"] = {.metric = "system.memory.utilization",
                             .title = "The machine's memory is nearly used up",
                             .advice = "Close what is not needed, or call memory.optimize."};
    rules["systemMemoryStalls"] = {.metric = "system.pressure",
                                   .labels = {{"resource", "memory"}, {"kind", "full"}},
                                   .warning = 0.05,
                                   .critical = 0.2,
                                   .forMs = 20'000,
                                   .title = "Work waits for memory",
                                   .advice = "Unload idle components, or lower the cache's memoryBytesMax."};
    rules["systemCpu"] = {.metric = "system.cpu.utilization",
                          .forMs = 2 * minute_ms,
                          .title = "The machine's processors are busy",
                          .advice = "monitor.sample names the processes that use them."};
    rules["diskSpace"] = {.metric = "system.filesystem.utilization",
                          .function = SeriesFunction::last,
                          .margin = 0.01,
                          .title = "A file system is nearly full",
                          .advice = "Remove files, or lower the cache's diskBytesMax."};
}

void add_own_rules(std::map<std::string, AlertRule>& rules) {
    rules["ownCpu"] = {.metric = "process.cpu.time",
                       .labels = {{"role", "self"}},
                       .function = SeriesFunction::rate,
                       .aggregate = SeriesAggregate::sum,
                       .warning = 0.75,
                       .critical = 0.90,
                       .forMs = 2 * minute_ms,
                       .title = "Pillion uses most of a processor core",
                       .advice = "The profiler shows what it is busy with."};
    rules["eventLoopDelay"] = {.metric = "pillion.event_loop.delay",
                               .windowMs = 10'000,
                               .warning = 0.05,
                               .critical = 0.25,
                               .forMs = 10'000,
                               .title = "Timers and child processes are served late",
                               .advice = "Something blocks the io thread; the profiler shows what."};
    rules["requestQueue"] = {.metric = "pillion.rpc.queue.depth",
                             .windowMs = 10'000,
                             .warning = 100,
                             .critical = 1000,
                             .forMs = 10'000,
                             .title = "Requests queue for a worker",
                             .advice = "More workers (ipc.workers), or fewer slow calls at once."};
    rules["storageWrites"] = {.metric = "pillion.storage.write.duration",
                              .function = SeriesFunction::percentile,
                              .aggregate = SeriesAggregate::max,
                              .warning = 0.5,
                              .critical = 2,
                              .title = "Writing to the database takes long",
                              .advice = "Look for other programs that use the disk."};
    rules["cacheHitRatio"] = {.metric = "pillion.cache.hits",
                              .function = SeriesFunction::increase,
                              .windowMs = 5 * minute_ms,
                              .aggregate = SeriesAggregate::sum,
                              .by = {"namespace"},
                              .dividedBy = {"pillion.cache.hits", "pillion.cache.misses"},
                              .dividedByMin = 500,
                              .comparison = AlertComparison::below,
                              .warning = 0.2,
                              .critical = 0.05,
                              .forMs = 5 * minute_ms,
                              .title = "The cache hardly serves any reads",
                              .advice = "Give it more memory, longer lifetimes or another policy."};
}

void add_child_rules(std::map<std::string, AlertRule>& rules) {
    rules["componentRestarts"] = {.metric = "pillion.component.restarts",
                                  .function = SeriesFunction::increase,
                                  .windowMs = 10 * minute_ms,
                                  .warning = 2.5,
                                  .critical = 7.5,
                                  .forMs = 0,
                                  .title = "A component goes down again and again",
                                  .advice = "components.list shows its last error."};
    rules["backendRestarts"] = {.metric = "pillion.backend.restarts",
                                .function = SeriesFunction::increase,
                                .windowMs = 10 * minute_ms,
                                .warning = 2.5,
                                .critical = 7.5,
                                .forMs = 0,
                                .title = "A backend goes down again and again",
                                .advice = "backends.list shows its last error."};
    rules["backendErrors"] = {.metric = "pillion.backend.errors",
                              .function = SeriesFunction::increase,
                              .windowMs = 5 * minute_ms,
                              .aggregate = SeriesAggregate::sum,
                              .by = {"backend"},
                              .dividedBy = {"pillion.backend.requests"},
                              .dividedByMin = 20,
                              .warning = 0.1,
                              .critical = 0.5,
                              .inhibitedBy = {"backendRestarts"},
                              .inhibitedByEqual = {"backend"},
                              .title = "Many calls to a backend fail",
                              .advice = "backends.list shows its last error."};
    rules["backendQueue"] = {.metric = "pillion.backend.queue.depth",
                             .windowMs = 10'000,
                             .warning = 256,
                             .critical = 768,
                             .forMs = 10'000,
                             .inhibitedBy = {"backendRestarts"},
                             .inhibitedByEqual = {"backend"},
                             .title = "Calls queue for a backend",
                             .advice = "Cache its answers, or ask it less often."};
}

} // namespace

std::map<std::string, AlertRule> builtin_alert_rules() {
    std::map<std::string, AlertRule> rules;
    add_machine_rules(rules);
    add_own_rules(rules);
    add_child_rules(rules);
    return rules;
}

} // namespace pillion
