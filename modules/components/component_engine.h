// The strand behind Components (components.h): entries, demands, loads, ends. Private to the module. Everything but the
// part marked so runs on the strand, the timers' thread.
//
// Callbacks of others are never called from within a change: they are gathered in `queue_` and called when the strand's
// present task is done with its own, so that whoever is told finds everything in order and may ask for more.
#pragma once

#include "modules/components/blocking_work.h"
#include "modules/components/component_entry.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace pillion {

class BackgroundLoader;
class ComponentStart;
class ClientRunner;

class ComponentEngine : public std::enable_shared_from_this<ComponentEngine> {
  public:
    using Ticket = Components::Ticket;
    using LoadDone = Components::LoadDone;

    explicit ComponentEngine(Components::Host host);
    ~ComponentEngine();
    void open(); // makes what needs a shared_ptr of this

    // --- any thread ---
    Result<void> declare(const ComponentSpecs& specs);
    std::size_t count() const;
    std::vector<ComponentInfo> list() const;
    Result<ComponentInfo> info(std::string_view name) const;
    Result<ComponentSpec> declared(std::string_view name) const;
    std::shared_ptr<const ComponentSpec> declared(const ComponentEntry& entry) const {
        const std::lock_guard lock(mutex_);
        return entry.declared;
    }
    std::vector<ComponentUse> usage() const;
    Ticket new_ticket() { return ++last_ticket_; }
    // Runs the task on the strand; not at all if the engine is gone by then.
    void post(std::function<void()> task) { later(0, std::move(task)); }
    TimerId later(std::int64_t delay_ms, std::function<void()> task);
    // Rules count from now on; from the first declaration if nothing is declared yet.
    void begin();
    void run_blocking(std::function<void()> work);
    void end_blocking() { blocking_.stop(); }
    void stop(std::int64_t wait_ms_max);

    // --- at composition ---
    void set_runner(ComponentKind kind, std::shared_ptr<ComponentRunner> runner);
    void add_builtin(const std::string& name, BuiltinComponent builtin);

    // --- the strand ---
    void demand(Ticket ticket, const std::string& name, LoadCause cause, LoadDone done);
    void leave(Ticket ticket);
    void unload(const std::string& name, Components::Done done);
    void restart(const std::string& name, Ticket ticket, LoadDone done);
    void note_use(const std::string& name, PreloadUse use);
    // It will not be loaded, because of another one.
    void skip(const std::string& name, const std::string& reason);
    ComponentEntry* find(std::string_view name);
    std::vector<ComponentEntry*> entries();
    // Called when the present task is done.
    void enqueue(std::function<void()> call) { queue_.push_back(std::move(call)); }
    void take_down(ComponentEntry& entry, ComponentTakedown takedown, bool with_dependents = true);
    bool is_needed(const ComponentEntry& entry); // something that is up, or comes up, depends on it
    Error unknown(std::string_view name) const;
    bool is_stopping() const { return stopping_.load(std::memory_order_relaxed); }

    const Components::Host& host() const { return host_; }
    BackgroundLoader& background() { return *background_; }
    ComponentStart& start() { return *start_; }
    ClientRunner& clients() { return *clients_; }

  private:
    Result<void> enter(const ComponentSpecs& specs);
    void drain();
    void set_state(ComponentEntry& entry, ComponentState state, std::string reason = {});
    template <class Change>
    void change(ComponentEntry& entry, Change apply) {
        const std::lock_guard lock(mutex_);
        apply(entry.info);
    }
    void cancel(std::optional<TimerId>& timer);

    void begin(ComponentEntry& entry, LoadCause cause);
    void arrive(ComponentEntry& entry);
    void need_failed(ComponentEntry& entry, const std::string& needed, const std::string& why);
    void launch(ComponentEntry& entry);
    Result<void> give_port(ComponentEntry& entry);
    ComponentLaunch launch_of(const ComponentEntry& entry);
    void give_up(ComponentEntry& entry, const Error& error);
    void on_ready(ComponentEntry& entry, Result<ComponentReady> ready);
    void fail(ComponentEntry& entry, Error error, ComponentState state = ComponentState::failed);
    void answer(ComponentEntry& entry);
    void answer(ComponentEntry& entry, const Error& error);
    ComponentLoad load_of(const ComponentEntry& entry, bool is_shared) const;
    void release_needs(ComponentEntry& entry);
    void measure(ComponentEntry& entry);

    void on_ended(ComponentEntry& entry, ComponentEnd end, const std::string& why);
    void restart_or_fail(ComponentEntry& entry, Error error, std::int64_t ran_ms);
    void arm_health(ComponentEntry& entry);
    void on_health(ComponentEntry& entry, const Result<void>& checked);
    void stop_run(ComponentEntry& entry);
    void on_down(ComponentEntry& entry);
    void tell_if_all_down();

    const Components::Host host_;
    BlockingWork blocking_;
    std::array<std::shared_ptr<ComponentRunner>, 6> runners_{}; // constant after composition
    std::shared_ptr<ClientRunner> clients_;
    std::unique_ptr<BackgroundLoader> background_;
    std::unique_ptr<ComponentStart> start_;
    std::map<std::string, BuiltinComponent, std::less<>> builtins_; // constant after composition

    mutable std::mutex mutex_; // guards the map, and of the entries what component_entry.h says
    std::map<std::string, std::unique_ptr<ComponentEntry>, std::less<>> entries_;
    std::atomic<Ticket> last_ticket_{0};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> has_begun_{false};
    std::atomic<bool> touched_{false}; // something was posted: the strand's thread may be running

    std::unordered_map<Ticket, ComponentEntry*> tickets_; // the strand's
    std::deque<std::function<void()>> queue_;             // the strand's

    std::mutex down_mutex_;
    std::condition_variable down_;
    bool is_down_ = false; // guarded by down_mutex_
};

} // namespace pillion
