// The order of the peers is turned around every round: whoever follows a cache-hungry neighbour does so only
// every other time.

#include "contest.h"

#include <algorithm>
#include <iostream>

namespace pillion::bench {

namespace {

// Runs one step of one peer; a failure takes it out of the contest and leaves the others alone.
template <typename Step>
void attempt(Contestant& contestant, Step step) {
    if (!contestant.failure.empty()) return;
    try {
        step();
    } catch (const std::exception& failure) {
        contestant.failure = failure.what();
        contestant.process.reset();
    }
}

void measure_round(Contest& contest, std::size_t index, Contestant& contestant) {
    const std::vector<double> figures = contest.measure(contestant);
    for (std::size_t row = 0; row < contest.rows.size(); ++row) {
        contest.rows[row].figures[index].samples.push_back(figures[row]);
    }
}

void finish(Contest& contest, std::size_t index, Contestant& contestant) {
    attempt(contestant, [&] {
        const std::string remark = contest.remark(contestant);
        std::string& note = contest.rows.front().note;
        if (!remark.empty()) note += (note.empty() ? "" : "; ") + remark;
        if (contestant.process) contestant.process->stop();
    });
    for (Row& row : contest.rows) {
        row.figures[index].failure = contestant.failure;
        if (!contestant.failure.empty()) row.figures[index].samples.clear();
    }
}

} // namespace

void run(Contest contest, const std::vector<PeerProgram>& programs, Report& report) {
    std::cerr << contest.rows.front().title << " ..." << std::endl;
    std::vector<Contestant> contestants;
    for (const PeerProgram& program : programs) {
        contestants.push_back({program, nullptr, ""});
        for (Row& row : contest.rows) row.figures.push_back({program.name});
    }
    for (Contestant& contestant : contestants) attempt(contestant, [&] { contest.prepare(contestant); });

    const int slow_every = std::max(contest.rounds / std::max(contest.rounds_slow, 1), 1);
    for (int round = 0; round < contest.rounds; ++round) {
        for (std::size_t step = 0; step < contestants.size(); ++step) {
            const std::size_t index = round % 2 == 0 ? step : contestants.size() - 1 - step;
            Contestant& contestant = contestants[index];
            if (contestant.program.is_slow && round % slow_every != 0) continue;
            attempt(contestant, [&] { measure_round(contest, index, contestant); });
        }
    }
    for (std::size_t index = 0; index < contestants.size(); ++index) finish(contest, index, contestants[index]);
    for (Row& row : contest.rows) report.add(std::move(row));
}

} // namespace pillion::bench
