// The machine, out of a /proc and /sys that were written for the test.
#include "tests/monitor/monitor_support.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace pillion;

namespace {

bool has_gap(const std::vector<MonitorGap>& gaps, std::string_view what) {
    return std::ranges::find(gaps, what, &MonitorGap::what) != gaps.end();
}

constexpr const char* root_mount = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";

} // namespace

TEST_CASE("busy time is what is neither idle nor waiting for a disk", "[monitor]") {
    FakeSystem system;
    system.write("/proc/stat", "cpu  40 2 30 100 20 4 5 1 9 9\ncpu0 20 1 15 50 10 2 2 0 0 0\ncpu2 1 0 0 9\nintr 5\n");
    const MachineReading machine = system.platform()->read_machine();
    REQUIRE(machine.cpu);
    CHECK(machine.cpu->total == 202);
    CHECK(machine.cpu->busy == 82);
    REQUIRE(machine.cores.size() == 2);
    CHECK(machine.cores[0].busy == 40);
    CHECK(machine.cores[1].index == 2);
    CHECK(machine.cores[1].total == 10);
}

TEST_CASE("memory, swap and load are read", "[monitor]") {
    FakeSystem system;
    system.write("/proc/meminfo", "MemTotal: 8000 kB\nMemFree: 1 kB\nMemAvailable: 2000 kB\nSwapTotal: 500 kB\n"
                                  "SwapFree: 400 kB\n");
    system.write("/proc/loadavg", "0.50 1.25 2.00 1/300 4711\n");
    const MachineReading machine = system.platform()->read_machine();
    CHECK(machine.memory_bytes == 8000u * 1024);
    CHECK(machine.memory_available_bytes == 2000u * 1024);
    CHECK(machine.swap_bytes == 500u * 1024);
    CHECK(machine.swap_free_bytes == 400u * 1024);
    CHECK(machine.load1 == 0.5);
    CHECK(machine.load5 == 1.25);
    CHECK(machine.load15 == 2);
}

TEST_CASE("a machine of which nothing can be read is all gaps", "[monitor]") {
    FakeSystem system;
    const MachineReading machine = system.platform()->read_machine();
    CHECK_FALSE(machine.cpu);
    CHECK(machine.memory_bytes == 0);
    CHECK(machine.pressure.empty());
    for (const char* what : {"system.cpu", "system.memory", "system.load", "system.pressure.cpu",
                             "system.pressure.memory", "system.pressure.io", "system.disk.io", "system.network.io"}) {
        CAPTURE(what);
        CHECK(has_gap(machine.gaps, what));
    }
    CHECK(has_gap(system.platform()->read_surroundings().gaps, "system.filesystem"));
}

TEST_CASE("files of the machine in another form give nothing that is not there", "[monitor]") {
    for (const char* text : {"", "\n", "cpu\n", "cpu 1 2\n", "cpu a b c d\n", "intr 5\n", "cpu \x01 2 3 4\n"}) {
        CAPTURE(text);
        FakeSystem system;
        for (const char* file : {"/proc/stat", "/proc/meminfo", "/proc/loadavg", "/proc/pressure/cpu",
                                 "/proc/diskstats", "/proc/net/dev", "/proc/self/mountinfo", "/proc/self/cgroup"})
            system.write(file, text);
        const auto platform = system.platform();
        const MachineReading machine = platform->read_machine();
        CHECK_FALSE(machine.cpu);
        CHECK(machine.cores.empty());
        CHECK_FALSE(machine.load1);
        CHECK(machine.disks.empty());
        CHECK(machine.networks.empty());
        CHECK(machine.pressure.empty());
        CHECK(platform->read_surroundings().file_systems.empty());
    }
}

TEST_CASE("pressure is told by resource; where the kernel says nothing of all tasks, that is absent", "[monitor]") {
    FakeSystem system;
    system.write("/proc/pressure/cpu", "some avg10=1.50 avg60=2.00 avg300=0.00 total=1\n");
    system.write("/proc/pressure/io", "some avg10=3.00 avg60=4.00 avg300=0.00 total=1\n"
                                      "full avg10=5.00 avg60=6.00 avg300=0.00 total=1\n");
    const MachineReading machine = system.platform()->read_machine();
    REQUIRE(machine.pressure.size() == 2);
    CHECK(machine.pressure[0].resource == "cpu");
    CHECK(machine.pressure[0].someAvg10Percent == 1.5);
    CHECK_FALSE(machine.pressure[0].fullAvg10Percent);
    CHECK(machine.pressure[1].fullAvg60Percent == 6.0);
    CHECK(has_gap(machine.gaps, "system.pressure.memory"));
}

