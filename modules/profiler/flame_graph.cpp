// The flame graph of Brendan Gregg: one box a function, as wide as the samples it or what it called was seen in (or the
// bytes it allocated), standing on its caller; siblings are merged and sorted by name, so left to right means nothing.
// The second row is the threads' names. The hue tells the module: warm for the program itself, green for libraries,
// grey for threads; a function keeps its shade from graph to graph, because it is a hash of its name.
#include "modules/profiler/flame_graph.h"

#include "ipc/base/number_text.h"
#include "ipc/base/xml.h"

#include <algorithm>
#include <map>
#include <memory>

namespace pillion {

namespace {

constexpr double width = 1200, margin = 10, row = 17, head = 66, foot = 14;
constexpr double character_width = 6.7; // of 11 px monospace, and a little
constexpr double narrowest = 0.3;       // boxes that nobody could see are left out

// For whoever opens the file in a browser; as an image it stays as it is drawn. A click makes a box as wide as the
// page, with what stands on it; the boxes below it are paler. Boxes that hold a word are counted once: not those within
// one that holds it too. What is shown comes from the titles, as text.
constexpr const char* script = R"js(<script><![CDATA[
(function () {
  const all = [...document.querySelectorAll("g.b")].map((g) => {
    const rect = g.querySelector("rect"), title = g.querySelector("title").textContent;
    const at = (name) => Number(rect.getAttribute(name));
    const name = title.slice(0, title.lastIndexOf("\n"));
    return {g, rect, name, x: at("x"), w: at("width") + 0.5, y: at("y"), fill: rect.getAttribute("fill")};
  });
  const root = all[0], near = 0.15, found = document.getElementById("found");
  let zoomed = root, word = "";
  function place(box, x, w) {
    box.rect.setAttribute("x", x);
    box.rect.setAttribute("width", Math.max(w - 0.5, 0.3));
    let text = box.g.querySelector("text");
    const room = Math.floor((w - 7) / 6.7);
    if (!text && room >= 3) {
      text = box.g.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "text"));
      text.setAttribute("y", box.y + 12);
    }
    if (!text) return;
    text.setAttribute("x", x + 3);
    text.textContent = room < 3 ? "" : box.name.length <= room ? box.name : box.name.slice(0, room - 2) + "..";
  }
  function zoom(to) {
    zoomed = to;
    const factor = root.w / to.w, end = to.x + to.w;
    for (const box of all) {
      const below = box.y > to.y && box.x <= to.x + near && box.x + box.w >= end - near;
      const above = box.y <= to.y && box.x >= to.x - near && box.x + box.w <= end + near;
      box.g.style.display = below || above ? "" : "none";
      box.g.style.opacity = below ? 0.5 : 1;
      if (below) place(box, root.x, root.w);
      else if (above) place(box, root.x + (box.x - to.x) * factor, box.w * factor);
    }
  }
  function search(wanted) {
    word = wanted;
    let covered = 0;
    const spans = [];
    for (const box of all) {
      const holds = word !== "" && box.name.toLowerCase().includes(word.toLowerCase());
      box.rect.setAttribute("fill", holds ? "#a855f7" : box.fill);
      if (!holds || spans.some(([from, to]) => box.x >= from - near && box.x + box.w <= to + near)) continue;
      spans.push([box.x, box.x + box.w]);
      covered += box.w;
    }
    found.textContent = word === "" ? "search (/)" : word + ": " + (100 * covered / root.w).toFixed(1) + " %";
  }
  function ask() {
    const wanted = prompt("Functions whose names hold", word);
    if (wanted !== null) search(wanted);
  }
  for (const box of all) box.g.addEventListener("click", () => zoom(box === zoomed ? root : box));
  found.addEventListener("click", ask);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      zoom(root);
      search("");
    }
    if (event.key === "/") {
      event.preventDefault();
      ask();
    }
  });
  search("");
})();
]]></script>
)js";

