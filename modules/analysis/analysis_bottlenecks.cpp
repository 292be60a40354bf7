// Bottlenecks are the rules' values past their thresholds; a leak is one of memory. The score is the mean of its parts,
// weighted; a part is 100 less what its worst finding costs. Parts of which nothing was measured do not count.
#include "modules/analysis/analysis_chart.h"
#include "modules/analysis/analysis_courses.h"
#include "modules/analysis/analysis_rules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace pillion {

namespace {

constexpr double leak_warning_per_hour = 60.0 * 1024 * 1024;
constexpr double leak_critical_per_hour = 1024.0 * 1024 * 1024;
constexpr double info_from = 15; // points of the score

AnalysisSeverity severity_of(double value, double warning, double critical) {
    if (value >= critical) return AnalysisSeverity::critical;
    return value >= warning ? AnalysisSeverity::warning : AnalysisSeverity::info;
}

std::string labels_text(const SeriesLabels& labels) {
    std::string text;
    for (const auto& [name, value] : labels) text += (text.empty() ? " (" : ", ") + name + " " + value;
    return text.empty() ? text : text + ")";
}

double value_of(const SeriesLine& line, SeriesFunction function) {
    double sum = 0;
    double most = 0;
    for (const SeriesPoint& point : line.points) {
        sum += point.value;
        most = std::max(most, point.value);
    }
    if (function == SeriesFunction::increase) return sum;
    if (function == SeriesFunction::last) return line.points.back().value;
    return function == SeriesFunction::percentile ? most : sum / static_cast<double>(line.points.size());
}

// One value for each line of the metric over the whole span.
Result<std::vector<SeriesLine>> whole(Series& series, std::string_view metric, const AnalysisSpan& span,
                                      SeriesFunction function) {
    SeriesQuery query{.name = std::string(metric), .from_ms = span.from_ms, .to_ms = span.to_ms, .function = function};
    query.step_ms = span.to_ms - span.from_ms;
    return lines_or_none(series, query);
}

Bottleneck found(AnalysisKind kind, double value, double warning, double critical) {
    return {.kind = kind,
            .severity = severity_of(value, warning, critical),
            .impact = penalty_of(value, warning, critical),
            .value = value,
            .warning = warning,
            .critical = critical};
}

Result<void> judge_values(Series& series, const AnalysisSpan& span, std::vector<Bottleneck>& all) {
    for (const ValueRule& rule : value_rules()) {
        for (const SeriesLine& line : PILLION_TRY(whole(series, rule.metric, span, rule.function))) {
            if (line.points.empty()) continue;
            if (!rule.label.empty()) {
                const auto label = line.labels.find(std::string(rule.label));
                if (label == line.labels.end() || label->second != rule.label_value) continue;
            }
            Bottleneck one = found(rule.kind, value_of(line, rule.function), rule.warning, rule.critical);
            one.what = std::string(rule.what) + labels_text(line.labels) + ": " + page_figure(one.value, rule.unit);
            one.advice = rule.advice;
            one.metric = rule.metric;
            one.labels = line.labels;
            one.unit = rule.unit;
            all.push_back(std::move(one));
        }
    }
    return {};
}

Result<void> judge_shares(Series& series, const AnalysisSpan& span, std::vector<Bottleneck>& all) {
    for (const ShareRule& rule : share_rules()) {
        std::map<SeriesLabels, double> parts;
        std::map<SeriesLabels, double> rests;
        for (const SeriesLine& line : PILLION_TRY(whole(series, rule.part, span, SeriesFunction::increase)))
            parts[line.labels] = value_of(line, SeriesFunction::increase);
        for (const SeriesLine& line : PILLION_TRY(whole(series, rule.rest, span, SeriesFunction::increase)))
            rests[line.labels] = value_of(line, SeriesFunction::increase);
        for (const auto& [labels, rest] : rests) {
            const auto at = parts.find(labels);
            const double part = at == parts.end() ? 0 : at->second;
            const double sum = rule.rest_holds_part ? std::max(rest, part) : rest + part;
            if (sum < rule.least) continue;
            Bottleneck one = found(rule.kind, part / sum, rule.warning, rule.critical);
            one.what = std::string(rule.what) + labels_text(labels) + ": " + page_figure(one.value, "1");
            one.advice = rule.advice;
            one.metric = rule.part;
            one.labels = labels;
            one.unit = "1";
            all.push_back(std::move(one));
        }
    }
    return {};
}

void judge_leaks(const std::vector<Leak>& leaks, std::vector<Bottleneck>& all) {
    for (const Leak& leak : leaks) {
        if (leak.verdict.course != MemoryCourse::leak) continue;
        // However slow, a leak is at least a warning.
        const double rate = std::max(leak.verdict.bytes_per_hour, leak_warning_per_hour);
        Bottleneck one = found(AnalysisKind::memory, rate, leak_warning_per_hour, leak_critical_per_hour);
        one.value = leak.verdict.bytes_per_hour;
        one.what = describe(leak);
        one.advice = leak.role == "self" ? "take an allocation profile, and restart the app until it is repaired"
                                         : "restart it when it is idle, until its leak is repaired";
        one.metric = "process.memory.private";
        one.labels = {{"process", leak.process}, {"role", leak.role}};
        if (!leak.component.empty()) one.labels["component"] = leak.component;
        one.unit = "By/h";
        all.push_back(std::move(one));
    }
}

// Everything that was measured, whether it costs something or not, the worst first.
Result<std::vector<Bottleneck>> judge(Series& series, const AnalysisSpan& span, const std::vector<Leak>& leaks) {
    std::vector<Bottleneck> all;
    PILLION_TRY(judge_values(series, span, all));
    PILLION_TRY(judge_shares(series, span, all));
    judge_leaks(leaks, all);
    std::ranges::stable_sort(all, std::greater<>{}, &Bottleneck::impact);
    return all;
}

void score(const std::vector<Bottleneck>& all, AnalysisReport& report) {
    using enum AnalysisKind;
    double sum = 0;
    double weights = 0;
    for (const AnalysisKind kind : std::array{memory, cpu, queue, stability, disk, network, cache}) {
        ScorePart part{.kind = kind, .weight = weight_of(kind)};
        const auto worst = std::ranges::find(all, kind, &Bottleneck::kind);
        if (worst != all.end()) {
            part.score = std::round(100 - worst->impact);
            if (worst->impact >= 0.5) part.because = worst->what;
            sum += part.weight * *part.score;
            weights += part.weight;
        }
        report.parts.push_back(std::move(part));
    }
    if (weights > 0) report.score = std::round(sum / weights);
}

Result<void> add_hot_paths(Series& series, const AnalysisSpan& span, std::string_view metric, std::string_view kind,
                           std::vector<HotPath>& paths) {
    const auto sums = PILLION_TRY(whole(series, metric, span, SeriesFunction::sum));
    const auto counts = PILLION_TRY(whole(series, metric, span, SeriesFunction::increase));
    const auto quantiles = PILLION_TRY(whole(series, metric, span, SeriesFunction::percentile));
    const auto of = [](const std::vector<SeriesLine>& lines, const SeriesLabels& labels, SeriesFunction function) {
        const auto line = std::ranges::find(lines, labels, &SeriesLine::labels);
        return line == lines.end() || line->points.empty() ? 0 : value_of(*line, function);
    };
    for (const SeriesLine& line : sums) {
        HotPath path{.kind = std::string(kind)};
        for (const auto& [name, value] : line.labels) path.name += (path.name.empty() ? "" : "/") + value;
        path.totalMs = value_of(line, SeriesFunction::increase) * 1000;
        const double count = of(counts, line.labels, SeriesFunction::increase);
        path.count = static_cast<std::uint64_t>(std::max(count, 0.0));
        path.meanMs = count > 0 ? path.totalMs / count : 0;
        path.p95Ms = of(quantiles, line.labels, SeriesFunction::percentile) * 1000;
        paths.push_back(std::move(path));
    }
    return {};
}

} // namespace

