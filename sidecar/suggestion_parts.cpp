#include "sidecar/suggestion_parts.h"

#include "sidecar/machine_load.h"
#include "sidecar/owner.h"

#include <charconv>
#include <sstream>

namespace pillion {

namespace {

using Settings = std::map<std::string, std::string>;

std::int64_t integer_of(const std::string& text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::string name_in(const std::string& target) { return target.substr(target.find(' ') + 1); }

std::optional<EvictionPolicy> eviction_of(std::string_view name) {
    const auto& names = wire::Described<EvictionPolicy>::enumerators;
    for (std::size_t i = 0; i < std::size(names); ++i)
        if (names[i] == name) return static_cast<EvictionPolicy>(i);
    return {};
}

CacheNamespaceSpec spec_of(const Settings& settings) {
    CacheNamespaceSpec spec;
    for (const auto& [key, value] : settings) {
        if (key == "eviction") spec.eviction = eviction_of(value);
        if (key == "maxBytes") spec.maxBytes = integer_of(value);
        if (key == "ttlMs") spec.ttlMs = integer_of(value);
        if (key == "compressAboveBytes") spec.compressAboveBytes = integer_of(value);
    }
    return spec;
}

std::string setting_now(const CachePolicy& policy, const std::string& key) {
    if (key == "eviction")
        return std::string(wire::Described<EvictionPolicy>::enumerators[static_cast<std::size_t>(policy.eviction)]);
    return std::to_string(key == "maxBytes" ? policy.maxBytes
                          : key == "ttlMs"  ? policy.ttlMs
                                            : policy.compressAboveBytes);
}

// For each setting what it is now and what it is to be, a line: "maxBytes=300000 600000".
std::string settings_change(const CachePolicy& policy, const Settings& wanted) {
    std::string lines;
    for (const auto& [key, value] : wanted) lines += key + "=" + setting_now(policy, key) + " " + value + "\n";
    return lines;
}

// The settings that take it back, less those that somebody else has set meanwhile.
Settings settings_back(const CachePolicy& policy, const Settings& change) {
    Settings back;
    for (const auto& [key, values] : change) {
        const std::size_t space = values.find(' ');
        if (setting_now(policy, key) == values.substr(space + 1)) back[key] = values.substr(0, space);
    }
    return back;
}

Settings read_settings(const std::string& lines) {
    Settings settings;
    std::istringstream in(lines);
    for (std::string line; std::getline(in, line);)
        if (const std::size_t equals = line.find('='); equals != std::string::npos)
            settings[line.substr(0, equals)] = line.substr(equals + 1);
    return settings;
}

Error gone(const std::string& what) { return {.code = ErrorCode::unavailable, .message = what + " is not in use"}; }

Store& with_tables(Store& state) {
    Suggestions::add_schema(state);
    return state;
}

} // namespace

SuggestionParts::SuggestionParts(const Host& host, const SuggestionsConfig& config)
    : host_(host), suggestions_(suggestions_host()) {
    suggestions_.configure(config);
    add_cache_actions();
    add_other_actions();
    add_worker_action();
    add_backend_actions();
}

Suggestions::Host SuggestionParts::suggestions_host() {
    MetricsParts& series = host_.series.get();
    return {.clock = host_.clock,
            .timers = host_.io,
            .series = series.series(),
            .store = &with_tables(host_.state),
            .situation = [this] { return situation(); },
            .set_recording =
                [this, &series](bool wanted) {
                    series.sampler().set_wanted("suggestions", wanted);
                    if (host_.set_monitored) host_.set_monitored(wanted);
                },
            .run = [this](std::function<void()> work) { executor_.post(std::move(work)); },
            .on_changed = [this](const SuggestionTrial& trial) { host_.hub.publish(suggestions_changed_event, trial); },
            .is_starting = [this] { return is_starting(); },
            .load = load_per_core,
            .owner = own_name(),
            .is_alive = is_alive};
}

Situation SuggestionParts::situation() {
    SituationSources sources{.clock = host_.clock,
                             .memory = host_.memory,
                             .metrics = host_.metrics,
                             .dispatcher = host_.dispatcher,
                             .parts = host_.parts,
                             .cache = host_.cache};
    {
        const std::lock_guard lock(mutex_);
        sources.waits_before = waits_before_;
        sources.compression = compression_;
    }
    return read_situation(sources, (host_.clock.now_ns() - host_.started_ns) / 1'000'000);
}

bool SuggestionParts::is_starting() const {
    AppParts* const parts = host_.parts.find();
    if (parts == nullptr) return false;
    const auto timeline = parts->startup().timeline();
    return timeline && !timeline->is_done();
}

Result<void> SuggestionParts::set_policy(const std::string& name, const Settings& settings) {
    CacheParts* const parts = host_.cache.find();
    if (parts == nullptr) return std::unexpected(gone("the cache"));
    const CacheSpace* const space = PILLION_TRY(parts->cache().space(name));
    PILLION_TRY(parts->cache().set_policy(name, spec_of(settings)));
    const auto compression = settings.find("compressAboveBytes");
    if (compression == settings.end()) return {};
    CompressionChange change = CompressionChange::of(*space);
    change.is_in_vain = compression->second == "0";
    const std::lock_guard lock(mutex_);
    compression_[name] = change;
    return {};
}

void SuggestionParts::add_cache_actions() {
    const SuggestionAction action{
        .former = [this](const Suggestion& suggestion) -> Result<std::string> {
            CacheParts* const parts = host_.cache.find();
            if (parts == nullptr) return std::unexpected(gone("the cache"));
            const CacheSpace* const space = PILLION_TRY(parts->cache().space(name_in(suggestion.target)));
            return settings_change(*space->policy(), suggestion.settings);
        },
        .apply =
            [this](const Suggestion& suggestion, const SuggestionAction::Done& done) {
                done(set_policy(name_in(suggestion.target), suggestion.settings));
            },
        .undo =
            [this](const std::string& target, const std::string& former, const SuggestionAction::Done& done) {
                CacheParts* const parts = host_.cache.find();
                if (parts == nullptr) return done(std::unexpected(gone("the cache")));
                const auto space = parts->cache().space(name_in(target));
                if (!space) return done(std::unexpected(space.error()));
                const Settings back = settings_back(*(*space)->policy(), read_settings(former));
                done(set_policy(name_in(target), back));
            }};
    for (const char* const kind : {"cache.tune", "cache.shrink", "cache.ttl", "cache.compress", "cache.plain"})
        suggestions_.add_action(kind, action);
}

void SuggestionParts::add_other_actions() {
    suggestions_.add_action("memory.purge", {.former = {},
                                             .apply =
                                                 [this](const Suggestion&, const SuggestionAction::Done& done) {
                                                     host_.memory.optimize(OptimizeLevel::normal);
                                                     done({});
                                                 },
                                             .undo = {}});
    suggestions_.add_action("storage.vacuum", {.former = {},
                                               .apply =
                                                   [this](const Suggestion&, const SuggestionAction::Done& done) {
                                                       CacheParts* const parts = host_.cache.find();
                                                       if (parts == nullptr)
                                                           return done(std::unexpected(gone("cache.db")));
                                                       parts->disk().vacuum(done);
                                                   },
                                               .undo = {}});
    suggestions_.add_action(
        "component.unload",
        {.former = {},
         .apply =
             [this](const Suggestion& suggestion, const SuggestionAction::Done& done) {
                 AppParts* const parts = host_.parts.find();
                 if (parts == nullptr) return done(std::unexpected(gone("the component")));
                 parts->components().unload(name_in(suggestion.target), done);
             },
         .undo =
             [this](const std::string& target, const std::string&, const SuggestionAction::Done& done) {
                 AppParts* const parts = host_.parts.find();
                 if (parts == nullptr) return done(std::unexpected(gone("the component")));
                 parts->components().load(name_in(target), LoadCause::preload,
                                          [done](const Result<ComponentLoad>& loaded) {
                                              done(loaded ? Result<void>{} : std::unexpected(loaded.error()));
                                          });
             }});
}

void SuggestionParts::add_worker_action() {
    const auto set = [this](const std::string& workers, const SuggestionAction::Done& done) {
        {
            const std::lock_guard lock(mutex_);
            waits_before_ = histogram_counts(&host_.dispatcher.workers().wait_ns());
        }
        host_.dispatcher.set_workers(static_cast<std::size_t>(integer_of(workers)));
        done({});
    };
    suggestions_.add_action(
        "ipc.workers",
        {.former = [this](const Suggestion&) -> Result<std::string> {
             return std::to_string(host_.dispatcher.workers().workers());
         },
         .apply = [set](const Suggestion& suggestion,
                        const SuggestionAction::Done& done) { set(suggestion.settings.at("workers"), done); },
         .undo = [set](const std::string&, const std::string& former,
                       const SuggestionAction::Done& done) { set(former, done); }});
}

// What a trial sets of a backend, beside what earlier ones have set.
void SuggestionParts::add_backend_actions() {
    using Change = std::function<void(BackendTuning&, const Settings&)>;
    const auto tune = [this](const std::string& target, const Settings& settings, const Change& change,
                             const SuggestionAction::Done& done) {
        AppParts* const parts = host_.parts.find();
        if (parts == nullptr) return done(std::unexpected(gone("the backend")));
        auto tuning = parts->backends().tuning(name_in(target));
        if (!tuning) return done(std::unexpected(tuning.error()));
        change(*tuning, settings);
        done(parts->backends().tune(name_in(target), std::move(*tuning)));
    };
    const Change keep = [](BackendTuning& tuning, const Settings& settings) {
        tuning.kept_ms[settings.at("method")] = integer_of(settings.at("ttlMs"));
    };
    const Change keep_no_more = [](BackendTuning& tuning, const Settings& settings) {
        tuning.kept_ms.erase(settings.at("method"));
    };
    const Change limit = [](BackendTuning& tuning, const Settings& settings) {
        for (const auto& [key, value] : settings)
            (key == "concurrency" ? tuning.concurrency : tuning.queueMax) = integer_of(value);
    };
    const auto add = [&, this](const char* kind, auto former, const Change& apply, const Change& undo) {
        suggestions_.add_action(kind,
                                {.former = former,
                                 .apply =
                                     [tune, apply](const Suggestion& suggestion, const SuggestionAction::Done& done) {
                                         tune(suggestion.target, suggestion.settings, apply, done);
                                     },
                                 .undo =
                                     [tune, undo](const std::string& target, const std::string& former_settings,
                                                  const SuggestionAction::Done& done) {
                                         tune(target, read_settings(former_settings), undo, done);
                                     }});
    };
    add(
        "backend.cache",
        [](const Suggestion& suggestion) -> Result<std::string> {
            return "method=" + suggestion.settings.at("method") + "\n";
        },
        keep, keep_no_more);
    add(
        "backend.concurrency",
        [this](const Suggestion& suggestion) -> Result<std::string> {
            AppParts* const parts = host_.parts.find();
            if (parts == nullptr) return std::unexpected(gone("the backend"));
            const BackendTuning limits = PILLION_TRY(parts->backends().limits(name_in(suggestion.target)));
            std::string lines = "concurrency=" + std::to_string(limits.concurrency.value_or(1)) + "\n";
            if (suggestion.settings.contains("queueMax"))
                lines += "queueMax=" + std::to_string(limits.queueMax.value_or(1)) + "\n";
            return lines;
        },
        limit, limit);
}

void SuggestionParts::declare_events(EventHub& hub) { hub.declare(suggestions_changed_event); }

std::vector<Method> SuggestionParts::methods() { return suggestions_methods(suggestions_); }

void SuggestionParts::stop() {
    suggestions_.stop();
    executor_.stop();
}

} // namespace pillion
