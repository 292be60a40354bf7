// The parts of the benchmark: each makes the rows of its own. One thread calls them.
#pragma once

#include "report.h"

#include <string>
#include <vector>

namespace pillion::bench {

std::vector<Row> throughput_rows(bool is_quick);
// `traces` is the folder of the traces; `skipped` gets the names of those that are not there.
std::vector<Row> hit_ratio_rows(bool is_quick, const std::string& traces, std::vector<std::string>& skipped);

} // namespace pillion::bench
