// One chart: capacities on a logarithmic axis, hit ratios on a linear one, a line for each policy with its name at its
// end, where names are pushed apart that would overlap. The adaptive policy and the optimum are drawn to stand out.
#include "ipc/base/number_text.h"
#include "ipc/base/xml.h"
#include "modules/cache_simulation/cache_simulation.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

constexpr double width = 900;
constexpr double height = 520;
constexpr double left = 70;
constexpr double right = 770;
constexpr double top = 60;
constexpr double bottom = 455;

struct Style {
    std::string_view policy;
    const char* colour;
    const char* dashes;
    double stroke;
};
// Told apart by people who see colours differently: after Okabe and Ito.
constexpr Style styles[] = {
    {"adaptive", "#D55E00", "", 3.5},  {"lru", "#0072B2", "", 1.6},        {"lfu", "#CC79A7", "", 1.6},
    {"fifo", "#56B4E9", "", 1.6},      {"random", "#999999", "", 1.6},     {"arc", "#009E73", "6 3", 1.6},
    {"s3fifo", "#B8860B", "6 3", 1.6}, {"tinylfu", "#7B4FA3", "6 3", 1.6}, {"opt", "#222222", "2 3", 2},
};

const Style& style_of(std::string_view policy) {
    return *std::find_if(std::begin(styles), std::end(styles) - 1,
                         [&](const Style& style) { return style.policy == policy; });
}

std::string number(double value, const char* format = "%.1f") { return formatted(format, value); }

// 1.5k, 20M: short enough for an axis.
std::string short_number(std::uint64_t value) {
    constexpr const char* units[] = {"", "k", "M", "G", "T", "P"};
    auto scaled = static_cast<double>(value);
    std::size_t unit = 0;
    for (; scaled >= 1000 && unit + 1 < std::size(units); ++unit) scaled /= 1000;
    return number(scaled, scaled < 10 && unit > 0 ? "%.2g" : "%.3g") + units[unit];
}

class Plot {
  public:
    explicit Plot(const Simulation& simulation) : simulation_(simulation) {
        double least = 1;
        double most = 0;
        for (const SimulationResult& result : simulation.results) {
            least = std::min(least, result.hitRatio);
            most = std::max(most, result.hitRatio);
        }
        // Whole steps around what there is.
        step_ = most - least > 0.4 ? 0.1 : most - least > 0.1 ? 0.05 : 0.01;
        low_ = std::floor(least / step_) * step_;
        high_ = std::max(std::ceil(most / step_ - 1e-9) * step_, low_ + step_);
    }

