// How things stand, as far as advice is given on them: plain figures that the composition root fills in. A part that is
// not in use is left out. Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

// What a simulation of the requests that were really made says.
struct CacheTuning {
    double hit_ratio_now = 0;
    double hit_ratio_best = 0;
    std::string eviction{}; // that is best
    std::int64_t bytes_max = 0;
};

struct CacheSituation { // of one namespace
    std::string name{};
    std::int64_t requests = 0; // since Pillion started
    double hit_ratio = 0;
    std::uint64_t bytes = 0; // held in memory
    std::string eviction{};
    std::int64_t bytes_max = 0;
    std::int64_t ttl_ms = 0;
    std::int64_t compress_above_bytes = 0;
    std::uint64_t written = 0; // values that went to slower tiers, since they are compressed as now
    std::uint64_t plain_bytes = 0;
    std::uint64_t sealed_bytes = 0;
    bool is_compressed_in_vain = false; // that was seen before it was turned off
    std::optional<CacheTuning> tuning{};
    std::int64_t fitting_ttl_ms = 0; // at whose end a tenth of the values has changed; 0: not known
    double looks = 0;                // on which that rests
    double load_ms = 0;              // what a miss costs at the median; 0: not known
};

struct ComponentSituation {
    std::string name{};
    bool is_ready = false;
    bool is_critical = false;
    bool is_eager = false;
    bool is_process = false;     // its end gives memory back
    bool is_depended_on = false; // by something that is loaded
    std::int64_t uses = 0;
    std::int64_t unused_ms = 0; // since the last use, or since it became ready
    double load_ms = 0;
    std::int64_t memory_bytes = 0;
};

struct BackendSituation {
    std::string name{};
    std::uint64_t calls = 0;
    std::int64_t concurrency = 0; // calls at a time, and how many may wait: as it is now
    std::int64_t queue_max = 0;
    std::int64_t queue_high_water = 0; // since that was set
    std::uint64_t refused = 0;         // for a full queue
    double p50_ms = 0;
};

// A method of a backend whose answers are not kept.
struct MethodSituation {
    std::string backend{};
    std::string method{};
    std::uint64_t calls = 0;
    std::uint64_t repeats = 0;        // with params that had been asked before
    std::uint64_t contradictions = 0; // repeats that were answered otherwise than before
    double mean_ms = 0;               // to an answer
};

struct DatabaseSituation {
    std::string name{};
    std::uint64_t bytes = 0;
    std::uint64_t free_bytes = 0;
    bool can_shrink = false;
};

struct MemorySituation {
    std::uint64_t resident_bytes = 0;
    std::uint64_t committed_bytes = 0; // by the heap
    std::uint64_t used_bytes = 0;      // of that, by the program
    std::uint64_t pools_idle_bytes = 0;
    std::uint64_t available_bytes = 0; // of the machine; 0: not known
};

struct WorkerSituation {
    std::int64_t count = 0;
    std::int64_t cores = 0;
    std::uint64_t calls = 0; // that waited for a worker, since there are as many as now
    double wait_p95_ms = 0;
    double cpu_share = 0; // of all cores, by this process, on average
};

struct WireSituation {
    std::uint64_t requests = 0;
    std::uint64_t batches = 0;
    double requests_per_second = 0; // on average
};

struct Situation {
    std::int64_t uptime_ms = 0;
    std::int64_t unused_ms_min = 1'800'000; // from when on a component counts as unused
    std::vector<CacheSituation> caches{};
    std::vector<ComponentSituation> components{};
    std::vector<BackendSituation> backends{};
    std::vector<MethodSituation> methods{};
    std::vector<DatabaseSituation> databases{};
    std::optional<MemorySituation> memory{};
    std::optional<WorkerSituation> workers{};
    std::optional<WireSituation> wire{};
};

} // namespace pillion
