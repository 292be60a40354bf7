// Text exposition 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats) and OpenMetrics 1.0. Names lose what
// those formats do not allow and gain the base unit, counters `_total`, as both ask for. Borders of buckets are upper
// borders that a value does not reach; the formats count one that is exactly on a border below it.
#include "modules/metrics/metrics_export.h"

#include "ipc/base/number_text.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace pillion {

namespace {

struct Unit {
    std::string_view series; // as recorded
    std::string_view base;   // as told, in UCUM
    std::string_view suffix; // as told in a name
    double scale;
};
constexpr Unit units[] = {{"ns", "s", "seconds", 1e-9},    {"us", "s", "seconds", 1e-6}, {"ms", "s", "seconds", 1e-3},
                          {"s", "s", "seconds", 1},        {"By", "By", "bytes", 1},     {"KiBy", "By", "bytes", 1024},
                          {"MiBy", "By", "bytes", 1048576}};

const Unit* find_unit(std::string_view unit) {
    const auto found = std::ranges::find(units, unit, &Unit::series);
    return found == std::end(units) ? nullptr : &*found;
}

std::string plain(std::string_view name) {
    std::string text(name);
    for (char& c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) c = '_';
    return text;
}

std::string escaped(std::string_view text, bool is_quoted) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\\\";
        else if (c == '\n')
            out += "\\n";
        else if (c == '"' && is_quoted)
            out += "\\\"";
        else
            out += c;
    }
    return out;
}

// Four borders to a power of two: a cell's number holds the exponent above six bits of the fraction.
void join_cells(ExportedMetric& metric) {
    std::uint64_t zeros = 0;
    std::map<double, std::uint64_t> joined;
    for (const SeriesCell& cell : metric.state.cells) {
        if (cell.high == 0) {
            zeros += cell.count;
            continue;
        }
        double border = cell.low;
        int exponent = 0;
        const double fraction = std::frexp(border, &exponent); // 0.5 to 1
        border = std::ldexp(0.5 + (std::floor((fraction - 0.5) * 8) + 1) / 8, exponent);
        joined[border] += cell.count;
    }
    if (zeros > 0) {
        metric.bounds.push_back(0);
        metric.counts.push_back(zeros);
    }
    for (const auto& [border, count] : joined) {
        metric.bounds.push_back(border * metric.scale);
        metric.counts.push_back(count);
    }
    metric.counts.push_back(0);
    metric.state.cells.clear();
}

constexpr std::string_view latency_name = "rpc.server.duration";

// `others` were read at the same time.
SeriesState latency(const Metrics& metrics, const std::vector<SeriesState>& others) {
    SeriesState state{.name = std::string(latency_name),
                      .help = "Time from a request's arrival to its answer.",
                      .unit = "ns",
                      .kind = SeriesKind::histogram};
    for (const SeriesState& other : others) state.at_ms = std::max(state.at_ms, other.at_ms);
    const std::vector<std::uint64_t> counts = metrics.latency_counts();
    for (std::size_t i = 0; i < counts.size(); ++i) {
        if (counts[i] == 0) continue;
        const auto low = static_cast<double>(Histogram::lowest_of(i)),
                   high = static_cast<double>(Histogram::lowest_of(i + 1));
        state.cells.push_back({low, i == 0 ? 0 : high, counts[i]});
        state.count += counts[i];
        state.sum += (low + high - 1) / 2 * static_cast<double>(counts[i]);
    }
    return state;
}

std::string family_name(const ExportedMetric& metric, std::set<std::string>& taken) {
    std::string name = plain(metric.state.name);
    const Unit* const unit = find_unit(metric.state.unit);
    if (unit != nullptr && !name.ends_with("_" + std::string(unit->suffix))) name += "_" + std::string(unit->suffix);
    if (metric.state.kind == SeriesKind::counter && name.ends_with("_total")) name.resize(name.size() - 6);
    // Two names may differ only in what is not allowed here, or one may be what another's samples are called.
    const std::vector<std::string> suffixes =
        metric.state.kind == SeriesKind::counter ? std::vector<std::string>{"", "_total", "_created"}
        : metric.state.kind == SeriesKind::histogram
            ? std::vector<std::string>{"", "_bucket", "_sum", "_count", "_created"}
            : std::vector<std::string>{""};
    const auto is_taken = [&](const std::string& suffix) { return taken.contains(name + suffix); };
    while (std::ranges::any_of(suffixes, is_taken)) name += "_";
    for (const std::string& suffix : suffixes) taken.insert(name + suffix);
    return name;
}