TEST_CASE("only disks that stand on hardware are counted", "[monitor]") {
    FakeSystem system;
    system.write("/proc/diskstats", "   8 0 sda 10 0 100 5 20 0 200 5 0 77 9 0 0 0 0\n"
                                    "   8 1 sda1 10 0 100 5 20 0 200 5 0 77 9\n"
                                    " 253 0 dm-0 10 0 100 5 20 0 200 5 0 77 9\n"
                                    "   7 0 loop0 1 0 1 1 1 0 1 1 0 1 1\n"
                                    " 104 0 cciss/c0d0 1 0 2 1 1 0 4 1 0 3 1\n"
                                    "   8 16 sdb 1 2\n"
                                    "short\n");
    for (const char* name : {"sda", "dm-0", "loop0", "cciss!c0d0", "sdb"})
        system.make_folder(std::string("/sys/block/") + name);
    for (const char* name : {"dm-0", "loop0"}) system.make_folder(std::string("/sys/devices/virtual/block/") + name);
    const MachineReading machine = system.platform()->read_machine();
    REQUIRE(machine.disks.size() == 2);
    CHECK(machine.disks[0].name == "sda");
    CHECK(machine.disks[0].read_bytes == 100u * 512);
    CHECK(machine.disks[0].written_bytes == 200u * 512);
    CHECK(machine.disks[0].busy_ms == 77);
    CHECK(machine.disks[1].name == "cciss/c0d0");
}

TEST_CASE("network interfaces are read, headings are none", "[monitor]") {
    FakeSystem system;
    system.write("/proc/net/dev", "Inter-|   Receive                |  Transmit\n"
                                  " face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n"
                                  "    lo: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n"
                                  "  eth0:7300 21 2 0 0 0 0 0 2077 14 3 0 0 0 0 0\n");
    const MachineReading machine = system.platform()->read_machine();
    REQUIRE(machine.networks.size() == 2);
    CHECK(machine.networks[1].name == "eth0");
    CHECK(machine.networks[1].received_bytes == 7300);
    CHECK(machine.networks[1].sent_bytes == 2077);
    CHECK(machine.networks[1].errors == 5);
}

TEST_CASE("file systems are those of the root, the home and the given folders, each once", "[monitor]") {
    FakeSystem system;
    system.write("/proc/self/mountinfo", std::string(root_mount) +
                                             "2 1 8:2 / /users rw,relatime shared:5 master:1 - xfs /dev/sda2 rw\n"
                                             "3 1 8:3 / /users/me/my\\040data rw - btrfs /dev/sda3 rw\n"
                                             "4 1 8:4 / /usersgroup rw - ext4 /dev/sda4 rw\n"
                                             "5 1 8:5 / /boot rw - ext4 /dev/sda5 rw\n");
    MonitorPlatformOptions options{.root = system.root(), .pid = 100, .folders = {"/users/me/my data/app", "/usersed"}};
    options.variable = [](const std::string& name) -> std::optional<std::string> {
        return name == "HOME" ? std::optional<std::string>("/users/me") : std::nullopt;
    };
    options.space = [](const std::string& path) {
        return path == "/" ? FileSystemSpace{1000, 1000, 1000} : FileSystemSpace{1000, 250, 250};
    };
    const auto files = create_monitor_platform(std::move(options))->read_surroundings().file_systems;
    REQUIRE(files.size() == 3);
    CHECK(files[0].mountpoint == "/users/me/my data");
    CHECK(files[0].type == "btrfs");
    CHECK(files[0].usedShare == 0.75);
    CHECK(files[1].mountpoint == "/");
    CHECK(files[1].usedShare == 0);
    CHECK(files[2].mountpoint == "/users");
}

TEST_CASE("what a file system reserves for the superuser is neither used nor to be had", "[monitor]") {
    FakeSystem system;
    system.write("/proc/self/mountinfo", root_mount);
    MonitorPlatformOptions options{.root = system.root(), .pid = 100};
    options.space = [](const std::string&) { return FileSystemSpace{1000, 850, 150}; };
    const auto files = create_monitor_platform(std::move(options))->read_surroundings().file_systems;
    REQUIRE(files.size() == 1);
    CHECK(files[0].availableBytes == 150);
    CHECK(files[0].usedShare == 0.5);
}

