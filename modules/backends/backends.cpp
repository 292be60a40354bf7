#include "modules/backends/backends.h"

#include "ipc/nearest.h"
#include "modules/backends/backend.h"

#include <atomic>
#include <random>

namespace pillion {

namespace {

// Waits for several ends; told once when the last has come.
class Countdown {
  public:
    Countdown(std::size_t count, std::function<void()> done) : left_(count), done_(std::move(done)) {}
    void one() {
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_();
    }

  private:
    std::atomic<std::size_t> left_;
    std::function<void()> done_;
};

Error no_backend(std::string_view name, std::string_view nearest) {
    std::string text = "there is no backend \"" + std::string(name.substr(0, 100)) + "\"";
    if (!nearest.empty()) text += "; did you mean \"" + std::string(nearest) + "\"?";
    return {ErrorCode::not_found, std::move(text), "/backend", std::string(nearest)};
}

bool same(const std::optional<Json>& a, const std::optional<Json>& b) {
    return a.has_value() == b.has_value() && (!a || a->text == b->text);
}

bool same_rules(const std::vector<BackendCacheRule>& a, const std::vector<BackendCacheRule>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const BackendCacheRule& x, const BackendCacheRule& y) {
        return std::tie(x.methods, x.tools, x.ttlMs, x.keyFields, x.tags, x.staleWhileRevalidateMs, x.staleIfErrorMs,
                        x.invalidatedBy) == std::tie(y.methods, y.tools, y.ttlMs, y.keyFields, y.tags,
                                                     y.staleWhileRevalidateMs, y.staleIfErrorMs, y.invalidatedBy);
    });
}

bool same_roots(const std::vector<BackendRoot>& a, const std::vector<BackendRoot>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const BackendRoot& x, const BackendRoot& y) { return x.uri == y.uri && x.name == y.name; });
}

bool same_spec(const BackendSpec& a, const BackendSpec& b) {
    const auto scalars = [](const BackendSpec& s) {
        return std::tie(s.kind, s.framing, s.command, s.environment, s.workingDirectory, s.version, s.protocolVersion,
                        s.rootUri, s.handshakeMs, s.clientRequestMs, s.timeoutMs, s.concurrency, s.queueMax,
                        s.messageBytesMax, s.acceptsBatches, s.idleMs, s.cacheLists, s.singleFlight, s.cacheEntriesMax,
                        s.cacheBytesMax, s.breakerFailures, s.breakerOpenMs, s.breakerOpenMsMax, s.restart,
                        s.restartsMax, s.restartWindowMs, s.memoryBytesMax, s.niceness, s.stopMs);
    };
    const auto same_answers = [&] {
        return std::equal(
            a.answers.begin(), a.answers.end(), b.answers.begin(), b.answers.end(),
            [](const auto& x, const auto& y) { return x.first == y.first && x.second.text == y.second.text; });
    };
    return scalars(a) == scalars(b) && same(a.capabilities, b.capabilities) &&
           same(a.initializationOptions, b.initializationOptions) && same(a.settings, b.settings) &&
           same_roots(a.roots, b.roots) && same_rules(a.cache, b.cache) && same_answers();
}

std::function<double()> own_random() {
    return
        [engine = std::make_shared<std::minstd_rand>(std::random_device{}()), mutex = std::make_shared<std::mutex>()] {
            const std::lock_guard lock(*mutex);
            return std::uniform_real_distribution<>(0.0, 1.0)(*engine);
        };
}

} // namespace

bool speaks_headers(const BackendSpec& spec) {
    if (spec.framing == BackendFraming::automatic) return spec.kind == BackendKind::lsp;
    return spec.framing == BackendFraming::headers;
}

std::int64_t idle_ms(const BackendSpec& spec) {
    if (spec.idleMs) return *spec.idleMs;
    return spec.kind == BackendKind::lsp ? 0 : 300'000; // a language server would forget its open documents
}

