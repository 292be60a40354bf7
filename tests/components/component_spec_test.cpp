// What may be declared, and how what may not is refused.
#include "modules/components/components.h"

#include <catch2/catch.hpp>

using namespace pillion;

namespace {

ComponentSpec spec_of(ComponentKind kind) {
    ComponentSpec spec;
    spec.kind = kind;
    if (kind == ComponentKind::task || kind == ComponentKind::service) spec.command = {"program"};
    if (kind == ComponentKind::library) spec.library = "libindex.so";
    return spec;
}

std::string refusal(const ComponentSpec& spec) {
    const auto checked = check_component("app", spec);
    return checked ? "" : checked.error().message;
}

ComponentSpec needing(std::vector<std::string> depends_on) {
    ComponentSpec spec = spec_of(ComponentKind::service);
    spec.dependsOn = std::move(depends_on);
    return spec;
}

} // namespace

TEST_CASE("each kind is accepted with what it needs", "[components]") {
    using enum ComponentKind;
    for (const ComponentKind kind : {task, service, backend, library, client, builtin})
        CHECK(refusal(spec_of(kind)).empty());
}

TEST_CASE("what a kind needs or has no use for is refused by name", "[components]") {
    ComponentSpec task = spec_of(ComponentKind::task);
    task.command.clear();
    CHECK(refusal(task) == "component \"app\": a task needs a `command`: the program and its arguments");
    ComponentSpec library = spec_of(ComponentKind::library);
    library.library.reset();
    CHECK(refusal(library) == "component \"app\": a library needs `library`: the path of its shared object");
    ComponentSpec client = spec_of(ComponentKind::client);
    client.command = {"program"};
    CHECK(refusal(client) == "component \"app\": a client runs no program, so it takes no `command`");
    ComponentSpec service = spec_of(ComponentKind::service);
    service.inputs.files = {"a"};
    CHECK(refusal(service) ==
          "component \"app\": `inputs` decide whether a task's result is still good; this is a service");
}

TEST_CASE("readiness that cannot come is refused", "[components]") {
    ComponentSpec service = spec_of(ComponentKind::service);
    service.readiness.by = ReadyRule::tcp;
    CHECK(refusal(service) == "component \"app\": readiness by tcp or http needs a `port`");
    service.portWanted = true;
    CHECK(refusal(service).empty());
    service.readiness.by = ReadyRule::line;
    CHECK(refusal(service) == "component \"app\": readiness by line needs either `text` or `pattern`");
    service.readiness.text = "ready";
    service.readiness.pattern = "ready.*";
    CHECK(!refusal(service).empty());
}

TEST_CASE("rules that contradict each other are refused", "[components]") {
    ComponentSpec service = spec_of(ComponentKind::service);
    service.critical = true;
    service.load = LoadRule::idle;
    CHECK(refusal(service) ==
          "component \"app\": a critical component is part of the start, so its `load` must be eager");
    ComponentSpec silent = spec_of(ComponentKind::service);
    silent.load = LoadRule::onSignal;
    CHECK(refusal(silent) == "component \"app\": a component that loads on a signal needs `signals`: their names");
    ComponentSpec task = spec_of(ComponentKind::task);
    task.restart.rule = RestartRule::always;
    CHECK(refusal(task) == "component \"app\": only services and backends are restarted; this is a task");
}

TEST_CASE("a name that could not be a route or a variable is refused", "[components]") {
    CHECK(is_component_name("data-base.2_x"));
    for (const std::string name : {"", "a/b", "a b", "ä"})
        CHECK(!check_component(name, spec_of(ComponentKind::client)));
    CHECK(!is_component_name(std::string(65, 'a')));
}

TEST_CASE("a circle is reported as the path that closes", "[components]") {
    const auto checked =
        check_components({{"a", needing({"b"})}, {"b", needing({"c"})}, {"c", needing({"a"})}, {"d", needing({"a"})}});
    REQUIRE(!checked);
    CHECK(checked.error().code == ErrorCode::invalid_params);
    CHECK(checked.error().message.find("a → b → c → a") != std::string::npos);
}

TEST_CASE("a dependency that is not declared is refused with the nearest name", "[components]") {
    const auto checked = check_components({{"app", needing({"databse"})}, {"database", needing({})}});
    REQUIRE(!checked);
    CHECK(checked.error().message.ends_with("\"databse\", which is not declared; did you mean \"database\"?"));
}
