// What the system says about memory, read from text as it stands in /proc and /sys.
#include "modules/memory/memory_heap.h"
#include "modules/memory/memory_system.h"

#include <catch2/catch.hpp>
#include <map>

using namespace pillion;

namespace {

TextReader files(std::map<std::string, std::string> texts) {
    return [texts = std::move(texts)](const std::string& path) -> std::optional<std::string> {
        const auto at = texts.find(path);
        if (at == texts.end()) return std::nullopt;
        return at->second;
    };
}

} // namespace

TEST_CASE("meminfo gives total and available memory in bytes", "[memory]") {
    const MemorySystem system =
        parse_meminfo("MemTotal:        8000000 kB\nMemFree: 100 kB\nMemAvailable:    2000000 kB\n");
    CHECK(system.totalBytes == 8'000'000ull * 1024);
    CHECK(system.availableBytes == 2'000'000ull * 1024);
}

TEST_CASE("a meminfo without the lines is memory unknown", "[memory]") {
    for (const char* text : {"", "MemTotal:", "MemTotal: kB\n", "\n\n\n", "Total: 5 kB\n"}) {
        CAPTURE(text);
        CHECK(parse_meminfo(text).totalBytes == 0);
        CHECK(parse_meminfo(text).availableBytes == 0);
    }
}

TEST_CASE("pressure stall information has its four averages read", "[memory]") {
    const auto stall = parse_stall(
        "some avg10=12.50 avg60=3.10 avg300=0.70 total=123\nfull avg10=1.25 avg60=0.50 avg300=0.00 total=9\n");
    REQUIRE(stall);
    CHECK(stall->someAvg10Percent == 12.5);
    CHECK(stall->someAvg60Percent == 3.1);
    CHECK(stall->fullAvg10Percent == 1.25);
    CHECK(stall->fullAvg60Percent == 0.5);
}

TEST_CASE("pressure stall information without a full line is still some", "[memory]") {
    const auto stall = parse_stall("some avg10=12.50 avg60=3.10 avg300=0.70 total=123");
    REQUIRE(stall);
    CHECK(stall->fullAvg10Percent == 0);
}

TEST_CASE("malformed pressure stall information is absent, not zero", "[memory]") {
    for (const char* text :
         {"", "\n", "some", "some avg10=", "some avg10=x avg60=1", "some avg10=1 avg60=", "some avg10=nan avg60=1",
          "some avg10=inf avg60=1", "some avg10=-1 avg60=1", "some avg10=101 avg60=1", "full avg10=1 avg60=1",
          "some avg10=1.0 avg60=1.0\nfull avg10=? avg60=1.0\n", "Operation not supported"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_stall(text));
    }
}

