// Each session has one timer: for its next look or its end, whichever comes first. Everything that is done to sessions
// is done where work runs, one after another; the mutex is for those who only ask.
#include "modules/sessions/sessions.h"

#include "modules/sessions/session_history.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <utility>

namespace pillion {

namespace {

constexpr std::int64_t hour_ms = 3'600'000;
constexpr std::int64_t lead_ms_min = 300'000; // of the levels before, that changes are told from

std::string new_id() {
    std::random_device random;
    constexpr const char* digits = "0123456789abcdef";
    std::string id;
    for (int digit = 0; digit < 8; ++digit) id += digits[random() % 16];
    return id;
}

template <class Item>
std::vector<Item> first_of(std::vector<Item> items) {
    if (items.size() > Sessions::findings_max) items.resize(Sessions::findings_max);
    return items;
}

SessionAlerts count_alerts(const std::vector<Alert>& alerts, std::int64_t from_ms) {
    SessionAlerts counts;
    for (const Alert& alert : alerts) {
        if (alert.raisedAt < from_ms) continue;
        ++(alert.worst == AlertLevel::critical  ? counts.critical
           : alert.worst == AlertLevel::warning ? counts.warning
                                                : counts.info);
        counts.standing += alert.state == AlertState::resolved ? 0 : 1;
    }
    return counts;
}

bool is_critical_now(const std::vector<Alert>& alerts) {
    return std::ranges::any_of(alerts, [](const Alert& alert) {
        return alert.state != AlertState::resolved && alert.level == AlertLevel::critical;
    });
}

AlertNotice notice_of(const SessionDegradation& degradation) {
    const int percent = static_cast<int>(degradation.changeShare * 100 + (degradation.changeShare > 0 ? 0.5 : -0.5));
    return {.key = degradation_key(degradation),
            .level = degradation.level,
            .title = degradation.metric + " got worse",
            .detail = "from " + alert_value_text(degradation.before, degradation.unit) + " to " +
                      alert_value_text(degradation.now, degradation.unit) + ", " + (percent > 0 ? "+" : "") +
                      std::to_string(percent) + " %, during a monitoring session",
            .labels = degradation.labels,
            .advice = "see sessions.get and analysis.run for what changed with it"};
}

} // namespace

struct Sessions::Engine : std::enable_shared_from_this<Sessions::Engine> {
    struct Running {
        Session session{};
        std::optional<std::int64_t> end_ns{}; // by the monotonic clock
        TimerId timer{};
        std::optional<std::int64_t> advised_ns{};
        std::set<std::string> raised{}; // keys of degradations that stand
    };

    explicit Engine(Host its_host) : host(std::move(its_host)) {}

    std::optional<Session> running_session(const std::string& id) {
        const std::lock_guard lock(mutex);
        const auto found = running.find(id);
        return found == running.end() ? std::nullopt : std::optional(found->second.session);
    }
    std::optional<Session> ended_session(const std::string& id) {
        const std::lock_guard lock(mutex);
        const auto found = std::ranges::find(own, id, &Session::id);
        return found == own.end() ? std::nullopt : std::optional(*found);
    }
    // The mutex is held. What other sessions found too goes on to stand.
    void leave_raised(std::set<std::string>& keys) const {
        for (const auto& [_, other] : running)
            for (const std::string& key : other.raised) keys.erase(key);
    }
    void post(std::function<void(Engine&)> work);
    void arm(Running& one);
    SessionSummary sum_up(const Session& session);
    void begin(const std::string& id);
    enum class Turn : std::uint8_t { next, last };
    void look(const std::string& id, Turn turn);
    void heed(const Session& session);
    void finish(const std::string& id);

