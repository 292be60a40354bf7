// The report as one HTML file: styles and charts are in it, scripts are none, and it follows the reader's light or dark
// scheme. What comes from outside (names, labels) is escaped.
#include "ipc/base/output_files.h"
#include "ipc/base/xml.h"
#include "modules/analysis/analysis_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

namespace pillion {

namespace {

constexpr std::size_t charts_max = 16;
constexpr std::size_t rows_max = 25;

constexpr const char* style = R"(
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#5d6878;--edge:#e2e6ec;--line:#2563eb;--good:#15803d;--fair:#b45309;--poor:#c81e1e}
@media(prefers-color-scheme:dark){:root{--page:#12161c;--card:#1b2129;--ink:#e6eaf0;--soft:#98a3b3;--edge:#2c343f;--line:#6ea8ff;--good:#4ade80;--fair:#fbbf24;--poor:#f87171}}
*{box-sizing:border-box}body{margin:0;padding:28px 20px;background:var(--page);color:var(--ink);font:14px/1.5 system-ui,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:1040px;margin:auto}h1{font-size:22px;margin:0}h2{font-size:15px;margin:0 0 10px}p{margin:4px 0}.soft{color:var(--soft)}
section{background:var(--card);border:1px solid var(--edge);border-radius:10px;padding:16px 18px;margin:14px 0;overflow-x:auto}
.head{display:flex;gap:26px;align-items:center;flex-wrap:wrap}.head>div{flex:1;min-width:240px}.ring{width:130px;flex:none}
.track{fill:none;stroke:var(--edge);stroke-width:11}.arc{fill:none;stroke-width:11;stroke-linecap:round}.arc.good{stroke:var(--good)}.arc.fair{stroke:var(--fair)}.arc.poor{stroke:var(--poor)}
.score{font-size:36px;font-weight:650;fill:var(--ink)}.tick{font-size:10.5px;fill:var(--soft)}
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:500;color:var(--soft);font-size:12.5px}td,th{padding:5px 12px 5px 0;border-bottom:1px solid var(--edge);vertical-align:top}tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.bar{height:8px;border-radius:4px;background:var(--edge);min-width:110px;margin-top:7px}.bar i{display:block;height:8px;border-radius:4px;background:var(--line)}.bar i.good{background:var(--good)}.bar i.fair{background:var(--fair)}.bar i.poor{background:var(--poor)}
.tag{font-size:12px;font-weight:600}.info{color:var(--soft)}.warning,.worse{color:var(--fair)}.critical{color:var(--poor)}.better{color:var(--good)}
.grid2{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(400px,100%),1fr));gap:18px}figure{margin:0}figcaption{font-size:12.5px;overflow-wrap:anywhere}
.grid{stroke:var(--edge);stroke-width:1}.line{fill:none;stroke:var(--line);stroke-width:1.6;stroke-linejoin:round}.area{fill:var(--line);opacity:.1}.change{stroke:var(--fair);stroke-width:1.4;stroke-dasharray:4 3}.anomaly{fill:none;stroke:var(--poor);stroke-width:2}
@media(max-width:640px){body{padding:12px 8px}section{padding:12px}.bar{min-width:48px}}
svg{display:block;width:100%}ul{margin:0;padding-left:20px}code{font-size:12.5px;overflow-wrap:anywhere})";

// In the order of their declaration.
constexpr std::array kinds = {"memory", "cpu", "cache", "network", "disk", "queue", "stability"};
constexpr std::array severities = {"info", "warning", "critical"};
constexpr std::array meanings = {"neutral", "better", "worse"};

std::string name_with(std::string_view metric, const SeriesLabels& labels) {
    std::string text = "<code>" + xml_escaped(metric) + "</code>";
    for (const auto& [name, value] : labels)
        text += " <span class=\"soft\">" + xml_escaped(name) + "=" + xml_escaped(value) + "</span>";
    return text;
}

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
    return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string percent(double share) { return page_number(share * 100, share < 0 ? "%.0f %%" : "+%.0f %%"); }

std::string bar(double share, std::string_view grade) {
    return "<div class=\"bar\"><i class=\"" + std::string(grade) +
           "\" style=\"width:" + page_number(std::clamp(share, 0.0, 1.0) * 100) + "%\"></i></div>";
}

