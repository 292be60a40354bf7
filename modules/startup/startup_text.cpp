// The widths are those of Unicode's EastAsianWidth (wide and fullwidth) in whole blocks, which is exact enough to
// align.
#include "modules/startup/startup_text.h"

#include "ipc/base/number_text.h"
#include "modules/startup/startup_report.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace pillion {

namespace {

struct Range {
    char32_t first, last;
};
constexpr Range wide[] = {{0x1100, 0x115F},  {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xA960, 0xA97F},
                          {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
                          {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
                          {0x20000, 0x3FFFD}};
constexpr Range combining[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};

bool is_in(std::span<const Range> ranges, char32_t letter) {
    return std::ranges::any_of(ranges,
                               [&](const Range& range) { return letter >= range.first && letter <= range.last; });
}

// Rows of cells, made into lines with the columns under each other. The first column is flush left, like the last.
class Table {
  public:
    using Row = std::vector<std::string>;
    void add(Row row) { rows_.push_back(std::move(row)); }
    std::string text() const {
        std::vector<std::size_t> widths(rows_.front().size(), 0);
        for (const Row& row : rows_)
            for (std::size_t column = 0; column < row.size(); ++column)
                widths[column] = std::max(widths[column], columns_of(row[column]));
        std::string lines;
        for (const Row& row : rows_) {
            std::string line;
            for (std::size_t column = 0; column < row.size(); ++column) {
                const std::string space(widths[column] - columns_of(row[column]), ' ');
                const bool is_flush_left = column == 0 || column + 1 == row.size();
                line += (column > 0 ? "  " : "") + (is_flush_left ? row[column] + space : space + row[column]);
            }
            line.erase(line.find_last_not_of(' ') + 1);
            lines += "  " + line + "\n";
        }
        return lines;
    }

  private:
    std::vector<Row> rows_;
};

constexpr const char* verdict_names[] = {"running", "ready", "ready in part", "failed"};
constexpr const char* state_names[] = {"waiting", "queued", "running", "ready", "failed", "timed out", "skipped"};

std::string on_one_line(std::string text) {
    std::ranges::replace_if(
        text, [](char letter) { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F; }, ' ');
    return text;
}

std::string summary(const StartupReport& report) {
    std::string text =
        "Start: " + duration_text(report.wallMs) + ", " + verdict_names[static_cast<std::size_t>(report.verdict)] +
        "; " + std::to_string(report.components.size()) + " components on " + std::to_string(report.lanes) + " lanes\n";
    if (report.error) text += "  " + on_one_line(*report.error) + "\n";
    for (const StartupPhase& phase : report.phases)
        text +=
            "  " + phase.name + " " + duration_text(phase.durationMs) + (&phase == &report.phases.back() ? "\n" : ",");
    for (const StartupMarkTime& mark : report.marks)
        text += "  mark " + on_one_line(mark.name) + " at " + duration_text(mark.atMs) + "\n";
    text += "  one after another " + duration_text(report.saved.serialMs);
    if (report.saved.parallelismMs > 0) text += ", parallel start saved " + duration_text(report.saved.parallelismMs);
    if (report.saved.cacheWorkMs > 0)
        text += ", cached results saved " + duration_text(report.saved.cacheMs) + " (" +
                duration_text(report.saved.cacheWorkMs) + " of work)";
    text += "\n  at best " + duration_text(report.saved.lowerBoundMs) + " on these lanes\n";
    return text + "  " + on_one_line(report.comparison.verdict) + "\n";
}

std::string chain_text(const StartupReport& report) {
    if (report.criticalChain.empty()) return {};
    Table table;
    for (const StartupLink& link : report.criticalChain) {
        std::string wait;
        if (link.waitedFor == StartupWait::lane) wait = "waited for a lane";
        if (link.waitMs >= 0.05)
            wait += (wait.empty() ? "" : ", ") + ("began " + duration_text(link.waitMs) + " later");
        if (link.cached) wait += wait.empty() ? "cached" : ", cached";
        table.add({on_one_line(link.name), duration_text(link.ownMs), wait});
    }
    return "\nWhat the end waited for, in this order\n" + table.text();
}

std::string components_text(const StartupReport& report) {
    if (report.components.empty()) return {};
    Table table;
    table.add({"component", "own", "needs", "lane", "shared", "contention", "state"});
    for (const StartupComponentTime& time : report.components) {
        std::string state = state_names[static_cast<std::size_t>(time.state)];
        if (time.cached) state += ", cached";
        if (time.critical) state += ", critical";
        if (time.error) state += ": " + on_one_line(*time.error);
        table.add({on_one_line(time.name), time.lane ? duration_text(time.ownMs) : "-",
                   duration_text(time.dependencyWaitMs), duration_text(time.laneWaitMs), duration_text(time.shareMs),
                   time.contentionMs >= 0.05 ? "~" + duration_text(time.contentionMs) : "-", state});
    }
    return "\nOwn time, waits for needs and for a lane, share of the wall time\n" + table.text();
}

std::string what_if_text(const StartupReport& report) {
    if (report.whatIf.empty()) return {};
    constexpr const char* changes[] = {"were lazy", "took half as long", "were dropped"};
    Table table;
    for (const StartupWhatIf& what_if : report.whatIf)
        table.add({"if " + on_one_line(what_if.name) + " " + changes[static_cast<std::size_t>(what_if.change)],
                   duration_text(what_if.totalSavedMs) + " less in all",
                   duration_text(what_if.criticalSavedMs) + " less until critical ones are ready"});
    return "\nWhat if\n" + table.text();
}

} // namespace

std::size_t columns_of(std::string_view text) {
    std::size_t columns = 0;
    for (std::size_t at = 0; at < text.size();) {
        const auto first = static_cast<unsigned char>(text[at]);
        const std::size_t length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        char32_t letter = length == 1 ? first : first & (0xFFu >> (length + 1));
        for (std::size_t next = 1; next < length && at + next < text.size(); ++next)
            letter = (letter << 6) | (static_cast<unsigned char>(text[at + next]) & 0x3Fu);
        at += length;
        if (!is_in(combining, letter)) columns += is_in(wide, letter) ? 2 : 1;
    }
    return columns;
}

std::string duration_text(double ms) {
    const double size = ms < 0 ? -ms : ms;
    if (size >= 9999.5) return formatted("%.1f s", ms / 1000);
    if (size >= 999.5) return formatted("%.2f s", ms / 1000);
    if (size >= 9.95) return formatted("%.0f ms", ms);
    if (size >= 0.05) return formatted("%.1f ms", ms);
    return size >= 0.0005 ? formatted("%.3f ms", ms) : "0 ms";
}

std::string startup_text(const StartupReport& report) {
    return summary(report) + chain_text(report) + components_text(report) + what_if_text(report);
}

} // namespace pillion
