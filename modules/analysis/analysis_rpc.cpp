#include "modules/analysis/analysis_rpc.h"

#include <algorithm>

namespace pillion {

namespace {

AnalysisRange range_of(const AnalysisParams& params) {
    return {.from_ms = params.from, .to_ms = params.to, .metric = params.metric};
}

Result<AnalysisRunResult> run(Analysis& analysis, const AnalysisRunParams& params) {
    AnalysisReport report = PILLION_TRY(analysis.run({.from_ms = params.from, .to_ms = params.to}));
    AnalysisRunResult result;
    if (params.report == ReportForm::html) result.file = PILLION_TRY(analysis.write_page(report));
    result.at = report.at;
    result.from = report.from;
    result.to = report.to;
    result.score = report.score;
    result.parts = std::move(report.parts);
    result.criticalIssues = std::move(report.criticalIssues);
    result.recommendations = std::move(report.recommendations);
    result.bottlenecks = std::move(report.bottlenecks);
    for (const Leak& leak : report.leaks)
        if (leak.verdict.course >= MemoryCourse::bounded) result.leaks.push_back(finding_of(leak));
    result.trends = std::move(report.trends);
    result.anomalies = std::move(report.anomalies);
    result.changes = std::move(report.changes);
    result.hotPaths = std::move(report.hotPaths);
    result.seriesExamined = report.seriesExamined;
    return result;
}

} // namespace

MemoryFinding finding_of(const Leak& leak) {
    const MemoryVerdict& verdict = leak.verdict;
    return {.component = leak.component,
            .process = leak.process,
            .role = leak.role,
            .course = verdict.course,
            .bytesPerHour = verdict.bytes_per_hour,
            .bytesPerHourLow = verdict.bytes_per_hour_low,
            .bytesPerHourHigh = verdict.bytes_per_hour_high,
            .grownBytes = verdict.grown_bytes,
            .levelBytes = verdict.level_bytes,
            .confidence = verdict.confidence,
            .since = verdict.since_ms,
            .windowMs = verdict.window_ms,
            .message = describe(leak)};
}

std::vector<Method> analysis_methods(Analysis& analysis) {
    std::vector<Method> methods;
    methods.push_back(method("analysis.run",
                             "One report: score, bottlenecks, leaks, trends, anomalies, changes, hot paths; as a page "
                             "too if asked for.",
                             Lane::pooled,
                             [&analysis](const AnalysisRunParams& params) -> Result<AnalysisRunResult> {
                                 return run(analysis, params);
                             })
                          .alias("create_optimization_report"));
    methods.push_back(list_method("analysis.trends", "What rises or falls, significantly and by a tenth at least.",
                                  Lane::pooled,
                                  [&analysis](const AnalysisParams& params) -> Result<std::vector<SeriesTrend>> {
                                      return analysis.trends(range_of(params));
                                  })
                          .alias("get_performance_trends"));
    methods.push_back(list_method("analysis.anomalies", "Values that two of three detectors call out of place.",
                                  Lane::pooled,
                                  [&analysis](const AnalysisParams& params) -> Result<std::vector<SeriesAnomaly>> {
                                      return analysis.anomalies(range_of(params));
                                  }));
    methods.push_back(list_method("analysis.leaks", "Processes whose private memory grows on and on.", Lane::pooled,
                                  [&analysis](const AnalysisLeaksParams& params) -> Result<std::vector<MemoryFinding>> {
                                      std::vector<MemoryFinding> findings;
                                      for (const Leak& leak : PILLION_TRY(analysis.leaks()))
                                          if (params.all || leak.verdict.course == MemoryCourse::leak)
                                              findings.push_back(finding_of(leak));
                                      return findings;
                                  }));
    methods.push_back(list_method("analysis.bottlenecks", "What is short, by what it costs the score.", Lane::pooled,
                                  [&analysis](const AnalysisParams& params) -> Result<std::vector<Bottleneck>> {
                                      auto all = PILLION_TRY(analysis.bottlenecks(range_of(params)));
                                      if (!params.metric.empty())
                                          std::erase_if(
                                              all, [&](const Bottleneck& one) { return one.metric != params.metric; });
                                      return all;
                                  }));
    return methods;
}

} // namespace pillion
