#include "modules/components/background_loader.h"

#include "ipc/base/log.h"
#include "modules/components/component_engine.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::size_t predicted_max = 4;
constexpr std::string_view signal_prefix = "signal:"; // signals and components are told apart in what is learned

bool is_eager_or_never(LoadRule rule) { return rule == LoadRule::eager || rule == LoadRule::never; }

} // namespace

BackgroundLoader::BackgroundLoader(ComponentEngine& engine) : engine_(engine) { configure({}); }

void BackgroundLoader::configure(const LazyLoadingConfig& config) {
    config_ = config;
    judge_ = std::make_unique<PreloadJudge>(PreloadJudgeOptions{.window_ms = config.predictionWindowMs},
                                            engine_.host().clock);
}

void BackgroundLoader::begin() {
    if (std::exchange(has_begun_, true)) return;
    look();
    for (const ComponentEntry* const entry : engine_.entries()) watch(*entry);
    if (Predictor* const predictor = engine_.host().predictor; predictor != nullptr && config_.prediction)
        engine_.run_blocking([predictor] {
            if (const auto loaded = predictor->load(); !loaded)
                log(LogLevel::warning, "components", "what usually follows is not known: " + loaded.error().message);
        });
}

void BackgroundLoader::watch(const ComponentEntry& entry) {
    if (!has_begun_ || is_stopped_) return;
    const auto spec = engine_.declared(entry);
    const auto add = [&](std::vector<std::string>& watched) {
        if (std::ranges::find(watched, entry.name) == watched.end()) watched.push_back(entry.name);
        arm();
    };
    if (spec->load == LoadRule::idle) add(watched_idle_);
    if (spec->load == LoadRule::whenMemoryAllows) add(watched_memory_);
    if (spec->load == LoadRule::delayed)
        engine_.later(spec->delayMs.value_or(config_.delayMs),
                      [this, name = entry.name] { queue(name, LoadCause::rule); });
}

void BackgroundLoader::stop() {
    is_stopped_ = true;
    queue_.clear();
    if (tick_) engine_.host().timers.cancel(*tick_);
    if (sweep_) engine_.host().timers.cancel(*sweep_);
}

bool BackgroundLoader::queue(const std::string& name, LoadCause cause, double probability) {
    const ComponentEntry* const entry = engine_.find(name);
    if (is_stopped_ || entry == nullptr || !entry->is_down() || is_queued(name)) return false;
    queue_.push_back({name, cause, probability, engine_.host().clock.now_ns()});
    if (cause == LoadCause::prediction)
        judge_->preloaded(name, {.probability = probability, .memory_bytes = memory_cost(name)});
    if (!tick_) look();
    pump();
    return true;
}

void BackgroundLoader::forget(const std::string& name) {
    std::erase_if(queue_, [&](const Queued& queued) { return queued.name == name; });
}

std::vector<std::string> BackgroundLoader::signal(const std::string& name) {
    if (engine_.host().predictor != nullptr) engine_.host().predictor->observe(std::string(signal_prefix) + name);
    std::vector<std::string> queued;
    for (const ComponentEntry* const entry : engine_.entries()) {
        const auto spec = engine_.declared(*entry);
        if (std::ranges::find(spec->signals, name) != spec->signals.end() && queue(entry->name, LoadCause::signal))
            queued.push_back(entry->name);
    }
    queue_likely();
    return queued;
}

std::vector<ComponentPrediction> BackgroundLoader::predict(std::size_t limit) {
    std::vector<ComponentPrediction> likely;
    if (engine_.host().predictor == nullptr) return likely;
    for (const Prediction& next : engine_.host().predictor->predict(16)) {
        const ComponentEntry* const entry = engine_.find(next.name);
        if (entry != nullptr && likely.size() < limit)
            likely.push_back({.name = next.name, .probability = next.probability, .state = entry->state()});
    }
    return likely;
}

std::vector<std::string> BackgroundLoader::queue_likely() {
    std::vector<std::string> queued;
    if (!config_.prediction) return queued;
    for (const ComponentPrediction& next : predict(predicted_max)) {
        if (next.probability < config_.probability) break;
        const ComponentEntry& entry = *engine_.find(next.name);
        if (is_eager_or_never(engine_.declared(entry)->load)) continue;
        if (queue(next.name, LoadCause::prediction, next.probability)) queued.push_back(next.name);
    }
    return queued;
}

void BackgroundLoader::on_use(const ComponentEntry& entry, PreloadUse use) {
    judge_->used(entry.name, use);
    if (engine_.host().predictor == nullptr) return;
    engine_.host().predictor->observe(entry.name);
    queue_likely();
}

