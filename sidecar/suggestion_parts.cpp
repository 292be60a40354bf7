#include "sidecar/suggestion_parts.h"

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

// The same settings as the policy has them now, a line each: what somebody else changes meanwhile is left alone.
std::string settings_now(const CachePolicy& policy, const Settings& wanted) {
    std::string lines;
    for (const auto& [key, value] : wanted) {
        const std::string now =
            key == "eviction"
                ? std::string(wire::Described<EvictionPolicy>::enumerators[static_cast<std::size_t>(policy.eviction)])
            : key == "maxBytes" ? std::to_string(policy.maxBytes)
            : key == "ttlMs"    ? std::to_string(policy.ttlMs)
                                : std::to_string(policy.compressAboveBytes);
        lines += key + "=" + now + "\n";
    }
    return lines;
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
}

Suggestions::Host SuggestionParts::suggestions_host() {
    MetricsParts& series = host_.series.get();
    return {.clock = host_.clock,
            .timers = host_.io,
            .series = series.series(),
            .store = &with_tables(host_.state),
            .situation =
                [this] {
                    return read_situation({.clock = host_.clock,
                                           .memory = host_.memory,
                                           .metrics = host_.metrics,
                                           .dispatcher = host_.dispatcher,
                                           .parts = host_.parts,
                                           .cache = host_.cache},
                                          (host_.clock.now_ns() - host_.started_ns) / 1'000'000);
                },
            .set_recording =
                [this, &series](bool wanted) {
                    series.sampler().set_wanted("suggestions", wanted);
                    if (host_.set_monitored) host_.set_monitored(wanted);
                },
            .run = [this](std::function<void()> work) { executor_.post(std::move(work)); },
            .on_changed = [this](const SuggestionTrial& trial) { host_.hub.publish(suggestions_changed_event, trial); },
            .owner = own_name(),
            .is_alive = is_alive};
}

void SuggestionParts::add_cache_actions() {
    const SuggestionAction action{
        .former = [this](const Suggestion& suggestion) -> Result<std::string> {
            CacheParts* const parts = host_.cache.find();
            if (parts == nullptr) return std::unexpected(gone("the cache"));
            const CacheSpace* const space = PILLION_TRY(parts->cache().space(name_in(suggestion.target)));
            return settings_now(*space->policy(), suggestion.settings);
        },
        .apply =
            [this](const Suggestion& suggestion, const SuggestionAction::Done& done) {
                CacheParts* const parts = host_.cache.find();
                if (parts == nullptr) return done(std::unexpected(gone("the cache")));
                const auto set = parts->cache().set_policy(name_in(suggestion.target), spec_of(suggestion.settings));
                done(set ? Result<void>{} : std::unexpected(set.error()));
            },
        .undo =
            [this](const std::string& target, const std::string& former, const SuggestionAction::Done& done) {
                CacheParts* const parts = host_.cache.find();
                if (parts == nullptr) return done(std::unexpected(gone("the cache")));
                const auto set = parts->cache().set_policy(name_in(target), spec_of(read_settings(former)));
                done(set ? Result<void>{} : std::unexpected(set.error()));
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

void SuggestionParts::declare_events(EventHub& hub) { hub.declare(suggestions_changed_event); }

std::vector<Method> SuggestionParts::methods() { return suggestions_methods(suggestions_); }

void SuggestionParts::stop() {
    suggestions_.stop();
    executor_.stop();
}

} // namespace pillion