enum class Hue : std::uint8_t { plain, own, library };

struct Box {
    std::uint64_t weight = 0;
    std::uint64_t self = 0;
    Hue hue = Hue::plain;
    std::map<std::string, std::unique_ptr<Box>, std::less<>> above;

    Box& child(const std::string& name, Hue its_hue) {
        auto& slot = above[name];
        if (!slot) slot = std::make_unique<Box>();
        slot->hue = its_hue;
        return *slot;
    }
};

std::string decimal(double number) { return formatted("%.1f", number); }

std::string colour(std::string_view name, Hue hue) {
    if (hue == Hue::plain) return "#c9ccd1";
    std::uint32_t hash = 2166136261u; // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    const unsigned tone = hash % 32, light = hash / 32 % 10;
    const std::string degrees = std::to_string(hue == Hue::own ? 14 + tone : 90 + tone * 2);
    return "hsl(" + degrees + (hue == Hue::own ? ",85%," : ",38%,") + std::to_string(62 + light) + "%)";
}

class Drawing {
  public:
    Drawing(const StackProfile& profile, StackMeasure measure) : profile_(profile), measure_(measure) {
        for (const ProfiledStack& stack : profile.stacks) add(stack);
    }

    std::string draw() {
        const double pixels = (width - 2 * margin) / static_cast<double>(std::max<std::uint64_t>(1, root_.weight));
        height_ = head + row * static_cast<double>(depth_of(root_, pixels)) + foot;
        begin();
        draw_box("all", root_, margin, 0, pixels);
        svg_ += std::string(script) + "</svg>\n";
        return std::move(svg_);
    }

  private:
    void add(const ProfiledStack& stack) {
        const std::uint64_t weight = stack.weight(measure_);
        if (weight == 0) return;
        const std::string_view program = own_module();
        root_.weight += weight;
        Box* box = &root_.child(profile_.threads[stack.thread].name, Hue::plain);
        box->weight += weight;
        for (const std::uint32_t frame : stack.frames) {
            const ProfiledFunction& function = profile_.functions[frame];
            const Hue hue = function.module.empty() ? Hue::plain : function.module == program ? Hue::own : Hue::library;
            box = &box->child(function.name, hue);
            box->weight += weight;
        }
        box->self += weight;
    }

    // A library is called *.so or *.so.N.
    std::string_view own_module() const {
        for (const ProfiledFunction& function : profile_.functions)
            if (!function.module.empty() && function.module.find(".so") == std::string::npos) return function.module;
        return {};
    }

    static std::size_t depth_of(const Box& box, double pixels) {
        std::size_t deepest = 0;
        for (const auto& [name, above] : box.above)
            if (static_cast<double>(above->weight) * pixels >= narrowest)
                deepest = std::max(deepest, depth_of(*above, pixels));
        return deepest + 1;
    }

    std::string share(std::uint64_t weight) const {
        return decimal(100.0 * static_cast<double>(weight) /
                       static_cast<double>(std::max<std::uint64_t>(1, root_.weight))) +
               " %";
    }

    std::string title() const {
        if (measure_ == StackMeasure::samples) return "Flame graph: where processor time went";
        return measure_ == StackMeasure::live_bytes ? "Flame graph: where memory still in use was allocated"
                                                    : "Flame graph: where memory was allocated";
    }

    std::string amount(std::uint64_t weight) const {
        return std::to_string(weight) + (measure_ == StackMeasure::samples ? " samples" : " bytes");
    }

    std::string time(std::uint64_t weight) const {
        return measure_ == StackMeasure::samples ? ", " + decimal(profile_.cpu_ms(weight)) + " ms" : std::string();
    }

    static std::string mebibytes(double bytes) { return decimal(bytes / (1 << 20)) + " MiB"; }

