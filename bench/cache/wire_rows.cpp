// Hits over the wire: as fast as they are taken, in pipelines of fifty and one by one, from Pillion over its pipes and
// from Redis over a Unix socket. Both hold the same 100,000 entries and are asked for the same keys; both have the
// writer in a thread of its own. What each answers is known to the byte: it is compared before, and counted while
// measured.
#include "../wire/peer_process.h"
#include "rows.h"
#include "statistics.h"
#include "traffic.h"

#include <cstring>
#include <functional>
#include <iostream>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace pillion::bench {

namespace {

constexpr std::size_t requests_per_block = 10'000;
constexpr std::size_t entries_per_write = 1'000;

// This process on the last core it may use, until the end of the scope.
class PinnedHere {
  public:
    PinnedHere() {
        sched_getaffinity(0, sizeof before_, &before_);
        for (int core = 0; core < CPU_SETSIZE; ++core)
            if (CPU_ISSET(static_cast<std::size_t>(core), &before_)) core_ = core;
        cpu_set_t cores;
        CPU_ZERO(&cores);
        CPU_SET(static_cast<std::size_t>(core_), &cores);
        sched_setaffinity(0, sizeof cores, &cores);
    }
    ~PinnedHere() { sched_setaffinity(0, sizeof before_, &before_); }
    PinnedHere(const PinnedHere&) = delete;

    int core() const { return core_; }

  private:
    cpu_set_t before_{};
    int core_ = 0;
};

void fill(const PeerProcess& process, const Connection& connection, Wire wire, const std::string& tag = {}) {
    const Watch watch(process, 60);
    for (std::size_t begin = 0; begin < traffic_entries; begin += entries_per_write)
        seconds_of(connection, writes(wire, begin, begin + entries_per_write, tag), 1, Answers::compared);
}

class Pillion {
  public:
    Pillion(const CacheBench& bench, const std::string& name)
        : process_(PeerProcess::start(
              {.name = "pillion", .arguments = {bench.pillion, "serve", "--data-dir", bench.home + "/" + name}})) {
        const Watch watch(*process_);
        exchange_seconds(connection(), ping());
        process_->set_pipe_bytes(1024 * 1024);
        fill(*process_, connection(), Wire::singles);
    }
    Connection connection() const { return {process_->input(), process_->output()}; }
    PeerProcess& process() { return *process_; }

  private:
    std::unique_ptr<PeerProcess> process_;
};

// A server without persistence, on a socket in the benchmark's folder.
class Redis {
  public:
    explicit Redis(const CacheBench& bench) {
        if (bench.redis.empty()) throw PeerFailure("redis-server is not installed");
        const std::string path = bench.home + "/redis.sock";
        process_ = PeerProcess::start({.name = "redis",
                                       .arguments = {bench.redis, "--port", "0", "--unixsocket", path, "--save", "",
                                                     "--appendonly", "no", "--dir", bench.home}});
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        for (int attempt = 0; attempt < 500; ++attempt) {
            socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) break;
            close(socket_);
            socket_ = -1;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        if (socket_ < 0) throw PeerFailure("it did not listen within 5 s");
        fill(*process_, connection(), Wire::redis);
    }
    ~Redis() {
        if (socket_ >= 0) close(socket_);
    }
    Redis(const Redis&) = delete;

    Connection connection() const { return {socket_, socket_}; }
    PeerProcess& process() { return *process_; }

  private:
    std::unique_ptr<PeerProcess> process_;
    int socket_ = -1;
};

// One who takes part in a row: what it is measured at each round.
struct Contender {
    PeerFigure figure;
    std::function<double()> measure;
};

void contest(Row row, std::vector<Contender> contenders, int rounds, Report& report) {
    std::cerr << row.title << " ..." << std::endl;
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t step = 0; step < contenders.size(); ++step) {
            Contender& one = contenders[round % 2 == 0 ? step : contenders.size() - 1 - step];
            if (!one.figure.failure.empty()) continue;
            try {
                one.figure.samples.push_back(one.measure());
            } catch (const std::exception& failure) {
                one.figure.failure = failure.what();
                one.figure.samples.clear();
            }
        }
    }
    for (Contender& one : contenders) row.figures.push_back(std::move(one.figure));
    report.add(std::move(row));
}