TEST_CASE("a limit is a number, unless it means that there is none", "[memory]") {
    CHECK(parse_limit("1073741824\n") == 1'073'741'824ull);
    CHECK(parse_limit("0\n") == 0ull);
    for (const char* text : {"max\n", "", "\n", "9223372036854771712\n", "18446744073709551616", "-1\n", "many"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_limit(text));
    }
}

TEST_CASE("the process's group is found by its controller", "[memory]") {
    const char* const hybrid =
        "9:name=systemd:/a\n4:cpu,memory:/docker/abc\n2:memoryless:/no\n0::/user.slice/app:x.scope\n";
    CHECK(parse_cgroup_path(hybrid, "memory") == "/docker/abc");
    CHECK(parse_cgroup_path(hybrid, "cpu") == "/docker/abc");
    CHECK(parse_cgroup_path(hybrid, "") == "/user.slice/app:x.scope");
    CHECK_FALSE(parse_cgroup_path(hybrid, "pids"));
    for (const char* text : {"", "\n", "0:", "0::", "0::relative\n", "memory", "::"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_cgroup_path(text, ""));
        CHECK_FALSE(parse_cgroup_path(text, "memory"));
    }
}

TEST_CASE("a v2 group tells limit, usage and the working set without inactive file pages", "[memory]") {
    const auto group = find_cgroup_memory(
        files({{"/proc/self/cgroup", "0::/app\n"},
               {"/sys/fs/cgroup/app/memory.max", "1000\n"},
               {"/sys/fs/cgroup/app/memory.current", "900\n"},
               {"/sys/fs/cgroup/app/memory.stat", "anon 400\ninactive_file 300\nactive_file 200\n"}}));
    REQUIRE(group);
    CHECK(group->version == 2);
    CHECK(group->path == "/app");
    CHECK(group->limitBytes == 1000ull);
    CHECK(group->usageBytes == 900);
    CHECK(group->workingSetBytes == 600);
}

TEST_CASE("a limit further up that is nearer to being reached counts", "[memory]") {
    const auto group = find_cgroup_memory(files({{"/proc/self/cgroup", "0::/slice/app\n"},
                                                 {"/sys/fs/cgroup/slice/app/memory.max", "max\n"},
                                                 {"/sys/fs/cgroup/slice/app/memory.current", "100\n"},
                                                 {"/sys/fs/cgroup/slice/memory.max", "1000\n"},
                                                 {"/sys/fs/cgroup/slice/memory.current", "950\n"}}));
    REQUIRE(group);
    CHECK(group->path == "/slice");
    CHECK(group->workingSetBytes == 950);
}

TEST_CASE("a v1 group is read where its path is not mounted, as in a container", "[memory]") {
    const auto group = find_cgroup_memory(
        files({{"/proc/self/cgroup", "4:memory:/docker/abc\n0::/\n"},
               {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"},
               {"/sys/fs/cgroup/memory/memory.usage_in_bytes", "500\n"},
               {"/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n"}}));
    REQUIRE(group);
    CHECK(group->version == 1);
    CHECK(group->path == "/");
    CHECK(group->limitBytes == 2000ull);
    CHECK(group->workingSetBytes == 400);
}

TEST_CASE("a group without any limit tells its usage and no limit", "[memory]") {
    const auto group =
        find_cgroup_memory(files({{"/proc/self/cgroup", "4:memory:/\n"},
                                  {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
                                  {"/sys/fs/cgroup/memory/memory.usage_in_bytes", "500\n"}}));
    REQUIRE(group);
    CHECK_FALSE(group->limitBytes);
    CHECK(group->usageBytes == 500);
}

TEST_CASE("no control groups at all is no group", "[memory]") {
    CHECK_FALSE(find_cgroup_memory(files({})));
    CHECK_FALSE(find_cgroup_memory(files({{"/proc/self/cgroup", "0::/app\n"}})));
}

TEST_CASE("stalls are the machine's, or the group's where the machine tells none", "[memory]") {
    const std::string machine = "some avg10=1.00 avg60=0.00 avg300=0 total=0\n",
                      group = "some avg10=2.00 avg60=0.00 avg300=0 total=0\n";
    CHECK(find_stall(files({{"/proc/pressure/memory", machine}}))->someAvg10Percent == 1);
    CHECK(find_stall(files({{"/proc/self/cgroup", "0::/app\n"}, {"/sys/fs/cgroup/app/memory.pressure", group}}))
              ->someAvg10Percent == 2);
    CHECK_FALSE(find_stall(files({})));
}

TEST_CASE("the system this runs on can be read", "[memory]") {
    const MemoryReading reading = read_system_memory();
    CHECK(reading.resident_bytes > 0);
    CHECK(reading.system.availableBytes <= reading.system.totalBytes);
}

TEST_CASE("an allocator's statistics line gives its last amount", "[memory]") {
    const char* const text = "heap stats:  peak  total  freed  current\n  reserved:   32.0 MiB   64.0 MiB      0       "
                             "48.5 MiB  \n committed:  1 KiB 2.0 KiB\n";
    CHECK(parse_heap_statistic(text, "reserved:") == static_cast<std::uint64_t>(48.5 * 1024 * 1024));
    CHECK(parse_heap_statistic(text, "committed:") == 2048u);
    CHECK_FALSE(parse_heap_statistic(text, "touched:"));
    CHECK_FALSE(parse_heap_statistic("reserved: none", "reserved:"));
    CHECK_FALSE(parse_heap_statistic("reserved: -5 MiB", "reserved:"));
}