std::string full_time(std::int64_t at_ms) {
    const std::time_t seconds = at_ms / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[40];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return text;
}

class Page {
  public:
    explicit Page(const AnalysisReport& report) : report_(report), span_ms_(report.to - report.from) {}

    std::string draw() {
        out_ = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width\"><title>Performance report</title><style>" +
               std::string(style) + "</style></head><body><main>";
        head();
        advice();
        parts();
        bottlenecks();
        leaks();
        charts();
        trends();
        events();
        hot_paths();
        return std::move(out_) + "</main></body></html>\n";
    }

  private:
    void open(std::string_view title) { out_ += "<section><h2>" + std::string(title) + "</h2>"; }
    void row(std::initializer_list<std::string> cells) {
        out_ += "<tr>";
        for (const std::string& cell : cells) out_ += cell;
        out_ += "</tr>";
    }
    static std::string cell(const std::string& text) { return "<td>" + text + "</td>"; }
    static std::string figure(const std::string& text) { return "<td class=\"n\">" + text + "</td>"; }
    void more(std::size_t count) {
        if (count > rows_max) out_ += "<p class=\"soft\">and " + std::to_string(count - rows_max) + " more</p>";
    }

    void head();
    void advice();
    void parts();
    void bottlenecks();
    void leaks();
    void charts();
    void trends();
    void events();
    void hot_paths();
    std::vector<const SeriesCourse*> chosen() const;

    const AnalysisReport& report_;
    const std::int64_t span_ms_;
    std::string out_{};
};

void Page::head() {
    out_ += "<section class=\"head\">" + score_ring(report_.score) +
            "<div><h1>Performance report</h1><p class=\"soft\">" + full_time(report_.from) + " to " +
            full_time(report_.to) + "</p>";
    if (report_.seriesExamined == 0) {
        out_ += "<p>Nothing was measured in this time.</p></div></section>";
        return;
    }
    out_ += "<p>" + counted(report_.seriesExamined, "series", "series") + ", " +
            counted(report_.criticalIssues.size(), "critical issue", "critical issues") + ", " +
            counted(report_.bottlenecks.size(), "bottleneck", "bottlenecks") + ", " +
            counted(report_.trends.size(), "trend", "trends") + ", " +
            counted(report_.changes.size(), "change", "changes") + ", " +
            counted(report_.anomalies.size(), "anomaly", "anomalies") + "</p></div></section>";
}

void Page::advice() {
    if (report_.criticalIssues.empty() && report_.recommendations.empty()) return;
    open("What to do");
    for (const std::string& issue : report_.criticalIssues)
        out_ += "<p><span class=\"tag critical\">critical</span> " + xml_escaped(issue) + "</p>";
    out_ += "<ul>";
    for (const std::string& advice : report_.recommendations) out_ += "<li>" + xml_escaped(advice) + "</li>";
    out_ += "</ul></section>";
}

void Page::parts() {
    open("What the score is made of");
    out_ += "<table><tr><th>part</th><th class=\"n\">weight</th><th class=\"n\">score</th><th></th><th>because "
            "of</th></tr>";
    for (const ScorePart& part : report_.parts)
        row({cell(kinds[static_cast<std::size_t>(part.kind)]), figure(page_number(part.weight, "%.0f")),
             figure(part.score ? page_number(*part.score, "%.0f") : "–"),
             cell(part.score ? bar(*part.score / 100, grade_of(*part.score)) : ""),
             cell(part.score ? xml_escaped(part.because) : "<span class=\"soft\">not measured</span>")});
    out_ += "</table></section>";
}

void Page::bottlenecks() {
    if (report_.bottlenecks.empty()) return;
    open("Bottlenecks");
    out_ += "<table><tr><th>kind</th><th>severity</th><th>what</th><th class=\"n\">value</th><th "
            "class=\"n\">warning</th><th class=\"n\">critical</th><th class=\"n\">impact</th></tr>";
    for (std::size_t index = 0; index < std::min(rows_max, report_.bottlenecks.size()); ++index) {
        const Bottleneck& one = report_.bottlenecks[index];
        const std::string severity = severities[static_cast<std::size_t>(one.severity)];
        row({cell(kinds[static_cast<std::size_t>(one.kind)]),
             cell("<span class=\"tag " + severity + "\">" + severity + "</span>"),
             cell(xml_escaped(one.what) + "<br><span class=\"soft\">" + xml_escaped(one.advice) + "</span>"),
             figure(page_figure(one.value, one.unit)), figure(page_figure(one.warning, one.unit)),
             figure(page_figure(one.critical, one.unit)), figure(page_number(one.impact, "%.0f"))});
    }
    out_ += "</table>";
    more(report_.bottlenecks.size());
    out_ += "</section>";
}

