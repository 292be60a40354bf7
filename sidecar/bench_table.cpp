#include "sidecar/bench_table.h"

#include "ipc/base/number_text.h"
#include "modules/benchmarks/benchmarks_rpc.h"
#include "sidecar/text_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::string_view bold = "\033[1m";
constexpr std::string_view dim = "\033[2m";
constexpr std::string_view red = "\033[31m";
constexpr std::string_view green = "\033[32m";
constexpr std::string_view yellow = "\033[33m";
constexpr std::string_view plain = "\033[0m";

// Three digits and a unit that suits them; units are of two letters, so that they stand below each other.
std::string duration(double ns) {
    constexpr std::array<std::string_view, 4> units{"ns", "us", "ms", "s "};
    std::size_t unit = 0;
    while (ns >= 999.5 && unit + 1 < units.size()) {
        ns /= 1000;
        ++unit;
    }
    return formatted(ns < 9.995 ? "%.2f " : ns < 99.95 ? "%.1f " : "%.0f ", ns) + std::string(units[unit]);
}

std::string percent(double value) { return formatted("%+.1f %%", value); }

// Half the width of the interval, as a share of the value.
std::string spread(const std::optional<BenchmarkInterval>& interval, double value) {
    if (!interval || !(value > 0)) return {};
    return formatted("%.1f %%", (interval->high - interval->low) / 2 / value * 100);
}

std::string in_colour(std::string text, std::string_view colour, const BenchPage& page) {
    if (!page.has_colours || text.empty()) return text;
    return std::string(colour) + text + std::string(plain);
}

// Cut where the page ends; without its line end.
std::string fitting(std::string line, const BenchPage& page) {
    constexpr std::string_view cut = "...";
    if (page.columns && line.size() > *page.columns && *page.columns > cut.size())
        line = line.substr(0, *page.columns - cut.size()) + std::string(cut);
    return line;
}

