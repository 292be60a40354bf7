#include "sidecar/benchmark_parts.h"

#include "ipc/base/log.h"
#include "ipc/base/platform.h"
#include "sidecar/machine_load.h"

#include <filesystem>

namespace pillion {

namespace {

Store& with_tables(Store& state) {
    Benchmarks::add_schema(state);
    return state;
}

bool load_is_low() {
    constexpr double load_per_core_max = 0.25;
    return load_per_core().value_or(0) <= load_per_core_max;
}

// A machine without a battery is always on mains.
bool no_battery_is_in_use() {
    std::error_code failed;
    for (const auto& supply : std::filesystem::directory_iterator("/sys/class/power_supply", failed)) {
        const auto status = platform::find_system_text(supply.path().string() + "/status");
        if (status && status->starts_with("Discharging")) return false;
    }
    return true;
}

} // namespace

BenchmarkParts::BenchmarkParts(const Host& host) : host_(host), benchmarks_(benchmarks_host()) {}

Benchmarks::Host BenchmarkParts::benchmarks_host() const {
    return {.clock = host_.clock,
            .timers = host_.io,
            .state = with_tables(host_.state),
            .data_directory = host_.data_directory,
            .version = host_.version,
            .guard_program = "/proc/self/exe",
            .program_options = host_.program_options,
            .has_components = host_.has_components,
            .call_method =
                [this](std::string_view method, std::string_view params, const Benchmarks::Answered& answered) {
                    host_.dispatcher.run_own(method, params, [answered](const Result<std::string_view>& result) {
                        answered(result ? Result<void>{} : std::unexpected(result.error()));
                    });
                },
            .is_idle =
                host_.is_idle ? host_.is_idle : [this] { return host_.dispatcher.in_flight() == 0 && load_is_low(); },
            .is_on_mains = host_.is_on_mains ? host_.is_on_mains : no_battery_is_in_use,
            .on_finished =
                [this](const BenchmarkRun& run, const std::optional<BenchmarkComparison>& comparison) {
                    host_.hub.publish(benchmarks_finished_event, benchmarks_finished_payload(run, comparison));
                }};
}

void BenchmarkParts::begin() {
    if (const auto resumed = benchmarks_.resume_schedule(); !resumed)
        log(LogLevel::warning, "benchmarks", resumed.error().message);
}

} // namespace pillion
