#include "modules/benchmarks/benchmark_schedule.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace pillion {

std::string benchmark_schedule_path(const std::string& data_directory) {
    return data_directory + "/benchmark-schedule";
}

Result<std::optional<BenchmarkSchedule>> read_benchmark_schedule(const std::string& data_directory) {
    const std::string path = benchmark_schedule_path(data_directory);
    std::ifstream file(path);
    if (!file) return std::nullopt;
    BenchmarkSchedule schedule;
    std::int64_t last_at = 0;
    if (!(file >> schedule.everyHours >> last_at) || !(schedule.everyHours > 0) || !std::isfinite(schedule.everyHours))
        return fail(ErrorCode::corrupt, path + " is not a schedule; benchmarks.schedule makes a new one");
    if (last_at > 0) schedule.lastAt = last_at;
    for (std::string name; file >> name;) schedule.names.push_back(name);
    return schedule;
}

Result<void> write_benchmark_schedule(const std::string& data_directory, const BenchmarkSchedule& schedule) {
    const std::string path = benchmark_schedule_path(data_directory);
    std::error_code failed;
    if (!(schedule.everyHours > 0)) {
        std::filesystem::remove(path, failed);
        return failed ? fail(ErrorCode::unavailable, path + " cannot be removed: " + failed.message()) : Result<void>{};
    }
    std::filesystem::create_directories(data_directory, failed);
    const std::string fresh = path + "." + std::to_string(getpid());
    {
        std::ofstream file(fresh);
        file.precision(17);
        file << schedule.everyHours << ' ' << schedule.lastAt.value_or(0) << '\n';
        for (const std::string& name : schedule.names) file << name << '\n';
        if (!file.flush()) return fail(ErrorCode::unavailable, fresh + " cannot be written");
    }
    std::filesystem::rename(fresh, path, failed);
    if (failed) return fail(ErrorCode::unavailable, path + " cannot be written: " + failed.message());
    return {};
}

} // namespace pillion
