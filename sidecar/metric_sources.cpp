#include "sidecar/metric_sources.h"

#include "modules/cache/cache_series.h"
#include "modules/components/components_series.h"

namespace pillion {

namespace {

constexpr std::string_view first_interaction = "first interaction";

constexpr SeriesSpec storage_bytes{"pillion.storage.bytes", "Size of a database file.", "By", SeriesKind::gauge};
constexpr SeriesSpec write_duration{"pillion.storage.write.duration",
                                    "From taking a group of writes to its commit, by database.", "s",
                                    SeriesKind::histogram};
constexpr SeriesSpec own_specs[] = {storage_bytes, write_duration};

} // namespace

std::vector<std::span<const SeriesSpec>> MetricSources::series() {
    return {components_series(), backends_series(), cache_series(), own_specs};
}

MetricsSources MetricSources::blocks() {
    return {.startup = [this](MetricsStartup& startup) { read_startup(startup); },
            .cache = [this] { return cache(); },
            .lazy_loading = [this] { return lazy_loading(); }};
}

void MetricSources::read(Series& series) {
    if (AppParts* const parts = parts_.find()) {
        read_components_series(parts->components(), series);
        backends_.read(parts->backends(), series);
    }
    read_store(*state_, "state.db", state_writes_, series);
    if (CacheParts* const cache = cache_.find()) {
        read_cache_series(cache->cache(), series);
        read_store(cache->disk_file(), "cache.db", cache_writes_, series);
    }
}

void MetricSources::read_store(const Store& store, const char* name, HistogramSteps& writes, Series& series) {
    const StoreStats file = store.stats();
    if (!file.is_open) return;
    const SeriesLabels labels{{"database", name}};
    static_cast<void>(series.observe(storage_bytes, labels, static_cast<double>(file.file_bytes)));
    static_cast<void>(writes.observe(series, write_duration, labels, histogram_counts(&store.write_ns()), 1e-9));
}

void MetricSources::read_startup(MetricsStartup& startup) const {
    AppParts* const parts = parts_.find();
    const auto timeline = parts == nullptr ? nullptr : parts->startup().timeline();
    if (!timeline) return;
    const StartupReport report = startup_report(*timeline, {});
    startup.componentsMs.emplace();
    for (const StartupComponentTime& component : report.components)
        if (component.startedMs) startup.componentsMs->emplace(component.name, component.ownMs);
    startup.phasesMs.emplace();
    for (const StartupPhase& phase : report.phases) startup.phasesMs->emplace(phase.name, phase.durationMs);
    for (const StartupMarkTime& mark : report.marks)
        if (mark.name == first_interaction) startup.timeToFirstInteractionMs = mark.atMs;
}

std::optional<MetricsCache> MetricSources::cache() const {
    CacheParts* const parts = cache_.find();
    if (parts == nullptr) return {};
    const CacheTotals totals = cache_totals(parts->cache());
    return MetricsCache{.entries = totals.entries,
                        .bytes = totals.bytes,
                        .hits = totals.hits,
                        .misses = totals.misses,
                        .hitRatio = hit_ratio(totals.hits, totals.misses),
                        .evictions = totals.evictions};
}

std::optional<MetricsLazyLoading> MetricSources::lazy_loading() const {
    AppParts* const parts = parts_.find();
    if (parts == nullptr || parts->components().count() == 0) return {};
    MetricsLazyLoading result{};
    for (const ComponentInfo& component : parts->components().list())
        if (component.state == ComponentState::ready) ++result.loaded;
    double load_ms = 0;
    std::uint64_t timed = 0, bytes = 0;
    for (const ComponentUse& use : parts->components().usage()) {
        ++result.components;
        result.loads += static_cast<std::uint64_t>(use.loads);
        result.failures += static_cast<std::uint64_t>(use.failures);
        bytes += static_cast<std::uint64_t>(use.memoryBytes);
        if (!use.loadMs) continue;
        load_ms += *use.loadMs;
        ++timed;
    }
    if (timed > 0) result.averageLoadMs = load_ms / static_cast<double>(timed);
    result.loadedBytes = bytes;
    return result;
}

} // namespace pillion
