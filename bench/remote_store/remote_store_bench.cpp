// How fast the shared tiers put and get records of 1 KiB on a server of this machine, over a Unix socket: as many calls
// at once as fit in a pipeline, and one after the other. redis-benchmark does the same to the same Redis, with one
// connection and pipelines of the same length; PostgreSQL has no such program (pgbench measures transactions).
#include "modules/remote_store/remote_store.h"
#include "report.h"
#include "tests/support/postgres_server.h"
#include "tests/support/redis_server.h"

#include <condition_variable>
#include <fstream>
#include <iostream>
#include <mutex>

namespace pillion::bench {

namespace {

constexpr std::size_t value_bytes = 1024;
constexpr std::size_t at_once = 256;

struct Load {
    std::size_t calls = 20'000;
    std::size_t single_calls = 2'000;
    std::size_t rounds = 5;
};

// Lets at most so many calls be under way, and goes on when half of them are over: a switch of threads for each call
// would be what is measured.
class Window {
  public:
    explicit Window(std::size_t width) : width_(width) {}
    void begin() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return under_way_ < width_; });
        ++under_way_;
    }
    void end(bool is_right) {
        const std::lock_guard lock(mutex_);
        --under_way_;
        if (!is_right) ++wrong_;
        if (under_way_ <= width_ / 2) changed_.notify_one();
    }
    // Waits for the last one; how many were wrong.
    std::size_t finish() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return under_way_ == 0; });
        return wrong_;
    }

  private:
    const std::size_t width_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t under_way_ = 0;
    std::size_t wrong_ = 0;
};

enum class Direction : std::uint8_t { put, get };

TierKey key_of(std::size_t number) { return {.space = "embedding", .name = "key:" + std::to_string(number % 10'000)}; }

// Calls a second.
double measure(CacheTier& tier, Direction direction, std::size_t calls, std::size_t width) {
    Window window(width);
    RecordMeta meta;
    meta.created_ms = system_clock().wall_ms();
    meta.content_type = "application/octet-stream";
    meta.plain_bytes = value_bytes;
    const std::int64_t began_ns = system_clock().now_ns();
    for (std::size_t i = 0; i < calls; ++i) {
        window.begin();
        if (direction == Direction::put) {
            std::string payload(value_bytes, static_cast<char>(i));
            tier.put(key_of(i), {encode_record(meta, payload), system_clock().wall_ms() + 3'600'000},
                     [&window](Result<void> done) { window.end(done.has_value()); });
        } else {
            tier.get(key_of(i), [&window](Result<std::optional<TierValue>> got) {
                window.end(got && *got && (*got)->record.size() > value_bytes);
            });
        }
    }
    if (window.finish() > 0) throw std::runtime_error("a call failed or brought a wrong value");
    return static_cast<double>(calls) * 1e9 / static_cast<double>(system_clock().now_ns() - began_ns);
}

double redis_benchmark(const test::RedisServer& server, Direction direction, std::size_t calls, std::size_t width) {
    const std::string name = direction == Direction::put ? "set" : "get";
    const std::string out = test::output_of("redis-benchmark --csv -s " + server.socket() + " -c 1 -r 10000 -d " +
                                            std::to_string(value_bytes) + " -t " + name + " -n " +
                                            std::to_string(calls) + " -P " + std::to_string(width) + " | tail -1");
    const std::size_t comma = out.find(",\"");
    return comma == std::string::npos ? 0 : std::stod(out.substr(comma + 2));
}

void measure_tier(Report& report, RemoteStore& tier, const Load& load, const test::RedisServer* redis) {
    const std::string server(tier.name());
    for (const bool is_single : {false, true}) {
        for (const Direction direction : {Direction::put, Direction::get}) {
            const std::string verb = direction == Direction::put ? "put" : "get";
            Row row{.key = server + "_" + verb + (is_single ? "_single" : ""),
                    .title = server + ": " + verb + " of 1 KiB, " + (is_single ? "one by one" : "256 at once"),
                    .unit = "calls/s",
                    .reference = redis != nullptr ? "redis-benchmark" : ""};
            PeerFigure ours{.peer = "pillion"};
            PeerFigure theirs{.peer = "redis-benchmark"};
            const std::size_t width = is_single ? 1 : at_once;
            const std::size_t calls = is_single ? load.single_calls : load.calls;
            for (std::size_t round = 0; round < load.rounds; ++round) {
                ours.samples.push_back(measure(tier, direction, calls, width));
                if (redis != nullptr) theirs.samples.push_back(redis_benchmark(*redis, direction, calls, width));
            }
            row.figures.push_back(std::move(ours));
            if (redis != nullptr) row.figures.push_back(std::move(theirs));
            report.add(std::move(row));
        }
    }
}

int run(const std::vector<std::string>& arguments) {
    Load load;
    std::string json;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--quick") load = {.calls = 5'000, .single_calls = 500, .rounds = 3};
        if (arguments[i] == "--json" && i + 1 < arguments.size()) json = arguments[++i];
    }
    Report report("The shared tiers of the cache", "pillion", std::string(optimisation()));
    const test::RedisServer redis;
    const auto redis_tier = create_redis_tier({.url = redis.url()}, "bench", system_clock());
    measure_tier(report, **redis_tier, load, &redis);
    const auto postgres_tier = create_postgres_tier({.url = test::shared_postgres().url()}, "bench", system_clock());
    measure_tier(report, **postgres_tier, load, nullptr);
    report.print(std::cout);
    if (!json.empty() && !report.write_json(json)) throw std::runtime_error("cannot write " + json);
    return report.has_failures() ? 1 : 0;
}

} // namespace

} // namespace pillion::bench

int main(int argc, char** argv) {
    try {
        return pillion::bench::run(std::vector<std::string>(argv + 1, argv + argc));
    } catch (const std::exception& error) {
        std::cerr << "remote_store_bench: " << error.what() << '\n';
        return 1;
    }
}
