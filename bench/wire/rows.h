// The rows of the wire table. Each function runs one contest between the peers and adds its rows to the report.
// Goals are those of the project's performance targets; they stand beside the measurement they belong to.
// Main thread only.
#pragma once

#include "peer_process.h"
#include "report.h"
#include "requests.h"

#include <optional>
#include <string>
#include <vector>

namespace pillion::bench {

enum class Effort { full, quick };

struct Field {
    std::vector<PeerProgram> peers; // those whose figures are goals' references first, the one judged last
    std::string subject;
    Effort effort = Effort::full;

    int rounds(int full) const { return effort == Effort::full ? full : (full + 3) / 4; }
};

// footprint.cpp
void measure_spawn(const Field& field, Report& report);
void measure_idle_memory(const Field& field, Report& report);
void measure_size(const Field& field, Report& report);
// Counted by a test of the program itself; here it only takes its place in the table.
void report_allocations(const Field& field, std::optional<double> per_request, Report& report);

// latency.cpp
void measure_round_trip(const Field& field, RequestKind kind, Report& report);

// throughput.cpp
enum class Load { singles, batches };
void measure_pipelined(const Field& field, Load load, Report& report);

// large_value.cpp
void measure_large_value(const Field& field, Report& report);

} // namespace pillion::bench
