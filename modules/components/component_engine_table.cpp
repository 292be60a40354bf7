// The table of components: what is declared, and what is shown of it to any thread.
#include "modules/components/background_loader.h"
#include "modules/components/component_engine.h"
#include "modules/components/component_runners.h"
#include "modules/components/component_start.h"

namespace pillion {

void ComponentEngine::set_runner(ComponentKind kind, std::shared_ptr<ComponentRunner> runner) {
    runners_[static_cast<std::size_t>(kind)] = std::move(runner);
}

void ComponentEngine::add_builtin(const std::string& name, BuiltinComponent builtin) {
    builtins_[name] = std::move(builtin);
}

ComponentEntry* ComponentEngine::find(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto at = entries_.find(name);
    return at == entries_.end() ? nullptr : at->second.get();
}

std::vector<ComponentEntry*> ComponentEngine::entries() {
    const std::lock_guard lock(mutex_);
    std::vector<ComponentEntry*> all;
    all.reserve(entries_.size());
    for (const auto& [name, entry] : entries_) all.push_back(entry.get());
    return all;
}

Result<void> ComponentEngine::declare(const ComponentSpecs& specs) {
    for (const auto& [name, spec] : specs) {
        PILLION_TRY(check_component(name, spec));
        if (const auto& runner = runners_[static_cast<std::size_t>(spec.kind)]) PILLION_TRY(runner->check(name, spec));
    }
    PILLION_TRY(enter(specs));
    if (!has_begun_.load()) return {};
    post([this] { background_->begin(); });
    for (const auto& [name, spec] : specs) post([this, entry = find(name)] { background_->watch(*entry); });
    return {};
}

Result<void> ComponentEngine::enter(const ComponentSpecs& specs) {
    const std::lock_guard lock(mutex_);
    ComponentSpecs all = specs;
    for (const auto& [name, entry] : entries_) {
        const bool is_replaced = !all.try_emplace(name, *entry->declared).second;
        if (is_replaced && !entry->is_down())
            return pillion::fail(ErrorCode::conflict,
                                 "component \"" + name + "\" is loaded and cannot be declared anew", "/" + name,
                                 "unload it first");
    }
    PILLION_TRY(check_components(all));
    for (const auto& [name, spec] : specs) {
        std::unique_ptr<ComponentEntry>& entry = entries_[name];
        if (!entry) entry = std::make_unique<ComponentEntry>(name);
        entry->declared = std::make_shared<const ComponentSpec>(spec);
        entry->info.name = name;
        entry->info.kind = spec.kind;
        entry->info.description = spec.description;
        entry->info.critical = spec.critical;
        entry->info.load = spec.load;
        entry->info.dependsOn = spec.dependsOn;
    }
    return {};
}

void ComponentEngine::begin() {
    has_begun_ = true;
    if (count() > 0) post([this] { background_->begin(); });
}

std::size_t ComponentEngine::count() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

std::vector<ComponentInfo> ComponentEngine::list() const {
    const std::lock_guard lock(mutex_);
    std::vector<ComponentInfo> all;
    all.reserve(entries_.size());
    for (const auto& [name, entry] : entries_) all.push_back(entry->info);
    return all;
}

Result<ComponentInfo> ComponentEngine::info(std::string_view name) const {
    {
        const std::lock_guard lock(mutex_);
        if (const auto at = entries_.find(name); at != entries_.end()) return at->second->info;
    }
    return std::unexpected(unknown(name));
}

Result<ComponentSpec> ComponentEngine::declared(std::string_view name) const {
    {
        const std::lock_guard lock(mutex_);
        if (const auto at = entries_.find(name); at != entries_.end()) return *at->second->declared;
    }
    return std::unexpected(unknown(name));
}

std::vector<ComponentUse> ComponentEngine::usage() const {
    std::vector<ComponentUse> all;
    std::vector<std::shared_ptr<ComponentRun>> runs;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, entry] : entries_) {
            all.push_back({.name = name,
                           .uses = entry->info.uses,
                           .loads = entry->info.loads,
                           .failures = entry->failures,
                           .restarts = entry->info.restarts,
                           .lastUsedAt = entry->info.lastUsedAt,
                           .loadMs = entry->info.loadMs,
                           .memoryBytes = entry->info.memoryBytes.value_or(0),
                           .savedMs = static_cast<double>(entry->saved_ns) / 1e6});
            runs.push_back(entry->run);
        }
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
        if (!runs[i]) continue;
        const ProcessUsage usage = runs[i]->usage();
        if (usage.processes == 0) continue;
        all[i].memoryBytes = static_cast<std::int64_t>(usage.memory_bytes);
        all[i].processes = usage.processes;
        all[i].cpuMs = static_cast<double>(usage.cpu_ns) / 1e6;
    }
    return all;
}

} // namespace pillion
