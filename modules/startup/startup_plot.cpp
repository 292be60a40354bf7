// A row for each component: thin while it waits, solid while it runs. What the end waited for is dark and joined by a
// line. Ticks are 1, 2 or 5 times a power of ten. Widths of text are estimated on the generous side, because whoever
// shows the chart has fonts of their own.
#include "modules/startup/startup_plot.h"

#include "ipc/base/number_text.h"
#include "ipc/base/xml.h"
#include "modules/startup/startup_sweep.h"
#include "modules/startup/startup_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <unordered_map>
#include <vector>

namespace pillion {

namespace {

constexpr double margin = 16;
constexpr double plot_width_min = 560;
constexpr double title_height = 74; // title, summary and legend
constexpr double label_height = 15; // a line of labels of marks
constexpr double axis_height = 20;
constexpr std::size_t roomy_rows_max = 80; // more are drawn closer together

constexpr const char* style = R"(
text{font-family:system-ui,"Noto Sans","Noto Sans CJK SC","DejaVu Sans",sans-serif;fill:#1f2937}
.title{font-size:17px;font-weight:600}.note{font-size:12px;fill:#4b5563}.note,.grey,.red{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}.tick{font-size:11px;fill:#6b7280}
.grid{stroke:#e5e7eb;stroke-width:1}.odd{fill:#f8fafc}
.needs{stroke:#cbd5e1;stroke-width:1.5}.lane{stroke:#f59e0b;stroke-width:3}
.own{fill:#93b4e0}.chain{fill:#1d4ed8}.failed{fill:#dc2626}.active{fill:#a7f3d0;stroke:#059669}
.hatch{fill:url(#hatch)}.skip{stroke:#9ca3af;stroke-width:1.5}.grey{fill:#9ca3af}.red{fill:#b91c1c}
.strong{font-weight:600}.link{fill:none;stroke:#1e3a8a;stroke-width:1.2}
.mark{stroke:#7c3aed;stroke-width:1.2;stroke-dasharray:4 3}.marktext{font-size:11px;fill:#6d28d9}
.done{stroke:#047857;stroke-width:1.2}.donetext{font-size:11px;fill:#047857}
)";

std::string number(double value) { return formatted("%.1f", value); }

// A vertical line with its label.
struct Sign {
    std::string label;
    double at_ms;
    const char* line_class;
    const char* text_class;
    std::size_t level = 0; // the line of labels it stands on
};

class Plot {
  public:
    Plot(const StartupTimeline& timeline, const StartupReport& report, const StartupPlotOptions& options);
    std::string draw();

  private:
    double text_width(std::string_view text, double size) const {
        return static_cast<double>(columns_of(text)) * size * 0.64;
    }
    double x(double ms) const { return left_ + ms / span_ms_ * plot_width_; }
    double x_of(std::int64_t ns) const { return x(static_cast<double>(ns - timeline_.began_ns) / 1e6); }
    double row_top(std::size_t row) const { return top_ + static_cast<double>(row) * row_height_; }
    double bottom() const { return row_top(rows_.size()); }
    const char* bar_class(std::size_t entry) const;
    std::string label_of(const StartupEntry& entry) const;
    void sort_rows();
    void measure(const StartupPlotOptions& options);
    void place_signs();
    void head();
    void legend(double y);
    void grid();
    void row(std::size_t row);
    void bar(const StartupEntry& entry, const char* name, double y, double height);
    void links();
    void signs();

    void line(const char* name, double x1, double y1, double x2, double y2) {
        out_ += "<line class=\"" + std::string(name) + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" +
                number(x2) + "\" y2=\"" + number(y2) + "\"/>\n";
    }
    void rect(const std::string& name, double left, double y, double width, double height, double radius) {
        out_ += "<rect class=\"" + name + "\" x=\"" + number(left) + "\" y=\"" + number(y) + "\" width=\"" +
                number(width) + "\" height=\"" + number(height) + "\" rx=\"" + number(radius) + "\"/>\n";
    }
    void text(const std::string& name, double left, double y, const char* anchor, std::string_view words,
              double size = 0) {
        out_ += "<text class=\"" + name + "\" x=\"" + number(left) + "\" y=\"" + number(y) + "\" text-anchor=\"" +
                anchor + "\"";
        if (size > 0) out_ += " style=\"font-size:" + number(size) + "px\"";
        out_ += ">" + xml_escaped(words) + "</text>\n";
    }

    const StartupTimeline& timeline_;
    const StartupReport& report_;
    const std::int64_t end_ns_;
    std::vector<std::uint32_t> rows_;       // entries
    std::vector<std::size_t> row_of_;       // of each entry
    std::vector<std::uint8_t> is_on_chain_; // of each entry
    std::vector<std::uint32_t> chain_;      // entries
    std::vector<Sign> signs_;
    double span_ms_ = 1;
    double left_ = 0, top_ = 0, plot_width_ = 0, width_ = 0;
    double row_height_ = 22, font_ = 12;
    std::string out_;
};

Plot::Plot(const StartupTimeline& timeline, const StartupReport& report, const StartupPlotOptions& options)
    : timeline_(timeline), report_(report), end_ns_(startup_end_ns(timeline)) {
    sort_rows();
    measure(options);
    place_signs();
}

void Plot::sort_rows() {
    rows_.resize(timeline_.entries.size());
    std::iota(rows_.begin(), rows_.end(), 0u);
    std::ranges::stable_sort(rows_, {}, [this](std::uint32_t index) {
        const StartupEntry& entry = timeline_.entries[index];
        return entry.sequence == 0 ? ~0u : entry.sequence;
    });
    row_of_.resize(rows_.size());
    std::unordered_map<std::string_view, std::uint32_t> by_name;
    for (std::size_t at = 0; at < rows_.size(); ++at) {
        row_of_[rows_[at]] = at;
        by_name[timeline_.entries[rows_[at]].name] = rows_[at];
    }
    is_on_chain_.assign(rows_.size(), 0);
    for (const StartupLink& link : report_.criticalChain)
        if (const auto found = by_name.find(link.name); found != by_name.end()) {
            chain_.push_back(found->second);
            is_on_chain_[found->second] = 1;
        }
}

void Plot::measure(const StartupPlotOptions& options) {
    if (rows_.size() > roomy_rows_max) {
        row_height_ = 15;
        font_ = 10.5;
    }
    double names = 40;
    double labels = 60; // room right of the bars
    for (const StartupEntry& entry : timeline_.entries) {
        names = std::max(names, text_width(entry.name, font_) * 1.08);
        labels = std::max(labels, std::min(text_width(label_of(entry), font_), 260.0));
    }
    left_ = margin + names + 10;
    plot_width_ = std::max(plot_width_min, static_cast<double>(options.width) - left_ - labels - margin);
    width_ = left_ + plot_width_ + labels + margin;
    span_ms_ = report_.wallMs;
    for (const StartupMarkTime& mark : report_.marks) span_ms_ = std::max(span_ms_, mark.atMs);
    if (span_ms_ <= 0) span_ms_ = 1;
}

// Labels that would touch go to different lines.
void Plot::place_signs() {
    if (timeline_.critical_done_ns > timeline_.began_ns)
        signs_.push_back({"critical ready", static_cast<double>(timeline_.critical_done_ns - timeline_.began_ns) / 1e6,
                          "done", "donetext"});
    if (timeline_.is_done()) signs_.push_back({"end", report_.wallMs, "done", "donetext"});
    for (const StartupMarkTime& mark : report_.marks) signs_.push_back({mark.name, mark.atMs, "mark", "marktext"});
    std::ranges::stable_sort(signs_, {}, &Sign::at_ms);
    std::vector<double> ends;
    for (Sign& sign : signs_) {
        sign.label += " " + duration_text(sign.at_ms);
        const double width = text_width(sign.label, 11) + 12;
        // Flush right where it would leave the picture.
        const double begin = std::max(0.0, std::min(x(sign.at_ms), width_ - margin - width));
        while (sign.level < ends.size() && ends[sign.level] > begin) ++sign.level;
        if (sign.level == ends.size()) ends.push_back(0);
        ends[sign.level] = begin + width;
        width_ = std::max(width_, begin + width);
    }
    top_ = title_height + static_cast<double>(ends.size()) * label_height + axis_height;
}

std::string Plot::label_of(const StartupEntry& entry) const {
    const auto shortened = [](const std::string& reason) {
        // By letters, not bytes.
        std::size_t cut = 0;
        for (std::size_t letters = 0; cut < reason.size() && letters < 48; ++letters) {
            ++cut;
            while (cut < reason.size() && (static_cast<unsigned char>(reason[cut]) & 0xC0) == 0x80) ++cut;
        }
        return cut < reason.size() ? reason.substr(0, cut) + "…" : reason;
    };
    switch (entry.state) {
    case StartupState::waiting:
        return "waiting";
    case StartupState::queued:
        return "waiting for a lane";
    case StartupState::skipped:
        return shortened(entry.error);
    default:
        break;
    }
    const std::int64_t until_ns = entry.finished_ns < 0 ? end_ns_ : entry.finished_ns;
    std::string label = duration_text(static_cast<double>(until_ns - entry.started_ns) / 1e6);
    if (entry.was_cached) label += " cached";
    if (entry.state == StartupState::running) label += " …";
    if (entry.state == StartupState::failed) label += " failed";
    if (entry.state == StartupState::timedOut) label += " timed out";
    return label;
}

const char* Plot::bar_class(std::size_t entry) const {
    switch (timeline_.entries[entry].state) {
    case StartupState::failed:
    case StartupState::timedOut:
        return "failed";
    case StartupState::running:
        return "active";
    default:
        return is_on_chain_[entry] != 0 ? "chain" : "own";
    }
}

void Plot::head() {
    constexpr const char* verdicts[] = {"running", "ready", "ready in part", "failed"};
    text("title", margin, 27, "start",
         "Start: " + duration_text(report_.wallMs) + ", " + verdicts[static_cast<std::size_t>(report_.verdict)]);
    std::string note = std::to_string(rows_.size()) + " components on " + std::to_string(report_.lanes) +
                       " lanes; one after another " + duration_text(report_.saved.serialMs);
    if (report_.saved.parallelismMs > 0) note += ", parallel start saved " + duration_text(report_.saved.parallelismMs);
    if (report_.saved.cacheWorkMs > 0) note += ", cached results saved " + duration_text(report_.saved.cacheMs);
    text("note", margin, 46, "start", note);
    legend(64);
}

void Plot::legend(double y) {
    double at = margin;
    const auto item = [&](const char* words, auto draw) {
        draw(at);
        text("tick", at + 27, y, "start", words);
        at += 27 + text_width(words, 11) + 14;
    };
    const auto box = [&](const char* name, bool is_hatched = false) {
        return [this, y, name, is_hatched](double left) {
            rect(name, left, y - 9, 22, 10, 2);
            if (is_hatched) rect("hatch", left, y - 9, 22, 10, 2);
        };
    };
    item("the end waited for this", box("chain"));
    item("own time", box("own"));
    item("cached result", box("own", true));
    item("failed", box("failed"));
    item("waits for needs", [&](double left) { line("needs", left, y - 4, left + 22, y - 4); });
    item("waits for a lane", [&](double left) { line("lane", left, y - 4, left + 22, y - 4); });
}

void Plot::grid() {
    for (std::size_t row = 1; row < rows_.size(); row += 2)
        rect("odd", margin / 2, row_top(row), width_ - margin, row_height_, 0);
    const double wanted = span_ms_ / std::max(4.0, plot_width_ / 110);
    const double power = std::pow(10, std::floor(std::log10(wanted)));
    const double step = power * (wanted / power <= 1 ? 1 : wanted / power <= 2 ? 2 : wanted / power <= 5 ? 5 : 10);
    const bool in_seconds = span_ms_ >= 5000;
    for (int tick = 0; tick * step <= span_ms_ * 1.0001; ++tick) {
        const double ms = tick * step;
        char label[32];
        std::snprintf(label, sizeof label, in_seconds ? "%.10g s" : "%.10g ms", in_seconds ? ms / 1000 : ms);
        line("grid", x(ms), top_ - 3, x(ms), bottom() + 3);
        text("tick", x(ms), top_ - 7, "middle", label);
        text("tick", x(ms), bottom() + 15, "middle", label);
    }
}

void Plot::bar(const StartupEntry& entry, const char* name, double y, double height) {
    const std::int64_t until_ns = entry.finished_ns < 0 ? end_ns_ : entry.finished_ns;
    const double begin = x_of(entry.started_ns);
    const double width = std::max(x_of(until_ns) - begin, 1.5);
    rect(name, begin, y - height / 2, width, height, 2);
    if (entry.was_cached) rect("hatch", begin, y - height / 2, width, height, 2);
}

void Plot::row(std::size_t at) {
    const StartupEntry& entry = timeline_.entries[rows_[at]];
    const double y = row_top(at) + row_height_ / 2;
    const std::int64_t until_ns = entry.finished_ns < 0 ? end_ns_ : entry.finished_ns;
    const std::int64_t queued_ns = entry.queued_ns < 0 ? until_ns : entry.queued_ns;
    std::string tip = entry.name + ": " + label_of(entry);
    if (entry.lane >= 0) tip += ", lane " + std::to_string(entry.lane + 1);
    if (entry.is_critical) tip += ", critical";
    if (!entry.error.empty()) tip += "\n" + entry.error;
    out_ += "<g><title>" + xml_escaped(tip) + "</title>\n";
    const bool is_skipped = entry.state == StartupState::skipped;
    const bool has_failed = entry.state == StartupState::failed || entry.state == StartupState::timedOut;
    const std::string name_class = std::string(is_skipped   ? "grey"
                                               : has_failed ? "red"
                                                            : "") +
                                   (is_on_chain_[rows_[at]] != 0 ? " strong" : "");
    text(name_class, left_ - 8, y + font_ * 0.36, "end", entry.name, font_);
    if (queued_ns > timeline_.began_ns) line(is_skipped ? "skip" : "needs", x(0), y, x_of(queued_ns), y);
    double label_x = x_of(until_ns);
    if (entry.queued_ns >= 0) {
        const std::int64_t began_ns = entry.started_ns < 0 ? until_ns : entry.started_ns;
        if (x_of(began_ns) - x_of(queued_ns) > 0.5) line("lane", x_of(queued_ns), y, x_of(began_ns), y);
    }
    if (entry.started_ns >= 0) {
        bar(entry, bar_class(rows_[at]), y, row_height_ - 7);
        label_x = std::max(label_x, x_of(entry.started_ns) + 1.5);
    } else if (is_skipped) {
        line("skip", label_x - 3.5, y - 3.5, label_x + 3.5, y + 3.5);
        line("skip", label_x - 3.5, y + 3.5, label_x + 3.5, y - 3.5);
    }
    text(is_skipped   ? "grey"
         : has_failed ? "red"
                      : "note",
         label_x + 6, y + font_ * 0.34, "start", label_of(entry), font_ - 1);
    out_ += "</g>\n";
}

void Plot::links() {
    for (std::size_t at = 1; at < chain_.size(); ++at) {
        const StartupEntry& before = timeline_.entries[chain_[at - 1]];
        const StartupEntry& after = timeline_.entries[chain_[at]];
        const double from = x_of(before.finished_ns < 0 ? end_ns_ : before.finished_ns);
        const double from_y = row_top(row_of_[chain_[at - 1]]) + row_height_ / 2;
        const double to_y = row_top(row_of_[chain_[at]]) + row_height_ / 2;
        out_ += "<path class=\"link\" d=\"M" + number(from) + " " + number(from_y) + " V" + number(to_y) + " H" +
                number(x_of(after.started_ns)) + "\"/>\n";
    }
}

void Plot::signs() {
    for (const Sign& sign : signs_) {
        const double y = title_height + static_cast<double>(sign.level) * label_height + 9;
        const double width = text_width(sign.label, 11) + 12;
        const double begin = std::max(0.0, std::min(x(sign.at_ms), width_ - margin - width));
        line(sign.line_class, x(sign.at_ms), y + 3, x(sign.at_ms), bottom() + 3);
        text(sign.text_class, begin + 3, y, "start", sign.label);
    }
}

std::string Plot::draw() {
    const double height = bottom() + 30;
    out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(width_) + "\" height=\"" + number(height) +
           "\" viewBox=\"0 0 " + number(width_) + " " + number(height) + "\">\n<style>" + style +
           "</style>\n<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
           "patternTransform=\"rotate(45)\"><rect width=\"2.5\" height=\"6\" fill=\"#fff\" "
           "fill-opacity=\"0.75\"/></pattern></defs>\n"
           "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    head();
    grid();
    signs();
    links();
    for (std::size_t at = 0; at < rows_.size(); ++at) row(at);
    out_ += "</svg>\n";
    return std::move(out_);
}

} // namespace

std::string startup_plot(const StartupTimeline& timeline, const StartupReport& report,
                         const StartupPlotOptions& options) {
    return Plot(timeline, report, options).draw();
}

} // namespace pillion