std::string labels_text(const SeriesLabels& labels, std::string_view more = {}) {
    std::string text;
    std::set<std::string> names;
    for (const auto& [name, value] : labels) {
        std::string safe = plain(name);
        if (safe.starts_with("__")) safe.insert(0, "label"); // those are the formats' own
        while (safe == "le" || !names.insert(safe).second) safe += "_";
        if (!text.empty()) text += ",";
        text += safe + "=\"" + escaped(value, true) + "\"";
    }
    if (!more.empty()) text += (text.empty() ? "" : ",") + std::string(more);
    return text.empty() ? text : "{" + text + "}";
}

void write_histogram(std::string& out, const std::string& name, const ExportedMetric& metric) {
    const SeriesLabels& labels = metric.state.labels;
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < metric.bounds.size(); ++i) {
        below += metric.counts[i];
        out += name + "_bucket" + labels_text(labels, "le=\"" + number_text(metric.bounds[i]) + "\"") + " " +
               std::to_string(below) + "\n";
    }
    const std::string count = std::to_string(metric.state.count);
    out += name + "_bucket" + labels_text(labels, "le=\"+Inf\"") + " " + count + "\n";
    out += name + "_sum" + labels_text(labels) + " " + number_text(metric.state.sum * metric.scale) + "\n";
    out += name + "_count" + labels_text(labels) + " " + count + "\n";
}

} // namespace

std::vector<ExportedMetric> exported_metrics(const Series& series, const Metrics& metrics) {
    const std::int64_t started_ms = metrics.process_readings().started_wall_ms;
    std::vector<SeriesState> states = series.states();
    std::erase_if(states, [](const SeriesState& state) { return state.at_ms == 0 || state.name == latency_name; });
    states.push_back(latency(metrics, states));
    std::vector<ExportedMetric> exported;
    for (SeriesState& state : states) {
        ExportedMetric metric{.state = std::move(state), .unit = {}};
        const Unit* const unit = find_unit(metric.state.unit);
        metric.unit = unit == nullptr ? metric.state.unit : std::string(unit->base);
        metric.scale = unit == nullptr ? 1 : unit->scale;
        // What Pillion counts of itself began with the process, not with the first reading.
        const bool is_since_start = metric.state.kind == SeriesKind::counter || metric.state.name == latency_name;
        if (started_ms != 0 && !metric.state.is_custom && is_since_start) metric.state.began_ms = started_ms;
        if (metric.state.kind == SeriesKind::histogram) join_cells(metric);
        exported.push_back(std::move(metric));
    }
    return exported;
}

std::string metrics_text(const std::vector<ExportedMetric>& metrics, MetricsFormat format) {
    const bool is_open = format == MetricsFormat::openmetrics;
    constexpr std::string_view kinds[] = {"counter", "gauge", "histogram"};
    std::set<std::string> taken;
    std::string out, name, before;
    for (const ExportedMetric& metric : metrics) {
        const bool is_counter = metric.state.kind == SeriesKind::counter;
        if (metric.state.name != before) {
            before = metric.state.name;
            name = family_name(metric, taken);
            const std::string family = is_counter && !is_open ? name + "_total" : name;
            out += "# HELP " + family + " " + escaped(metric.state.help, is_open) + "\n";
            out += "# TYPE " + family + " " + std::string(kinds[static_cast<std::size_t>(metric.state.kind)]) + "\n";
            const Unit* const unit = find_unit(metric.state.unit);
            if (is_open && unit != nullptr && name.ends_with(unit->suffix))
                out += "# UNIT " + family + " " + std::string(unit->suffix) + "\n";
        }
        if (metric.state.kind == SeriesKind::histogram)
            write_histogram(out, name, metric);
        else
            out += name + (is_counter ? "_total" : "") + labels_text(metric.state.labels) + " " +
                   number_text(metric.state.value * metric.scale) + "\n";
    }
    if (is_open) out += "# EOF\n";
    return out;
}

std::string_view metrics_content_type(MetricsFormat format) {
    if (format == MetricsFormat::prometheus) return "text/plain; version=0.0.4; charset=utf-8";
    if (format == MetricsFormat::openmetrics) return "application/openmetrics-text; version=1.0.0; charset=utf-8";
    return "application/json";
}

} // namespace pillion