void BackgroundLoader::on_ready(const ComponentEntry& entry) {
    if (entry.info.memoryBytes) memory_costs_[entry.name] = static_cast<std::uint64_t>(*entry.info.memoryBytes);
    if (entry.cause == LoadCause::prediction)
        judge_->preloaded(entry.name, {.probability = engine_.host().predictor->probability(entry.name),
                                       .memory_bytes = memory_cost(entry.name),
                                       .load_ns = entry.load_ns});
    if (entry.spec->keepAliveMs > 0) arm_sweep();
    const bool may_be_given_up = entry.spec->keepAliveMs > 0 || entry.cause == LoadCause::prediction;
    if (may_be_given_up && engine_.host().memory != nullptr && !std::exchange(hears_pressure_, true))
        engine_.host().memory->on_pressure([weak = engine_.weak_from_this()](const MemoryPressure& pressure) {
            if (const auto engine = weak.lock())
                engine->post(
                    [engine = engine.get(), level = pressure.level] { engine->background().on_pressure(level); });
        });
}

void BackgroundLoader::on_measured(const ComponentEntry& entry, const ProcessUsage& usage) {
    memory_costs_[entry.name] = usage.memory_bytes;
    if (entry.cause == LoadCause::prediction && !entry.was_used)
        judge_->preloaded(entry.name, {.probability = engine_.host().predictor->probability(entry.name),
                                       .memory_bytes = usage.memory_bytes,
                                       .cpu_ns = usage.cpu_ns,
                                       .load_ns = entry.load_ns});
}

void BackgroundLoader::on_gone(const ComponentEntry& entry) { judge_->unloaded(entry.name); }

std::uint64_t BackgroundLoader::memory_cost(const std::string& name) const {
    const auto known = memory_costs_.find(name);
    return known == memory_costs_.end() ? 0 : known->second;
}

MemoryPressure BackgroundLoader::pressure() const {
    return engine_.host().memory != nullptr ? engine_.host().memory->pressure() : MemoryPressure{};
}

// What was seen over a long time says little of now: then the next tick decides.
void BackgroundLoader::look() {
    const auto percent = engine_.host().read_cpu_percent ? engine_.host().read_cpu_percent() : meter_.look();
    const std::int64_t now_ns = engine_.host().clock.now_ns();
    const bool is_recent = now_ns - std::exchange(looked_ns_, now_ns) <= look_ms_max * 1'000'000;
    cpu_percent_ = is_recent ? percent.value_or(100) : 100;
}

void BackgroundLoader::arm() {
    if (tick_ || is_stopped_) return;
    tick_ = engine_.later(tick_ms, [this] {
        tick_.reset();
        tick();
    });
}

void BackgroundLoader::tick() {
    look();
    const MemoryPressure memory = watched_idle_.empty() && watched_memory_.empty() ? MemoryPressure{} : pressure();
    watch_rules(cpu_percent_, memory);
    pump();
    if (!queue_.empty() || !watched_idle_.empty() || !watched_memory_.empty()) arm();
}

// Two ticks in a row must be idle, so that a gap between two bursts is not taken for a rest.
void BackgroundLoader::watch_rules(double cpu_percent, const MemoryPressure& memory) {
    const auto queue_where = [this](std::vector<std::string>& watched, auto is_met) {
        std::erase_if(watched, [&](const std::string& name) {
            const ComponentEntry& entry = *engine_.find(name);
            if (!entry.is_down()) return true; // somebody was faster
            if (!is_met(*engine_.declared(entry))) return false;
            queue(name, LoadCause::rule);
            return true;
        });
    };
    idle_ticks_ = std::min(idle_ticks_ + 1, 1000);
    bool all_idle = true;
    queue_where(watched_idle_, [&](const ComponentSpec& spec) {
        const bool is_idle = cpu_percent < spec.idleCpuPercent.value_or(config_.idleCpuPercent);
        all_idle = all_idle && is_idle;
        return is_idle && idle_ticks_ >= 2 && memory.level == MemoryLevel::normal;
    });
    if (!all_idle) idle_ticks_ = 0;
    queue_where(watched_memory_, [&](const ComponentSpec& spec) {
        const auto floor = static_cast<std::uint64_t>(spec.memoryFloorBytes.value_or(config_.memoryFloorBytes));
        return memory.level == MemoryLevel::normal &&
               (engine_.host().memory == nullptr || memory.availableBytes >= floor);
    });
}