// A second process of each kind would find the first one's working set in the processor's cache: one of each for all.
struct Peers {
    std::unique_ptr<Redis> redis;
    std::string no_redis; // why not
    std::unique_ptr<Pillion> pillion;
};

Contender pipelined(const std::string& name, PeerProcess& process, const Connection& connection, Traffic traffic,
                    std::size_t requests) {
    const std::size_t times = std::max<std::size_t>(1, requests / traffic.requests);
    return {{.peer = name}, [&process, connection, traffic = std::move(traffic), times, is_known = false]() mutable {
                const Watch watch(process);
                if (!std::exchange(is_known, true)) seconds_of(connection, traffic, 1, Answers::compared);
                const double seconds = seconds_of(connection, traffic, times, Answers::counted);
                return static_cast<double>(traffic.requests * times) / seconds / 1e6;
            }};
}

// Each fifty are answered before the next are sent.
Contender by_fifties(const std::string& name, PeerProcess& process, const Connection& connection, Wire wire,
                     std::size_t pipelines) {
    const Traffic traffic = reads(wire, pipeline_requests);
    return {{.peer = name}, [&process, connection, traffic, pipelines] {
                const Watch watch(process);
                double seconds = 0;
                for (std::size_t i = 0; i < pipelines; ++i) seconds += exchange_seconds(connection, traffic);
                return static_cast<double>(traffic.requests * pipelines) / seconds / 1e6;
            }};
}

Contender one_by_one(const std::string& name, PeerProcess& process, const Connection& connection,
                     std::vector<Traffic> exchanges) {
    return {{.peer = name}, [&process, connection, exchanges = std::move(exchanges)] {
                const Watch watch(process);
                std::vector<double> trips_us;
                trips_us.reserve(exchanges.size());
                for (const Traffic& exchange : exchanges)
                    trips_us.push_back(exchange_seconds(connection, exchange) * 1e6);
                return median(trips_us);
            }};
}

