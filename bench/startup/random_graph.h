// Random graphs of components in the shapes that apps have, with what each component takes. Pure functions.
#pragma once

#include "modules/startup/startup.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace pillion::bench {

enum class Shape { layers, fan_out, chains, random_edges };
inline constexpr Shape shapes[] = {Shape::layers, Shape::fan_out, Shape::chains, Shape::random_edges};
std::string name_of(Shape shape);

struct RandomStart {
    std::vector<StartupNode> nodes;         // no durations expected
    std::vector<std::int64_t> durations_ns; // what they really take: log-normal, 20 ms in the middle
};

RandomStart random_start(Shape shape, std::size_t count, std::mt19937& random);

} // namespace pillion::bench
