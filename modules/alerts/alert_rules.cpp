// Rules in three layers, each stronger than the one before: built in, declared by the configuration, set at run time.
// Deleting what was set at run time brings back what lies below.
#include "modules/alerts/alert_engine.h"

#include <algorithm>
#include <utility>

namespace pillion {

Result<void> check_alerts_config(const AlertsConfig& config) {
    if (config.rules.size() > Alerts::rules_max)
        return fail(ErrorCode::invalid_params,
                    std::to_string(config.rules.size()) + " rules; at most " + std::to_string(Alerts::rules_max));
    for (const auto& [name, rule] : config.rules) PILLION_TRY(check_alert_rule(name, rule));
    const auto builtin = config.disabled.empty() ? std::map<std::string, AlertRule>{} : builtin_alert_rules();
    for (const std::string& name : config.disabled)
        if (!builtin.contains(name))
            return fail(ErrorCode::invalid_params, "disabled: there is no built-in rule \"" + name.substr(0, 80) + "\"",
                        "/disabled", "alerts.rules lists them");
    return {};
}

Result<void> Alerts::configure(const AlertsConfig& config) {
    PILLION_TRY(check_alerts_config(config));
    std::unique_lock lock(engine_->mutex);
    engine_->config = config;
    engine_->apply_rules();
    engine_->finish(lock);
    return {};
}

void Alerts::Engine::apply_rules() {
    std::map<std::string, std::pair<AlertRuleOrigin, AlertRule>> wanted;
    if (config.builtIn)
        for (auto& [name, rule] : builtin_alert_rules()) {
            if (std::ranges::find(config.disabled, name) != config.disabled.end()) rule.enabled = false;
            wanted[name] = {AlertRuleOrigin::builtIn, std::move(rule)};
        }
    for (const auto& [name, rule] : config.rules) wanted[name] = {AlertRuleOrigin::configured, rule};
    for (const auto& [name, rule] : runtime_rules) wanted[name] = {AlertRuleOrigin::runtime, rule};
    for (auto at = rules.begin(); at != rules.end();) {
        if (wanted.contains(at->first)) {
            ++at;
            continue;
        }
        for (const std::string& id : std::set(at->second.active)) end_alert(id, AlertEnd::ruleGone);
        at = rules.erase(at);
    }
    has_enabled_rules = false;
    inhibitors.clear();
    for (auto& [name, declared] : wanted) {
        const auto [at, is_new] = rules.try_emplace(name);
        RuleState& state = at->second;
        state.origin = declared.first;
        if (is_new || state.rule != declared.second) replace_rule(state, declared.second);
        has_enabled_rules = has_enabled_rules || state.rule.enabled;
        inhibitors.insert(state.rule.inhibitedBy.begin(), state.rule.inhibitedBy.end());
    }
    is_suppression_stale = true;
}

// Whether there are enabled rules that were set at run time, where that is news.
std::optional<bool> Alerts::Engine::has_rules_to_tell() {
    if (!std::exchange(is_rules_news, false)) return {};
    const bool has_rules = std::ranges::any_of(runtime_rules, [](const auto& rule) { return rule.second.enabled; });
    if (runtime_rules_told == has_rules) return {};
    return runtime_rules_told = has_rules;
}

// What stands is looked at anew under the new rule: it is not lost by a change of a threshold, nor told again.
void Alerts::Engine::replace_rule(RuleState& state, const AlertRule& rule) {
    state.rule = rule;
    state.unit.clear();
    state.conditions = alert_conditions(rule, state.unit);
    state.watched.clear();
    state.trouble.clear();
    state.next_ns = 0;
    for (const std::string& id : std::set(state.active)) {
        if (!rule.enabled) {
            end_alert(id, AlertEnd::ruleGone);
            continue;
        }
        ActiveAlert& entry = active.at(id);
        entry.is_unconfirmed = true;
        entry.unconfirmed_until_ns.reset();
    }
}

Result<void> Alerts::Engine::set_rule(const std::string& name, const AlertRule& rule) {
    PILLION_TRY(check_alert_rule(name, rule));
    std::unique_lock lock(mutex);
    if (!rules.contains(name) && rules.size() >= rules_max)
        return fail(ErrorCode::exhausted, "there are " + std::to_string(rules_max) + " rules, and no more may be added",
                    "/name", "alerts.deleteRule removes one");
    runtime_rules[name] = rule;
    is_rules_news = true;
    if (host.rule_text && host.store != nullptr) writes.rules[name] = host.rule_text(rule);
    apply_rules();
    finish(lock);
    return {};
}

Result<void> Alerts::set_rule(const std::string& name, const AlertRule& rule) {
    load();
    return engine_->set_rule(name, rule);
}

namespace {

Error unknown_rule(const std::string& name) {
    return {ErrorCode::not_found, "there is no rule \"" + name.substr(0, 80) + "\"", "/name",
            "alerts.rules lists them"};
}

} // namespace

Result<void> Alerts::enable_rule(const std::string& name, bool is_enabled) {
    load();
    AlertRule rule;
    {
        const std::lock_guard lock(engine_->mutex);
        const auto found = engine_->rules.find(name);
        if (found == engine_->rules.end()) return std::unexpected(unknown_rule(name));
        if (found->second.rule.enabled == is_enabled) return {};
        rule = found->second.rule;
    }
    rule.enabled = is_enabled;
    return engine_->set_rule(name, rule);
}

Result<void> Alerts::delete_rule(const std::string& name) {
    load();
    std::unique_lock lock(engine_->mutex);
    if (!engine_->rules.contains(name)) return std::unexpected(unknown_rule(name));
    if (engine_->runtime_rules.erase(name) == 0)
        return fail(ErrorCode::failed_precondition,
                    "the rule \"" + name + "\" is built in or stands in the configuration", "/name",
                    "alerts.setRule with enabled = false turns it off");
    engine_->is_rules_news = true;
    if (engine_->host.store != nullptr) engine_->writes.rules[name] = std::nullopt;
    engine_->apply_rules();
    engine_->finish(lock);
    return {};
}

std::vector<AlertRuleInfo> Alerts::rules() {
    load();
    const std::lock_guard lock(engine_->mutex);
    std::vector<AlertRuleInfo> infos;
    for (const auto& [name, state] : engine_->rules)
        infos.push_back({.name = name,
                         .origin = state.origin,
                         .rule = state.rule,
                         .raised = static_cast<std::int64_t>(state.active.size()),
                         .watched = static_cast<std::int64_t>(state.watched.size()),
                         .trouble = state.trouble});
    return infos;
}

} // namespace pillion
