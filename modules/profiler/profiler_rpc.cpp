#include "modules/profiler/profiler_rpc.h"

#include "ipc/base/output_files.h"
#include "modules/profiler/flame_graph.h"
#include "modules/profiler/trace_events_rpc.h"

#include <algorithm>
#include <cmath>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::size_t text_bytes_max = 256 * 1024;

double share(double part, double whole) { return whole <= 0 ? 0.0 : part / whole; }

ProfilerAllocated shown(const Allocated& allocated) {
    return {.bytes = std::llround(allocated.bytes),
            .allocations = std::llround(allocated.count),
            .liveBytes = std::llround(allocated.live_bytes),
            .liveAllocations = std::llround(allocated.live_count)};
}

Result<ProfileFormat> choose_format(const ProfilerStopParams& params, ProfileKind kind) {
    const bool is_stacks = kind != ProfileKind::requests;
    const ProfileFormat format = params.format.value_or(is_stacks ? ProfileFormat::folded : ProfileFormat::trace);
    if (params.measure && kind != ProfileKind::allocations)
        return fail(ErrorCode::invalid_params, "only a recording of allocations has a measure", "/measure");
    if ((format == ProfileFormat::trace) == is_stacks)
        return fail(ErrorCode::invalid_params,
                    is_stacks ? "a recording of cpu or allocations is given as folded or svg, not as trace"
                              : "a recording of requests is given as trace, not as folded or svg",
                    "/format");
    return format;
}

StackMeasure measure_of(const ProfilerStopParams& params, ProfileKind kind) {
    if (kind != ProfileKind::allocations) return StackMeasure::samples;
    return params.measure == ProfileMeasure::live ? StackMeasure::live_bytes : StackMeasure::allocated_bytes;
}

std::string render(const Recording& recording, ProfileFormat format, StackMeasure measure) {
    switch (format) {
    case ProfileFormat::folded:
        return folded_stacks(*recording.stacks, measure);
    case ProfileFormat::svg:
        return flame_graph(*recording.stacks, measure);
    case ProfileFormat::trace:
        return trace_events(*recording.requests, getpid());
    }
    return {};
}

std::string file_name(const ProfileState& state, ProfileFormat format, StackMeasure measure) {
    const char* const endings[] = {".folded", ".svg", ".trace.json"};
    return std::to_string(state.beganAt) + (measure == StackMeasure::live_bytes ? "-live" : "") +
           endings[static_cast<std::size_t>(format)];
}

Result<ProfilerStopResult> stop_profile(Profiler& profiler, const OutputFiles& files,
                                        const ProfilerStopParams& params) {
    if (const auto state = profiler.find_state()) PILLION_TRY(choose_format(params, state->kind));
    const Recording recording = PILLION_TRY(profiler.stop());
    ProfilerStopResult result{.state = recording.state,
                              .format = PILLION_TRY(choose_format(params, recording.state.kind))};
    const StackMeasure measure = measure_of(params, recording.state.kind);
    if (recording.state.kind == ProfileKind::allocations) result.allocated = shown(recording.stacks->allocated);
    std::string text = render(recording, result.format, measure);
    result.bytes = text.size();
    if (params.output == ProfileOutput::file ||
        (params.output == ProfileOutput::automatic && text.size() > text_bytes_max))
        result.file = PILLION_TRY(files.write(file_name(recording.state, result.format, measure), text));
    else
        result.text = std::move(text);
    return result;
}

