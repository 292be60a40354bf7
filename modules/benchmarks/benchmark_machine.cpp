// Fingerprints are FNV-1a (Fowler, Noll, Vo) of 64 bits: they tell builds and machines apart and protect nothing.
// Waiting for a processor is read from pressure stall information (PSI), stolen time from /proc/stat.
#include "modules/benchmarks/benchmark_machine.h"

#include "ipc/base/number_text.h"
#include "ipc/base/platform.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fcntl.h>
#include <sys/utsname.h>
#include <thread>
#include <unistd.h>

namespace pillion {

namespace {

class Fnv1a {
  public:
    void add(std::string_view bytes) {
        for (const char byte : bytes) {
            state_ ^= static_cast<unsigned char>(byte);
            state_ *= 0x100000001b3ULL;
        }
    }
    std::string text() const { return hex_digits(state_); }

  private:
    std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

// What follows `name` in a text of lines "name : value"; empty if it is not there.
std::string value_of(std::string_view text, std::string_view name) {
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with(name)) continue;
        const std::size_t begin = line.find_first_not_of(" \t:=", name.size());
        return begin == std::string_view::npos ? std::string() : std::string(line.substr(begin));
    }
    return {};
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

double highest_frequency(unsigned cores) {
    double highest = 0;
    for (unsigned core = 0; core < std::min(cores, 64U); ++core) {
        const auto khz = platform::find_system_text("/sys/devices/system/cpu/cpu" + std::to_string(core) +
                                                    "/cpufreq/scaling_cur_freq");
        if (!khz) break;
        highest = std::max(highest, std::strtod(khz->c_str(), nullptr) / 1000);
    }
    return highest;
}

} // namespace

std::string fingerprint_of(std::string_view bytes) {
    Fnv1a hash;
    hash.add(bytes);
    return hash.text();
}

BenchmarkMachine read_benchmark_machine() {
    BenchmarkMachine machine;
    const std::string cpu = platform::find_system_text("/proc/cpuinfo").value_or("");
    machine.processor = value_of(cpu, "model name");
    machine.cores = std::thread::hardware_concurrency();
    const std::string memory = platform::find_system_text("/proc/meminfo").value_or("");
    machine.memoryBytes = std::strtoll(value_of(memory, "MemTotal").c_str(), nullptr, 10) * 1024;
    utsname names{};
    if (uname(&names) == 0) {
        machine.kernel = std::string(names.sysname) + " " + names.release;
        machine.architecture = names.machine;
    }
    machine.loadBefore =
        std::strtod(first_line(platform::find_system_text("/proc/loadavg").value_or("0")).c_str(), nullptr);
    // What the kernel keeps for itself differs a little from start to start.
    constexpr std::int64_t half_gib = 512LL * 1024 * 1024;
    const std::int64_t half_gibs = (machine.memoryBytes + half_gib / 2) / half_gib;
    machine.fingerprint = fingerprint_of(machine.processor + "/" + machine.architecture + "/" +
                                         std::to_string(machine.cores) + "/" + std::to_string(half_gibs));
    return machine;
}

Result<BenchmarkBuild> read_benchmark_build(const std::string& program, std::string_view version) {
    const int file = open(program.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fail(ErrorCode::unavailable, "the program " + program + " cannot be read to tell its build from others");
    Fnv1a hash;
    std::array<char, 64 * 1024> chunk{};
    ssize_t got = 0;
    while ((got = read(file, chunk.data(), chunk.size())) > 0) hash.add({chunk.data(), static_cast<std::size_t>(got)});
    close(file);
    if (got < 0) return fail(ErrorCode::unavailable, "the program " + program + " cannot be read to its end");
    return BenchmarkBuild {
        .fingerprint = hash.text(), .version = std::string(version),
#if defined(__clang__)
        .compiler = "clang " __clang_version__
#else
        .compiler = "g++ " __VERSION__
#endif
    };
}

MachineActivity read_machine_activity() {
    MachineActivity activity;
    if (const auto pressure = platform::find_system_text("/proc/pressure/cpu")) {
        const std::size_t total = pressure->find("total=");
        if (total != std::string::npos) activity.cpu_wait_us = std::strtoll(pressure->c_str() + total + 6, nullptr, 10);
    }
    if (const auto stat = platform::find_system_text("/proc/stat")) {
        // cpu user nice system idle iowait irq softirq steal guest guest_nice; guests are part of user.
        const std::string line = first_line(*stat);
        const char* at = line.c_str() + std::min<std::size_t>(line.size(), 4);
        for (int column = 0; column < 8; ++column) {
            char* end = nullptr;
            const std::int64_t ticks = std::strtoll(at, &end, 10);
            if (end == at) break;
            activity.ticks += ticks;
            if (column == 7) activity.stolen_ticks = ticks;
            at = end;
        }
    }
    activity.frequency_mhz = highest_frequency(std::thread::hardware_concurrency());
    return activity;
}

} // namespace pillion
