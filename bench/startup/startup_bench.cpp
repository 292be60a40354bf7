// Schedules on random graphs against a bound that no schedule can beat; what planning and driving a start costs; what
// learning and predicting cost. Durations are simulated, costs are measured.
//
// The bound: take all components that cannot begin before `head` and after whose end at least `tail` must follow. Their
// work shared out evenly lies between the two, so head + work / lanes + tail is a bound, for every pair of head and
// tail (the idea of Fernandez and Bussell, 1973). With head and tail 0 it is the plain one, work / lanes; the longest
// path is another. The plain bound alone cannot be reached where a graph begins or ends with a single component.
#include "ipc/base/clock.h"
#include "modules/prediction/prediction.h"
#include "modules/startup/startup_simulation.h"
#include "random_graph.h"
#include "report.h"

#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>

namespace pillion::bench {

namespace {

constexpr std::uint32_t lanes = 4;

struct Effort {
    std::size_t graphs = 20;
    std::size_t rounds = 15;
};

// Expected durations as a history gives them: off by up to about a half either way.
std::vector<StartupNode> with_expected(const RandomStart& start, double spread, std::mt19937& random) {
    std::lognormal_distribution<double> factor(0, spread);
    std::vector<StartupNode> nodes = start.nodes;
    for (std::size_t index = 0; index < nodes.size(); ++index)
        nodes[index].expected_ns = static_cast<std::int64_t>(static_cast<double>(start.durations_ns[index]) *
                                                             (spread > 0 ? factor(random) : 1));
    return nodes;
}

// What one would write in an afternoon: all that is ready, side by side, then all that is ready after that.
std::int64_t in_waves_ns(const StartupGraph& graph, const std::vector<std::int64_t>& durations_ns) {
    std::vector<std::size_t> wave(graph.size(), 0);
    std::vector<std::vector<std::int64_t>> waves;
    for (const auto index : graph.order()) {
        for (const auto need : graph.dependencies(index)) wave[index] = std::max(wave[index], wave[need] + 1);
        if (wave[index] >= waves.size()) waves.resize(wave[index] + 1);
        waves[wave[index]].push_back(durations_ns[index]);
    }
    std::int64_t total_ns = 0;
    for (const auto& of_wave : waves) {
        std::vector<std::int64_t> lane_ns(lanes, 0);
        for (const std::int64_t duration_ns : of_wave) *std::ranges::min_element(lane_ns) += duration_ns;
        total_ns += std::ranges::max(lane_ns);
    }
    return total_ns;
}

double bound_ns_of(const StartupGraph& graph) {
    const std::size_t count = graph.size();
    std::vector<std::int64_t> heads(count, 0), tails(count, 0);
    for (const auto index : graph.order()) {
        for (const auto need : graph.dependencies(index))
            heads[index] = std::max(heads[index], heads[need] + graph.expected_ns(need));
        tails[index] = graph.remaining_ns(index) - graph.expected_ns(index);
    }
    std::vector<std::size_t> by_head(count), by_tail(count), rank(count);
    for (std::size_t index = 0; index < count; ++index) by_head[index] = by_tail[index] = index;
    std::ranges::sort(by_head, std::ranges::greater{}, [&](std::size_t index) { return heads[index]; });
    std::ranges::sort(by_tail, std::ranges::greater{}, [&](std::size_t index) { return tails[index]; });
    for (std::size_t place = 0; place < count; ++place) rank[by_tail[place]] = place;
    std::vector<double> work(count, 0);
    auto bound_ns = static_cast<double>(graph.lower_bound_ns(lanes));
    for (const std::size_t added : by_head) {
        work[rank[added]] = static_cast<double>(graph.expected_ns(static_cast<StartupGraph::Index>(added)));
        double sum = 0;
        for (std::size_t place = 0; place < count; ++place) {
            if (work[place] <= 0) continue; // begins too early to be of the set
            sum += work[place];
            bound_ns = std::max(bound_ns, static_cast<double>(heads[added] + tails[by_tail[place]]) + sum / lanes);
        }
    }
    return bound_ns;
}

Row schedule_row(Shape shape, std::size_t count, const Effort& effort) {
    std::mt19937 random(42);
    PeerFigure learned{.peer = "pillion"}, known{.peer = "durations known"}, unknown{.peer = "nothing known"},
        waves{.peer = "in waves"};
    for (std::size_t round = 0; round < effort.graphs; ++round) {
        const RandomStart start = random_start(shape, count, random);
        const auto exact = StartupGraph::create(with_expected(start, 0, random));
        const auto noisy = StartupGraph::create(with_expected(start, 0.3, random));
        const auto blind = StartupGraph::create(start.nodes);
        if (!exact || !noisy || !blind) {
            learned.failure = "the graph was refused";
            break;
        }
        const double bound_ns = bound_ns_of(*exact);
        const auto ratio = [&](std::int64_t ns) { return static_cast<double>(ns) / bound_ns; };
        learned.samples.push_back(ratio(simulate_startup(*noisy, start.durations_ns, lanes).total_ns));
        known.samples.push_back(ratio(simulate_startup(*exact, start.durations_ns, lanes).total_ns));
        unknown.samples.push_back(ratio(simulate_startup(*blind, start.durations_ns, lanes).total_ns));
        waves.samples.push_back(ratio(in_waves_ns(*exact, start.durations_ns)));
    }
    std::string key = "makespan_" + name_of(shape) + "_" + std::to_string(count);
    std::ranges::replace_if(
        key, [](char letter) { return letter == ' ' || letter == '-'; }, '_');
    return {.key = std::move(key),
            .title = std::to_string(count) + " components, " + name_of(shape),
            .unit = "x bound",
            .reference = {},
            .goal = {.figure_max = 1.05},
            .figures = {learned, known, unknown, waves},
            .note = {}};
}

Row cost_row(const Effort& effort) {
    std::mt19937 random(7);
    PeerFigure figure{.peer = "pillion"};
    for (std::size_t round = 0; round < effort.rounds; ++round) {
        RandomStart start = random_start(Shape::random_edges, 1000, random);
        std::vector<StartupNode> nodes = with_expected(start, 0.3, random);
        const std::int64_t began_ns = system_clock().now_ns();
        const auto graph = StartupGraph::create(std::move(nodes));
        if (!graph) {
            figure.failure = "the graph was refused";
            break;
        }
        const auto makespan = simulate_startup(*graph, start.durations_ns, lanes);
        figure.samples.push_back(static_cast<double>(system_clock().now_ns() - began_ns) / 1e6);
        if (makespan.total_ns <= 0) figure.failure = "nothing was scheduled";
    }
    return {.key = "cost_1000",
            .title = "planning and driving 1,000 components, 5,000 edges",
            .unit = "ms",
            .reference = {},
            .goal = {.figure_max = 10},
            .figures = {figure}};
}

Row report_row(const Effort& effort) {
    std::mt19937 random(9);
    PeerFigure figure{.peer = "pillion"};
    for (std::size_t round = 0; round < effort.rounds; ++round) {
        const RandomStart start = random_start(Shape::random_edges, 1000, random);
        const auto graph = StartupGraph::create(start.nodes);
        StartupScheduler scheduler(*graph, {.lanes = lanes}, system_clock());
        while (!scheduler.is_done())
            while (const auto next = scheduler.next_ready()) scheduler.finished(*next, {});
        const std::int64_t began_ns = system_clock().now_ns();
        const StartupReport report = startup_report(scheduler.timeline(), {});
        const std::string svg = startup_plot(scheduler.timeline(), report);
        figure.samples.push_back(static_cast<double>(system_clock().now_ns() - began_ns) / 1e6);
        if (svg.empty()) figure.failure = "no chart";
    }
    return {.key = "report_1000",
            .title = "report and chart of 1,000 components",
            .unit = "ms",
            .reference = {},
            .goal = {},
            .figures = {figure},
            .note = "with what-if simulations of up to 16 components"};
}

struct PredictionCost {
    double observe_ns, predict_ns, bytes;
};

PredictionCost prediction_cost(std::size_t names, std::mt19937& random) {
    constexpr std::size_t observations = 200'000;
    Predictor predictor({}, system_clock());
    std::vector<std::string> keys;
    for (std::size_t index = 0; index < names; ++index)
        keys.push_back("documents/4711/section-" + std::to_string(index));
    for (const std::string& key : keys) predictor.observe(key);
    std::vector<std::size_t> trace;
    for (std::size_t index = 0; index < observations; ++index) {
        const double uniform = static_cast<double>(random()) / 4294967296.0;
        trace.push_back(static_cast<std::size_t>(static_cast<double>(names) * uniform * uniform * uniform));
    }
    std::int64_t began_ns = system_clock().now_ns();
    for (const std::size_t index : trace) predictor.observe(keys[index]);
    const double observe_ns = static_cast<double>(system_clock().now_ns() - began_ns) / observations;
    constexpr std::size_t predictions = 20'000;
    std::size_t found = 0;
    began_ns = system_clock().now_ns();
    for (std::size_t index = 0; index < predictions; ++index)
        found += predictor.predict_after(keys[trace[index]], 3).size();
    const double predict_ns = static_cast<double>(system_clock().now_ns() - began_ns) / predictions;
    return {observe_ns, found > 0 ? predict_ns : 0, static_cast<double>(predictor.stats().bytes)};
}

void add_prediction_rows(Report& report, const Effort& effort) {
    PeerFigure observe{.peer = "pillion"}, predict{.peer = "pillion"}, bytes{.peer = "pillion"};
    std::mt19937 random(5);
    for (std::size_t round = 0; round < std::max<std::size_t>(effort.rounds / 3, 2); ++round) {
        const PredictionCost cost = prediction_cost(100'000, random);
        observe.samples.push_back(cost.observe_ns);
        predict.samples.push_back(cost.predict_ns);
        bytes.samples.push_back(cost.bytes / (1024 * 1024));
    }
    report.add({.key = "observe",
                .title = "observing one of 100,000 names",
                .unit = "ns",
                .reference = {},
                .goal = {.figure_max = 2000},
                .figures = {observe}});
    report.add({.key = "predict",
                .title = "predicting what follows one of them",
                .unit = "ns",
                .reference = {},
                .figures = {predict}});
    report.add({.key = "prediction_memory",
                .title = "memory of 100,000 names",
                .unit = "MiB",
                .reference = {},
                .goal = {.figure_max = 16},
                .figures = {bytes}});
}

int run(int argc, char** argv) {
    Effort effort;
    std::string json;
    for (int index = 1; index < argc; ++index) {
        const std::string_view option = argv[index];
        if (option == "--quick") {
            effort = {.graphs = 5, .rounds = 5};
        } else if (option == "--json" && index + 1 < argc) {
            json = argv[++index];
        } else {
            std::cerr << "usage: startup_bench [--quick] [--json FILE]\n";
            return 2;
        }
    }
    Report report("Startup and prediction", "pillion", std::string(compiler()) + ", " + std::string(optimisation()));
    for (const std::size_t count : {20u, 100u, 1000u})
        for (const Shape shape : shapes) {
            Row row = schedule_row(shape, count, effort);
            if (count == 20 && shape == Shape::layers)
                row.note =
                    "and below: time on 4 lanes over the least possible; pillion knows durations that are off by 30 %";
            report.add(std::move(row));
        }
    report.add(cost_row(effort));
    report.add(report_row(effort));
    add_prediction_rows(report, effort);
    report.print(std::cout);
    if (!json.empty() && !report.write_json(json)) {
        std::cerr << "cannot write " << json << '\n';
        return 1;
    }
    return report.has_failures() ? 1 : 0;
}

} // namespace

} // namespace pillion::bench

int main(int argc, char** argv) { return pillion::bench::run(argc, argv); }
