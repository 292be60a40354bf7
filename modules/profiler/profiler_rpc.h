// How the profiler looks on the wire: the methods `profiler.*`. Constants; any thread.
#pragma once

#include "ipc/method.h"
#include "modules/profiler/profiler.h"

#include <optional>
#include <string>
#include <vector>

namespace pillion {

PILLION_ENUM(ProfileKind, "cpu", "requests")

struct ProfilerStartParams {
    ProfileKind kind = ProfileKind::cpu;
    std::int64_t hz = 99;
    std::int64_t durationMs = 10'000;
};
PILLION_WIRE(
    ProfilerStartParams,
    PILLION_FIELD(kind,
                  "`cpu`: which functions of Pillion the processor's time goes to. `requests`: the life of each "
                  "request across threads.",
                  defaulted),
    PILLION_FIELD(hz, "Samples for each second of processor time a thread uses; for `cpu`.", between(1, 1000),
                  defaulted),
    PILLION_FIELD(durationMs, "After which time the recording ends by itself, in milliseconds.", between(10, 600'000),
                  defaulted))

PILLION_WIRE(ProfileState, PILLION_FIELD(kind, "What is recorded."),
             PILLION_FIELD(running, "Whether it still is; otherwise it has ended and is kept."),
             PILLION_FIELD(hz, "Samples for each second of processor time; 0 for requests."),
             PILLION_FIELD(beganAt, "When it began, in milliseconds since the Unix epoch."),
             PILLION_FIELD(durationMs, "How long it was to last, in milliseconds."),
             PILLION_FIELD(recordedMs, "How long it has lasted, in milliseconds."),
             PILLION_FIELD(recorded, "Samples taken, or steps of requests seen."),
             PILLION_FIELD(dropped, "Of these, how many are not kept for want of room."))

enum class ProfileFormat : std::uint8_t { folded, svg, trace };
PILLION_ENUM(ProfileFormat, "folded", "svg", "trace")

enum class ProfileOutput : std::uint8_t { automatic, text, file };
PILLION_ENUM(ProfileOutput, "auto", "text", "file")

struct ProfilerStopParams {
    std::optional<ProfileFormat> format{};
    ProfileOutput output = ProfileOutput::automatic;
};
PILLION_WIRE(ProfilerStopParams,
             PILLION_FIELD(format,
                           "Of `cpu`: `folded` stacks, one a line, or a flame graph as `svg`; otherwise `folded`. "
                           "Of `requests`: `trace`, JSON that Perfetto and chrome://tracing open."),
             PILLION_FIELD(output,
                           "Where to: as `text` into the answer, or into a `file` in the data directory. `auto` writes "
                           "a file where the text is over 256 KiB.",
                           defaulted))

struct ProfilerStopResult {
    ProfileState state{};
    ProfileFormat format = ProfileFormat::folded;
    std::uint64_t bytes = 0;
    std::optional<std::string> text{};
    std::optional<std::string> file{};
};
PILLION_WIRE(ProfilerStopResult, PILLION_FIELD(state, "The recording."), PILLION_FIELD(format, "The format."),
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
    double selfMs = 0;
    double totalMs = 0;
    double selfShare = 0;
    double totalShare = 0;
};
PILLION_WIRE(ProfilerFunction,
             PILLION_FIELD(function, "The function; `module+offset` where the file has no symbol for it."),
             PILLION_FIELD(module, "The program or library it is in."),
             PILLION_FIELD(named, "Whether the file had a symbol for it."),
             PILLION_FIELD(selfSamples, "Samples that were in it."),
             PILLION_FIELD(totalSamples, "Samples that were in it or in what it called."),
             PILLION_FIELD(selfMs, "Processor time that selfSamples stand for, in milliseconds."),
             PILLION_FIELD(totalMs, "Processor time that totalSamples stand for, in milliseconds."),
             PILLION_FIELD(selfShare, "Share of the samples that were in it, 0 to 1."),
             PILLION_FIELD(totalShare, "Share of the samples that were in it or in what it called, 0 to 1."))

struct ProfilerThread {
    std::int64_t id = 0;
    std::string name{};
    std::uint64_t samples = 0;
    double cpuMs = 0;
};
PILLION_WIRE(ProfilerThread, PILLION_FIELD(id, "The thread's id."), PILLION_FIELD(name, "Its name."),
             PILLION_FIELD(samples, "Samples of it."), PILLION_FIELD(cpuMs, "Processor time that they stand for."))

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
    std::vector<ProfilerFunction> functions{};
    std::vector<ProfilerThread> threads{};
    std::vector<ProfilerMethod> methods{};
};
PILLION_WIRE(ProfilerHotPathsResult, PILLION_FIELD(state, "The recording; absent if nothing was recorded."),
             PILLION_FIELD(functions, "The functions that most samples were in, most first; of a `cpu` recording."),
             PILLION_FIELD(threads, "The threads, most samples first."),
             PILLION_FIELD(methods, "The methods that took most time since the start."))

// What the calls of each method took, from the statistics that every method keeps.
std::vector<MethodTime> method_times(const MethodTable& table);

// The methods; `profiler` outlives them.
std::vector<Method> profiler_methods(Profiler& profiler, std::string data_directory);

} // namespace pillion