TEST_CASE("of mounts over each other the last one counts", "[monitor]") {
    FakeSystem system;
    system.write("/proc/self/mountinfo", std::string(root_mount) + "2 1 0:5 / / rw - overlay overlay rw\n");
    const auto files = system.platform()->read_surroundings().file_systems;
    REQUIRE(files.size() == 1);
    CHECK(files[0].type == "overlay");
}

TEST_CASE("a network file system is not asked, and said to be left out", "[monitor]") {
    for (const char* type : {"nfs4", "cifs", "fuse.sshfs", "autofs"}) {
        CAPTURE(type);
        FakeSystem system;
        system.write("/proc/self/mountinfo", std::string("1 0 0:5 / / rw - ") + type + " server:/x rw\n");
        const auto surroundings = system.platform()->read_surroundings();
        CHECK(surroundings.file_systems.empty());
        REQUIRE(surroundings.gaps.size() == 1);
        CHECK(surroundings.gaps[0].what == "system.filesystem /");
        CHECK(surroundings.gaps[0].why == std::string("a ") + type + " may wait for its server");
    }
}

TEST_CASE("a discharging battery without mains is running on battery", "[monitor]") {
    struct Case {
        const char *status, *mains;
        bool on_battery;
    };
    for (const auto& [status, mains, on_battery] : {Case{"Discharging\n", "0\n", true},
                                                    {"Discharging\n", "1\n", false},
                                                    {"Charging\n", "1\n", false},
                                                    {"Full\n", "0\n", false},
                                                    {"Not charging\n", "1\n", false}}) {
        CAPTURE(status, mains);
        FakeSystem system;
        system.write("/sys/class/power_supply/BAT0/type", "Battery\n");
        system.write("/sys/class/power_supply/BAT0/status", status);
        system.write("/sys/class/power_supply/BAT0/capacity", "63\n");
        system.write("/sys/class/power_supply/AC/type", "Mains\n");
        system.write("/sys/class/power_supply/AC/online", mains);
        const auto power = system.platform()->read_surroundings().power;
        REQUIRE(power);
        CHECK(power->onBattery == on_battery);
        CHECK(power->chargePercent == 63.0);
    }
}

TEST_CASE("the battery of a mouse is not the machine's", "[monitor]") {
    FakeSystem system;
    system.write("/sys/class/power_supply/hid-1/type", "Battery\n");
    system.write("/sys/class/power_supply/hid-1/scope", "Device\n");
    system.write("/sys/class/power_supply/hid-1/status", "Discharging\n");
    CHECK_FALSE(system.platform()->read_surroundings().power);
}

TEST_CASE("the hottest zone counts, and sensors that tell nonsense do not", "[monitor]") {
    FakeSystem system;
    CHECK_FALSE(system.platform()->read_surroundings().hottest_celsius);
    system.write("/sys/class/thermal/thermal_zone0/temp", "41000\n");
    system.write("/sys/class/thermal/thermal_zone1/temp", "67500\n");
    system.write("/sys/class/thermal/thermal_zone2/temp", "-274000\n");
    system.write("/sys/class/thermal/thermal_zone3/temp", "999000\n");
    system.write("/sys/class/thermal/thermal_zone4/temp", "warm\n");
    system.write("/sys/class/thermal/cooling_device0/temp", "90000\n");
    CHECK(system.platform()->read_surroundings().hottest_celsius == 67.5);
}

