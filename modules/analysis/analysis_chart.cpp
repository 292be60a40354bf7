#include "modules/analysis/analysis_chart.h"

#include "ipc/base/number_text.h"
#include "ipc/base/xml.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numbers>

namespace pillion {

namespace {

constexpr double width = 460;
constexpr double height = 150;
constexpr double left = 62;
constexpr double right = 452;
constexpr double top = 10;
constexpr double bottom = 126;

// 1, 2 or 5 times a power of ten: the step of about four lines.
double step_of(double span) {
    const double rough = span / 3;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (rough <= factor * power) return factor * power;
    return 10 * power;
}

struct Axis {
    double low = 0;
    double high = 1;
    double step = 1;
};

// Bytes have steps of powers of two, so that their labels are round.
Axis axis_of(const SeriesCourse& course) {
    double low = course.points.front().value;
    double high = low;
    for (const SeriesPoint& point : course.points) {
        low = std::min(low, point.value);
        high = std::max(high, point.value);
    }
    // From 0, unless all that happens would be a thin line high above it.
    if (low > 0 && high - low > 0.25 * high) low = 0;
    if (high - low < 1e-9 * std::max(std::abs(high), 1.0)) { // a constant, seen from 0
        high = low == 0 ? 1 : std::max(low, 0.0);
        low = std::min(low, 0.0);
    }
    double unit = 1;
    if (course.unit.starts_with("By"))
        while (high >= 1024 * unit) unit *= 1024;
    const double step = step_of((high - low) / unit) * unit;
    return {.low = std::floor(low / step) * step, .high = std::ceil(high / step) * step, .step = step};
}

class Chart {
  public:
    Chart(const SeriesCourse& course, std::int64_t from_ms, std::int64_t to_ms)
        : course_(course), from_ms_(from_ms), span_ms_(std::max<std::int64_t>(to_ms - from_ms, 1)),
          axis_(axis_of(course)) {}

    std::string draw(const ChartSigns& signs) {
        out_ = "<svg viewBox=\"0 0 " + page_number(width, "%.0f") + " " + page_number(height, "%.0f") +
               "\" role=\"img\" aria-label=\"" + xml_escaped(course_.metric) + "\">";
        grid();
        for (const SeriesChange& change : signs.changes) {
            const std::string at = page_number(x(change.at));
            out_ += "<line class=\"change\" x1=\"" + at + "\" x2=\"" + at + "\" y1=\"" + page_number(top) + "\" y2=\"" +
                    page_number(bottom) + "\"><title>" + page_figure(change.before, change.unit) + " to " +
                    page_figure(change.after, change.unit) + "</title></line>";
        }
        course();
        for (const SeriesAnomaly& anomaly : signs.anomalies)
            out_ += "<circle class=\"anomaly\" cx=\"" + page_number(x(anomaly.at)) + "\" cy=\"" +
                    page_number(y(anomaly.value)) + "\" r=\"4\"><title>" + page_figure(anomaly.value, anomaly.unit) +
                    "</title></circle>";
        return std::move(out_) + "</svg>";
    }

  private:
    double x(std::int64_t at_ms) const {
        const double share = static_cast<double>(at_ms - from_ms_) / static_cast<double>(span_ms_);
        return left + std::clamp(share, 0.0, 1.0) * (right - left);
    }
    double y(double value) const {
        const double share = (value - axis_.low) / (axis_.high - axis_.low);
        return bottom - std::clamp(share, 0.0, 1.0) * (bottom - top);
    }
    // As many digits as tell the lines' values apart.
    int digits() const {
        const double largest = std::max(std::abs(axis_.low), std::abs(axis_.high));
        return 2 + static_cast<int>(std::floor(std::log10(largest / axis_.step)));
    }
    void grid() {
        for (double value = axis_.low; value <= axis_.high + axis_.step / 2; value += axis_.step) {
            const std::string at = page_number(y(value));
            out_ += "<line class=\"grid\" x1=\"" + page_number(left) + "\" x2=\"" + page_number(right) + "\" y1=\"" +
                    at + "\" y2=\"" + at + "\"/><text class=\"tick\" text-anchor=\"end\" x=\"" + page_number(left - 6) +
                    "\" y=\"" + page_number(y(value) + 3.5) + "\">" + page_figure(value, course_.unit, digits()) +
                    "</text>";
        }
        for (int part = 0; part <= 4; ++part) {
            const std::int64_t at_ms = from_ms_ + span_ms_ * part / 4;
            const char* anchor = part == 0 ? "start" : part == 4 ? "end" : "middle";
            out_ += std::string("<text class=\"tick\" text-anchor=\"") + anchor + "\" x=\"" + page_number(x(at_ms)) +
                    "\" y=\"" + page_number(bottom + 15) + "\">" + page_time(at_ms, span_ms_) + "</text>";
        }
    }
    void course() {
        const auto& points = course_.points;
        std::int64_t usual = span_ms_;
        for (std::size_t index = 1; index < points.size(); ++index)
            usual = std::min(usual, points[index].at_ms - points[index - 1].at_ms);
        for (std::size_t first = 0; first < points.size();) {
            std::size_t end = first + 1;
            while (end < points.size() && points[end].at_ms - points[end - 1].at_ms <= 6 * usual) ++end;
            stretch(first, end);
            first = end;
        }
    }
    void stretch(std::size_t first, std::size_t end) {
        std::string line;
        for (std::size_t index = first; index < end; ++index)
            line += (index == first ? "M" : "L") + page_number(x(course_.points[index].at_ms)) + " " +
                    page_number(y(course_.points[index].value));
        const std::string floor = page_number(bottom);
        out_ += "<path class=\"area\" d=\"" + line + "L" + page_number(x(course_.points[end - 1].at_ms)) + " " + floor +
                "L" + page_number(x(course_.points[first].at_ms)) + " " + floor + "Z\"/>";
        if (end - first == 1) line += "h1.5"; // a single point would not be seen
        out_ += "<path class=\"line\" d=\"" + line + "\"/>";
    }

