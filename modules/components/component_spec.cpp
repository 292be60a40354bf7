#include "modules/components/component_spec.h"

#include "modules/startup/startup.h"

#include <algorithm>
#include <array>

namespace pillion {

namespace {

constexpr std::array<std::string_view, 6> kind_names{"task", "service", "backend", "library", "client", "builtin"};

Error wrong(const std::string& name, std::string_view member, std::string what, std::string hint = {}) {
    return {.code = ErrorCode::invalid_params,
            .message = "component \"" + name + "\": " + std::move(what),
            .field = "/" + name + "/" + std::string(member),
            .hint = std::move(hint)};
}

bool runs_program(ComponentKind kind) { return kind == ComponentKind::task || kind == ComponentKind::service; }

bool is_variable(std::string_view name) {
    return !name.empty() && name.find_first_of(std::string_view("=\0", 2)) == name.npos;
}

// A member that its kind has no use for is a mistake, not something to pass over.
Result<void> check_kind(const std::string& name, const ComponentSpec& spec) {
    const std::string kind(component_kind_name(spec.kind));
    if (runs_program(spec.kind) && spec.command.empty())
        return std::unexpected(
            wrong(name, "command", "a " + kind + " needs a `command`: the program and its arguments"));
    if (!spec.command.empty() && spec.command.front().empty())
        return std::unexpected(wrong(name, "command", "the first word of `command` is the program; it is empty"));
    if (spec.kind == ComponentKind::library && spec.library.value_or("").empty())
        return std::unexpected(wrong(name, "library", "a library needs `library`: the path of its shared object"));
    if (spec.kind != ComponentKind::library && spec.library)
        return std::unexpected(
            wrong(name, "library", "`library` is for components of kind library; this is a " + kind));
    const bool has_process = runs_program(spec.kind) || spec.kind == ComponentKind::backend;
    if (!has_process && !spec.command.empty())
        return std::unexpected(wrong(name, "command", "a " + kind + " runs no program, so it takes no `command`"));
    if (!has_process && spec.portWanted)
        return std::unexpected(
            wrong(name, "portWanted", "a " + kind + " has no process that a port could be handed to"));
    if (spec.kind != ComponentKind::task && spec.inputs.any())
        return std::unexpected(
            wrong(name, "inputs", "`inputs` decide whether a task's result is still good; this is a " + kind));
    return {};
}

Result<void> check_readiness(const std::string& name, const ComponentSpec& spec) {
    const ComponentReadiness& ready = spec.readiness;
    if (ready.by != ReadyRule::process && spec.kind != ComponentKind::service && spec.kind != ComponentKind::backend)
        return std::unexpected(wrong(name, "readiness/by",
                                     "readiness other than `process` is for services and backends; this is a " +
                                         std::string(component_kind_name(spec.kind))));
    const bool needs_port = ready.by == ReadyRule::tcp || ready.by == ReadyRule::http;
    if (needs_port && !ready.port && !spec.portWanted)
        return std::unexpected(wrong(name, "readiness/port", "readiness by tcp or http needs a `port`",
                                     "set readiness.port, or portWanted for a free one"));
    if (ready.by == ReadyRule::line && ready.text.has_value() == ready.pattern.has_value())
        return std::unexpected(wrong(name, "readiness", "readiness by line needs either `text` or `pattern`"));
    if (ready.by == ReadyRule::call && spec.kind != ComponentKind::backend)
        return std::unexpected(wrong(name, "readiness/by", "readiness by call is for backends"));
    return {};
}

Result<void> check_rules(const std::string& name, const ComponentSpec& spec) {
    if (spec.load == LoadRule::onSignal && spec.signals.empty())
        return std::unexpected(
            wrong(name, "signals", "a component that loads on a signal needs `signals`: their names"));
    if (spec.load != LoadRule::onSignal && !spec.signals.empty())
        return std::unexpected(wrong(name, "signals", "`signals` count only where `load` is onSignal"));
    if (spec.critical && spec.load != LoadRule::eager)
        return std::unexpected(
            wrong(name, "critical", "a critical component is part of the start, so its `load` must be eager"));
    if (restart_rule_of(spec) != RestartRule::never && spec.kind != ComponentKind::service &&
        spec.kind != ComponentKind::backend)
        return std::unexpected(wrong(name, "restart/rule",
                                     "only services and backends are restarted; this is a " +
                                         std::string(component_kind_name(spec.kind))));
    if (spec.restart.delayMs > spec.restart.delayMsMax)
        return std::unexpected(wrong(name, "restart/delayMs",
                                     "restart.delayMs is " + std::to_string(spec.restart.delayMs) +
                                         ", more than restart.delayMsMax, " + std::to_string(spec.restart.delayMsMax)));
    return {};
}

} // namespace

std::string_view component_kind_name(ComponentKind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

RestartRule restart_rule_of(const ComponentSpec& spec) {
    const bool is_service = spec.kind == ComponentKind::service; // backends come up again by rules of their own
    return spec.restart.rule.value_or(is_service ? RestartRule::on_failure : RestartRule::never);
}

bool is_component_name(std::string_view name) {
    constexpr std::string_view others = "_-.";
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.find(c) != others.npos;
    });
}

Result<void> check_component(const std::string& name, const ComponentSpec& spec) {
    if (!is_component_name(name))
        return std::unexpected(
            wrong(name, "", "its name may have letters, digits, '_', '-' and '.', and 1 to 64 bytes"));
    PILLION_TRY(check_kind(name, spec));
    PILLION_TRY(check_readiness(name, spec));
    PILLION_TRY(check_rules(name, spec));
    for (const auto& [variable, value] : spec.environment)
        if (!is_variable(variable) || value.find('\0') != value.npos)
            return std::unexpected(wrong(
                name, "environment", "\"" + variable + "\" is no name of a variable, or its value holds a zero byte"));
    if (!is_variable(spec.portVariable))
        return std::unexpected(wrong(name, "portVariable", "\"" + spec.portVariable + "\" is no name of a variable"));
    for (const std::string& word : spec.command)
        if (word.find('\0') != word.npos) return std::unexpected(wrong(name, "command", "`command` holds a zero byte"));
    return {};
}

Result<void> check_components(const ComponentSpecs& specs) {
    std::vector<StartupNode> nodes;
    nodes.reserve(specs.size());
    for (const auto& [name, spec] : specs) {
        PILLION_TRY(check_component(name, spec));
        nodes.push_back({.name = name, .dependencies = spec.dependsOn});
    }
    PILLION_TRY(StartupGraph::create(std::move(nodes)));
    return {};
}

} // namespace pillion