    std::string draw(std::string_view title) {
        out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width, "%.0f") + ' ' +
               number(height, "%.0f") +
               "\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#222\">\n"
               "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
        text(left, 30, "start", xml_escaped(title), "font-size=\"17\" font-weight=\"600\"");
        text(left, 48, "start",
             std::to_string(simulation_.requests) + " requests for " + std::to_string(simulation_.distinctKeys) +
                 " keys",
             "fill=\"#666\"");
        axes();
        lines();
        out_ += "</svg>\n";
        return std::move(out_);
    }

  private:
    double x_of(std::uint64_t capacity) const {
        const double first = std::log(static_cast<double>(simulation_.capacities.front()));
        const double last = std::log(static_cast<double>(simulation_.capacities.back()));
        if (first == last) return (left + right) / 2;
        return left + (right - left) * (std::log(static_cast<double>(capacity)) - first) / (last - first);
    }
    double y_of(double ratio) const { return bottom - (bottom - top - 10) * (ratio - low_) / (high_ - low_); }
    double ratio_of(std::size_t policy, std::size_t capacity) const {
        return simulation_.results[capacity * simulation_.policies.size() + policy].hitRatio;
    }

    void text(double x, double y, const char* anchor, const std::string& words, const char* more = "") {
        out_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" " + more + '>' +
                words + "</text>\n";
    }
    void line(double x1, double y1, double x2, double y2, const char* colour) {
        out_ += "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" +
                number(y2) + "\" stroke=\"" + colour + "\"/>\n";
    }

    void axes() {
        for (double ratio = low_; ratio < high_ + step_ / 2; ratio += step_) {
            line(left, y_of(ratio), right, y_of(ratio), "#e4e4e4");
            text(left - 8, y_of(ratio) + 4, "end", number(100 * ratio, "%.0f"));
        }
        double labelled = -1000;
        for (const std::uint64_t capacity : simulation_.capacities) {
            const double x = x_of(capacity);
            line(x, bottom, x, bottom + 5, "#666");
            constexpr double room = 44;
            if (x - labelled < room) continue;
            text(x, bottom + 20, "middle", short_number(capacity));
            labelled = x;
        }
        line(left, bottom, right, bottom, "#666");
        text((left + right) / 2, bottom + 44, "middle",
             simulation_.hasSizes ? "capacity in bytes" : "capacity in entries", "fill=\"#666\"");
        out_ += "<text transform=\"translate(22 " + number((top + bottom) / 2) +
                ") rotate(-90)\" text-anchor=\"middle\" fill=\"#666\">hit ratio in percent</text>\n";
    }

    void lines() {
        struct Name {
            double y;
            std::size_t policy;
        };
        std::vector<Name> names;
        const std::size_t last = simulation_.capacities.size() - 1;
        for (std::size_t i = 0; i < simulation_.policies.size(); ++i) names.push_back({y_of(ratio_of(i, last)), i});
        std::sort(names.begin(), names.end(), [](const Name& a, const Name& b) { return a.y < b.y; });
        constexpr double name_height = 16;
        for (std::size_t i = 1; i < names.size(); ++i) {
            names[i].y = std::max(names[i].y, names[i - 1].y + name_height);
        }
        // Those that were pushed below the axis push the others up again.
        for (std::size_t i = names.size(); i-- > 0;) {
            const double lowest = i + 1 < names.size() ? names[i + 1].y - name_height : bottom;
            names[i].y = std::min(names[i].y, lowest);
        }
        for (const Name& name : names) {
            // The one that matters is drawn last, over the others.
            if (simulation_.policies[name.policy] != "adaptive") draw_policy(name.policy, name.y);
        }
        for (const Name& name : names) {
            if (simulation_.policies[name.policy] == "adaptive") draw_policy(name.policy, name.y);
        }
    }

    void draw_policy(std::size_t policy, double name_y) {
        const Style& style = style_of(simulation_.policies[policy]);
        std::string points;
        for (std::size_t i = 0; i < simulation_.capacities.size(); ++i) {
            points += number(x_of(simulation_.capacities[i])) + ',' + number(y_of(ratio_of(policy, i))) + ' ';
        }
        const std::size_t last = simulation_.capacities.size() - 1;
        out_ += "<polyline points=\"" + points + "\" fill=\"none\" stroke=\"" + style.colour + "\" stroke-width=\"" +
                number(style.stroke) + "\" stroke-linejoin=\"round\" stroke-dasharray=\"" + style.dashes + "\"/>\n";
        const double end_x = x_of(simulation_.capacities.back());
        line(end_x + 2, y_of(ratio_of(policy, last)), right + 14, name_y, "#ccc");
        for (std::size_t i = 0; i <= last; ++i) {
            out_ += "<circle cx=\"" + number(x_of(simulation_.capacities[i])) + "\" cy=\"" +
                    number(y_of(ratio_of(policy, i))) + "\" r=\"2.5\" fill=\"" + style.colour + "\"/>\n";
        }
        const std::string more =
            std::string("fill=\"") + style.colour + '"' + (style.stroke > 3 ? " font-weight=\"700\"" : "");
        text(right + 18, name_y + 4, "start",
             xml_escaped(simulation_.policies[policy]) + ' ' + number(100 * ratio_of(policy, last)), more.c_str());
    }

    const Simulation& simulation_;
    double low_ = 0;
    double high_ = 1;
    double step_ = 0.1;
    std::string out_;
};

} // namespace

std::string simulation_plot(const Simulation& simulation, std::string_view title) {
    return Plot(simulation).draw(title);
}

} // namespace pillion