Result<void> check_backend_spec(const std::string& name, const BackendSpec& spec) {
    const auto wrong = [&name](std::string message, std::string field) {
        return fail(ErrorCode::invalid_params, "backend \"" + name + "\": " + std::move(message), std::move(field));
    };
    if (name.empty() || name.size() > 64 || name.find_first_of("/\\\"") != std::string::npos)
        return fail(ErrorCode::invalid_params, "a backend's name has 1 to 64 characters and no slash or quote, got \"" +
                                                   name.substr(0, 80) + "\"");
    if (spec.command.empty() || spec.command.front().empty())
        return wrong("command must name a program", "/" + name + "/command");
    for (std::size_t i = 0; i < spec.cache.size(); ++i) {
        const BackendCacheRule& rule = spec.cache[i];
        const std::string place = "/" + name + "/cache/" + std::to_string(i);
        if (rule.methods.empty()) return wrong("a cache rule must name methods", place + "/methods");
        if (rule.ttlMs.value_or(0) < 0) return wrong("ttlMs must not be negative", place + "/ttlMs");
        if (rule.staleWhileRevalidateMs < 0 || rule.staleIfErrorMs < 0)
            return wrong("times must not be negative", place);
        if (!rule.tools.empty() && spec.kind != BackendKind::mcp)
            return wrong("tools are MCP's; its kind is not mcp", place + "/tools");
    }
    if (spec.kind == BackendKind::mcp && spec.acceptsBatches)
        return wrong("MCP does not take batches: acceptsBatches must be false", "/" + name + "/acceptsBatches");
    if (spec.concurrency < 1 || spec.queueMax < 1 || spec.messageBytesMax < 1024 || spec.breakerFailures < 1)
        return wrong("concurrency, queueMax and breakerFailures are at least 1, messageBytesMax at least 1024",
                     "/" + name);
    if (spec.breakerOpenMsMax < spec.breakerOpenMs)
        return wrong("breakerOpenMsMax must be at least breakerOpenMs", "/" + name + "/breakerOpenMsMax");
    return {};
}

Result<void> check_backend_specs(const std::map<std::string, BackendSpec>& specs) {
    for (const auto& [name, spec] : specs) PILLION_TRY(check_backend_spec(name, spec));
    return {};
}

Backends::Backends(Host host)
    : host_([&host] {
          if (!host.random) host.random = own_random();
          return std::move(host);
      }()) {}

Backends::~Backends() = default;

void Backends::on_change(std::function<void(const BackendChange&)> listener) { changed_ = std::move(listener); }
void Backends::on_notification(std::function<void(const BackendNotification&)> listener) {
    notified_ = std::move(listener);
}

Result<void> Backends::configure(std::map<std::string, BackendSpec> specs) {
    PILLION_TRY(check_backend_specs(specs));
    std::vector<std::string> gone;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, backend] : backends_)
            if (!specs.contains(name)) gone.push_back(name);
    }
    for (const std::string& name : gone) remove(name);
    for (auto& [name, spec] : specs) PILLION_TRY(declare(name, std::move(spec)));
    return {};
}

Result<void> Backends::declare(const std::string& name, BackendSpec spec) {
    PILLION_TRY(check_backend_spec(name, spec));
    std::shared_ptr<Backend> old;
    {
        const std::lock_guard lock(mutex_);
        auto& place = backends_[name];
        if (place && same_spec(place->spec(), spec)) return {};
        old = std::move(place);
        place = std::make_shared<Backend>(name, std::move(spec),
                                          Backend::Host{host_.transports, host_.timers, host_.clock, host_.buffers,
                                                        host_.client, host_.memory, host_.version, host_.random,
                                                        changed_, notified_});
    }
    if (old) retire(std::move(old));
    return {};
}

// Stops one that is declared no more, and keeps it until it has ended.
void Backends::retire(std::shared_ptr<Backend> old) {
    old->stop([](const Result<void>&) {});
    const std::lock_guard lock(mutex_);
    std::erase_if(retired_, [](const auto& backend) { return backend->status().state == BackendState::stopped; });
    retired_.push_back(std::move(old));
}

bool Backends::remove(const std::string& name) {
    std::shared_ptr<Backend> old;
    {
        const std::lock_guard lock(mutex_);
        const auto at = backends_.find(name);
        if (at == backends_.end()) return false;
        old = std::move(at->second);
        backends_.erase(at);
    }
    retire(std::move(old));
    return true;
}

bool Backends::empty() const {
    const std::lock_guard lock(mutex_);
    return backends_.empty();
}

Result<std::shared_ptr<Backend>> Backends::find(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    if (stopped_) return fail(ErrorCode::unavailable, "Pillion is ending");
    if (const auto at = backends_.find(name); at != backends_.end()) return at->second;
    NearestName nearest(name);
    for (const auto& [other, backend] : backends_) nearest.consider(other);
    return std::unexpected(no_backend(name, nearest.best()));
}

Result<bool> Backends::answer_from_cache(std::string_view name, const BackendRequest& request, Buffer& out) {
    const auto backend = PILLION_TRY(find(name));
    return backend->answer_from_cache(request, out);
}

