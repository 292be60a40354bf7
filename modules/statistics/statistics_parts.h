// What the parts of statistics share. Private to the module; values given are checked already. Pure functions.
#pragma once

#include "modules/statistics/statistics.h"

namespace pillion::statistics {

// Strictly between; `what` names the value in the message.
Result<void> check_between(double value, double low, double high, std::string_view what);

std::vector<double> sorted(Values values);
double quantile_of_sorted(Values values, double share);
// The median; 0 of nothing.
double middle(std::vector<double> values);
// The median absolute deviation from `center` times 1.4826.
double spread(Values values, double center);

// The standard normal distribution: the chance to exceed z, and the z that is exceeded with this chance.
double normal_tail(double z);
double normal_quantile(double share);

// Ranks from 1; equal values have the mean of theirs. `tie_term` is the sum of t^3 - t over groups of equal values.
struct Ranks {
    std::vector<double> ranks{};
    double tie_term = 0;
};
Ranks ranks_of(Values values);

// The difference a - b at this place (from 0) in the ascending order of all. Both are sorted.
double difference_at(Values a, Values b, std::size_t place);

} // namespace pillion::statistics
