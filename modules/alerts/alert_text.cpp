// Alerts as people read them.
#include "ipc/base/number_text.h"
#include "modules/alerts/alert_engine.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string short_number(double value) {
    return formatted(std::abs(value) >= 1000 && std::abs(value) < 1e15 ? "%.0f" : "%.3g", value);
}

std::string scaled(double value, double step, std::initializer_list<const char*> units) {
    auto unit = units.begin();
    while (std::abs(value) >= step && unit + 1 != units.end()) value /= step, ++unit;
    return short_number(value) + " " + *unit;
}

std::string_view function_name(SeriesFunction function) {
    constexpr std::string_view names[] = {"rate", "increase", "average", "least", "most",
                                          "sum",  "count",    "latest",  "",      "change"};
    return names[static_cast<std::size_t>(function)];
}

// A counter's rate is not in the counter's unit.
std::string unit_of(const AlertRule& rule, const std::string& unit) {
    if (rule.dividedBy.empty() && rule.function == SeriesFunction::count) return "";
    if (rule.dividedBy.empty() && rule.function == SeriesFunction::rate) return unit == "s" ? "1" : unit + "/s";
    return unit;
}

std::string aligned(const Rows& rows) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows)
        for (std::size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], row[column].size());
    std::string text;
    for (const auto& row : rows) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            text += row[column];
            if (column + 1 < row.size()) text.append(widths[column] - row[column].size() + 2, ' ');
        }
        while (text.ends_with(' ')) text.pop_back();
        text += '\n';
    }
    return text;
}

// A line of a table: what others wrote cannot break it, nor speak to the terminal.
std::string one_line(std::string_view text, std::size_t bytes_max) {
    std::string line(text.substr(0, bytes_max));
    while (text.size() > bytes_max && !line.empty() && (static_cast<unsigned char>(line.back()) & 0x80) != 0)
        line.pop_back();
    if (text.size() > bytes_max) line += "...";
    std::ranges::replace_if(
        line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    return line;
}

std::string state_text(const Alert& alert) {
    std::string text;
    const auto add = [&text](std::string_view word) { text.append(text.empty() ? "" : ", ").append(word); };
    if (alert.state == AlertState::resolved) add("resolved");
    if (alert.state == AlertState::noData) add("no data");
    if (alert.flapping) add("flapping");
    if (alert.acknowledged) add("acknowledged by " + one_line(alert.acknowledged->by, 40));
    if (alert.silencedBy) add("silenced");
    if (alert.inhibitedBy) add("inhibited by " + one_line(*alert.inhibitedBy, 64));
    return text.empty() ? "raised" : text;
}

std::string labels_text(const SeriesLabels& labels) {
    std::string text;
    for (const auto& [name, value] : labels) text += (text.empty() ? "" : ",") + name + "=" + value;
    return text;
}

} // namespace

std::string alert_value_text(double value, std::string_view unit) {
    if (unit == "1") return short_number(value * 100) + " %";
    if (unit == "By") return scaled(value, 1024, {"B", "KiB", "MiB", "GiB", "TiB"});
    if (unit == "By/s") return scaled(value, 1024, {"B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"});
    if (unit == "ns") return scaled(value, 1000, {"ns", "us", "ms", "s"});
    if (unit == "us") return scaled(value, 1000, {"us", "ms", "s"});
    if (unit == "ms") return scaled(value, 1000, {"ms", "s"});
    if (unit == "s") return std::abs(value) < 1 ? scaled(value * 1e6, 1000, {"us", "ms"}) : short_number(value) + " s";
    std::string text = short_number(value);
    // "{request}" annotates a plain number.
    if (!unit.empty() && unit.front() != '{') text.append(" ").append(unit);
    return text;
}

std::string alert_duration_text(std::int64_t ms) {
    const std::int64_t seconds = std::max<std::int64_t>(0, ms) / 1000;
    if (seconds < 120) return std::to_string(seconds) + " s";
    if (seconds < 7200) return std::to_string(seconds / 60) + " min";
    if (seconds < 172'800) return std::to_string(seconds / 3600) + " h";
    return std::to_string(seconds / 86'400) + " d";
}

std::string alert_detail(const AlertRule& rule, const Alert& alert) {
    std::string what = rule.metric;
    if (!rule.dividedBy.empty()) {
        what += " / ";
        for (std::size_t index = 0; index < rule.dividedBy.size(); ++index)
            what += (index == 0 ? rule.dividedBy.size() > 1 ? "(" : "" : " + ") + rule.dividedBy[index];
        if (rule.dividedBy.size() > 1) what += ")";
    }
    if (alert.membersCount > 1) what = std::to_string(alert.membersCount) + " members, the worst: " + what;
    if (alert.state == AlertState::noData || !alert.value)
        return what + " has had no data for " + alert_duration_text(rule.noDataMs);
    const std::string unit = unit_of(rule, alert.unit);
    std::string text = what + " is " + alert_value_text(*alert.value, unit) + " (";
    text += rule.function == SeriesFunction::percentile ? "P" + short_number(rule.percentile)
                                                        : std::string(function_name(rule.function));
    text += " of " + alert_duration_text(rule.windowMs) + ")";
    if (alert.threshold)
        text += (rule.comparison == AlertComparison::above ? ", above " : ", below ") +
                alert_value_text(*alert.threshold, unit);
    return text;
}

std::string alerts_table(const std::vector<Alert>& alerts, std::int64_t now_ms) {
    if (alerts.empty()) return "no alerts\n";
    Rows rows{{"LEVEL", "ALERT", "SINCE", "FOR", "STATE", "WHAT"}};
    for (const Alert& alert : alerts) {
        const std::string labels = labels_text(alert.labels);
        const std::int64_t until_ms = alert.resolvedAt.value_or(now_ms);
        rows.push_back({std::string(alert_level_name(alert.level)),
                        one_line(alert.rule + (labels.empty() ? "" : "{" + labels + "}"), 80),
                        alert_duration_text(now_ms - alert.raisedAt) + " ago",
                        alert_duration_text(until_ms - alert.raisedAt), state_text(alert),
                        one_line(alert.title + (alert.detail.empty() ? "" : ": " + alert.detail), 160)});
    }
    return aligned(rows);
}

} // namespace pillion
