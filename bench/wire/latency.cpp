// Round trips one by one, with both ends on one core: then the scheduler switches between the two processes at
// once, where across cores it sometimes has to wake a sleeping one, and a figure would mean nothing.

#include "contest.h"
#include "rows.h"
#include "statistics.h"

#include <chrono>
#include <cstring>
#include <sched.h>
#include <unistd.h>

namespace pillion::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int trips_per_round = 5'000;

// This process on the last core it may use (the first takes most interrupts), until the end of the scope.
class PinnedHere {
  public:
    PinnedHere() {
        sched_getaffinity(0, sizeof before_, &before_);
        for (int core = 0; core < CPU_SETSIZE; ++core) {
            if (CPU_ISSET(static_cast<std::size_t>(core), &before_)) core_ = core;
        }
        cpu_set_t cores;
        CPU_ZERO(&cores);
        CPU_SET(static_cast<std::size_t>(core_), &cores);
        sched_setaffinity(0, sizeof cores, &cores);
    }
    ~PinnedHere() { sched_setaffinity(0, sizeof before_, &before_); }
    PinnedHere(const PinnedHere&) = delete;
    PinnedHere& operator=(const PinnedHere&) = delete;

    int core() const { return core_; }

  private:
    cpu_set_t before_{};
    int core_ = 0;
};

// One write and, as a rule, one read; the answer must end with its line and carry the request's id.
double round_trip_us(const PeerProcess& process, const std::string& request, std::string& answer) {
    std::size_t used = 0;
    const auto start = Clock::now();
    if (write(process.input(), request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
        throw PeerFailure("it no longer reads");
    }
    do {
        const ssize_t got = read(process.output(), answer.data() + used, answer.size() - used);
        if (got <= 0) throw PeerFailure("it ended, or was killed for its silence, before it had answered");
        used += static_cast<std::size_t>(got);
    } while (answer[used - 1] != '\n');
    const std::chrono::duration<double, std::micro> taken = Clock::now() - start;
    constexpr std::size_t id_at = std::string_view(R"({"jsonrpc":"2.0","id":)").size();
    if (std::string_view(answer.data(), used).find(request.substr(id_at, 7)) == std::string_view::npos) {
        throw PeerFailure("it answered a round trip out of turn");
    }
    return taken.count();
}

Row row(const std::string& name, const std::string& title, const std::string& quantile_name, double ratio_max) {
    return {.key = name + "_" + quantile_name,
            .title = title + ", " + quantile_name,
            .unit = "us",
            .reference = "c",
            .goal = {.ratio_max = ratio_max}};
}

} // namespace

void measure_round_trip(const Field& field, RequestKind kind, Report& report) {
    std::vector<std::string> requests;
    for (int index = 0; index < trips_per_round; ++index) requests.push_back(single_request(kind, first_id + index));
    const bool is_ping = kind == RequestKind::ping;
    const std::string name = is_ping ? "ping" : "echo_100_bytes";
    const std::string title = is_ping ? "round trip, rpc.ping" : "round trip, rpc.echo of 100 B";

    const PinnedHere pinned;
    std::string answer(64 * 1024, '\0');
    const auto measure = [&](Contestant& contestant) {
        const Watch watch(*contestant.process);
        std::vector<double> trips_us;
        trips_us.reserve(requests.size());
        for (const auto& request : requests) trips_us.push_back(round_trip_us(*contestant.process, request, answer));
        return std::vector<double>{quantile(trips_us, 0.5), quantile(trips_us, 0.99)};
    };
    Contest contest;
    contest.rows = {row(name, title, "p50", 1.3), row(name, title, "p99", 1.5)};
    contest.rows.front().note = "both ends on core " + std::to_string(pinned.core());
    contest.rounds = field.rounds(40);
    contest.rounds_slow = contest.rounds / 2;
    contest.prepare = [&](Contestant& contestant) {
        contestant.process = PeerProcess::start(contestant.program);
        verify_singles(*contestant.process, kind);
        contestant.process->pin_to(pinned.core());
        measure(contestant);
    };
    contest.measure = measure;
    run(std::move(contest), field.peers, report);
}

} // namespace pillion::bench