Result<void> add_functions(const StackProfile& profile, const ProfilerHotPathsParams& params,
                           ProfilerHotPathsResult& result) {
    const bool is_cpu = profile.interval_bytes == 0;
    std::uint64_t samples = 0;
    double bytes = 0;
    std::string names;
    for (const ProfiledThread& thread : profile.threads) {
        if (params.thread.empty() || thread.name == params.thread) {
            samples += thread.samples;
            bytes += thread.allocated.bytes;
        }
        if (names.find('"' + thread.name + '"') == std::string::npos)
            names += (names.empty() ? "\"" : ", \"") + thread.name + '"';
        result.threads.push_back({.id = thread.id, .name = thread.name, .samples = thread.samples});
        if (is_cpu)
            result.threads.back().cpuMs = profile.cpu_ms(thread.samples);
        else
            result.threads.back().allocated = shown(thread.allocated);
    }
    if (!params.thread.empty() && samples == 0)
        return fail(ErrorCode::not_found,
                    "no thread called \"" + params.thread.substr(0, 32) +
                        "\" was sampled; those are: " + (names.empty() ? "none" : names),
                    "/thread");
    std::stable_sort(result.threads.begin(), result.threads.end(),
                     [](const ProfilerThread& a, const ProfilerThread& b) { return a.samples > b.samples; });
    auto hottest = hot_functions(profile, params.thread);
    hottest.resize(std::min(hottest.size(), static_cast<std::size_t>(params.limit)));
    for (const HotFunction& hot : hottest) {
        const ProfiledFunction& function = profile.functions[hot.function];
        result.functions.push_back({.function = function.name,
                                    .module = function.module,
                                    .named = function.has_symbol,
                                    .selfSamples = hot.self,
                                    .totalSamples = hot.total});
        ProfilerFunction& added = result.functions.back();
        if (is_cpu) {
            added.selfMs = profile.cpu_ms(hot.self);
            added.totalMs = profile.cpu_ms(hot.total);
            added.selfShare = share(static_cast<double>(hot.self), static_cast<double>(samples));
            added.totalShare = share(static_cast<double>(hot.total), static_cast<double>(samples));
        } else {
            added.selfAllocated = shown(hot.self_allocated);
            added.totalAllocated = shown(hot.total_allocated);
            added.selfShare = share(hot.self_allocated.bytes, bytes);
            added.totalShare = share(hot.total_allocated.bytes, bytes);
        }
    }
    return {};
}

Result<ProfilerHotPathsResult> hot_paths(Profiler& profiler, const ProfilerHotPathsParams& params) {
    ProfilerHotPathsResult result;
    if (profiler.find_state()) {
        const Recording recording = PILLION_TRY(profiler.peek());
        result.state = recording.state;
        if (recording.state.kind == ProfileKind::allocations) result.allocated = shown(recording.stacks->allocated);
        if (recording.stacks) PILLION_TRY(add_functions(*recording.stacks, params, result));
    }
    const std::vector<MethodTime> times = profiler.method_times();
    double all_ms = 0;
    for (const MethodTime& time : times) all_ms += time.total_ms;
    for (std::size_t i = 0; i < std::min(times.size(), static_cast<std::size_t>(params.limit)); ++i)
        result.methods.push_back(
            {.method = times[i].method,
             .calls = times[i].calls,
             .totalMs = times[i].total_ms,
             .meanMs = times[i].total_ms / static_cast<double>(std::max<std::uint64_t>(1, times[i].calls)),
             .share = all_ms > 0 ? times[i].total_ms / all_ms : 0.0});
    return result;
}

} // namespace

std::vector<MethodTime> method_times(const MethodTable& table) {
    std::vector<MethodTime> times;
    for (const auto& method : table.all()) {
        const HistogramSummary summary = method->stats->latency_ns.summary();
        if (summary.count > 0)
            times.push_back({.method = std::string(method->name),
                             .calls = summary.count,
                             .total_ms = static_cast<double>(summary.sum) / 1e6,
                             .p95_ms = static_cast<double>(summary.p95) / 1e6});
    }
    return times;
}

std::vector<Method> profiler_methods(Profiler& profiler, std::string data_directory) {
    std::vector<Method> methods;
    methods.push_back(method("profiler.start",
                             "Begins to record where Pillion's own time or memory goes: samples of its threads or of "
                             "its allocations, or the "
                             "life of its requests. One "
                             "recording at a time.",
                             Lane::pooled, [&profiler](const ProfilerStartParams& params) -> Result<ProfileState> {
                                 return profiler.start({.kind = params.kind,
                                                        .hz = params.hz,
                                                        .interval_bytes = params.intervalBytes,
                                                        .duration_ms = params.durationMs});
                             }));
    methods.push_back(
        method("profiler.stop",
               "Ends the recording, if it has not ended by itself, and gives it; as often as asked, until "
               "the next one begins.",
               Lane::pooled,
               [&profiler, files = std::make_shared<const OutputFiles>(data_directory + "/profiles", "profile-")](
                   const ProfilerStopParams& params) -> Result<ProfilerStopResult> {
                   return stop_profile(profiler, *files, params);
               }));
    methods.push_back(method(
        "profiler.hotPaths",
        "The functions that cost most processor time, or allocated most, in the recording so far, and the methods that "
        "took most time.",
        Lane::pooled, [&profiler](const ProfilerHotPathsParams& params) -> Result<ProfilerHotPathsResult> {
            return hot_paths(profiler, params);
        }));
    return methods;
}

} // namespace pillion
