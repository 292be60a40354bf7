#include "modules/profiler/profiler_rpc.h"

#include "ipc/base/output_files.h"
#include "modules/profiler/flame_graph.h"
#include "modules/profiler/trace_events_rpc.h"

#include <algorithm>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::size_t text_bytes_max = 256 * 1024;

double share(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

Result<ProfileFormat> choose_format(const ProfilerStopParams& params, ProfileKind kind) {
    const bool is_cpu = kind == ProfileKind::cpu;
    const ProfileFormat format = params.format.value_or(is_cpu ? ProfileFormat::folded : ProfileFormat::trace);
    if ((format == ProfileFormat::trace) == is_cpu)
        return fail(ErrorCode::invalid_params,
                    is_cpu ? "a recording of cpu is given as folded or svg, not as trace"
                           : "a recording of requests is given as trace, not as folded or svg",
                    "/format");
    return format;
}

std::string render(const Recording& recording, ProfileFormat format) {
    switch (format) {
    case ProfileFormat::folded:
        return folded_stacks(*recording.cpu);
    case ProfileFormat::svg:
        return flame_graph(*recording.cpu);
    case ProfileFormat::trace:
        return trace_events(*recording.requests, getpid());
    }
    return {};
}

std::string file_name(const ProfileState& state, ProfileFormat format) {
    const char* const endings[] = {".folded", ".svg", ".trace.json"};
    return std::to_string(state.beganAt) + endings[static_cast<std::size_t>(format)];
}

Result<ProfilerStopResult> stop_profile(Profiler& profiler, const OutputFiles& files,
                                        const ProfilerStopParams& params) {
    if (const auto state = profiler.find_state()) PILLION_TRY(choose_format(params, state->kind));
    const Recording recording = PILLION_TRY(profiler.stop());
    ProfilerStopResult result{.state = recording.state,
                              .format = PILLION_TRY(choose_format(params, recording.state.kind))};
    std::string text = render(recording, result.format);
    result.bytes = text.size();
    if (params.output == ProfileOutput::file ||
        (params.output == ProfileOutput::automatic && text.size() > text_bytes_max))
        result.file = PILLION_TRY(files.write(file_name(recording.state, result.format), text));
    else
        result.text = std::move(text);
    return result;
}

Result<void> add_functions(const CpuProfile& profile, const ProfilerHotPathsParams& params,
                           ProfilerHotPathsResult& result) {
    std::uint64_t samples = 0;
    std::string names;
    for (const ProfiledThread& thread : profile.threads) {
        if (params.thread.empty() || thread.name == params.thread) samples += thread.samples;
        if (names.find('"' + thread.name + '"') == std::string::npos)
            names += (names.empty() ? "\"" : ", \"") + thread.name + '"';
        result.threads.push_back(
            {.id = thread.id, .name = thread.name, .samples = thread.samples, .cpuMs = profile.cpu_ms(thread.samples)});
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
                                    .totalSamples = hot.total,
                                    .selfMs = profile.cpu_ms(hot.self),
                                    .totalMs = profile.cpu_ms(hot.total),
                                    .selfShare = share(hot.self, samples),
                                    .totalShare = share(hot.total, samples)});
    }
    return {};
}

Result<ProfilerHotPathsResult> hot_paths(Profiler& profiler, const ProfilerHotPathsParams& params) {
    ProfilerHotPathsResult result;
    if (profiler.find_state()) {
        const Recording recording = PILLION_TRY(profiler.peek());
        result.state = recording.state;
        if (recording.cpu) PILLION_TRY(add_functions(*recording.cpu, params, result));
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
                             .total_ms = static_cast<double>(summary.sum) / 1e6});
    }
    return times;
}

std::vector<Method> profiler_methods(Profiler& profiler, std::string data_directory) {
    std::vector<Method> methods;
    methods.push_back(method(
        "profiler.start",
        "Begins to record where Pillion's own time goes: samples of its threads, or the life of its requests. One "
        "recording at a time.",
        Lane::pooled, [&profiler](const ProfilerStartParams& params) -> Result<ProfileState> {
            return profiler.start({.kind = params.kind, .hz = params.hz, .duration_ms = params.durationMs});
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
    methods.push_back(
        method("profiler.hotPaths",
               "The functions that cost most processor time in the recording so far, and the methods that "
               "took most time.",
               Lane::pooled, [&profiler](const ProfilerHotPathsParams& params) -> Result<ProfilerHotPathsResult> {
                   return hot_paths(profiler, params);
               }));
    return methods;
}

} // namespace pillion
