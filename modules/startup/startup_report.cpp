// Blame and critical chain are those of systemd-analyze, with the difference that a chain link also waits for lanes:
// the walk goes back from the last end to whatever let a component begin, the last of its needs or the one that freed
// its lane, so that the links and their waits cover the wall time without a gap. Contention compares with what was
// learned of runs alone; it is an estimate.
#include "modules/startup/startup_report.h"

#include "modules/startup/startup_comparison.h"
#include "modules/startup/startup_simulation.h"
#include "modules/startup/startup_statistics.h"
#include "modules/startup/startup_sweep.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace pillion {

namespace {

constexpr std::size_t what_if_candidates_max = 16;
constexpr std::size_t what_ifs_max = 12;
constexpr double what_if_share_min = 0.005; // of the wall time; less is noise

using Index = StartupGraph::Index;

double to_ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }
double to_ms(double ns) { return ns / 1e6; }

class Reporter {
  public:
    Reporter(const StartupTimeline& timeline, const std::vector<StartupRecord>& earlier)
        : timeline_(timeline), earlier_(earlier), end_ns_(startup_end_ns(timeline)), sweep_(timeline) {}

    StartupReport report();

  private:
    // Unfinished ones count up to now.
    std::int64_t end_of(const StartupEntry& entry) const { return entry.finished_ns < 0 ? end_ns_ : entry.finished_ns; }
    std::int64_t own_ns(const StartupEntry& entry) const {
        return entry.started_ns < 0 ? 0 : end_of(entry) - entry.started_ns;
    }
    void add_phases();
    void add_components();
    StartupComponentTime component(const StartupEntry& entry) const;
    std::optional<Index> last_ended(bool critical_only) const;
    std::optional<Index> previous_on_lane(const StartupEntry& entry) const;
    std::vector<StartupLink> chain(std::optional<Index> last) const;
    void add_savings();
    void add_what_ifs();
    std::vector<Index> what_if_candidates() const;
    StartupMakespan simulate(std::optional<Index> changed, StartupChange change, bool is_cache_used) const;
    std::int64_t uncached_ns(Index index) const;

    const StartupTimeline& timeline_;
    const std::vector<StartupRecord>& earlier_;
    const std::int64_t end_ns_;
    const StartupSweep sweep_;
    std::unordered_map<std::string_view, Index> by_name_;
    std::unordered_map<std::string_view, std::int64_t> learned_ns_; // uncached, of those that were cached in this start
    StartupReport report_;
};

void Reporter::add_phases() {
    std::int64_t first_ns = end_ns_;
    bool has_critical = false;
    for (const StartupEntry& entry : timeline_.entries) {
        if (entry.started_ns >= 0) first_ns = std::min(first_ns, entry.started_ns);
        has_critical |= entry.is_critical;
    }
    const std::int64_t critical_ns = !has_critical                    ? first_ns
                                     : timeline_.critical_done_ns < 0 ? end_ns_
                                                                      : timeline_.critical_done_ns;
    const auto add = [this](const char* name, std::int64_t from_ns, std::int64_t to_ns) {
        if (to_ns > from_ns)
            report_.phases.push_back({name, to_ms(from_ns - timeline_.began_ns), to_ms(to_ns - from_ns)});
    };
    add("preparation", timeline_.began_ns, first_ns);
    add("critical", first_ns, critical_ns);
    add("remaining", critical_ns, end_ns_);
}

StartupComponentTime Reporter::component(const StartupEntry& entry) const {
    StartupComponentTime time{.name = entry.name,
                              .state = entry.state,
                              .critical = entry.is_critical,
                              .cached = entry.was_cached,
                              .ownMs = to_ms(own_ns(entry))};
    if (!entry.error.empty()) time.error = entry.error;
    if (entry.expected_ns) time.expectedMs = to_ms(*entry.expected_ns);
    if (entry.cpu_ns) time.cpuMs = to_ms(*entry.cpu_ns);
    const std::int64_t queued_ns = entry.queued_ns < 0 ? end_of(entry) : entry.queued_ns;
    time.dependencyWaitMs = to_ms(queued_ns - timeline_.began_ns);
    if (entry.queued_ns >= 0)
        time.laneWaitMs = to_ms((entry.started_ns < 0 ? end_of(entry) : entry.started_ns) - entry.queued_ns);
    if (entry.started_ns < 0) return time;
    time.lane = entry.lane;
    time.startedMs = to_ms(entry.started_ns - timeline_.began_ns);
    time.shareMs = to_ms(sweep_.share_ns(entry.started_ns, end_of(entry)));
    // No more than the time in which others really ran can be their doing.
    if (entry.solo_ns && !entry.was_cached && entry.state == StartupState::ready) {
        const double beside_ns =
            sweep_.running_ns(entry.started_ns, end_of(entry)) - static_cast<double>(own_ns(entry));
        const auto beyond_ns = static_cast<double>(own_ns(entry) - *entry.solo_ns);
        time.contentionMs = to_ms(std::clamp(beyond_ns, 0.0, std::max(beside_ns, 0.0)));
    }
    return time;
}