BackgroundLoader::Room BackgroundLoader::room_for(const Queued& queued, const MemoryPressure& memory) const {
    if (std::max(memory.level, memory.reading) != MemoryLevel::normal) return Room::memory_short;
    if (queued.cause == LoadCause::prediction) {
        const std::uint64_t held = judge_->worth().heldBytes;
        if (held > static_cast<std::uint64_t>(config_.predictionMemoryBytes)) return Room::memory_short;
        if (cpu_percent_ > config_.predictionCpuPercent) return Room::cpu_busy;
    }
    const std::int64_t waited_ms = (engine_.host().clock.now_ns() - queued.since_ns) / 1'000'000;
    constexpr double busy_percent = 90;
    return cpu_percent_ > busy_percent && waited_ms < yield_ms_max ? Room::cpu_busy : Room::free;
}

void BackgroundLoader::pump() {
    if (queue_.empty()) return;
    const MemoryPressure memory = pressure();
    for (std::size_t left = queue_.size(); left > 0 && loading_ < static_cast<std::size_t>(config_.lanes); --left) {
        Queued next = std::move(queue_.front());
        queue_.pop_front();
        if (next.cause == LoadCause::signal || next.cause == LoadCause::preload ||
            room_for(next, memory) == Room::free) {
            load(next);
        } else if (next.cause == LoadCause::prediction &&
                   engine_.host().clock.now_ns() - next.since_ns > yield_ms_max * 1'000'000 / 10) {
            judge_->unloaded(next.name);
        } else {
            queue_.push_back(std::move(next));
        }
    }
    if (!queue_.empty()) arm();
}

void BackgroundLoader::load(const Queued& queued) {
    ++loading_;
    engine_.demand(engine_.new_ticket(), queued.name, queued.cause, [this](const Result<ComponentLoad>&) {
        --loading_;
        pump();
    });
}

void BackgroundLoader::arm_sweep() {
    if (sweep_ || is_stopped_) return;
    std::optional<std::int64_t> due_ns;
    for (const ComponentEntry* const entry : engine_.entries())
        if (entry->state() == ComponentState::ready && entry->spec->keepAliveMs > 0) {
            const std::int64_t at_ns = entry->used_ns + entry->spec->keepAliveMs * 1'000'000;
            due_ns = std::min(due_ns.value_or(at_ns), at_ns);
        }
    if (!due_ns) return;
    const std::int64_t wait_ms = std::max<std::int64_t>(1, (*due_ns - engine_.host().clock.now_ns()) / 1'000'000 + 1);
    sweep_ = engine_.later(wait_ms, [this] {
        sweep_.reset();
        sweep();
    });
}

// What something that is up depends on stays; its turn comes when that has gone.
void BackgroundLoader::sweep() {
    const std::int64_t now_ns = engine_.host().clock.now_ns();
    for (ComponentEntry* const entry : engine_.entries()) {
        if (entry->state() != ComponentState::ready || entry->spec->keepAliveMs == 0) continue;
        if (now_ns - entry->used_ns < entry->spec->keepAliveMs * 1'000'000) continue;
        if (engine_.is_needed(*entry))
            entry->used_ns = now_ns;
        else
            engine_.take_down(*entry,
                              {.reason = "it was not used for " + std::to_string(entry->spec->keepAliveMs) + " ms"});
    }
    arm_sweep();
}

// At warning what was only predicted goes, at critical what may be unloaded at all; the longest unused first.
bool BackgroundLoader::may_go(const ComponentEntry& entry, MemoryLevel level) const {
    if (entry.state() != ComponentState::ready || entry.spec->critical) return false;
    if (!entry.was_used && entry.cause == LoadCause::prediction) return true;
    const std::int64_t unused_ms = (engine_.host().clock.now_ns() - entry.used_ns) / 1'000'000;
    return level == MemoryLevel::critical && entry.spec->keepAliveMs > 0 && unused_ms >= spared_ms;
}

void BackgroundLoader::on_pressure(MemoryLevel level) {
    if (level == MemoryLevel::normal || is_stopped_) return;
    std::vector<ComponentEntry*> going;
    for (ComponentEntry* const entry : engine_.entries())
        if (may_go(*entry, level)) going.push_back(entry);
    std::ranges::sort(going, {}, &ComponentEntry::used_ns);
    for (ComponentEntry* const entry : going)
        if (entry->state() == ComponentState::ready &&
            std::ranges::all_of(engine_.entries(), [&](const ComponentEntry* other) {
                const bool depends = other->spec && std::ranges::find(other->spec->dependsOn, entry->name) !=
                                                        other->spec->dependsOn.end();
                return !depends || other->is_down() || may_go(*other, level);
            }))
            engine_.take_down(*entry, {.reason = "memory is short"});
}

} // namespace pillion