    const SeriesCourse& course_;
    const std::int64_t from_ms_;
    const std::int64_t span_ms_;
    const Axis axis_;
    std::string out_{};
};

constexpr int usual_digits = 3;

std::string in_digits(double value, int digits) {
    return formatted(("%." + std::to_string(std::min(digits, 15)) + "g").c_str(), value);
}

struct Scale {
    const char* name;
    double size;
};

template <std::size_t Count>
std::string scaled(double value, const Scale (&scales)[Count], std::string_view rest, int digits) {
    const Scale* chosen = &scales[0];
    for (const Scale& scale : scales)
        if (std::abs(value) >= scale.size * 0.9995) chosen = &scale;
    const double shown = value / chosen->size;
    if (digits > usual_digits) return in_digits(shown, digits) + " " + chosen->name + std::string(rest);
    const char* format = std::abs(shown) >= 100 || shown == std::round(shown) ? "%.0f"
                         : std::abs(shown) >= 10                              ? "%.1f"
                                                                              : "%.2f";
    return page_number(shown, format) + " " + chosen->name + std::string(rest);
}

} // namespace

std::string page_number(double value, const char* format) { return formatted(format, value); }

std::string page_figure(double value, std::string_view unit, int digits) {
    static constexpr Scale bytes[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}};
    static constexpr Scale seconds[] = {{"ns", 1e-9}, {"µs", 1e-6}, {"ms", 1e-3}, {"s", 1}};
    static constexpr Scale plain[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}};
    const std::size_t slash = unit.find('/');
    const std::string_view base = unit.substr(0, slash);
    const std::string_view rest = slash == std::string_view::npos ? std::string_view{} : unit.substr(slash);
    if (value == 0) return "0";
    if (base == "By") return scaled(value, bytes, rest, digits);
    // Time per time is a share: of a core, of a wait.
    if ((base == "1" && rest.empty()) || (base == "s" && rest == "/s"))
        return (digits > usual_digits  ? in_digits(value * 100, digits)
                : std::abs(value) >= 1 ? page_number(value * 100, "%.0f")
                                       : page_number(value * 100, "%.3g")) +
               " %";
    if (base == "s") return scaled(value, seconds, rest, digits);
    if (base == "ms") return scaled(value / 1e3, seconds, rest, digits);
    if (base == "ns") return scaled(value / 1e9, seconds, rest, digits);
    return scaled(value, plain, rest, digits);
}

std::string page_time(std::int64_t at_ms, std::int64_t span_ms) {
    const std::time_t seconds = at_ms / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text,
                  span_ms > 86'400'000 ? "%m-%d %H:%M"
                  : span_ms > 600'000  ? "%H:%M"
                                       : "%H:%M:%S",
                  &parts);
    return text;
}

std::string_view grade_of(double score) { return score >= 80 ? "good" : score >= 50 ? "fair" : "poor"; }

std::string score_ring(std::optional<double> score) {
    const double around = 2 * std::numbers::pi * 52;
    const double shown = score.value_or(0) / 100 * around;
    std::string out =
        "<svg class=\"ring\" viewBox=\"0 0 130 130\" role=\"img\" aria-label=\"score\"><circle class=\"track\" "
        "cx=\"65\" cy=\"65\" r=\"52\"/>";
    if (score)
        out += "<circle class=\"arc " + std::string(grade_of(*score)) +
               "\" cx=\"65\" cy=\"65\" r=\"52\" stroke-dasharray=\"" + page_number(shown) + " " + page_number(around) +
               "\" transform=\"rotate(-90 65 65)\"/>";
    return out + "<text class=\"score\" text-anchor=\"middle\" x=\"65\" y=\"76\">" +
           (score ? page_number(*score, "%.0f") : "–") +
           "</text><text class=\"tick\" text-anchor=\"middle\" x=\"65\" y=\"94\">of 100</text></svg>";
}

std::string line_chart(const SeriesCourse& course, std::int64_t from_ms, std::int64_t to_ms, const ChartSigns& signs) {
    return course.points.empty() ? std::string{} : Chart(course, from_ms, to_ms).draw(signs);
}

} // namespace pillion
