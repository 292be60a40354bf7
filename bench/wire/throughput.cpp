// Requests as fast as a peer takes them: one thread writes a ready-made block over and over, this one reads and
// counts. The benchmark must never be what is slow, so neither side looks at a request or an answer: the
// unmeasured verification has done that, and here the count of lines and of bytes must come out right, which an
// error or a missing answer would change. Nothing is pinned: the scheduler places three threads as it would for an app.
// All peers get pipes of the same, large size. With the default one the fastest peers empty it page by page, and
// the figure is that of waking the writer, not the peer's: the C echo then does a third of what it can.

#include "contest.h"
#include "rows.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <unistd.h>

namespace pillion::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int requests_per_round = 2'000'000;
constexpr int requests_per_round_slow = 200'000;
// 1 MB of requests, so that the writer copies from the processor's cache, as an app would that has just made them.
constexpr int requests_per_block = 10'000;
constexpr std::size_t read_bytes = 256 * 1024;
constexpr int pipe_bytes = 1024 * 1024;

// Written so that the compiler counts many bytes at a time: a byte-wide counter cannot overflow within a block.
std::size_t count_newlines(const char* bytes, std::size_t count) {
    constexpr std::size_t block = 128;
    std::size_t total = 0;
    while (count >= block) {
        std::uint8_t in_block = 0;
        for (std::size_t index = 0; index < block; ++index) {
            in_block = static_cast<std::uint8_t>(in_block + (bytes[index] == '\n' ? 1 : 0));
        }
        total += in_block;
        bytes += block;
        count -= block;
    }
    return total + static_cast<std::size_t>(std::count(bytes, bytes + count, '\n'));
}

std::string make_block(Load load) {
    std::string block;
    const int step = load == Load::singles ? 1 : batch_members;
    for (int index = 0; index < requests_per_block; index += step) {
        const int id = first_id + index;
        block += load == Load::singles ? single_request(RequestKind::echo, id) : echo_batch(id);
    }
    return block;
}

// Stops early if the peer goes away; the reader then sees its end.
void write_blocks(int input, const std::string& block, int blocks) {
    for (int index = 0; index < blocks; ++index) {
        for (std::size_t sent = 0; sent < block.size();) {
            const ssize_t written = write(input, block.data() + sent, block.size() - sent);
            if (written < 0) return;
            sent += static_cast<std::size_t>(written);
        }
    }
}

// Reads until `lines` answers have come; the time from the first write to the last answer.
double seconds_for(const PeerProcess& process, const std::string& block, int blocks, std::size_t lines,
                   std::size_t answer_bytes, std::vector<char>& buffer) {
    const Watch watch(process);
    const auto start = Clock::now();
    std::jthread writer(write_blocks, process.input(), std::cref(block), blocks);
    std::size_t lines_seen = 0;
    std::size_t bytes_seen = 0;
    while (lines_seen < lines) {
        const ssize_t got = read(process.output(), buffer.data(), buffer.size());
        if (got <= 0) throw PeerFailure("it ended, or was killed for its silence, before it had answered all");
        lines_seen += count_newlines(buffer.data(), static_cast<std::size_t>(got));
        bytes_seen += static_cast<std::size_t>(got);
    }
    const std::chrono::duration<double> taken = Clock::now() - start;
    if (lines_seen != lines || bytes_seen != lines * answer_bytes) {
        throw PeerFailure("its answers under load differ from those it gave one by one");
    }
    return taken.count();
}

Row row(Load load) {
    Row made{.key = "pipelined_singles",
             .title = "pipelined single requests",
             .unit = "M/s",
             .reference = "simdjson",
             .goal = {.ratio_min = 0.5}};
    if (load == Load::batches) {
        made.key = "pipelined_batches";
        made.title = "batches of 50, requests";
        made.goal = {.figure_min = 5};
    }
    return made;
}

} // namespace

void measure_pipelined(const Field& field, Load load, Report& report) {
    const std::string block = make_block(load);
    const std::size_t requests_per_line = load == Load::singles ? 1 : batch_members;
    std::vector<char> buffer(read_bytes);

    Contest contest;
    contest.rows = {row(load)};
    contest.rows.front().note = "pipes of 1 MiB for all";
    contest.rounds = field.rounds(15);
    contest.rounds_slow = field.rounds(5);
    // A fresh process every round: where its buffers happen to lie makes a tenth of difference for its whole life.
    contest.measure = [&](Contestant& contestant) {
        const auto process = PeerProcess::start(contestant.program);
        const std::size_t answer_bytes =
            load == Load::singles ? verify_singles(*process, RequestKind::echo) : verify_batches(*process);
        process->set_pipe_bytes(pipe_bytes); // after its own, made when it started
        const auto rate = [&](int requests) {
            const double seconds =
                seconds_for(*process, block, requests / requests_per_block,
                            static_cast<std::size_t>(requests) / requests_per_line, answer_bytes, buffer);
            return requests / seconds / 1e6;
        };
        rate(requests_per_round_slow);
        const double measured = rate(contestant.program.is_slow ? requests_per_round_slow : requests_per_round);
        process->stop();
        return std::vector<double>{measured};
    };
    run(std::move(contest), field.peers, report);
}

} // namespace pillion::bench