BackendTicket Backends::call(std::string_view name, const BackendRequest& request, BackendCallerPtr caller) {
    const auto backend = find(name);
    if (backend) return (*backend)->call(request, std::move(caller));
    caller->answered(std::unexpected(backend.error()));
    return {};
}

Result<void> Backends::notify(std::string_view name, std::string_view method, std::string_view params) {
    const auto backend = PILLION_TRY(find(name));
    return backend->notify(method, params);
}

void Backends::start(std::string_view name, Done done) {
    const auto backend = find(name);
    if (!backend) return done(std::unexpected(backend.error()));
    (*backend)->start(std::move(done));
}

void Backends::stop(std::string_view name, Done done) {
    const auto backend = find(name);
    if (!backend) return done(std::unexpected(backend.error()));
    (*backend)->stop(std::move(done));
}

void Backends::sleep(std::string_view name, Done done) {
    const auto backend = find(name);
    if (!backend) return done(std::unexpected(backend.error()));
    (*backend)->sleep(std::move(done));
}

void Backends::stop_all(std::function<void()> done) {
    std::vector<std::shared_ptr<Backend>> all;
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        all = retired_;
        for (const auto& [name, backend] : backends_) all.push_back(backend);
    }
    const auto countdown = std::make_shared<Countdown>(all.size() + 1, std::move(done));
    for (const auto& backend : all) backend->stop([countdown](const Result<void>&) { countdown->one(); });
    countdown->one();
}

Result<std::size_t> Backends::invalidate(std::string_view name, std::string_view method, std::string_view tag) {
    const auto backend = PILLION_TRY(find(name));
    return backend->invalidate(method, tag);
}

std::vector<BackendStatus> Backends::list() const {
    std::vector<BackendStatus> all;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, backend] : backends_) all.push_back(backend->status());
    return all;
}

Result<BackendStats> Backends::stats(std::string_view name) const {
    const auto backend = PILLION_TRY(find(name));
    return backend->stats();
}

void Backends::visit_counts(const std::function<void(const BackendStats&, const Histogram& latency_ns)>& visit) const {
    std::vector<std::shared_ptr<Backend>> backends;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, backend] : backends_) backends.push_back(backend);
    }
    for (const auto& backend : backends) visit(backend->counts(), backend->latency_ns());
}

std::vector<BackendRepeated> Backends::repeats() const {
    std::vector<BackendRepeated> all;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, backend] : backends_)
        for (BackendRepeated& repeated : backend->repeats()) {
            repeated.backend = name;
            all.push_back(std::move(repeated));
        }
    return all;
}

std::pair<std::size_t, std::size_t> Backends::cache_size() const {
    std::pair<std::size_t, std::size_t> sum{0, 0};
    const std::lock_guard lock(mutex_);
    for (const auto& [name, backend] : backends_) {
        const auto [bytes, entries] = backend->cache_size();
        sum.first += bytes;
        sum.second += entries;
    }
    return sum;
}

std::size_t Backends::clear_caches() {
    std::size_t freed = 0;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, backend] : backends_) freed += backend->clear_cache();
    return freed;
}

BackendStatus Backend::status() const {
    const std::lock_guard lock(mutex_);
    BackendStatus status{.name = name_,
                         .kind = spec_.kind,
                         .state = state_,
                         .breaker = breaker_.state(),
                         .command = spec_.command,
                         .inFlight = static_cast<std::int64_t>(calls_sent()),
                         .queued = static_cast<std::int64_t>(queue_.size())};
    if (transport_) status.pid = transport_->pid();
    if (!reason_.empty()) status.reason = reason_;
    return status;
}

BackendStats Backend::counts() const {
    const std::lock_guard lock(mutex_);
    BackendStats stats = counts_;
    stats.name = name_;
    stats.state = state_;
    stats.breaker = breaker_.state();
    stats.breakerOpenings = breaker_.openings();
    stats.inFlight = static_cast<std::int64_t>(calls_sent());
    stats.queued = static_cast<std::int64_t>(queue_.size());
    stats.cacheEntries = cache_.entries();
    stats.cacheBytes = cache_.bytes();
    stats.cacheEvictions = cache_.evictions();
    return stats;
}

BackendStats Backend::stats() const {
    BackendStats stats = counts();
    std::shared_ptr<BackendTransport> transport;
    {
        const std::lock_guard lock(mutex_);
        transport = transport_;
    }
    if (transport) stats.memoryBytes = transport->memory_bytes();
    const HistogramSummary latency = latency_ns_.summary();
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000.0; };
    stats.latency = {latency.count, us(latency.p50), us(latency.p95), us(latency.p99), us(latency.max)};
    return stats;
}

} // namespace pillion