void Reporter::add_components() {
    for (const StartupEntry& entry : timeline_.entries) report_.components.push_back(component(entry));
    std::ranges::stable_sort(report_.components, std::ranges::greater{}, &StartupComponentTime::ownMs);
    report_.idleMs = to_ms(sweep_.idle_ns());
}

std::optional<Index> Reporter::last_ended(bool critical_only) const {
    std::optional<Index> last;
    for (Index index = 0; index < timeline_.entries.size(); ++index) {
        const StartupEntry& entry = timeline_.entries[index];
        if (entry.started_ns < 0 || (critical_only && !entry.is_critical)) continue;
        if (!last || std::pair(end_of(entry), entry.sequence) >
                         std::pair(end_of(timeline_.entries[*last]), timeline_.entries[*last].sequence))
            last = index;
    }
    return last;
}

std::optional<Index> Reporter::previous_on_lane(const StartupEntry& entry) const {
    std::optional<Index> previous;
    for (Index index = 0; index < timeline_.entries.size(); ++index) {
        const StartupEntry& other = timeline_.entries[index];
        if (other.started_ns < 0 || other.lane != entry.lane || other.sequence >= entry.sequence) continue;
        if (!previous || other.sequence > timeline_.entries[*previous].sequence) previous = index;
    }
    return previous;
}

std::vector<StartupLink> Reporter::chain(std::optional<Index> last) const {
    std::vector<StartupLink> links;
    for (std::optional<Index> at = last; at;) {
        const StartupEntry& entry = timeline_.entries[*at];
        std::optional<Index> before;
        StartupWait waited_for = StartupWait::none;
        for (const std::uint32_t dependency : entry.dependencies)
            if (!before || end_of(timeline_.entries[dependency]) > end_of(timeline_.entries[*before]))
                before = dependency;
        if (before) waited_for = StartupWait::dependency;
        // A lane that was free before it was needed held nobody up.
        if (const auto previous = previous_on_lane(entry))
            if (end_of(timeline_.entries[*previous]) > entry.queued_ns) {
                before = previous;
                waited_for = StartupWait::lane;
            }
        const std::int64_t from_ns = before ? end_of(timeline_.entries[*before]) : timeline_.began_ns;
        links.push_back({.name = entry.name,
                         .waitedFor = waited_for,
                         .waitMs = to_ms(entry.started_ns - from_ns),
                         .ownMs = to_ms(own_ns(entry)),
                         .cached = entry.was_cached});
        at = before;
    }
    std::ranges::reverse(links);
    return links;
}

std::int64_t Reporter::uncached_ns(Index index) const {
    const StartupEntry& entry = timeline_.entries[index];
    const auto learned = learned_ns_.find(entry.name);
    return learned == learned_ns_.end() ? own_ns(entry) : std::max(learned->second, own_ns(entry));
}

// The same policy and knowledge, with what components really took.
StartupMakespan Reporter::simulate(std::optional<Index> changed, StartupChange change, bool is_cache_used) const {
    const std::size_t count = timeline_.entries.size();
    std::vector<std::uint8_t> left_out(count, 0);
    for (Index index = 0; index < count; ++index) left_out[index] = timeline_.entries[index].started_ns < 0 ? 1 : 0;
    if (changed && change != StartupChange::faster) left_out[*changed] = 1;
    if (changed && change == StartupChange::lazy) {
        std::vector<std::vector<Index>> users(count);
        for (Index index = 0; index < count; ++index)
            for (const std::uint32_t dependency : timeline_.entries[index].dependencies)
                users[dependency].push_back(index);
        for (std::vector<Index> open{*changed}; !open.empty();) {
            const Index at = open.back();
            open.pop_back();
            for (const Index user : users[at])
                if (left_out[user] == 0) {
                    left_out[user] = 1;
                    open.push_back(user);
                }
        }
    }
    std::vector<StartupNode> nodes;
    std::vector<std::int64_t> durations;
    for (Index index = 0; index < count; ++index) {
        if (left_out[index] != 0) continue;
        const StartupEntry& entry = timeline_.entries[index];
        StartupNode node{.name = entry.name, .is_critical = entry.is_critical, .expected_ns = entry.expected_ns};
        for (const std::uint32_t dependency : entry.dependencies)
            if (left_out[dependency] == 0) node.dependencies.push_back(timeline_.entries[dependency].name);
        std::int64_t duration_ns = is_cache_used ? own_ns(entry) : uncached_ns(index);
        if (changed && *changed == index) {
            duration_ns /= 2;
            if (node.expected_ns) node.expected_ns = *node.expected_ns / 2;
        }
        nodes.push_back(std::move(node));
        durations.push_back(duration_ns);
    }
    const auto graph = StartupGraph::create(std::move(nodes));
    return graph ? simulate_startup(*graph, durations, timeline_.lanes) : StartupMakespan{};
}

