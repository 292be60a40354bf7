// A tier that does what a test tells it: keeps records in a map, fails, is silent, answers later. Tests only.
#pragma once

#include "modules/cache/cache.h"

#include <deque>
#include <map>
#include <mutex>

namespace pillion::test {

class FakeTier final : public CacheTier {
  public:
    enum class Mood { works, fails, silent, holds };

    explicit FakeTier(std::string name) : name_(std::move(name)) {}

    std::string_view name() const override { return name_; }
    void get(TierKey key, Got got) override {
        ++reads;
        act([this, key = std::move(key), got = std::move(got)](bool works) {
            if (!works) return got(fail(ErrorCode::unavailable, "the tier fails"));
            const auto at = entries.find({key.space, key.name});
            got(at == entries.end() ? std::nullopt : std::optional(at->second));
        });
    }
    void put(TierKey key, TierValue value, Done done) override {
        ++writes;
        act([this, key = std::move(key), value = std::move(value), done = std::move(done)](bool works) {
            if (!works) return done(fail(ErrorCode::unavailable, "the tier fails"));
            if (is_full) return done(fail(ErrorCode::exhausted, "the tier is full"));
            entries[{key.space, key.name}] = value;
            done({});
        });
    }
    void remove(TierKey key, Done done) override {
        act([this, key = std::move(key), done = std::move(done)](bool works) {
            if (!works) return done(fail(ErrorCode::unavailable, "the tier fails"));
            entries.erase({key.space, key.name});
            done({});
        });
    }
    void invalidate(TierSelection selection, Counted counted) override {
        act([this, selection = std::move(selection), counted = std::move(counted)](bool works) {
            if (!works) return counted(fail(ErrorCode::unavailable, "the tier fails"));
            counted(std::erase_if(entries, [&](const auto& entry) {
                const auto decoded = decode_record(entry.second.record);
                const TierKey key{entry.first.first, entry.first.second, decoded ? decoded->meta.parts : ""};
                return selection_covers(selection, key, decoded ? decoded->meta : RecordMeta{});
            }));
        });
    }
    void list(TierSelection selection, std::string after, std::size_t limit, Listed listed) override {
        std::vector<TierKey> keys;
        for (const auto& [key, value] : entries)
            if ((selection.space.empty() || key.first == selection.space) && key.second > after && keys.size() < limit)
                keys.push_back({key.first, key.second, {}});
        listed(std::move(keys));
    }
    void probe(Done done) override {
        ++probes;
        act([done = std::move(done)](bool works) {
            done(works ? Result<void>{} : fail(ErrorCode::unavailable, "the tier fails"));
        });
    }
    TierStats stats() const override { return {}; }
    void on_notice(std::function<void(const Notice&)> listener) override {
        if (before_listening) before_listening();
        notify = std::move(listener);
    }
    void announce(const TierSelection& selection) override { announced.push_back(selection); }
    void stop() override {
        mood = Mood::silent;
        held_.clear();
        notify = nullptr;
    }

    // Answers what was held back.
    void release() {
        mood = Mood::works;
        while (!held_.empty()) {
            const auto go_on = std::move(held_.front());
            held_.pop_front();
            go_on(true);
        }
    }

    Mood mood = Mood::works;
    bool is_full = false;
    std::map<std::pair<std::string, std::string>, TierValue> entries;
    std::vector<TierSelection> announced;
    std::function<void(const Notice&)> notify;
    std::function<void()> before_listening;
    int reads = 0, writes = 0, probes = 0;

