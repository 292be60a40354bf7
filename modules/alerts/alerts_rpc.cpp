#include "modules/alerts/alerts_rpc.h"

#include "ipc/wire_text.h"
#include "modules/alerts/alert_engine.h"

#include <algorithm>
#include <utility>

namespace pillion {

std::string alert_rule_text(const AlertRule& rule) { return wire::text_of(rule); }

Result<AlertRule> read_alert_rule(std::string_view text) { return wire::read_text<AlertRule>(text); }

namespace {

Result<AlertsDone> set_rule(Alerts& alerts, const AlertsSetRuleParams& params) {
    if (!params.rule && !params.enabled)
        return fail(ErrorCode::invalid_params, "nothing to set: rule, enabled or both", "/rule");
    if (params.rule) {
        AlertRule rule = *params.rule;
        if (params.enabled) rule.enabled = *params.enabled;
        auto done = alerts.set_rule(params.name, rule);
        if (!done && done.error().field != "/name" && !done.error().field.empty())
            done.error().field = "/rule" + done.error().field;
        PILLION_TRY(std::move(done));
    } else {
        PILLION_TRY(alerts.enable_rule(params.name, *params.enabled));
    }
    return AlertsDone{};
}

} // namespace

std::vector<Method> alerts_methods(Alerts& alerts) {
    std::vector<Method> methods;
    methods.push_back(list_method("alerts.list", "What is wrong now, the worst first; or what was.", Lane::pooled,
                                  [&alerts](const AlertsListParams& params) -> Result<std::vector<Alert>> {
                                      std::vector<Alert> found = alerts.list(params.state);
                                      std::erase_if(found, [&params](const Alert& alert) {
                                          return alert.level < params.level ||
                                                 (params.rule && !alert_name_matches(*params.rule, alert.rule));
                                      });
                                      return found;
                                  })
                          .alias("get_active_alerts"));
    methods.push_back(method("alerts.acknowledge", "Takes note of an alert, until it resolves.", Lane::pooled,
                             [&alerts](const AlertsAcknowledgeParams& params) -> Result<Alert> {
                                 return alerts.acknowledge(params.id, params.by, params.comment);
                             }));
    methods.push_back(method("alerts.silence", "Keeps alerts quiet for a while; they are listed all the same.",
                             Lane::pooled, [&alerts](const AlertsSilenceParams& params) -> Result<AlertSilence> {
                                 return alerts.silence({.id = {},
                                                        .rule = params.rule,
                                                        .labels = params.labels,
                                                        .createdAt = 0,
                                                        .until = 0,
                                                        .by = params.by,
                                                        .comment = params.comment},
                                                       params.durationMs);
                             }));
    methods.push_back(method("alerts.unsilence", "Ends a silence.", Lane::pooled,
                             [&alerts](const AlertsUnsilenceParams& params) -> Result<AlertsDone> {
                                 PILLION_TRY(alerts.unsilence(params.id));
                                 return AlertsDone{};
                             }));
    methods.push_back(
        list_method("alerts.silences", "The silences there are.", Lane::pooled,
                    [&alerts](const NoParams&) -> Result<std::vector<AlertSilence>> { return alerts.silences(); }));
    methods.push_back(list_method(
        "alerts.rules", "The rules there are, with what they say and whether they can be evaluated.", Lane::pooled,
        [&alerts](const NoParams&) -> Result<std::vector<AlertRuleInfo>> { return alerts.rules(); }));
    methods.push_back(method(
        "alerts.setRule",
        "Adds a rule, replaces one, or turns one on or off. It is kept over restarts, and stronger "
        "than one of the configuration.",
        Lane::pooled,
        [&alerts](const AlertsSetRuleParams& params) -> Result<AlertsDone> { return set_rule(alerts, params); }));
    methods.push_back(method("alerts.deleteRule",
                             "Deletes a rule that was set at run time; what was declared by its name is back then.",
                             Lane::pooled, [&alerts](const AlertsDeleteRuleParams& params) -> Result<AlertsDone> {
                                 PILLION_TRY(alerts.delete_rule(params.name));
                                 return AlertsDone{};
                             }));
    return methods;
}

} // namespace pillion