void Reporter::add_savings() {
    std::unordered_set<std::string_view> cached;
    for (const StartupEntry& entry : timeline_.entries)
        if (entry.was_cached) cached.insert(entry.name);
    std::unordered_map<std::string_view, std::vector<double>> samples;
    for (std::size_t start = earlier_.size(); !cached.empty() && start-- > 0;)
        for (const StartupSample& sample : earlier_[start].samples)
            if (!sample.was_cached && cached.contains(sample.name) &&
                samples[sample.name].size() < StartupHistory::recent_max)
                samples[sample.name].push_back(static_cast<double>(sample.own_ns));
    for (auto& [name, values] : samples) learned_ns_[name] = static_cast<std::int64_t>(median_of(std::move(values)));

    std::int64_t serial_ns = 0;
    std::int64_t cache_work_ns = 0;
    std::vector<StartupNode> nodes;
    for (Index index = 0; index < timeline_.entries.size(); ++index) {
        const StartupEntry& entry = timeline_.entries[index];
        serial_ns += own_ns(entry);
        if (entry.was_cached) cache_work_ns += uncached_ns(index) - own_ns(entry);
        StartupNode node{.name = entry.name, .expected_ns = own_ns(entry)};
        for (const std::uint32_t dependency : entry.dependencies)
            node.dependencies.push_back(timeline_.entries[dependency].name);
        nodes.push_back(std::move(node));
    }
    StartupSavings& saved = report_.saved;
    saved.serialMs = to_ms(serial_ns);
    saved.parallelismMs = saved.serialMs - report_.wallMs;
    saved.cacheWorkMs = to_ms(cache_work_ns);
    if (cache_work_ns > 0) saved.cacheMs = to_ms(simulate({}, {}, false).total_ns - simulate({}, {}, true).total_ns);
    if (const auto graph = StartupGraph::create(std::move(nodes)))
        saved.lowerBoundMs = to_ms(graph->lower_bound_ns(timeline_.lanes));
}

// What the end waited for, and what took longest: nothing else can save much.
std::vector<Index> Reporter::what_if_candidates() const {
    std::vector<Index> candidates;
    const auto add = [&](const std::string& name) {
        const Index index = by_name_.at(name);
        if (candidates.size() < what_if_candidates_max && std::ranges::find(candidates, index) == candidates.end())
            candidates.push_back(index);
    };
    std::vector<StartupLink> links = report_.criticalChain;
    links.insert(links.end(), report_.readyChain.begin(), report_.readyChain.end());
    std::ranges::stable_sort(links, std::ranges::greater{}, &StartupLink::ownMs);
    for (const StartupLink& link : links) add(link.name);
    for (const StartupComponentTime& time : report_.components)
        if (time.lane) add(time.name);
    return candidates;
}

void Reporter::add_what_ifs() {
    const StartupMakespan now = simulate({}, {}, true);
    for (const Index candidate : what_if_candidates())
        for (const StartupChange change : {StartupChange::lazy, StartupChange::faster, StartupChange::dropped}) {
            const StartupMakespan then = simulate(candidate, change, true);
            const StartupWhatIf what_if{.name = timeline_.entries[candidate].name,
                                        .change = change,
                                        .totalSavedMs = to_ms(now.total_ns - then.total_ns),
                                        .criticalSavedMs = to_ms(now.critical_ns - then.critical_ns)};
            if (std::max(what_if.totalSavedMs, what_if.criticalSavedMs) >= what_if_share_min * report_.wallMs)
                report_.whatIf.push_back(what_if);
        }
    std::ranges::stable_sort(report_.whatIf, std::ranges::greater{}, [](const StartupWhatIf& what_if) {
        return what_if.totalSavedMs + what_if.criticalSavedMs;
    });
    if (report_.whatIf.size() > what_ifs_max) report_.whatIf.resize(what_ifs_max);
}

StartupReport Reporter::report() {
    for (Index index = 0; index < timeline_.entries.size(); ++index) by_name_[timeline_.entries[index].name] = index;
    report_.at = timeline_.wall_ms;
    report_.verdict = timeline_.verdict;
    if (!timeline_.error.empty()) report_.error = timeline_.error;
    report_.lanes = timeline_.lanes;
    report_.wallMs = to_ms(end_ns_ - timeline_.began_ns);
    for (const StartupMark& mark : timeline_.marks)
        report_.marks.push_back({mark.name, to_ms(mark.at_ns - timeline_.began_ns)});
    add_phases();
    add_components();
    const std::optional<Index> last = last_ended(false);
    report_.criticalChain = chain(last);
    report_.tailMs = to_ms(end_ns_ - (last ? end_of(timeline_.entries[*last]) : timeline_.began_ns));
    if (timeline_.critical_done_ns > timeline_.began_ns) report_.readyChain = chain(last_ended(true));
    add_savings();
    if (timeline_.is_done() && timeline_.verdict != StartupVerdict::failed) add_what_ifs();
    report_.comparison = compare_startup(timeline_, earlier_);
    return std::move(report_);
}

} // namespace

StartupReport startup_report(const StartupTimeline& timeline, const std::vector<StartupRecord>& earlier) {
    return Reporter(timeline, earlier).report();
}

} // namespace pillion