    std::string allocation_summary() const {
        return mebibytes(profile_.allocated.bytes) + " allocated in " +
               decimal(static_cast<double>(profile_.recorded_ms) / 1000) + " s, " +
               mebibytes(profile_.allocated.live_bytes) + " of it still in use; estimates from " +
               std::to_string(profile_.samples) + " samples, one each " + std::to_string(profile_.interval_bytes) +
               " bytes";
    }

    std::string summary() const {
        std::string text = measure_ != StackMeasure::samples
                               ? allocation_summary()
                               : std::to_string(root_.weight) + " samples at " + std::to_string(profile_.hz) +
                                     " Hz in " + decimal(static_cast<double>(profile_.recorded_ms) / 1000) +
                                     " s: " + decimal(profile_.cpu_ms(root_.weight)) + " ms of processor time, " +
                                     std::to_string(profile_.threads.size()) +
                                     (profile_.threads.size() == 1 ? " thread" : " threads");
        if (profile_.dropped > 0) text += "; " + std::to_string(profile_.dropped) + " samples found no room";
        return text;
    }

    void begin() {
        const std::string w = decimal(width), h = decimal(height_);
        svg_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w +
               "\" height=\"" + h + "\" viewBox=\"0 0 " + w + " " + h +
               "\" role=\"img\" aria-label=\"Flame graph\">\n" +
               "<style>text{font:11px ui-monospace,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#1b1d20}"
               ".t{font:600 17px system-ui,sans-serif}.s{font:12px system-ui,sans-serif;fill:#5a5f66}"
               "svg{max-width:100%;height:auto}.b,.k{cursor:pointer}.b text{pointer-events:none}"
               "g:hover rect{stroke:#1b1d20;stroke-width:1}</style>\n"
               "<rect width=\"100%\" height=\"100%\" fill=\"#fbfaf8\"/>\n"
               "<text class=\"t\" x=\"10\" y=\"26\">" +
               title() +
               "</text>\n"
               "<text class=\"s\" x=\"10\" y=\"46\">" +
               xml_escaped(summary()) +
               "</text>\n<text class=\"s\" x=\"1190\" y=\"26\" text-anchor=\"end\">orange: the program, green: "
               "libraries</text>\n<text class=\"s k\" id=\"found\" x=\"1190\" y=\"46\" text-anchor=\"end\"></text>\n";
    }

    void draw_box(const std::string& name, const Box& box, double x, std::size_t level, double pixels) {
        const double box_width = static_cast<double>(box.weight) * pixels;
        if (box_width < narrowest) return;
        const double y = height_ - foot - row * static_cast<double>(level + 1);
        svg_ += "<g class=\"b\"><title>" + xml_escaped(name) + "\n" + amount(box.weight) + ", " + share(box.weight) +
                time(box.weight) + "; itself " + share(box.self) + "</title><rect x=\"" + formatted("%.3f", x) +
                "\" y=\"" + decimal(y) + "\" width=\"" + formatted("%.3f", std::max(box_width - 0.5, narrowest)) +
                "\" height=\"" + decimal(row - 1) + "\" rx=\"1.5\" fill=\"" + colour(name, box.hue) + "\"/>";
        const auto room = static_cast<std::size_t>(std::max(0.0, (box_width - 7) / character_width));
        if (room >= 3) {
            const std::string label = name.size() <= room ? name : name.substr(0, room - 2) + "..";
            svg_ +=
                "<text x=\"" + decimal(x + 3) + "\" y=\"" + decimal(y + 12) + "\">" + xml_escaped(label) + "</text>";
        }
        svg_ += "</g>\n";
        for (const auto& [child_name, child] : box.above) {
            draw_box(child_name, *child, x, level + 1, pixels);
            x += static_cast<double>(child->weight) * pixels;
        }
    }

    const StackProfile& profile_;
    const StackMeasure measure_;
    Box root_;
    double height_ = 0;
    std::string svg_;
};

} // namespace

std::string flame_graph(const StackProfile& profile, StackMeasure measure) { return Drawing(profile, measure).draw(); }

} // namespace pillion
