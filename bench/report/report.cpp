// Figures are medians over rounds; a ratio is the median of the rounds' own ratios (statistics.h says why).
// Both tables are padded by hand, since columns hold whatever peers a benchmark has.

#include "report.h"

#include "statistics.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>

namespace pillion::bench {

namespace {

using Line = std::vector<std::string>;

// Three significant digits, and never an exponent: 0.861, 2.13, 55.2, 1240.
std::string number(double value) {
    const double size = std::abs(value);
    const int decimals = size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
    return text.data();
}

std::string number(const std::optional<double>& value) { return value ? number(*value) : "-"; }

std::string bound(double value) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%g", value);
    return text.data();
}

std::string describe(const Row& row) {
    std::string text;
    const auto append = [&](const char* sign, const std::optional<double>& limit, const std::string& suffix) {
        if (limit) text += (text.empty() ? "" : ", ") + (sign + bound(*limit)) + suffix;
    };
    append("<= ", row.goal.ratio_max, "x");
    append(">= ", row.goal.ratio_min, "x");
    append("<= ", row.goal.figure_max, " " + row.unit);
    append(">= ", row.goal.figure_min, " " + row.unit);
    return text.empty() ? "-" : text;
}

const char* name_of(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass:
        return "pass";
    case Verdict::miss:
        return "MISS";
    case Verdict::failed:
        return "FAILED";
    case Verdict::none:
        break;
    }
    return "-";
}

// The first two columns are words and stand left; the others are figures and stand right.
void print_table(std::ostream& out, const std::vector<Line>& lines, std::size_t left_columns) {
    std::vector<std::size_t> widths(lines.front().size());
    for (const auto& line : lines) {
        for (std::size_t column = 0; column < line.size(); ++column) {
            widths[column] = std::max(widths[column], line[column].size());
        }
    }
    for (std::size_t index = 0; index < lines.size(); ++index) {
        std::string text;
        for (std::size_t column = 0; column < lines[index].size(); ++column) {
            const std::string& cell = lines[index][column];
            const std::string padding(widths[column] - cell.size(), ' ');
            text += column < left_columns ? cell + padding : padding + cell;
            text += "  ";
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out << text << '\n';
        if (index == 0) out << std::string(text.size(), '-') << '\n';
    }
}

} // namespace

const PeerFigure* Row::find(const std::string& peer) const {
    const auto at = std::find_if(figures.begin(), figures.end(), [&](const auto& entry) { return entry.peer == peer; });
    return at == figures.end() ? nullptr : &*at;
}

Report::Report(std::string title, std::string subject, std::string build)
    : title_(std::move(title)), subject_(std::move(subject)), build_(std::move(build)), machine_(read_machine()) {}

std::optional<double> Report::figure(const Row& row, const std::string& peer) const {
    const PeerFigure* entry = row.find(peer);
    if (entry == nullptr || entry->samples.empty()) return std::nullopt;
    return median(entry->samples);
}

std::optional<double> Report::ratio(const Row& row) const {
    if (!figure(row, subject_) || !figure(row, row.reference)) return std::nullopt;
    return paired_ratio(row.find(subject_)->samples, row.find(row.reference)->samples);
}

Verdict Report::verdict(const Row& row) const {
    const PeerFigure* subject = row.find(subject_);
    if (subject == nullptr) return Verdict::none;
    if (!subject->failure.empty()) return Verdict::failed;
    const auto measured = figure(row, subject_);
    const auto against = ratio(row);
    const Goal& goal = row.goal;
    const bool wants_ratio = goal.ratio_max || goal.ratio_min;
    const bool wants_figure = goal.figure_max || goal.figure_min;
    if (!measured || (wants_ratio && !against) || (!wants_ratio && !wants_figure)) return Verdict::none;
    const bool met =
        (!goal.ratio_max || *against <= *goal.ratio_max) && (!goal.ratio_min || *against >= *goal.ratio_min) &&
        (!goal.figure_max || *measured <= *goal.figure_max) && (!goal.figure_min || *measured >= *goal.figure_min);
    return met ? Verdict::pass : Verdict::miss;
}

