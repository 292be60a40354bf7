// What the proxy adds to a call: not cached against asking the backend directly, cached against a ping, and what it
// takes away: a hundred equal calls at once. All processes run on one core, so that every hop is a switch and none a
// wake-up of a sleeping core; what is measured is work, not luck.

#include "../wire/peer_process.h"
#include "report.h"
#include "statistics.h"

#include <chrono>
#include <functional>
#include <iostream>
#include <sched.h>
#include <signal.h>

using namespace pillion::bench;

namespace {

struct Effort {
    int rounds = 12;
    int trips = 2000;
};

void pin_here() {
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(static_cast<std::size_t>(core), &all)) {
            CPU_ZERO(&one);
            CPU_SET(static_cast<std::size_t>(core), &one);
        }
    sched_setaffinity(0, sizeof one, &one);
}

std::string request(int id, const std::string& method) {
    return "{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id) + ",\"method\":\"" + method + "\"}\n";
}

double trip_us(PeerProcess& process, const std::string& method, int trips, std::string_view result = "{}") {
    const Watch watch(process);
    const std::string text = request(7, method);
    const std::string expected = "\"id\":7,\"result\":" + std::string(result);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < trips; ++i) {
        process.write_all(text);
        if (process.read_line().find(expected) == std::string_view::npos)
            throw PeerFailure("it answered something else");
    }
    const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - start;
    return taken.count() / trips;
}

// How many calls of the backend a hundred equal ones become; without the two that count.
double runs_of_equal_calls(PeerProcess& proxy) {
    const Watch watch(proxy);
    const auto count = [&proxy] {
        proxy.write_all(request(8, "echo/count"));
        const std::string answer(proxy.read_line());
        const std::size_t at = answer.find("\"requests\":");
        if (at == std::string::npos) throw PeerFailure("it did not count");
        return std::stod(answer.substr(at + 11));
    };
    const double before = count();
    std::string all;
    for (int i = 0; i < 100; ++i) all += request(100 + i, "echo/read");
    proxy.write_all(all);
    for (int i = 0; i < 100; ++i)
        if (proxy.read_line().find("\"result\":{}") == std::string_view::npos) throw PeerFailure("an answer was wrong");
    return count() - before - 1;
}

} // namespace

int main(int argc, char** argv) {
    Effort effort;
    std::string json, proxy_path, echo_path;
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const bool has_value = i + 1 < arguments.size();
        if (arguments[i] == "--quick") {
            effort = {5, 500};
        } else if (arguments[i] == "--json" && has_value) {
            json = arguments[++i];
        } else if (arguments[i] == "--proxy" && has_value) {
            proxy_path = arguments[++i];
        } else if (arguments[i] == "--backend" && has_value) {
            echo_path = arguments[++i];
        } else {
            std::cerr << "usage: backends_bench --proxy PATH --backend PATH [--quick] [--json FILE]\n";
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    pin_here();
    Report report("Backends", "proxied", "release");
    PeerFigure direct{.peer = "direct"}, proxied{.peer = "proxied"}, added{.peer = "proxied"};
    PeerFigure ping{.peer = "ping"}, kept{.peer = "proxied"}, list{.peer = "proxied"}, runs{.peer = "proxied"};
    try {
        const auto backend = PeerProcess::start({.name = "direct", .arguments = {echo_path}});
        const auto proxy = PeerProcess::start({.name = "proxied", .arguments = {proxy_path, echo_path}});
        trip_us(*backend, "work", 200);
        trip_us(*proxy, "echo/work", 200);
        trip_us(*proxy, "echo/kept", 200);
        trip_us(*proxy, "rpc.ping", 200);
        for (int round = 0; round < effort.rounds; ++round) {
            direct.samples.push_back(trip_us(*backend, "work", effort.trips));
            proxied.samples.push_back(trip_us(*proxy, "echo/work", effort.trips));
            added.samples.push_back(proxied.samples.back() - direct.samples.back());
            ping.samples.push_back(trip_us(*proxy, "rpc.ping", effort.trips));
            kept.samples.push_back(trip_us(*proxy, "echo/kept", effort.trips));
            list.samples.push_back(trip_us(*proxy, "echo/kept/list", effort.trips, "{\"tools\":"));
            runs.samples.push_back(runs_of_equal_calls(*proxy));
        }
        proxy->stop();
        backend->stop();
    } catch (const PeerFailure& failure) {
        kept.failure = list.failure = proxied.failure = added.failure = runs.failure = failure.what();
    }
    report.add({.key = "backend_call_us",
                .title = "call, not cached",
                .unit = "us",
                .reference = "direct",
                .figures = {direct, proxied}});
    report.add({.key = "backend_call_added_us",
                .title = "what the proxy adds to it",
                .unit = "us",
                .reference = {},
                .goal = {.figure_max = 40},
                .figures = {added}});
    report.add({.key = "backend_cached_us",
                .title = "call, cached",
                .unit = "us",
                .reference = "ping",
                .goal = {.ratio_max = 1.5},
                .figures = {ping, kept}});
    report.add({.key = "backend_cached_list_us",
                .title = "list of 8 KiB, cached",
                .unit = "us",
                .reference = "ping",
                .goal = {.ratio_max = 1.5},
                .figures = {ping, list}});
    report.add({.key = "backend_equal_calls",
                .title = "calls of the backend for 100 equal ones",
                .unit = "calls",
                .reference = {},
                .goal = {.figure_max = 1},
                .figures = {runs}});
    report.print(std::cout);
    if (!json.empty() && !report.write_json(json)) return 1;
    return report.has_failures() ? 1 : 0;
}