// Broken between words where the page ends, the further lines indented.
std::string wrapped(std::string_view words, const BenchPage& page) {
    constexpr std::size_t indent = 4;
    constexpr std::size_t narrowest = 20;
    if (!page.columns || *page.columns < narrowest) return std::string(words) + "\n";
    std::string text;
    std::size_t used = 0;
    while (!words.empty()) {
        const std::size_t end = std::min(words.find(' '), words.size());
        if (used > 0 && used + 1 + end > *page.columns) {
            text += "\n" + std::string(indent, ' ');
            used = indent;
        } else if (used > 0) {
            text += ' ';
            ++used;
        }
        text += words.substr(0, end);
        used += end;
        words.remove_prefix(std::min(end + 1, words.size()));
    }
    return text + "\n";
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

std::string note_of(const BenchmarkResult& result) {
    if (result.error) return "failed";
    return result.noisy ? "noisy" : "";
}

std::vector<std::string> table_of(const std::vector<BenchmarkResult>& results, const BenchPage& page) {
    constexpr std::array alignment{Align::left, Align::right, Align::right, Align::right, Align::right, Align::right};
    TableRows rows{{"BENCHMARK", "P50", "+-", "P95", "P99", "RUNS", "NOTE"}};
    for (const BenchmarkResult& result : results) {
        if (result.error || result.samples.empty())
            rows.push_back({result.name, "-", "-", "-", "-", std::to_string(result.runs), note_of(result)});
        else
            rows.push_back({result.name, duration(result.p50Ns), spread(result.p50IntervalNs, result.p50Ns),
                            duration(result.p95Ns), duration(result.p99Ns), std::to_string(result.runs),
                            note_of(result)});
    }
    std::vector<std::string> lines = lines_of(aligned(rows, alignment));
    for (std::size_t row = 0; row < lines.size(); ++row) {
        std::string& line = lines[row] = fitting(std::move(lines[row]), page);
        const std::string_view note = rows[row].back();
        if (row == 0)
            line = in_colour(std::move(line), bold, page);
        else if (!note.empty() && line.ends_with(note))
            line = line.substr(0, line.size() - note.size()) +
                   in_colour(std::string(note), note == "failed" ? red : yellow, page);
    }
    return lines;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

// One kind of disturbance, and what it disturbed.
struct Noise {
    std::string kind; // the reason without its figures
    std::string worst;
    double figure = -1; // the first of the worst one's
    std::vector<std::string> names{};
};

std::vector<Noise> noises_of(const std::vector<BenchmarkResult>& results) {
    constexpr std::string_view digits = "0123456789";
    std::vector<Noise> noises;
    for (const BenchmarkResult& result : results) {
        for (const std::string& reason : result.noise) {
            std::string kind = reason;
            std::erase_if(kind, [&](char c) { return digits.find(c) != std::string_view::npos || c == '.'; });
            auto at = std::ranges::find(noises, kind, &Noise::kind);
            if (at == noises.end()) at = noises.insert(at, Noise{.kind = kind, .worst = {}});
            const std::size_t number = reason.find_first_of(digits);
            const double figure = number == std::string::npos ? 0 : std::strtod(reason.c_str() + number, nullptr);
            if (figure > at->figure) {
                at->worst = reason;
                at->figure = figure;
            }
            at->names.push_back(result.name);
        }
    }
    return noises;
}

std::string noise_text(const Noise& noise, std::size_t benchmarks) {
    if (noise.names.size() == 1) return noise.names.front() + " is noisy: " + noise.worst;
    std::string names;
    for (const std::string& name : noise.names) names += (names.empty() ? "" : ", ") + name;
    const bool is_all = noise.names.size() == benchmarks;
    return "noisy: " + noise.worst + " at worst, in " +
           (is_all ? "all benchmarks" : std::to_string(noise.names.size()) + " benchmarks: " + names);
}

std::string verdict_name(BenchmarkVerdict verdict) {
    return std::string(wire::type_of<BenchmarkVerdict>.enumerators[static_cast<std::size_t>(verdict)]);
}

std::string_view colour_of(BenchmarkVerdict verdict) {
    using enum BenchmarkVerdict;
    return verdict == slower ? red : verdict == faster ? green : verdict == unclear ? yellow : plain;
}

std::string conclusion(const BenchmarkComparison& comparison) {
    using enum BenchmarkVerdict;
    switch (comparison.verdict) {
    case slower: {
        std::string names;
        for (const BenchmarkChange& change : comparison.changes)
            if (change.verdict == slower) names += (names.empty() ? "" : ", ") + change.name;
        return "slower: " + names;
    }
    case unclear:
        return "it cannot be told whether anything is slower";
    case faster:
        return "faster, and nothing is slower";
    case same:
        break;
    }
    return "nothing is slower";
}

std::string bar(double percentage, std::size_t width) {
    const double share = std::clamp(percentage / 100, 0.0, 1.0);
    const auto done = static_cast<std::size_t>(std::lround(share * static_cast<double>(width)));
    return "[" + std::string(done, '#') + std::string(width - done, '.') + "]";
}

} // namespace

BenchPage stdout_page() {
    if (isatty(STDOUT_FILENO) != 1) return {};
    BenchPage page{.columns = 80, .rows = 24, .has_colours = std::getenv("NO_COLOR") == nullptr};
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        page.columns = size.ws_col;
        page.rows = size.ws_row;
    }
    return page;
}

std::string bench_report(const BenchmarkRun& run, const BenchPage& page) {
    std::string text = joined(table_of(run.results, page));
    std::string notes;
    for (const BenchmarkResult& result : run.results) {
        if (result.error) notes += wrapped(result.name + " failed: " + *result.error, page);
    }
    for (const Noise& noise : noises_of(run.results)) notes += wrapped(noise_text(noise, run.results.size()), page);
    if (!notes.empty()) text += "\n" + notes;
    const std::string where = run.notStored ? "not stored: " + *run.notStored : "stored as " + std::to_string(run.id);
    return text + "\n" +
           wrapped(where + "; build " + run.build.fingerprint + ", machine " + run.machine.fingerprint, page);
}

