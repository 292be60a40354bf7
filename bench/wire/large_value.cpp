// A string of 1 MiB there and back, one by one. What it costs is mostly the number of times that the two processes
// must take turns on a pipe, so the size of the pipe is set alike for all peers; a last row leaves it to them.

#include "contest.h"
#include "rows.h"
#include "statistics.h"

#include <chrono>
#include <unistd.h>

namespace pillion::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int trips_per_round = 10;
constexpr int pipe_bytes_default = 64 * 1024;
constexpr int pipe_bytes_large = 1024 * 1024;

void run_with_pipes(const Field& field, Row row, std::optional<int> pipe_bytes, Report& report) {
    const std::string request = large_request(first_id);
    Contest contest;
    contest.rows = {std::move(row)};
    contest.rounds = field.rounds(16);
    contest.rounds_slow = field.rounds(4);
    contest.prepare = [&](Contestant& contestant) {
        contestant.process = PeerProcess::start(contestant.program);
        // Programs enlarge their pipes when they start, so the size is set after the first answer.
        verify_singles(*contestant.process, RequestKind::ping);
        if (pipe_bytes) contestant.process->set_pipe_bytes(*pipe_bytes);
        for (int trip = 0; trip < trips_per_round; ++trip) verify_large(*contestant.process);
    };
    contest.measure = [&](Contestant& contestant) {
        const Watch watch(*contestant.process);
        std::vector<double> trips_ms;
        for (int trip = 0; trip < trips_per_round; ++trip) {
            const auto start = Clock::now();
            contestant.process->write_all(request);
            const std::size_t answer_bytes = contestant.process->read_line().size();
            const std::chrono::duration<double, std::milli> taken = Clock::now() - start;
            if (answer_bytes < large_text_bytes) throw PeerFailure("it lost a part of a large answer");
            trips_ms.push_back(taken.count());
        }
        return std::vector<double>{median(trips_ms)};
    };
    contest.remark = [&](Contestant& contestant) {
        const bool is_of_interest = contestant.program.name == "c" || contestant.program.name == field.subject;
        return is_of_interest ? contestant.program.name + "'s pipes " + contestant.process->describe_pipes() : "";
    };
    run(std::move(contest), field.peers, report);
}

} // namespace

void measure_large_value(const Field& field, Report& report) {
    Row row{.key = "large_value_default_pipe",
            .title = "1 MiB string, 64 KiB pipe",
            .unit = "ms",
            .reference = "c",
            .goal = {.ratio_max = 1.3}};
    run_with_pipes(field, row, pipe_bytes_default, report);
    row.key = "large_value_large_pipe";
    row.title = "1 MiB string, 1 MiB pipe";
    run_with_pipes(field, row, pipe_bytes_large, report);
    row.key = "large_value_own_pipe";
    row.title = "1 MiB string, pipe as the program leaves it";
    row.goal = {};
    run_with_pipes(field, row, std::nullopt, report);
}

} // namespace pillion::bench