void Page::leaks() {
    std::vector<const Leak*> shown;
    for (const Leak& leak : report_.leaks)
        if (leak.verdict.course >= MemoryCourse::bounded) shown.push_back(&leak);
    if (shown.empty()) return;
    open("Memory that grows");
    out_ += "<table><tr><th>component</th><th>process</th><th></th><th class=\"n\">rate</th><th class=\"n\">95 % "
            "interval</th><th class=\"n\">grown</th><th class=\"n\">level</th><th>since</th></tr>";
    for (const Leak* leak : shown) {
        const MemoryVerdict& verdict = leak->verdict;
        const bool leaks = verdict.course == MemoryCourse::leak;
        row({cell(leak->component.empty() ? "<span class=\"soft\">none</span>" : xml_escaped(leak->component)),
             cell(xml_escaped(leak->process)),
             cell(leaks ? "<span class=\"tag critical\">leak</span>" : "<span class=\"tag info\">settles</span>"),
             figure(leaks ? page_figure(verdict.bytes_per_hour, "By/h") : "–"),
             figure(leaks ? page_figure(verdict.bytes_per_hour_low, "By/h") + " to " +
                                page_figure(verdict.bytes_per_hour_high, "By/h")
                          : "–"),
             figure(page_figure(verdict.grown_bytes, "By")), figure(page_figure(verdict.level_bytes, "By")),
             cell(full_time(verdict.since_ms))});
    }
    out_ += "</table></section>";
}

// Those with something to show first, then those that everybody wants to see.
std::vector<const SeriesCourse*> Page::chosen() const {
    constexpr std::array usual = {
        "pillion.tree.memory",      "pillion.tree.cpu.utilization", "process.memory.private",
        "rpc.server.duration",      "system.cpu.utilization",       "system.memory.utilization",
        "pillion.backend.duration", "pillion.rpc.queue.wait",       "process.cpu.utilization"};
    const auto is_of = [](const SeriesCourse& course, const auto& finding) {
        return course.metric == finding.metric && course.labels == finding.labels;
    };
    std::vector<std::pair<int, const SeriesCourse*>> ranked;
    for (const SeriesCourse& course : report_.courses) {
        if (course.points.size() < 5) continue;
        int rank = 0;
        for (const Bottleneck& one : report_.bottlenecks) rank += is_of(course, one) ? 4 : 0;
        for (const SeriesTrend& trend : report_.trends)
            rank += is_of(course, trend) ? (trend.meaning == TrendMeaning::worse ? 3 : 1) : 0;
        for (const SeriesAnomaly& anomaly : report_.anomalies) rank = std::max(rank, is_of(course, anomaly) ? 2 : 0);
        for (const SeriesChange& change : report_.changes) rank = std::max(rank, is_of(course, change) ? 2 : 0);
        if (std::ranges::find(usual, course.metric) != usual.end()) rank += 3;
        if (rank > 0) ranked.emplace_back(rank, &course);
    }
    std::ranges::stable_sort(ranked, std::greater<>{}, [](const auto& each) { return each.first; });
    std::vector<const SeriesCourse*> courses;
    for (const auto& [rank, course] : ranked)
        if (courses.size() < charts_max) courses.push_back(course);
    return courses;
}

void Page::charts() {
    const auto courses = chosen();
    if (courses.empty()) return;
    std::int64_t from = report_.to; // when the first of them begins: most of the range may lie before the app's start
    for (const SeriesCourse* course : courses) from = std::min(from, course->points.front().at_ms);
    from = std::max(from, report_.from);
    open("Courses");
    out_ += "<div class=\"grid2\">";
    for (const SeriesCourse* course : courses) {
        ChartSigns signs;
        std::ranges::copy_if(report_.anomalies, std::back_inserter(signs.anomalies), [&](const SeriesAnomaly& each) {
            return each.metric == course->metric && each.labels == course->labels;
        });
        std::ranges::copy_if(report_.changes, std::back_inserter(signs.changes), [&](const SeriesChange& each) {
            return each.metric == course->metric && each.labels == course->labels;
        });
        out_ += "<figure><figcaption>" + name_with(course->metric, course->labels) + " <span class=\"soft\">(" +
                xml_escaped(course->function) + ")</span></figcaption>" + line_chart(*course, from, report_.to, signs) +
                "</figure>";
    }
    out_ +=
        "</div><p class=\"soft\">A ring is an anomaly, a dashed line a change of level. Times are UTC.</p></section>";
}

