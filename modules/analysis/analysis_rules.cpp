#include "modules/analysis/analysis_rules.h"

#include <algorithm>
#include <array>

namespace pillion {

namespace {

using enum AnalysisKind;
using enum SeriesFunction;

constexpr std::array value_table = {
    ValueRule{memory, "system.memory.utilization", "", "", avg, 0.75, 0.9, "memory of the machine in use",
              "free what can be made again (memory.optimize), lower cache limits, unload idle components", "1"},
    ValueRule{memory, "system.pressure", "resource", "memory", avg, 0.1, 0.4, "time that tasks waited for memory",
              "close what is not needed or give the machine more memory: it swaps or reclaims", "1"},
    ValueRule{memory, "system.swap.utilization", "", "", avg, 0.5, 0.9, "swap in use",
              "find who grew: analysis.leaks and monitor.sample name them", "1"},
    ValueRule{cpu, "system.cpu.utilization", "", "", avg, 0.75, 0.9, "processor time of the machine in use",
              "look at the hot paths, take a profile, move work to when the app is idle", "1"},
    ValueRule{cpu, "system.load", "", "", avg, 1.5, 4, "tasks that want a core, for each core",
              "run fewer workers or background tasks at a time", "1"},
    ValueRule{cpu, "system.pressure", "resource", "cpu", avg, 0.4, 0.8, "time that tasks waited for a core",
              "run fewer workers or background tasks at a time", "1"},
    ValueRule{disk, "system.pressure", "resource", "io", avg, 0.2, 0.5, "time that tasks waited for a disk",
              "batch writes, cache what is read again, look at who writes (process.disk.io)", "1"},
    ValueRule{disk, "system.filesystem.utilization", "", "", last, 0.85, 0.95, "file system in use",
              "lower the limits of the disk cache, remove old data", "1"},
    ValueRule{disk, "pillion.storage.write.duration", "", "", percentile, 0.1, 0.5, "slowest twentieth of store writes",
              "the disk is slow or busy: see who writes (process.disk.io)", "s"},
    ValueRule{network, "pillion.backend.duration", "", "", percentile, 1, 5, "slowest twentieth of backend calls",
              "cache this backend's answers, raise its limits, look at its own log", "s"},
    ValueRule{queue, "rpc.server.duration", "", "", percentile, 50e6, 250e6, "slowest twentieth of requests",
              "see the hot paths; cache or batch the method that leads them", "ns"},
    ValueRule{queue, "pillion.rpc.queue.wait", "", "", percentile, 20e6, 200e6, "wait for a worker",
              "more workers, or fewer long calls at a time", "ns"},
    ValueRule{queue, "pillion.rpc.queue.depth", "", "", avg, 16, 256, "requests that wait for a worker",
              "more workers, or fewer long calls at a time", "{request}"},
    ValueRule{queue, "pillion.backend.queue.depth", "", "", avg, 8, 64, "calls that wait for a backend",
              "let the backend take more calls at a time, or cache its answers", "{request}"},
    ValueRule{queue, "pillion.event_loop.delay", "", "", avg, 0.05, 0.5, "delay of timers",
              "the machine is overloaded, or a task blocks the io thread", "s"},
    ValueRule{stability, "pillion.component.restarts", "", "", increase, 1, 4, "restarts of a component",
              "see why it ends: its last output is in components.list", "{restart}"},
    ValueRule{stability, "pillion.backend.restarts", "", "", increase, 1, 4, "restarts of a backend",
              "see why it ends: its last output is in backends.list", "{restart}"},
};

constexpr std::array share_table = {
    ShareRule{cache, "pillion.cache.misses", "pillion.cache.hits", false, 200, 0.5, 0.85, "reads that the cache missed",
              "a larger cache, a longer time to live, another policy (cache.simulate tells which)"},
    ShareRule{cache, "pillion.rpc.cache.misses", "pillion.rpc.cache.hits", false, 500, 0.7, 0.97,
              "cacheable answers that had to be made", "ask with equal params, or keep answers for longer"},
    ShareRule{stability, "pillion.backend.errors", "pillion.backend.requests", true, 20, 0.05, 0.25,
              "backend calls that failed", "see the backend's log and backends.list"},
};

} // namespace

std::span<const ValueRule> value_rules() { return value_table; }
std::span<const ShareRule> share_rules() { return share_table; }

double penalty_of(double value, double warning, double critical) {
    const double calm = warning / 2;
    if (value <= calm) return 0;
    if (value <= warning) return 30 * (value - calm) / (warning - calm);
    if (value <= critical) return 30 + 40 * (value - warning) / (critical - warning);
    return std::min(100.0, 70 + 30 * (value - critical) / (critical - warning));
}

double weight_of(AnalysisKind kind) {
    switch (kind) {
    case memory:
    case cpu:
    case queue:
        return 20;
    case stability:
        return 15;
    case disk:
    case network:
        return 10;
    case cache:
        break;
    }
    return 5;
}

} // namespace pillion
