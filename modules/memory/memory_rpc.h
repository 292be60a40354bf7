// How memory looks on the wire: descriptions of the engine's structs, the methods `memory.*`, the event of the topic
// `memory`. Constants; any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/memory/memory.h"

#include <vector>

namespace pillion {

PILLION_ENUM(MemoryLevel, "normal", "warning", "critical")
PILLION_ENUM(MemoryReason, "none", "stall", "available", "cgroup", "budget")
PILLION_ENUM(OptimizeLevel, "light", "normal", "aggressive")

PILLION_WIRE(
    MemoryConfig, PILLION_FIELD(poolSmall, "1 KiB buffers kept for reuse.", between(0, 65'536), defaulted, live),
    PILLION_FIELD(poolMedium, "8 KiB buffers kept for reuse.", between(0, 16'384), defaulted, live),
    PILLION_FIELD(poolLarge, "64 KiB buffers kept for reuse.", between(0, 4096), defaulted, live),
    PILLION_FIELD(poolStrings, "Strings kept for reuse.", between(0, 10'000), defaulted, live),
    PILLION_FIELD(poolMaps, "Hash maps kept for reuse.", between(0, 10'000), defaulted, live),
    PILLION_FIELD(budgetBytes, "Resident bytes this process should stay under; 0 for no budget.",
                  between(0, 9'007'199'254'740'991), defaulted, live),
    PILLION_FIELD(
        warningShare,
        "Share of memory in use, of the machine, the control group or the budget, from which the level is warning.",
        between(0.1, 1), defaulted, live),
    PILLION_FIELD(criticalShare, "Share of memory in use from which the level is critical.", between(0.1, 1), defaulted,
                  live),
    PILLION_FIELD(stallWarningPercent,
                  "Percent of 10 s in which some task waited for memory, from which the level is warning.",
                  between(0.1, 100), defaulted, live),
    PILLION_FIELD(stallCriticalPercent,
                  "Percent of 10 s in which all tasks waited for memory, from which the level is critical.",
                  between(0.1, 100), defaulted, live),
    PILLION_FIELD(pressureIntervalMs,
                  "Time between two readings of the pressure, in milliseconds, while somebody wants to know it.",
                  between(100, 3'600'000), defaulted, live))

PILLION_WIRE(MemoryPool, PILLION_FIELD(name, "Which pool: small, medium, large, strings or maps.", sortable),
             PILLION_FIELD(itemBytes, "Size of one item; 0 where items vary."),
             PILLION_FIELD(capacity, "Most items kept for reuse."),
             PILLION_FIELD(inUse, "Items handed out now.", sortable), PILLION_FIELD(idle, "Items kept for reuse now."),
             PILLION_FIELD(highWater, "Most items that were handed out at once."),
             PILLION_FIELD(hits, "Items served by reuse."), PILLION_FIELD(misses, "Items that had to be allocated."),
             PILLION_FIELD(hitRatio, "Share of items served by reuse, 0 to 1."),
             PILLION_FIELD(bytes, "Memory the pool holds; for buffers with those handed out.", sortable))

PILLION_WIRE(MemoryCache, PILLION_FIELD(name, "The cache."), PILLION_FIELD(bytes, "What it holds in memory."),
             PILLION_FIELD(entries, "How many entries that is."))

PILLION_WIRE(MemoryProcess, PILLION_FIELD(residentBytes, "Resident size."),
             PILLION_FIELD(peakBytes, "Highest resident size so far."),
             PILLION_FIELD(proportionalBytes, "Proportional set size: shared pages divided among their users."),
             PILLION_FIELD(privateBytes, "Pages that no other process has."))

PILLION_WIRE(MemoryHeap, PILLION_FIELD(allocator, "mimalloc, or libc where that was not linked."),
             PILLION_FIELD(committedBytes, "Held from the system for the heap."),
             PILLION_FIELD(committedPeakBytes, "Most that was held."),
             PILLION_FIELD(reservedBytes, "Address space set aside for the heap."),
             PILLION_FIELD(usedBytes, "Handed out to the program."))

PILLION_WIRE(MemorySystem, PILLION_FIELD(totalBytes, "Memory of the machine."),
             PILLION_FIELD(availableBytes, "What could be had without swapping."))

PILLION_WIRE(MemoryCgroup, PILLION_FIELD(version, "Version of the control groups, 1 or 2."),
             PILLION_FIELD(path, "The group, of ours and those above it, that is nearest to its limit."),
             PILLION_FIELD(limitBytes, "Its limit; absent if it has none."),
             PILLION_FIELD(usageBytes, "What is charged to it."),
             PILLION_FIELD(workingSetBytes, "Of that, what is not inactive file cache; compared with the limit."))

PILLION_WIRE(MemoryStall,
             PILLION_FIELD(someAvg10Percent, "Percent of the last 10 s in which some task waited for memory."),
             PILLION_FIELD(someAvg60Percent, "The same of the last 60 s."),
             PILLION_FIELD(fullAvg10Percent, "Percent of the last 10 s in which all tasks waited for memory."),
             PILLION_FIELD(fullAvg60Percent, "The same of the last 60 s."))

PILLION_WIRE(MemoryHistory, PILLION_FIELD(runs, "Optimisations so far."),
             PILLION_FIELD(freedBytes, "Bytes they freed."),
             PILLION_FIELD(removedEntries, "Cache entries they removed."),
             PILLION_FIELD(lastAt, "When the last one ended, in milliseconds since the Unix epoch."),
             PILLION_FIELD(lastDurationMs, "How long it took, in milliseconds."),
             PILLION_FIELD(idleTrimmedBytes, "Bytes that idle pools gave back by themselves."),
             PILLION_FIELD(pressureResponses, "How often pools and heap were trimmed because memory was critical."))

PILLION_WIRE(MemoryStats, PILLION_FIELD(process, "This process."), PILLION_FIELD(heap, "Its allocator."),
             PILLION_FIELD(poolsBytes, "Held by all pools, with blocks over the largest class."),
             PILLION_FIELD(oversizeBytes, "Of that, blocks over the largest class."),
             PILLION_FIELD(caches, "The caches of this process that live in memory."),
             PILLION_FIELD(cachesBytes, "Their sum."), PILLION_FIELD(system, "The machine; absent where unknown."),
             PILLION_FIELD(cgroup, "The control group; absent where there is none."),
             PILLION_FIELD(stall, "Pressure stall information; absent where the system has none."),
             PILLION_FIELD(optimizations, "What optimisations have done so far."))

struct MemoryOptimizeParams {
    OptimizeLevel level = OptimizeLevel::normal;
};
PILLION_WIRE(MemoryOptimizeParams, PILLION_FIELD(level,
                                                 "How much to give up: `light` keeps what is likely needed next, "
                                                 "`aggressive` keeps nothing that can be made again.",
                                                 defaulted))

PILLION_WIRE(MemoryStep, PILLION_FIELD(name, "What was cleaned up."),
             PILLION_FIELD(freedBytes, "Bytes it let go; for the heap, bytes given back to the system."),
             PILLION_FIELD(removedEntries, "Entries it removed."),
             PILLION_FIELD(durationMs, "How long it took, in milliseconds."))

PILLION_WIRE(MemoryOptimization, PILLION_FIELD(level, "The level it was done at."),
             PILLION_FIELD(steps, "What was done, in order."),
             PILLION_FIELD(skipped, "Steps left out because time was up or the request was cancelled."),
             PILLION_FIELD(residentBeforeBytes, "Resident size before."),
             PILLION_FIELD(residentAfterBytes, "Resident size after."),
             PILLION_FIELD(freedBytes, "The larger of what the steps let go and what the process shrank by."),
             PILLION_FIELD(removedEntries, "Entries removed by all steps."),
             PILLION_FIELD(durationMs, "How long it took, in milliseconds."))

PILLION_WIRE(
    MemoryPressure,
    PILLION_FIELD(level, "How scarce memory is. While sampled it has settled: two readings raise it, three lower it."),
    PILLION_FIELD(reading, "What the latest reading alone says."),
    PILLION_FIELD(reason,
                  "The sign that made the level: stalls, memory available, the control group's limit, the budget."),
    PILLION_FIELD(detail, "The same for people; empty while nothing is scarce."),
    PILLION_FIELD(at, "When it was read, in milliseconds since the Unix epoch."),
    PILLION_FIELD(
        since,
        "When the level last changed, in milliseconds since the Unix epoch; absent if it has not, or is not sampled."),
    PILLION_FIELD(
        sampled,
        "Whether memory is being sampled: while somebody is subscribed to `memory` or a part of Pillion reacts to it."),
    PILLION_FIELD(residentBytes, "Resident size of this process."),
    PILLION_FIELD(totalBytes, "Memory of the machine; 0 where unknown."),
    PILLION_FIELD(availableBytes, "What could be had without swapping."),
    PILLION_FIELD(usedShare, "Share of the machine's memory in use."),
    PILLION_FIELD(cgroupShare, "Share of the control group's limit in use; absent without a limit."),
    PILLION_FIELD(budgetShare, "Share of the configured budget in use; absent without a budget."),
    PILLION_FIELD(stallSomePercent, "Percent of the last 10 s in which some task waited for memory."),
    PILLION_FIELD(stallFullPercent, "Percent of the last 10 s in which all tasks waited for memory."))

inline constexpr Event memory_pressure_event =
    event<MemoryPressure>("memory.pressure", "memory", EventKind::change, "The memory pressure level changed.");

// The methods; `memory` outlives them.
std::vector<Method> memory_methods(Memory& memory);

} // namespace pillion
