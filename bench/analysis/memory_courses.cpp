#include "memory_courses.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>

namespace pillion::bench {

namespace {

constexpr double megabyte = 1024 * 1024;
constexpr double per_hour = 3600.0 * 1000 / course_step_ms;
constexpr std::array<std::size_t, 4> level_steps = {1, 15, 150, 1800};
constexpr std::array<std::size_t, 4> level_reach = {295, 3585, 43'050, 302'400};

double uniform(std::mt19937_64& random, double low, double high) {
    return std::uniform_real_distribution(low, high)(random);
}

// Keeps its level for about `steps` values.
std::vector<double> correlated(std::size_t count, double steps, double deviation, std::mt19937_64& random) {
    std::normal_distribution<double> draw;
    const double memory = std::exp(-1 / steps);
    const double fresh = deviation * std::sqrt(1 - memory * memory);
    std::vector<double> values(count);
    double value = deviation * draw(random);
    for (double& each : values) each = value = memory * value + fresh * draw(random);
    return values;
}

std::vector<double> teeth(std::size_t count, double height, double period, double jitter, std::mt19937_64& random) {
    std::vector<double> values(count);
    double level = 0;
    double end = height * uniform(random, 1 - jitter, 1 + jitter);
    for (double& each : values) {
        level += height / period * uniform(random, 0.7, 1.3);
        if (level >= end) {
            level = height * uniform(random, 0, 0.05);
            end = height * uniform(random, 1 - jitter, 1 + jitter);
        }
        each = level;
    }
    return values;
}

void add(std::vector<double>& to, const std::vector<double>& more) {
    for (std::size_t index = 0; index < to.size(); ++index) to[index] += more[index];
}

// The least of those that were taken.
double least_of(std::span<const double> values) {
    double least = std::numeric_limits<double>::quiet_NaN();
    for (const double value : values) least = std::fmin(least, value);
    return least;
}

} // namespace

std::string name_of(MemoryNoise noise) {
    constexpr std::array names = {"white noise",  "drifting noise", "wandering level", "sawtooth", "generations",
                                  "daily rhythm", "documents",      "two levels",      "restarts"};
    return names[static_cast<std::size_t>(noise)];
}

std::vector<double> memory_course(MemoryNoise noise, std::size_t count, std::mt19937_64& random) {
    const double base = megabyte * std::exp(uniform(random, std::log(40.0), std::log(600.0)));
    std::vector<double> values(count, base);
    add(values, correlated(count, 1, base * uniform(random, 0.002, 0.02), random));
    switch (noise) {
    case MemoryNoise::white:
        add(values, correlated(count, 0.2, base * uniform(random, 0.01, 0.05), random));
        break;
    case MemoryNoise::drifting:
        add(values, correlated(count, uniform(random, 60, 600), base * uniform(random, 0.01, 0.04), random));
        break;
    case MemoryNoise::wandering:
        add(values, correlated(count, uniform(random, 1, 6) * per_hour, base * uniform(random, 0.01, 0.04), random));
        break;
    case MemoryNoise::sawtooth:
        add(values, teeth(count, base * uniform(random, 0.2, 1), std::exp(uniform(random, std::log(10), std::log(600))),
                          uniform(random, 0, 0.3), random));
        break;
    case MemoryNoise::generations: {
        const double period = std::exp(uniform(random, std::log(5), std::log(60)));
        add(values, teeth(count, base * uniform(random, 0.1, 0.4), period, 0.2, random));
        add(values, teeth(count, base * uniform(random, 0.1, 0.5), period * uniform(random, 5, 20), 0.2, random));
        break;
    }
    case MemoryNoise::daily: {
        const double height = base * uniform(random, 0.01, 0.05);
        const double phase = uniform(random, 0, 2 * std::numbers::pi);
        add(values, teeth(count, base * uniform(random, 0.1, 0.5), uniform(random, 20, 200), 0.2, random));
        for (std::size_t index = 0; index < count; ++index)
            values[index] +=
                height * std::sin(phase + 2 * std::numbers::pi * static_cast<double>(index) / per_hour / 24);
        break;
    }
    case MemoryNoise::documents: {
        const double size = megabyte * uniform(random, 1, 8);
        const double stay = uniform(random, 0.1, 1) * per_hour;
        double open = 5;
        for (double& value : values) {
            if (uniform(random, 0, 1) < 5 / stay) ++open;
            if (uniform(random, 0, 1) < open / stay) --open;
            value += open * size;
        }
        break;
    }
    case MemoryNoise::flapping: {
        bool is_high = false;
        const double height = base * uniform(random, 0.1, 0.5);
        const double stay = std::exp(uniform(random, std::log(5), std::log(900)));
        for (double& value : values) {
            if (uniform(random, 0, 1) < 1 / stay) is_high = !is_high;
            value += is_high ? height : 0;
        }
        break;
    }
    case MemoryNoise::restarts: {
        double age = 0;
        const double warm = uniform(random, 20, 100);
        for (double& value : values) {
            if (uniform(random, 0, 1) < 0.3 / per_hour) age = 0;
            value *= 1 - 0.6 * std::exp(-++age / warm);
        }
        break;
    }
    }
    for (double& value : values) value = std::max(value, megabyte);
    return values;
}

std::vector<double> bounded_course(std::size_t count, std::mt19937_64& random) {
    std::vector<double> values = memory_course(MemoryNoise::generations, count, random);
    const double limit = megabyte * uniform(random, 30, 300);
    const double steps = uniform(random, 0.02, 1) * per_hour;
    for (std::size_t index = 0; index < count; ++index)
        values[index] += limit * (1 - std::exp(-static_cast<double>(index) / steps));
    return values;
}

void add_leak(std::vector<double>& course, double bytes_per_hour, std::size_t from) {
    for (std::size_t index = from; index < course.size(); ++index)
        course[index] += bytes_per_hour / per_hour * static_cast<double>(index - from);
}

CourseView::CourseView(std::vector<double> course) {
    for (const std::size_t step : level_steps) {
        std::vector<double>& level = levels_.emplace_back();
        for (std::size_t from = 0; from < course.size(); from += step)
            level.push_back(least_of(std::span(course).subspan(from, std::min(step, course.size() - from))));
    }
}

std::vector<SeriesPoint> CourseView::at(std::size_t now) const {
    std::vector<SeriesPoint> points;
    for (std::size_t level = level_steps.size(); level-- > 0;) {
        const std::size_t step = level_steps[level];
        const std::size_t from = now - std::min(now, level_reach[level]);
        const std::size_t to = level == 0 ? now : now - std::min(now, level_reach[level - 1]);
        for (std::size_t index = from / step; index * step < to; ++index) {
            const auto at_ms = static_cast<std::int64_t>(index * step) * course_step_ms + 1'700'000'000'000;
            const double value = levels_[level][index];
            if (!std::isnan(value) && (points.empty() || at_ms > points.back().at_ms)) points.push_back({at_ms, value});
        }
    }
    return points;
}

} // namespace pillion::bench