bool Report::has_failures() const {
    return std::any_of(rows_.begin(), rows_.end(), [&](const Row& row) { return verdict(row) == Verdict::failed; });
}

void Report::print(std::ostream& out) const {
    print_header(out);
    if (rows_.empty()) return;
    print_goals(out);
    print_peers(out);
    print_notes(out);
    out.flush();
}

void Report::print_header(std::ostream& out) const {
    out << title_ << '\n'
        << "machine: " << machine_.processor << ", " << machine_.cores << " cores, " << number(machine_.memory_gib)
        << " GiB, " << machine_.kernel << ", " << machine_.distribution << ", load " << machine_.load_average << '\n'
        << "build:   " << build_ << "; benchmark by " << compiler() << ", " << optimisation() << "\n\n";
}

void Report::print_goals(std::ostream& out) const {
    std::vector<Line> lines{{"what", "unit", "reference", "", subject_, "ratio", "goal", "verdict"}};
    for (const Row& row : rows_) {
        const auto reference = figure(row, row.reference);
        lines.push_back({row.title, row.unit, reference ? row.reference : "", number(reference),
                         number(figure(row, subject_)), number(ratio(row)), describe(row), name_of(verdict(row))});
    }
    print_table(out, lines, 3);
}

void Report::print_peers(std::ostream& out) const {
    Line head{"all peers", "unit"};
    for (const Row& row : rows_) {
        for (const PeerFigure& entry : row.figures) {
            if (std::find(head.begin() + 2, head.end(), entry.peer) == head.end()) head.push_back(entry.peer);
        }
    }
    if (head.size() < 4) return;
    std::vector<Line> lines{head};
    for (const Row& row : rows_) {
        Line line{row.title, row.unit};
        for (std::size_t column = 2; column < head.size(); ++column) line.push_back(number(figure(row, head[column])));
        lines.push_back(std::move(line));
    }
    out << '\n';
    print_table(out, lines, 2);
}

void Report::print_notes(std::ostream& out) const {
    out << '\n';
    for (const Row& row : rows_) {
        if (!row.note.empty()) out << row.title << ": " << row.note << '\n';
        for (const PeerFigure& entry : row.figures) {
            if (!entry.failure.empty()) out << row.title << ": " << entry.peer << " failed: " << entry.failure << '\n';
        }
    }
}

bool Report::write_json(const std::string& path) const {
    using nlohmann::ordered_json;
    const auto optional = [](const std::optional<double>& value) {
        return value ? ordered_json(*value) : ordered_json();
    };
    ordered_json rows = ordered_json::array();
    for (const Row& row : rows_) {
        ordered_json figures = ordered_json::object();
        for (const PeerFigure& entry : row.figures) {
            figures[entry.peer] = {{"figure", optional(figure(row, entry.peer))}, {"samples", entry.samples}};
            if (!entry.failure.empty()) figures[entry.peer]["failure"] = entry.failure;
        }
        rows.push_back({{"key", row.key},
                        {"title", row.title},
                        {"unit", row.unit},
                        {"reference", row.reference},
                        {"referenceFigure", optional(figure(row, row.reference))},
                        {"figure", optional(figure(row, subject_))},
                        {"ratio", optional(ratio(row))},
                        {"goal", describe(row)},
                        {"verdict", name_of(verdict(row))},
                        {"note", row.note},
                        {"peers", figures}});
    }
    const ordered_json document = {{"benchmark", title_},
                                   {"subject", subject_},
                                   {"build", build_},
                                   {"machine",
                                    {{"processor", machine_.processor},
                                     {"cores", machine_.cores},
                                     {"memoryGib", machine_.memory_gib},
                                     {"kernel", machine_.kernel},
                                     {"distribution", machine_.distribution},
                                     {"loadAverage", machine_.load_average}}},
                                   {"compiler", compiler()},
                                   {"rows", rows}};
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    std::ofstream file(path);
    file << document.dump(2) << '\n';
    return file.good();
}

} // namespace pillion::bench
