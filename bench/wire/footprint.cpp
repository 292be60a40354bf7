// What a peer costs before it does any work: the time to its first answer, the memory it then holds, its size on disk.

#include "contest.h"
#include "rows.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/types.h>
#include <thread>
#include <unistd.h>

namespace pillion::bench {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Long enough for what a peer does behind its first answer, such as starting threads.
constexpr std::chrono::milliseconds settle_time{200};

// A value in kB from /proc/PID/smaps_rollup, in MiB.
double resident_mib(pid_t pid, std::string_view name) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
    std::string line;
    while (std::getline(file, line)) {
        if (line.starts_with(name)) return std::stod(line.substr(name.size())) / 1024.0;
    }
    throw PeerFailure("its memory cannot be read");
}

void await_first_answer(PeerProcess& process) {
    process.write_all(single_request(RequestKind::ping, first_id));
    if (!process.read_line().ends_with("}")) throw PeerFailure("its first answer is no JSON object");
}

// Belongs to the C library, which every program on the system shares.
bool is_of_the_c_library(const std::string& file) {
    static constexpr std::array<std::string_view, 7> names{"libc.",  "libm.",    "libpthread.", "libdl.",
                                                           "librt.", "ld-linux", "linux-vdso"};
    for (const auto name : names) {
        if (file.starts_with(name)) return true;
    }
    return false;
}

std::vector<fs::path> libraries_of(const fs::path& program) {
    std::vector<fs::path> libraries;
    std::istringstream lines(output_of({"ldd", program.string()}));
    std::string line;
    while (std::getline(lines, line)) {
        const auto path = line.find("=> /");
        if (path == std::string::npos) continue;
        const fs::path library = line.substr(path + 3, line.find(" (") - path - 3);
        if (!is_of_the_c_library(library.filename().string())) libraries.push_back(library);
    }
    return libraries;
}

double stripped_mb(const fs::path& file) {
    const fs::path copy = fs::temp_directory_path() / ("wire_bench_" + std::to_string(getpid()));
    output_of({"strip", "-o", copy.string(), file.string()});
    std::error_code failed;
    const auto bytes = fs::file_size(copy, failed);
    if (failed) throw PeerFailure("strip cannot read " + file.string());
    fs::remove(copy, failed);
    return static_cast<double>(bytes) / 1e6;
}

std::string in_mb(const std::string& name, double size_mb) {
    std::array<char, 128> text{};
    std::snprintf(text.data(), text.size(), "%s %.2f", name.c_str(), size_mb);
    return text.data();
}

} // namespace

void measure_spawn(const Field& field, Report& report) {
    Contest contest;
    contest.rows = {{.key = "spawn_to_first_response",
                     .title = "spawn to first response",
                     .unit = "ms",
                     .reference = "c",
                     .goal = {.ratio_max = 2, .figure_max = 3}}};
    contest.rounds = field.rounds(100);
    contest.rounds_slow = field.rounds(20);
    const std::string request = single_request(RequestKind::ping, first_id);
    contest.measure = [&](Contestant& contestant) {
        const auto start = Clock::now();
        const auto process = PeerProcess::start(contestant.program);
        const Watch watch(*process);
        process->write_all(request);
        process->read_line();
        const std::chrono::duration<double, std::milli> taken = Clock::now() - start;
        process->stop();
        return std::vector<double>{taken.count()};
    };
    run(std::move(contest), field.peers, report);
}

void measure_idle_memory(const Field& field, Report& report) {
    Contest contest;
    const Row proportional{
        .key = "idle_pss", .title = "idle memory, PSS", .unit = "MiB", .reference = "c", .goal = {.figure_max = 4}};
    Row resident = proportional;
    resident.key = "idle_rss";
    resident.title = "idle memory, RSS";
    resident.goal = {.figure_max = 8};
    contest.rows = {proportional, resident};
    contest.rounds = 3;
    contest.rounds_slow = 1;
    contest.measure = [](Contestant& contestant) {
        const auto process = PeerProcess::start(contestant.program);
        const Watch watch(*process);
        await_first_answer(*process);
        std::this_thread::sleep_for(settle_time);
        const std::vector<double> figures{resident_mib(process->pid(), "Pss:"), resident_mib(process->pid(), "Rss:")};
        process->stop();
        return figures;
    };
    run(std::move(contest), field.peers, report);
}

void measure_size(const Field& field, Report& report) {
    Contest contest;
    contest.rows = {{.key = "size_stripped",
                     .title = "size with libraries, stripped",
                     .unit = "MB",
                     .reference = "c",
                     .goal = {.figure_max = 8}}};
    contest.measure = [](Contestant& contestant) {
        const fs::path program = fs::canonical(contestant.program.arguments.front());
        double total_mb = stripped_mb(program);
        for (const auto& library : libraries_of(program)) total_mb += stripped_mb(fs::canonical(library));
        return std::vector<double>{total_mb};
    };
    contest.remark = [&](Contestant& contestant) {
        if (contestant.program.name != field.subject) return std::string();
        const fs::path program = fs::canonical(contestant.program.arguments.front());
        std::string list = in_mb(program.filename().string(), stripped_mb(program));
        for (const auto& library : libraries_of(program)) {
            list += " + " + in_mb(library.filename().string(), stripped_mb(fs::canonical(library)));
        }
        return list + " MB; without the C library";
    };
    run(std::move(contest), field.peers, report);
}

void report_allocations(const Field& field, std::optional<double> per_request, Report& report) {
    Row row{.key = "allocations_per_request",
            .title = "allocations per request",
            .unit = "",
            .reference = "",
            .goal = {.figure_max = 0},
            .note = "in steady state, counted by a test"};
    if (per_request) row.figures.push_back({field.subject, {*per_request}});
    report.add(std::move(row));
}

} // namespace pillion::bench