    const Host host;
    SessionHistory past{host};
    std::mutex mutex; // guards what follows
    std::map<std::string, Running> running;
    std::deque<Session> own; // that ended here, oldest first
    bool has_ended = false;
};

void Sessions::Engine::post(std::function<void(Engine&)> work) {
    host.run([weak = weak_from_this(), work = std::move(work)] {
        if (const auto self = weak.lock()) work(*self);
    });
}

// The mutex is held.
void Sessions::Engine::arm(Running& one) {
    const std::int64_t left_ms =
        one.end_ns ? std::max<std::int64_t>(0, (*one.end_ns - host.clock.now_ns() + 999'999) / 1'000'000) : look_ms;
    one.timer = host.timers.after_ms(std::min(left_ms, look_ms), [weak = weak_from_this(), id = one.session.id] {
        if (const auto self = weak.lock()) self->post([id](Engine& engine) { engine.look(id, Turn::next); });
    });
}

SessionSummary Sessions::Engine::sum_up(const Session& session) {
    const std::int64_t now_ms = host.clock.wall_ms();
    SessionSummary summary{.at = now_ms};
    if (session.summary) summary.scoreBefore = session.summary->scoreBefore;
    if (auto report = host.analyse({.from_ms = session.startedAt, .to_ms = now_ms})) {
        summary.score = report->score;
        summary.anomaliesCount = static_cast<std::int64_t>(report->anomalies.size());
        summary.anomalies = first_of(std::move(report->anomalies));
        summary.bottlenecks = first_of(std::move(report->bottlenecks));
        summary.recommendations = first_of(std::move(report->recommendations));
    }
    const std::int64_t lead_ms = std::clamp(now_ms - session.startedAt, lead_ms_min, hour_ms);
    if (const auto changes = host.changes({.from_ms = session.startedAt - lead_ms, .to_ms = now_ms}))
        summary.degradations = first_of(degradations_of(*changes, session.startedAt));
    summary.alerts = count_alerts(host.alerts(), session.startedAt);
    if (auto trials = host.trials()) {
        std::erase_if(*trials, [&](const SuggestionTrial& trial) { return trial.beganAt < session.startedAt; });
        summary.trials = first_of(std::move(*trials));
    }
    return summary;
}

// What it is compared with.
void Sessions::Engine::begin(const std::string& id) {
    const auto session = running_session(id);
    if (!session) return;
    const std::int64_t span_ms = session->endsAt ? std::min(*session->endsAt - session->startedAt, hour_ms) : hour_ms;
    const auto before = host.analyse({.from_ms = session->startedAt - span_ms, .to_ms = session->startedAt});
    const std::lock_guard lock(mutex);
    if (const auto found = running.find(id); found != running.end())
        found->second.session.summary =
            SessionSummary{.at = session->startedAt, .scoreBefore = before ? before->score : std::nullopt};
}

void Sessions::Engine::look(const std::string& id, Turn turn) {
    auto session = running_session(id);
    if (!session) return;
    session->summary = sum_up(*session);
    bool is_last = turn == Turn::last;
    {
        const std::lock_guard lock(mutex);
        const auto found = running.find(id);
        if (found == running.end()) return;
        Running& one = found->second;
        one.session.summary = session->summary;
        is_last = is_last || (one.end_ns && *one.end_ns <= host.clock.now_ns());
        if (!is_last) arm(one);
    }
    if (is_last) return finish(id);
    past.keep(*session);
    heed(*session);
}

// What got worse is an alert while it is so; on a critical one advice is tried.
void Sessions::Engine::heed(const Session& session) {
    std::set<std::string> standing;
    for (const SessionDegradation& degradation : session.summary->degradations) {
        standing.insert(degradation_key(degradation));
        host.raise(notice_of(degradation));
    }
    std::set<std::string> recovered;
    bool is_advised = false;
    {
        const bool is_critical = session.applyAdvice && is_critical_now(host.alerts());
        const std::lock_guard lock(mutex);
        const auto found = running.find(session.id);
        if (found == running.end()) return;
        Running& one = found->second;
        std::ranges::set_difference(one.raised, standing, std::inserter(recovered, recovered.end()));
        one.raised = std::move(standing);
        leave_raised(recovered);
        const std::int64_t now_ns = host.clock.now_ns();
        const bool is_rested = !one.advised_ns || now_ns - *one.advised_ns >= advice_ms * 1'000'000;
        is_advised = is_critical && is_rested;
        if (is_advised) one.advised_ns = now_ns;
    }
    for (const std::string& key : recovered) host.resolve(key);
    if (is_advised) host.try_advice();
}

// Its latest summary is its last.
void Sessions::Engine::finish(const std::string& id) {
    Session session;
    std::set<std::string> raised;
    bool is_last = false;
    {
        const std::lock_guard lock(mutex);
        const auto found = running.find(id);
        if (found == running.end()) return;
        host.timers.cancel(found->second.timer);
        session = std::move(found->second.session);
        raised = std::move(found->second.raised);
        running.erase(found);
        leave_raised(raised);
        session.state = SessionState::ended;
        session.endedAt = host.clock.wall_ms();
        own.push_back(session);
        if (own.size() > kept_max) own.pop_front();
        is_last = running.empty();
    }
    past.keep(session);
    for (const std::string& key : raised) host.resolve(key);
    if (is_last) host.set_watched(false);
    host.on_ended(session);
}

Sessions::Sessions(Host host) : engine_(std::make_shared<Engine>(std::move(host))) {}

Sessions::~Sessions() { end(); }

void Sessions::add_schema(Store& store) { SessionHistory::add_schema(store); }

Result<Session> Sessions::start(SessionOptions options) {
    const Host& host = engine_->host;
    const std::int64_t now_ms = host.clock.wall_ms();
    Session session{
        .id = new_id(), .name = std::move(options.name), .applyAdvice = options.applies_advice, .startedAt = now_ms};
    if (options.duration_ms) session.endsAt = now_ms + *options.duration_ms;
    {
        const std::lock_guard lock(engine_->mutex);
        if (engine_->has_ended) return fail(ErrorCode::unavailable, "Pillion is ending");
        if (engine_->running.size() >= running_max)
            return fail(ErrorCode::exhausted,
                        std::to_string(running_max) + " sessions run already: end one with sessions.stop");
        Engine::Running& one = engine_->running[session.id];
        one.session = session;
        if (options.duration_ms) one.end_ns = host.clock.now_ns() + *options.duration_ms * 1'000'000;
        engine_->arm(one);
    }
    host.set_watched(true);
    engine_->past.keep(session);
    engine_->post([id = session.id](Engine& engine) { engine.begin(id); });
    return session;
}

void Sessions::stop(const std::string& id, Done done) {
    engine_->post([id, done = std::move(done)](Engine& engine) {
        if (!engine.running_session(id))
            return done(fail(ErrorCode::not_found, "no session " + id + " runs in this Pillion", "/id",
                             "sessions.list says which do"));
        engine.look(id, Engine::Turn::last);
        if (auto session = engine.ended_session(id)) return done(std::move(*session));
        done(fail(ErrorCode::unavailable, "Pillion is ending"));
    });
}

Result<Session> Sessions::get(const std::string& id) {
    if (auto session = engine_->running_session(id)) {
        session->summary = engine_->sum_up(*session);
        return std::move(*session);
    }
    if (auto session = engine_->ended_session(id)) return std::move(*session);
    std::vector<Session> found = PILLION_TRY(engine_->past.others(id));
    if (found.empty())
        return fail(ErrorCode::not_found, "there is no session " + id, "/id", "sessions.list names those there are");
    return std::move(found.front());
}

Result<std::vector<Session>> Sessions::list() {
    std::vector<Session> sessions = PILLION_TRY(engine_->past.others());
    {
        const std::lock_guard lock(engine_->mutex);
        sessions.insert(sessions.end(), engine_->own.begin(), engine_->own.end());
        for (const auto& [_, one] : engine_->running) sessions.push_back(one.session);
    }
    for (Session& session : sessions) session.summary.reset();
    std::ranges::stable_sort(sessions, std::greater<>{}, &Session::startedAt);
    return sessions;
}

void Sessions::end() {
    std::vector<Session> interrupted;
    {
        const std::lock_guard lock(engine_->mutex);
        if (engine_->has_ended) return;
        engine_->has_ended = true;
        for (auto& [_, one] : engine_->running) {
            engine_->host.timers.cancel(one.timer);
            one.session.state = SessionState::interrupted;
            one.session.endedAt = engine_->host.clock.wall_ms();
            interrupted.push_back(std::move(one.session));
        }
        engine_->running.clear();
    }
    for (const Session& session : interrupted) engine_->past.keep(session);
}

} // namespace pillion
