#include "sidecar/table_commands.h"

#include "ipc/json_text.h"
#include "ipc/wire_text.h"
#include "modules/cache_simulation/cache_simulation.h"
#include "sidecar/text_table.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <unistd.h>

namespace pillion {

namespace {

constexpr int failed = 1;
constexpr int unusable = 2;

int complain(const Error& error) {
    print_error(error);
    return error.code == ErrorCode::invalid_params || error.code == ErrorCode::not_found ? unusable : failed;
}

std::string number(double value) {
    BufferPool pool;
    Buffer digits(pool);
    append_number(digits, value);
    return std::string(digits.view());
}

std::string milliseconds(std::int64_t ns) {
    if (ns <= 0) return "-";
    char text[32];
    std::snprintf(text, sizeof text, ns < 10'000'000 ? "%.1f ms" : "%.0f ms", static_cast<double>(ns) / 1e6);
    return text;
}

std::string json_of(const Command& command, const Simulation& simulation) {
    std::string json = "{\"trace\":";
    append_quoted(json, command.trace);
    json += ",\"requests\":" + std::to_string(simulation.requests) + ",\"results\":[";
    for (const SimulationResult& result : simulation.results) {
        if (json.back() != '[') json += ',';
        json += "{\"policy\":\"" + result.policy + "\",\"capacity\":" + std::to_string(result.capacity) +
                ",\"hitRatio\":" + number(result.hitRatio);
        if (simulation.hasSizes) json += ",\"byteHitRatio\":" + number(result.byteHitRatio);
        json += '}';
    }
    return json + "]}\n";
}

} // namespace

int list_components(const ApplicationOptions& options, bool as_json) {
    auto application = Application::create(options, -1);
    if (!application) return complain(application.error());
    AppParts& parts = (*application)->parts();
    const std::vector<ComponentInfo> components = parts.components().list();
    if (as_json) return print_text("{\"items\":" + wire::text_of(components) + "}\n");
    if (components.empty())
        return print_text("no components are declared; [components.NAME] in the configuration declares one\n");
    if (const auto loaded = parts.history().load(); !loaded) print_error(loaded.error());
    std::vector<StartupNode> nodes;
    for (const ComponentInfo& component : components) nodes.push_back({.name = component.name});
    parts.history().fill(nodes);
    TableRows rows{{"NAME", "KIND", "LOAD", "CRITICAL", "NEEDS", "TAKES"}};
    for (std::size_t index = 0; index < components.size(); ++index) {
        const ComponentInfo& component = components[index];
        std::string needs;
        for (const std::string& name : component.dependsOn) needs += (needs.empty() ? "" : ", ") + name;
        rows.push_back({component.name, std::string(component_kind_name(component.kind)),
                        std::string(wire::type_of<LoadRule>.enumerators[static_cast<std::size_t>(component.load)]),
                        component.critical ? "yes" : "no", needs.empty() ? "-" : needs,
                        milliseconds(nodes[index].expected_ns.value_or(0))});
    }
    return print_text(aligned(rows));
}

int list_alerts(const ApplicationOptions& options, const Command& command) {
    std::vector<Alert> alerts;
    const std::string path = options.data_directory + "/state.db";
    if (access(path.c_str(), F_OK) == 0) {
        Store store(StoreOptions{.path = path}, system_clock());
        auto kept = read_kept_alerts(store, command.wants_all ? AlertsOf::all : AlertsOf::active);
        store.stop();
        if (!kept) return complain(kept.error());
        alerts = std::move(*kept);
    }
    if (command.as_json) return print_text("{\"items\":" + wire::text_of(alerts) + "}\n");
    return print_text(alerts_table(alerts, system_clock().wall_ms()));
}

int simulate_cache(const Command& command) {
    const auto trace = read_trace(command.trace, command.has_sizes ? TraceLines::keys_and_sizes : TraceLines::keys);
    if (!trace) return complain(trace.error());
    const auto simulation = simulate_trace(*trace, {.policies = command.policies, .capacities = command.capacities});
    if (!simulation) return complain(simulation.error());
    if (command.plot_file) {
        std::ofstream file(*command.plot_file);
        file << simulation_plot(*simulation, command.trace);
        if (!file.flush())
            return complain({ErrorCode::unavailable, *command.plot_file + ": cannot be written", {}, {}});
    }
    return print_text(command.as_json ? json_of(command, *simulation) : simulation_table(*simulation));
}

} // namespace pillion