Result<std::vector<Bottleneck>> Analysis::bottlenecks(const AnalysisRange& range) {
    host_.series.load();
    const AnalysisSpan span = PILLION_TRY(span_of(host_.series, range));
    const std::vector<Leak> found_leaks = PILLION_TRY(leaks());
    auto all = PILLION_TRY(judge(host_.series, span, found_leaks));
    std::erase_if(all, [](const Bottleneck& one) { return one.impact < info_from; });
    return all;
}

Result<std::vector<HotPath>> Analysis::hot_paths(const AnalysisRange& range) {
    host_.series.load();
    const AnalysisSpan span = PILLION_TRY(span_of(host_.series, range));
    std::vector<HotPath> paths;
    if (host_.hot_paths) paths = host_.hot_paths();
    PILLION_TRY(add_hot_paths(host_.series, span, "pillion.backend.duration", "backend", paths));
    PILLION_TRY(add_hot_paths(host_.series, span, "pillion.component.load.duration", "component", paths));
    std::map<std::string, double> sums;
    for (const HotPath& path : paths) sums[path.kind] += path.totalMs;
    for (HotPath& path : paths)
        if (const double sum = sums[path.kind]; sum > 0) path.share = path.totalMs / sum;
    std::ranges::stable_sort(paths, std::greater<>{}, &HotPath::totalMs);
    return paths;
}

Result<AnalysisReport> Analysis::run(const AnalysisRange& range) {
    Series& series = host_.series;
    series.load();
    const AnalysisSpan span = PILLION_TRY(span_of(series, range));
    AnalysisReport report{.at = series.now_ms(), .from = span.from_ms, .to = span.to_ms};
    report.courses = PILLION_TRY(courses_of(series, range));
    report.seriesExamined = report.courses.size();
    report.leaks = PILLION_TRY(leaks());
    std::vector<Bottleneck> all = PILLION_TRY(judge(series, span, report.leaks));
    score(all, report);
    std::erase_if(all, [](const Bottleneck& one) { return one.impact < info_from; });
    report.bottlenecks = std::move(all);
    for (const Bottleneck& one : report.bottlenecks) {
        if (one.severity == AnalysisSeverity::critical) report.criticalIssues.push_back(one.what);
        if (one.severity != AnalysisSeverity::info &&
            std::ranges::find(report.recommendations, one.advice) == report.recommendations.end())
            report.recommendations.push_back(one.advice);
    }
    report.trends = find_trends(report.courses);
    CourseEvents events = find_events(report.courses);
    report.anomalies = std::move(events.anomalies);
    report.changes = std::move(events.changes);
    report.hotPaths = PILLION_TRY(hot_paths(range));
    return report;
}

} // namespace pillion
