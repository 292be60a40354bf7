// For the tests of the monitor: a /proc and /sys of one's own in a temporary folder, and a platform that tells what it
// is told to.
#pragma once

#include "modules/monitor/monitor_platform.h"
#include "tests/support/temporary_folder.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion {

class FakeSystem {
  public:
    const std::string& root() const { return folder_.path(); }

    void write(const std::string& path, std::string_view content) {
        const std::filesystem::path file = root() + path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << content;
    }
    void make_folder(const std::string& path) { std::filesystem::create_directories(root() + path); }
    void remove(const std::string& path) { std::filesystem::remove_all(root() + path); }
    void link(const std::string& path, const std::string& target) {
        const std::filesystem::path file = root() + path;
        std::filesystem::create_directories(file.parent_path());
        std::filesystem::remove(file);
        std::filesystem::create_symlink(target, file);
    }

    struct Process {
        std::int64_t parent = 1;
        std::string command = "app";
        char state = 'S';
        int threads = 1;
        std::int64_t user_ticks = 10, system_ticks = 5, reaped_ticks = 0;
        std::int64_t start_ticks = 100;
        std::int64_t pages = 50;
        std::string children{};
    };
    void add(std::int64_t pid, const Process& process) {
        const std::string folder = "/proc/" + std::to_string(pid);
        const auto text = [](std::int64_t number) { return std::to_string(number) + " "; };
        write(folder + "/stat", text(pid) + "(" + process.command + ") " + process.state + " " + text(process.parent) +
                                    "1 1 0 -1 4194304 100 0 0 0 " + text(process.user_ticks) +
                                    text(process.system_ticks) + text(process.reaped_ticks) + "0 20 0 " +
                                    text(process.threads) + "0 " + text(process.start_ticks) + "1000000 " +
                                    text(process.pages) + "18446744073709551615 1 1 0\n");
        write(folder + "/io", "rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n");
        write(folder + "/task/" + std::to_string(pid) + "/children", process.children);
        make_folder(folder + "/fd");
    }
    std::unique_ptr<MonitorPlatform> platform(std::int64_t pid = 100) const {
        MonitorPlatformOptions options{.root = root(), .pid = pid};
        options.variable = [](const std::string&) { return std::nullopt; };
        options.space = [](const std::string&) { return FileSystemSpace{1000, 250, 250}; };
        return create_monitor_platform(std::move(options));
    }

  private:
    TemporaryFolder folder_;
};

class FakePlatform final : public MonitorPlatform {
  public:
    TreeReading tree{};
    MachineReading machine{};
    SurroundingsReading surroundings{};
    std::map<std::int64_t, MappedMemoryReading> memory{}; // by pid
    std::int64_t walk_ns = 0;
    std::vector<std::int64_t> walks{};
    int trees = 0, surroundings_read = 0;

    TreeReading read_tree() override {
        ++trees;
        return tree;
    }
    MappedMemoryReading read_memory(const ProcessReading& process) override {
        walks.push_back(process.pid);
        cpu_ns_ += walk_ns;
        return memory[process.pid];
    }
    MachineReading read_machine() override { return machine; }
    SurroundingsReading read_surroundings() override {
        ++surroundings_read;
        return surroundings;
    }
    MonitorMachine describe() override { return {.os = "Test"}; }
    std::int64_t thread_cpu_ns() const override { return cpu_ns_; }

  private:
    std::int64_t cpu_ns_ = 0;
};

} // namespace pillion