  private:
    void act(std::function<void(bool)> run) {
        switch (mood) {
        case Mood::works:
            return run(true);
        case Mood::fails:
            return run(false);
        case Mood::silent:
            return;
        case Mood::holds:
            held_.push_back(std::move(run));
        }
    }
    const std::string name_;
    std::deque<std::function<void(bool)>> held_;
};

inline bool is_answered(const std::optional<Result<CacheRead>>& read) { return read.has_value() && read->has_value(); }

// A cache over two such tiers; time moves when told, everything else happens at once.
struct CacheFixture {
    explicit CacheFixture(const CacheConfig& config = {}, std::string data_directory = {}) {
        const auto source = [](std::shared_ptr<FakeTier> tier, bool is_shared) {
            const std::string name(tier->name());
            return CacheTierSource{name, is_shared, [tier]() -> Result<std::shared_ptr<CacheTier>> {
                                       return std::shared_ptr<CacheTier>(tier);
                                   }};
        };
        CacheHost host{
            .clock = clock, .timers = timers, .executor = executor, .data_directory = std::move(data_directory)};
        host.tiers = {source(disk, false), source(redis, true)};
        host.loader = [this](const CacheLoadRequest& request, CacheLoadDone done) {
            ++loads;
            last_load = request;
            if (loader)
                loader(request, std::move(done));
            else
                done(CacheLoaded{.bytes = "\"loaded " + std::to_string(loads) + "\""});
        };
        cache.emplace(std::move(host));
        cache->on_trouble([this](const CacheTrouble& trouble) { troubles.push_back(trouble); });
        cache->on_invalidated([this](const CacheNotice& notice) { notices.push_back(notice); });
        if (!cache->configure(config)) std::abort();
    }

    CachePutOutcome put(const std::string& key, const std::string& bytes, CachePut request = {}) {
        request.key = {key, {}};
        request.bytes = bytes;
        const auto outcome = std::make_shared<CachePutOutcome>();
        cache->put(std::move(request), [outcome](const Result<CachePutOutcome>& answer) {
            if (answer) *outcome = *answer;
        });
        return *outcome;
    }
    // Nothing if it was not answered at once.
    std::optional<Result<CacheRead>> get(const std::string& key, CacheGet request = {}) {
        request.key = {key, {}};
        const auto answer = std::make_shared<std::optional<Result<CacheRead>>>();
        cache->get(std::move(request), [answer](Result<CacheRead> read) { *answer = std::move(read); });
        last = answer;
        return *answer;
    }
    // The value, "" for a miss, "?" for an error, "..." for no answer yet.
    static std::string text_of(const std::optional<Result<CacheRead>>& read) {
        if (!read) return "...";
        if (!*read) return "?";
        return (*read)->value ? (*read)->value->bytes : "";
    }
    std::string text(const std::string& key, CacheGet request = {}) { return text_of(get(key, std::move(request))); }
    std::string loaded(const std::string& key, CacheGet request = {}) {
        request.load = CacheLoad{"make", "{}"};
        return text(key, std::move(request));
    }
    CacheInvalidated invalidate(CacheSelection selection) {
        const auto outcome = std::make_shared<CacheInvalidated>();
        cache->invalidate(std::move(selection), [outcome](const Result<CacheInvalidated>& answer) {
            if (answer) *outcome = *answer;
        });
        return *outcome;
    }
    void forget_memory() { invalidate({.only_memory = true}); }
    void set_policy(const std::string& space, const CacheNamespaceSpec& spec) {
        if (!cache->set_policy(space, spec)) std::abort();
    }

    ManualClock clock;
    ManualTimers timers{clock};
    SerialExecutor executor{"test", SerialExecutor::Mode::in_place};
    std::shared_ptr<FakeTier> disk = std::make_shared<FakeTier>("disk");
    std::shared_ptr<FakeTier> redis = std::make_shared<FakeTier>("redis");
    std::function<void(const CacheLoadRequest&, CacheLoadDone)> loader;
    CacheLoadRequest last_load;
    int loads = 0;
    std::vector<CacheTrouble> troubles;
    std::vector<CacheNotice> notices;
    std::shared_ptr<std::optional<Result<CacheRead>>> last;
    std::optional<Cache> cache; // last: it goes before what it uses
};

} // namespace pillion::test
