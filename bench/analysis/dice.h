// Draws that courses are made of. Owned by who makes a course, on its thread.
#pragma once

#include <cmath>
#include <random>

namespace pillion::bench {

class Dice {
  public:
    explicit Dice(std::mt19937_64& random) : random_(random) {}
    double between(double low, double high) { return std::uniform_real_distribution(low, high)(random_); }
    // Each order of magnitude as likely as the others.
    double magnitude(double low, double high) { return std::exp(between(std::log(low), std::log(high))); }
    double normal() { return normal_(random_); }
    double wait(double mean) { return std::exponential_distribution(1 / mean)(random_); }
    double pareto(double least, double shape) { return least * std::pow(1 - between(0, 1), -1 / shape); }
    bool chance(double share) { return between(0, 1) < share; }

  private:
    std::mt19937_64& random_;
    std::normal_distribution<double> normal_{};
};

} // namespace pillion::bench