TEST_CASE("of the group and those above it the smallest processor quota binds", "[monitor]") {
    FakeSystem system;
    system.write("/proc/self/cgroup", "0::/user.slice/app.scope\n");
    system.write("/sys/fs/cgroup/user.slice/app.scope/cpu.max", "max 100000\n");
    system.write("/sys/fs/cgroup/user.slice/app.scope/memory.current", "1000\n");
    system.write("/sys/fs/cgroup/user.slice/app.scope/memory.max", "4000\n");
    system.write("/sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
    system.write("/sys/fs/cgroup/user.slice/cpu.stat", "usage_usec 7000\nnr_periods 50\nnr_throttled 5\n");
    system.write("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    const auto group = system.platform()->read_surroundings().cgroup;
    REQUIRE(group);
    CHECK(group->cpu_limit_cores == 1.5);
    CHECK(group->cpu_used_ns == 7'000'000u);
    CHECK(group->periods == 50);
    CHECK(group->throttled_periods == 5);
    CHECK(group->memory_limit_bytes == 4000u);
    CHECK(group->memory_used_bytes == 1000u);
}

TEST_CASE("version 1 of the groups has quota and usage in two hierarchies", "[monitor]") {
    FakeSystem system;
    system.write("/proc/self/cgroup", "4:memory:/\n2:cpuacct:/box\n1:cpu:/box\n");
    system.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    system.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    system.write("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "50000\n");
    system.write("/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
    system.write("/sys/fs/cgroup/cpu/box/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 100\n");
    system.write("/sys/fs/cgroup/cpuacct/box/cpuacct.usage", "123456\n");
    const auto group = system.platform()->read_surroundings().cgroup;
    REQUIRE(group);
    CHECK(group->cpu_limit_cores == 0.5);
    CHECK(group->cpu_used_ns == 123456u);
    CHECK(group->throttled_periods == 3);
}

TEST_CASE("a quota that is none or not sound binds nothing", "[monitor]") {
    for (const char* quota : {"max 100000\n", "100000 0\n", "100000\n", "-1 100000\n", "", "a b\n"}) {
        CAPTURE(quota);
        FakeSystem system;
        system.write("/proc/self/cgroup", "0::/app\n");
        system.write("/sys/fs/cgroup/app/cpu.max", quota);
        CHECK_FALSE(system.platform()->read_surroundings().cgroup);
    }
}

TEST_CASE("the cores that may be used are counted from their list", "[monitor]") {
    struct Case {
        const char* list;
        std::int64_t count;
    };
    for (const auto& [list, count] :
         {Case{"0-3", 4}, {"0", 1}, {"0-1,4,6-7", 5}, {"", 0}, {"x", 0}, {"3-1", 0}, {"0-99999999999", 0}}) {
        CAPTURE(list);
        FakeSystem system;
        system.write("/proc/self/status", std::string("Name: pillion\nCpus_allowed_list:\t") + list + "\nx: 1\n");
        CHECK(system.platform()->read_surroundings().cores_allowed == count);
    }
}

TEST_CASE("the machine is described within what its group allows", "[monitor]") {
    FakeSystem system;
    system.write("/etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
    system.write("/proc/sys/kernel/osrelease", "6.1.0-test\n");
    system.write("/proc/cpuinfo", "processor : 0\nmodel name : Test Processor 9000\nflags : fpu hypervisor sse\n");
    system.write("/proc/stat", "cpu  1 1 1 1 1\ncpu0 1 1 1 1 1\ncpu1 1 1 1 1 1\ncpu2 1 1 1 1 1\ncpu3 1 1 1 1 1\n");
    system.write("/proc/meminfo", "MemTotal: 8000 kB\nMemAvailable: 2000 kB\nSwapTotal: 500 kB\n");
    system.write("/proc/self/cgroup", "0::/app\n");
    system.write("/sys/fs/cgroup/app/cpu.max", "250000 100000\n");
    system.write("/sys/fs/cgroup/app/memory.max", "1024000\n");
    system.write("/sys/fs/cgroup/app/memory.current", "1000\n");
    system.write("/proc/self/mountinfo", root_mount);
    system.write("/.dockerenv", "");
    const MonitorMachine machine = system.platform()->describe();
    CHECK(machine.os == "Debian GNU/Linux 12 (bookworm)");
    CHECK(machine.kernel == "6.1.0-test");
    CHECK(machine.cpuModel == "Test Processor 9000");
    CHECK(machine.isVirtual);
    CHECK(machine.cores == 4);
    CHECK(machine.effectiveCores == 2.5);
    CHECK(machine.memoryBytes == 8000u * 1024);
    CHECK(machine.effectiveMemoryBytes == 1'024'000u);
    CHECK(machine.container == "docker");
    CHECK_FALSE(machine.desktop);
    CHECK(machine.fileSystems.size() == 1);
    CHECK(machine.versions.contains("glibc"));
}

TEST_CASE("a machine that tells nothing is described with its gaps", "[monitor]") {
    FakeSystem system;
    const MonitorMachine machine = system.platform()->describe();
    CHECK(machine.os == "Linux");
    CHECK_FALSE(machine.kernel.empty());
    CHECK(machine.cores == 0);
    CHECK_FALSE(machine.unavailable.empty());
}

TEST_CASE("disks that cannot be told from partitions are said to be unseen", "[monitor]") {
    FakeSystem system;
    system.write("/proc/diskstats", "   8 0 sda 10 0 100 5 20 0 200 5 0 77 9 0 0 0 0\n");
    MachineReading machine = system.platform()->read_machine();
    CHECK(machine.disks.empty());
    CHECK(has_gap(machine.gaps, "system.disk.io"));
    system.make_folder("/sys/block");
    machine = system.platform()->read_machine();
    CHECK_FALSE(has_gap(machine.gaps, "system.disk.io"));
}