std::string comparison_report(const BenchmarkComparison& comparison, const BenchPage& page) {
    constexpr std::array alignment{Align::left, Align::right, Align::right, Align::right, Align::left};
    TableRows rows{{"BENCHMARK", "BEFORE", "AFTER", "CHANGE", "95 %", "VERDICT"}};
    for (const BenchmarkChange& change : comparison.changes) {
        const bool is_compared = change.intervalPercent.has_value();
        rows.push_back(
            {change.name, is_compared ? duration(change.beforeNs) : "-", is_compared ? duration(change.afterNs) : "-",
             is_compared ? percent(change.changePercent) : "-",
             is_compared ? percent(change.intervalPercent->low) + " to " + percent(change.intervalPercent->high) : "-",
             verdict_name(change.verdict)});
    }
    std::vector<std::string> lines = lines_of(aligned(rows, alignment));
    for (std::size_t row = 0; row < lines.size(); ++row) {
        std::string& line = lines[row] = fitting(std::move(lines[row]), page);
        const std::string& verdict = rows[row].back();
        if (row == 0)
            line = in_colour(std::move(line), bold, page);
        else if (line.ends_with(verdict))
            line = line.substr(0, line.size() - verdict.size()) +
                   in_colour(verdict, colour_of(comparison.changes[row - 1].verdict), page);
    }
    std::string text = comparison.changes.empty() ? "" : joined(lines) + "\n";
    std::string reasons;
    for (const BenchmarkChange& change : comparison.changes)
        if (!change.reason.empty()) reasons += wrapped(change.name + ": " + change.reason, page);
    for (const std::string& reason : comparison.reasons) reasons += wrapped(reason, page);
    if (!reasons.empty()) text += reasons + "\n";
    return text + in_colour(conclusion(comparison), colour_of(comparison.verdict), page) + "\n";
}

std::string time_left(const BenchProgress& progress) {
    constexpr double known_from_percent = 4; // what goes before is warm-up
    if (progress.percentage < known_from_percent) return {};
    const double left_s =
        static_cast<double>(progress.elapsed_ms) / 1000 * (100 - progress.percentage) / progress.percentage;
    constexpr double minute_s = 60;
    const auto whole = static_cast<std::int64_t>(std::ceil(left_s));
    if (left_s < 2 * minute_s) return "about " + std::to_string(whole) + " s left";
    return "about " + std::to_string(std::lround(left_s / minute_s)) + " min left";
}

std::string live_report(const std::vector<BenchmarkResult>& so_far, const BenchProgress& progress,
                        const BenchPage& page) {
    constexpr std::size_t bar_width = 24;
    constexpr std::size_t around = 4; // the bar, a blank line, the heading, and where the cursor stands
    const std::string left = time_left(progress);
    const std::string head = bar(progress.percentage, bar_width) + formatted(" %3.0f %%", progress.percentage) +
                             (left.empty() ? "" : "  " + left);
    std::string what = "  " + progress.what;
    if (page.columns && head.size() + what.size() > *page.columns) what.clear();
    std::string text = fitting(head, page) + in_colour(what, dim, page) + "\n\n";
    std::vector<std::string> lines = table_of(so_far, page);
    const std::size_t room = page.rows > around + 1 ? page.rows - around : 1;
    if (lines.size() > room + 1) {
        const std::size_t hidden = lines.size() - room;
        lines.resize(room);
        lines.push_back(fitting("... and " + std::to_string(hidden) + " more", page));
    }
    return text + joined(lines);
}

void BenchScreen::draw(const std::string& text) {
    std::string out = lines_ > 0 ? "\033[" + std::to_string(lines_) + "A\r" : "\033[?25l";
    for (const char c : text) out += c == '\n' ? std::string("\033[K\n") : std::string(1, c);
    print_text(out + "\033[J");
    lines_ = static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

void BenchScreen::clear() {
    if (lines_ > 0) print_text("\033[" + std::to_string(lines_) + "A\r\033[J\033[?25h");
    lines_ = 0;
}

} // namespace pillion