void measure_pipelines(const CacheBench& bench, Peers& peers, Report& report) {
    struct Form {
        Wire wire;
        const char* key;
        const char* title;
    };
    const int rounds = bench.rounds(10);
    const Connection own = peers.pillion->connection();
    const auto against_redis = [&](auto make) {
        std::vector<Contender> contenders;
        if (peers.redis)
            contenders.push_back(make("redis", peers.redis->process(), peers.redis->connection(), Wire::redis));
        else
            contenders.push_back({{.peer = "redis", .failure = peers.no_redis}, {}});
        return contenders;
    };
    for (const Form& form : {Form{Wire::singles, "cache_hits_singles", "hits, pipelined single requests"},
                             Form{Wire::batches, "cache_hits_batches", "hits, pipelined batches of 50"}}) {
        const auto make = [](const char* name, PeerProcess& process, Connection connection, Wire wire) {
            return pipelined(name, process, connection, reads(wire, requests_per_block),
                             wire == Wire::redis ? 300'000 : 1'500'000);
        };
        auto contenders = against_redis(make);
        contenders.push_back(make("pillion", peers.pillion->process(), own, form.wire));
        contest({.key = form.key,
                 .title = form.title,
                 .unit = "M/s",
                 .reference = "redis",
                 .goal = {.figure_min = 2},
                 .note = "Redis takes the same reads without waiting, over a Unix socket"},
                std::move(contenders), rounds, report);
    }
    const auto make = [](const char* name, PeerProcess& process, Connection connection, Wire wire) {
        return by_fifties(name, process, connection, wire, 2'000);
    };
    auto contenders = against_redis(make);
    contenders.push_back(make("pillion", peers.pillion->process(), own, Wire::batches));
    contest({.key = "cache_hits_fifties",
             .title = "hits, 50 at a time, each 50 awaited",
             .unit = "M/s",
             .reference = "redis"},
            std::move(contenders), rounds, report);
}

void measure_round_trips(const CacheBench& bench, Peers& peers, Report& report) {
    const PinnedHere pinned;
    peers.pillion->process().pin_to(pinned.core());
    const Connection own = peers.pillion->connection();
    constexpr std::size_t trips = 3'000;
    const auto trips_of = [](Wire wire) {
        std::vector<Traffic> all;
        for (std::size_t i = 0; i < trips; ++i) all.push_back(one_read(wire, i * 31 % traffic_entries));
        return all;
    };
    std::vector<Contender> contenders;
    contenders.push_back(one_by_one("ping", peers.pillion->process(), own, std::vector<Traffic>(trips, ping())));
    if (peers.redis) {
        peers.redis->process().pin_to(pinned.core());
        contenders.push_back(
            one_by_one("redis", peers.redis->process(), peers.redis->connection(), trips_of(Wire::redis)));
    }
    contenders.push_back(one_by_one("pillion", peers.pillion->process(), own, trips_of(Wire::singles)));
    contest({.key = "cache_hit_one_by_one",
             .title = "hit, one by one, p50",
             .unit = "us",
             .reference = "ping",
             .goal = {.ratio_max = 1.5},
             .note = "ping is rpc.ping of the same process; all on core " + std::to_string(pinned.core())},
            std::move(contenders), bench.rounds(20), report);
}

// The entries are written anew under a new tag each round; only the invalidation is measured, and that nothing of it is
// served any more is looked at.
void measure_tags(const CacheBench& bench, Peers& peers, Report& report) {
    PeerProcess& process = peers.pillion->process();
    const Connection own = peers.pillion->connection();
    int round = 0;
    const auto invalidate = [&process, own](const std::string& tag) {
        const Watch watch(process);
        const auto start = std::chrono::steady_clock::now();
        process.write_all(R"({"jsonrpc":"2.0","id":1000000,"method":"cache.invalidate","params":{"tag":")" + tag +
                          "\"}}\n");
        const std::string answer(process.read_line());
        const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
        if (answer.find("\"result\"") == std::string::npos) throw PeerFailure("it answered " + answer);
        process.write_all(one_read(Wire::singles, traffic_entries - 1).sent);
        if (process.read_line().find("\"found\":false") == std::string_view::npos)
            throw PeerFailure("it served what was invalidated");
        return taken.count();
    };
    std::vector<Contender> contenders;
    contenders.push_back({{.peer = "one entry"}, [&, own] {
                              const std::string tag = "one" + std::to_string(round);
                              seconds_of(own, writes(Wire::singles, traffic_entries - 1, traffic_entries, tag), 1,
                                         Answers::compared);
                              return invalidate(tag);
                          }});
    contenders.push_back({{.peer = "pillion"}, [&, own] {
                              const std::string tag = "all" + std::to_string(round++);
                              fill(process, own, Wire::singles, tag);
                              return invalidate(tag);
                          }});
    contest({.key = "cache_invalidate_tag",
             .title = "invalidating a tag of 100,000 entries",
             .unit = "ms",
             .reference = "one entry",
             .goal = {.figure_max = 1}},
            std::move(contenders), bench.rounds(8), report);
}

} // namespace

void measure_wire(const CacheBench& bench, Report& report) {
    Peers peers;
    try {
        peers.redis = std::make_unique<Redis>(bench);
    } catch (const PeerFailure& failure) {
        peers.no_redis = failure.what();
    }
    peers.pillion = std::make_unique<Pillion>(bench, "hits");
    measure_pipelines(bench, peers, report);
    measure_tags(bench, peers, report);
    fill(peers.pillion->process(), peers.pillion->connection(), Wire::singles);
    measure_round_trips(bench, peers, report);
    peers.pillion->process().stop();
}

} // namespace pillion::bench
