// How the profiler looks on the wire: the methods `profiler.*`. Constants; any thread.
#pragma once

#include "ipc/method.h"
#include "modules/profiler/profiler.h"

#include <optional>
#include <string>
#include <vector>

namespace pillion {

PILLION_ENUM(ProfileKind, "cpu", "requests", "allocations")

struct ProfilerStartParams {
    ProfileKind kind = ProfileKind::cpu;
    std::int64_t hz = 99;
    std::int64_t intervalBytes = 512 * 1024;
    std::int64_t durationMs = 10'000;
};
PILLION_WIRE(ProfilerStartParams,
             PILLION_FIELD(
                 kind,
                 "`cpu`: which functions of Pillion the processor's time goes to. `requests`: the life of each "
                 "request across threads. `allocations`: which functions allocate memory; what libraries in C allocate "
                 "by themselves is not seen.",
                 defaulted),
             PILLION_FIELD(hz, "Samples for each second of processor time a thread uses; for `cpu`.", between(1, 1000),
                           defaulted),
             PILLION_FIELD(intervalBytes, "Bytes from one sample to the next on average; for `allocations`.",
                           between(1024, 1 << 30), defaulted),
             PILLION_FIELD(durationMs, "After which time the recording ends by itself, in milliseconds.",
                           between(10, 600'000), defaulted))

PILLION_WIRE(ProfileState, PILLION_FIELD(kind, "What is recorded."),
             PILLION_FIELD(running, "Whether it still is; otherwise it has ended and is kept."),
             PILLION_FIELD(hz, "Samples for each second of processor time; of `cpu`, otherwise 0."),
             PILLION_FIELD(intervalBytes, "Bytes from one sample to the next; of `allocations`, otherwise 0."),
             PILLION_FIELD(beganAt, "When it began, in milliseconds since the Unix epoch."),
             PILLION_FIELD(durationMs, "How long it was to last, in milliseconds."),
             PILLION_FIELD(recordedMs, "How long it has lasted, in milliseconds."),
             PILLION_FIELD(recorded, "Samples taken, or steps of requests seen."),
             PILLION_FIELD(dropped, "Of these, how many are not kept for want of room."))

enum class ProfileFormat : std::uint8_t { folded, svg, trace };
PILLION_ENUM(ProfileFormat, "folded", "svg", "trace")

enum class ProfileOutput : std::uint8_t { automatic, text, file };
PILLION_ENUM(ProfileOutput, "auto", "text", "file")

enum class ProfileMeasure : std::uint8_t { allocated, live };
PILLION_ENUM(ProfileMeasure, "allocated", "live")

struct ProfilerStopParams {
    std::optional<ProfileFormat> format{};
    std::optional<ProfileMeasure> measure{};
    ProfileOutput output = ProfileOutput::automatic;
};
PILLION_WIRE(
    ProfilerStopParams,
    PILLION_FIELD(
        format,
        "Of `cpu` and `allocations`: `folded` stacks, one a line, or a flame graph as `svg`; otherwise `folded`. "
        "Of `requests`: `trace`, JSON that Perfetto and chrome://tracing open."),
    PILLION_FIELD(measure, "Of `allocations`: what the stacks are weighed by: the bytes `allocated`, or those of them "
                           "that were still in use (`live`) when the recording ended; otherwise `allocated`."),
    PILLION_FIELD(output,
                  "Where to: as `text` into the answer, or into a `file` in the data directory. `auto` writes "
                  "a file where the text is over 256 KiB.",
                  defaulted))

struct ProfilerAllocated {
    std::int64_t bytes = 0;
    std::int64_t allocations = 0;
    std::int64_t liveBytes = 0;
    std::int64_t liveAllocations = 0;
};
PILLION_WIRE(ProfilerAllocated, PILLION_FIELD(bytes, "Bytes allocated."),
             PILLION_FIELD(allocations, "How many allocations that were."),
             PILLION_FIELD(liveBytes, "Bytes of these that are still in use, or were when the recording ended."),
             PILLION_FIELD(liveAllocations, "How many allocations that are."))

struct ProfilerStopResult {
    ProfileState state{};
    ProfileFormat format = ProfileFormat::folded;
    std::optional<ProfilerAllocated> allocated{};
    std::uint64_t bytes = 0;
    std::optional<std::string> text{};
    std::optional<std::string> file{};
};
PILLION_WIRE(ProfilerStopResult, PILLION_FIELD(state, "The recording."), PILLION_FIELD(format, "The format."),
             PILLION_FIELD(allocated, "Of `allocations`: all of them, estimated from the samples that found room."),
             PILLION_FIELD(bytes, "How long the text is."), PILLION_FIELD(text, "The text, unless it is in a file."),
             PILLION_FIELD(file, "The path of the file with the text; the newest 16 are kept."))

struct ProfilerHotPathsParams {
    std::string thread{};
    std::int64_t limit = 20;
};
PILLION_WIRE(ProfilerHotPathsParams, PILLION_FIELD(thread, "Only threads of this name; all if empty.", defaulted),
             PILLION_FIELD(limit, "How many functions and how many methods.", between(1, 1000), defaulted))

struct ProfilerFunction {
    std::string function{};
    std::string module{};
    bool named = false;
    std::uint64_t selfSamples = 0;
    std::uint64_t totalSamples = 0;
    std::optional<double> selfMs{};
    std::optional<double> totalMs{};
    std::optional<ProfilerAllocated> selfAllocated{};
    std::optional<ProfilerAllocated> totalAllocated{};
    double selfShare = 0;
    double totalShare = 0;
};
PILLION_WIRE(ProfilerFunction,
             PILLION_FIELD(function, "The function; `module+offset` where the file has no symbol for it."),
             PILLION_FIELD(module, "The program or library it is in."),
             PILLION_FIELD(named, "Whether the file had a symbol for it."),
             PILLION_FIELD(selfSamples, "Samples that were in it."),
             PILLION_FIELD(totalSamples, "Samples that were in it or in what it called."),
             PILLION_FIELD(selfMs, "Of `cpu`: processor time that selfSamples stand for, in milliseconds."),
             PILLION_FIELD(totalMs, "Of `cpu`: processor time that totalSamples stand for, in milliseconds."),
             PILLION_FIELD(selfAllocated, "Of `allocations`: what it allocated itself, estimated."),
             PILLION_FIELD(totalAllocated, "Of `allocations`: what it or what it called allocated, estimated."),
             PILLION_FIELD(selfShare,
                           "Share of the samples that were in it, or of the bytes that it allocated, 0 to 1."),
             PILLION_FIELD(totalShare, "The same of it and what it called, 0 to 1."))

struct ProfilerThread {
    std::int64_t id = 0;
    std::string name{};
    std::uint64_t samples = 0;
    std::optional<double> cpuMs{};
    std::optional<ProfilerAllocated> allocated{};
};
PILLION_WIRE(ProfilerThread, PILLION_FIELD(id, "The thread's id."), PILLION_FIELD(name, "Its name."),
             PILLION_FIELD(samples, "Samples of it."),
             PILLION_FIELD(cpuMs, "Of `cpu`: processor time that they stand for."),
             PILLION_FIELD(allocated, "Of `allocations`: what it allocated, estimated."))

struct ProfilerMethod {
    std::string method{};
    std::uint64_t calls = 0;
    double totalMs = 0;
    double meanMs = 0;
    double share = 0;
};
PILLION_WIRE(ProfilerMethod, PILLION_FIELD(method, "The method."), PILLION_FIELD(calls, "Calls since the start."),
             PILLION_FIELD(totalMs, "From receipt to answer, of all calls together, in milliseconds."),
             PILLION_FIELD(meanMs, "Of one call, in milliseconds."),
             PILLION_FIELD(share, "Share of the time of all methods, 0 to 1."))

struct ProfilerHotPathsResult {
    std::optional<ProfileState> state{};
    std::optional<ProfilerAllocated> allocated{};
    std::vector<ProfilerFunction> functions{};
    std::vector<ProfilerThread> threads{};
    std::vector<ProfilerMethod> methods{};
};
PILLION_WIRE(ProfilerHotPathsResult, PILLION_FIELD(state, "The recording; absent if nothing was recorded."),
             PILLION_FIELD(allocated,
                           "Of `allocations`: all of them so far, estimated from the samples that found room."),
             PILLION_FIELD(
                 functions,
                 "The functions that most samples were in, or that allocated most, first; of `cpu` and `allocations`."),
             PILLION_FIELD(threads, "The threads, most samples first."),
             PILLION_FIELD(methods, "The methods that took most time since the start."))

// What the calls of each method took, from the statistics that every method keeps.
std::vector<MethodTime> method_times(const MethodTable& table);

// The methods; `profiler` outlives them.
std::vector<Method> profiler_methods(Profiler& profiler, std::string data_directory);

} // namespace pillion