void Page::trends() {
    if (report_.trends.empty()) return;
    open("Trends");
    out_ += "<table><tr><th>metric</th><th>direction</th><th class=\"n\">level</th><th class=\"n\">an hour</th><th "
            "class=\"n\">change</th></tr>";
    for (std::size_t index = 0; index < std::min(rows_max, report_.trends.size()); ++index) {
        const SeriesTrend& trend = report_.trends[index];
        const std::string meaning = meanings[static_cast<std::size_t>(trend.meaning)];
        row({cell(name_with(trend.metric, trend.labels)),
             cell("<span class=\"tag " + meaning + "\">" +
                  (trend.direction == TrendDirection::rising ? "rising" : "falling") + "</span>"),
             figure(page_figure(trend.level, trend.unit)), figure(page_figure(trend.slopePerHour, trend.unit)),
             figure(percent(trend.changeShare))});
    }
    out_ += "</table>";
    more(report_.trends.size());
    out_ += "</section>";
}

void Page::events() {
    if (report_.anomalies.empty() && report_.changes.empty()) return;
    open("Anomalies and changes");
    out_ += "<table><tr><th>at</th><th>metric</th><th></th><th class=\"n\">value</th><th class=\"n\">expected, or "
            "before</th></tr>";
    std::size_t rows = 0;
    for (const SeriesChange& change : report_.changes)
        if (rows++ < rows_max)
            row({cell(page_time(change.at, span_ms_)), cell(name_with(change.metric, change.labels)),
                 cell("change, " + percent(change.changeShare)), figure(page_figure(change.after, change.unit)),
                 figure(page_figure(change.before, change.unit))});
    for (const SeriesAnomaly& anomaly : report_.anomalies)
        if (rows++ < rows_max)
            row({cell(page_time(anomaly.at, span_ms_)), cell(name_with(anomaly.metric, anomaly.labels)),
                 cell("anomaly"), figure(page_figure(anomaly.value, anomaly.unit)),
                 figure(page_figure(anomaly.expectedLow, anomaly.unit) + " to " +
                        page_figure(anomaly.expectedHigh, anomaly.unit))});
    out_ += "</table>";
    more(rows);
    out_ += "</section>";
}

void Page::hot_paths() {
    if (report_.hotPaths.empty()) return;
    open("Hot paths");
    out_ += "<table><tr><th>kind</th><th>name</th><th class=\"n\">runs</th><th class=\"n\">in all</th><th "
            "class=\"n\">mean</th><th class=\"n\">p95</th><th>share of its kind</th></tr>";
    for (std::size_t index = 0; index < std::min(rows_max, report_.hotPaths.size()); ++index) {
        const HotPath& path = report_.hotPaths[index];
        row({cell(xml_escaped(path.kind)), cell("<code>" + xml_escaped(path.name) + "</code>"),
             figure(std::to_string(path.count)), figure(page_figure(path.totalMs, "ms")),
             figure(page_figure(path.meanMs, "ms")), figure(path.p95Ms > 0 ? page_figure(path.p95Ms, "ms") : "–"),
             cell(bar(path.share, ""))});
    }
    out_ += "</table>";
    more(report_.hotPaths.size());
    out_ += "</section>";
}

} // namespace

Result<std::string> Analysis::write_page(const AnalysisReport& report) const {
    if (host_.folder.empty())
        return fail(ErrorCode::unavailable, "there is no data directory to write the page to", "/report",
                    "start pillion with --data-dir, or ask for report \"json\"");
    const std::time_t seconds = report.at / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char name[64];
    std::strftime(name, sizeof name, "%Y%m%d-%H%M%S", &parts);
    return OutputFiles(host_.folder, "report-")
        .write(name + page_number(static_cast<double>(report.at % 1000), "-%03.0f.html"), Page(report).draw());
}

} // namespace pillion
