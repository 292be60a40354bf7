#include "modules/profiler/stack_profile.h"

#include <algorithm>
#include <map>

namespace pillion {

namespace {

// A name as a frame of a folded line: the format knows two characters of its own.
void append_frame(std::string& line, std::string_view name) {
    for (const char c : name) line += c == ';' ? ':' : static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
}

} // namespace

std::vector<HotFunction> hot_functions(const StackProfile& profile, std::string_view thread) {
    std::vector<HotFunction> all(profile.functions.size());
    for (std::uint32_t i = 0; i < all.size(); ++i) all[i].function = i;
    std::vector<std::uint32_t> seen;
    for (const ProfiledStack& stack : profile.stacks) {
        if (stack.frames.empty() || (!thread.empty() && profile.threads[stack.thread].name != thread)) continue;
        all[stack.frames.back()].self += stack.samples;
        all[stack.frames.back()].self_allocated += stack.allocated;
        seen = stack.frames;
        std::sort(seen.begin(), seen.end());
        seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
        for (const std::uint32_t function : seen) {
            all[function].total += stack.samples;
            all[function].total_allocated += stack.allocated;
        }
    }
    std::erase_if(all, [](const HotFunction& function) { return function.total == 0; });
    std::sort(all.begin(), all.end(), [&](const HotFunction& a, const HotFunction& b) {
        if (a.self_allocated.bytes != b.self_allocated.bytes) return a.self_allocated.bytes > b.self_allocated.bytes;
        if (a.total_allocated.bytes != b.total_allocated.bytes)
            return a.total_allocated.bytes > b.total_allocated.bytes;
        if (a.self != b.self) return a.self > b.self;
        if (a.total != b.total) return a.total > b.total;
        return profile.functions[a.function].name < profile.functions[b.function].name;
    });
    return all;
}

std::string folded_stacks(const StackProfile& profile, StackMeasure measure) {
    std::map<std::string, std::uint64_t> lines; // threads of one name are one line
    for (const ProfiledStack& stack : profile.stacks) {
        const std::uint64_t weight = stack.weight(measure);
        if (weight == 0) continue;
        std::string line;
        append_frame(line, profile.threads[stack.thread].name);
        for (const std::uint32_t frame : stack.frames) {
            line += ';';
            append_frame(line, profile.functions[frame].name);
        }
        lines[line] += weight;
    }
    std::string text;
    for (const auto& [line, weight] : lines) text += line + ' ' + std::to_string(weight) + '\n';
    return text;
}

} // namespace pillion
