#include "app_courses.h"

#include "dice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace pillion::bench {

namespace {

constexpr double megabyte = 1024 * 1024;
constexpr double per_hour = 3600.0 * 1000 / course_step_ms;
constexpr double none = std::numeric_limits<double>::quiet_NaN();

using Course = std::vector<double>;

// Hours of the week, from a Monday's midnight on.
double hour_of(std::size_t index, double begin) {
    return std::fmod(begin + static_cast<double>(index) / per_hour, 168);
}

double working(double hour) {
    const double of_day = std::fmod(hour, 24);
    const double day = 1 / (1 + std::exp(-2 * (of_day - 8.5))) - 1 / (1 + std::exp(-2 * (of_day - 18)));
    return hour < 120 ? day : 0.25 * day;
}

void add_noise(Course& course, double deviation, double steps, Dice& dice) {
    const double memory = std::exp(-1 / steps);
    const double fresh = deviation * std::sqrt(1 - memory * memory);
    double value = deviation * dice.normal();
    for (double& each : course) each += value = memory * value + fresh * dice.normal();
}

// What is collected at is random; no tooth is higher than the heap, which fills within a minute to an hour.
void pareto_teeth(Course& course, double base, Dice& dice) {
    const double heap = base * dice.between(0.2, 1);
    const double steps = dice.magnitude(30, 1800);
    const double least = dice.magnitude(0.05, 0.5) * heap;
    double level = 0;
    double limit = dice.pareto(least, 1.3);
    for (double& each : course) {
        if (level > std::min(limit, heap)) {
            limit = dice.pareto(least, 1.3);
            level = base * dice.between(0, 0.03);
        }
        each += level += heap / steps * dice.between(0.5, 1.5);
    }
}

void promotions(Course& course, double base, Dice& dice) {
    const double minor = base * dice.between(0.05, 0.3);
    const double minor_steps = dice.magnitude(3, 60);
    const double promoted = minor * dice.between(0.01, 0.1);
    const double major = base * dice.between(0.2, 0.8);
    double young = 0;
    double old = dice.between(0, 1) * major;
    double limit = major;
    for (double& each : course) {
        young += minor / minor_steps * dice.between(0.5, 1.5);
        if (young > minor) {
            young = 0;
            old += promoted * dice.between(0.3, 1.7);
        }
        if (old > limit) {
            old = major * dice.between(0, 0.1);
            limit = major * dice.between(0.8, 1.2);
        }
        each += young + old;
    }
}

void levels(Course& course, double base, Dice& dice) {
    const auto count = static_cast<std::size_t>(dice.between(3, 7));
    Course heights;
    for (std::size_t index = 0; index < count; ++index) heights.push_back(base * dice.between(0, 0.6));
    const double stay = dice.magnitude(60, 7200);
    std::size_t now = 0;
    for (double& each : course) {
        if (dice.chance(1 / stay)) now = static_cast<std::size_t>(dice.between(0, static_cast<double>(count)));
        each += heights[now];
    }
}

void weekdays(Course& course, double base, Dice& dice) {
    const double height = base * dice.magnitude(0.05, 1);
    const double tooth = base * dice.between(0.02, 0.3);
    const double period = dice.magnitude(10, 300);
    const double begin = dice.between(0, 168);
    double phase = 0;
    for (std::size_t index = 0; index < course.size(); ++index) {
        phase += dice.between(0.7, 1.3) / period;
        course[index] += height * working(hour_of(index, begin)) + tooth * (phase - std::floor(phase));
    }
}

void bursts(Course& course, double base, Dice& dice) {
    const double often = dice.magnitude(0.2, 10);
    const double decay = std::exp(-1 / dice.magnitude(15, 1800));
    double extra = 0;
    for (double& each : course) {
        if (dice.chance(often / per_hour)) extra += std::min(dice.pareto(0.05 * base, 1.5), 2 * base);
        each += extra *= decay;
    }
}

void gaps(Course& course, double base, Dice& dice) {
    pareto_teeth(course, base * 0.3, dice);
    double left = 0;
    for (double& each : course) {
        if (left <= 0 && dice.chance(0.3 / per_hour)) left = dice.magnitude(10, 20'000);
        if (--left > 0) each = none;
        if (dice.chance(0.02)) each = none;
    }
}

void crashes(Course& course, Dice& dice) {
    const double often = dice.magnitude(0.05, 2) / per_hour;
    double age = 0;
    double warm = dice.magnitude(10, 400);
    double share = dice.between(0.2, 0.8);
    for (double& each : course) {
        if (dice.chance(often)) {
            age = 0;
            warm = dice.magnitude(10, 400);
            share = dice.between(0.2, 0.8);
        }
        each *= 1 - share * std::exp(-++age / warm);
    }
}

void warm_cache(Course& course, Dice& dice) {
    const double limit = megabyte * dice.magnitude(20, 500);
    const double piece = limit / dice.magnitude(10, 500);
    // What is asked for comes from a set that is known ever better.
    const double steps = dice.magnitude(0.03, 1.5) * per_hour;
    double held = 0;
    for (double& each : course) {
        const double misses = (1 - held / limit) * limit / steps / piece;
        if (dice.chance(std::min(1.0, misses))) held = std::min(limit, held + piece * std::max(1.0, misses));
        each += held;
    }
}

void tasks(Course& course, Dice& dice) {
    const double often = dice.magnitude(0.5, 20) / per_hour;
    Course changes(course.size() + 1, 0.0);
    for (std::size_t index = 0; index < course.size(); ++index) {
        if (!dice.chance(often)) continue;
        const double size = megabyte * dice.magnitude(1, 100);
        const auto end = index + static_cast<std::size_t>(1 + dice.wait(dice.magnitude(0.05, 2) * per_hour));
        changes[index] += size;
        if (end < course.size()) changes[end] -= size;
    }
    double held = 0;
    for (std::size_t index = 0; index < course.size(); ++index) course[index] += held += changes[index];
}

void load_following(Course& course, double base, Dice& dice) {
    const double height = base * dice.magnitude(0.05, 0.6);
    const double begin = dice.between(0, 168);
    Course load(course.size(), 0.0);
    add_noise(load, dice.between(0.1, 0.6), dice.magnitude(0.05, 2) * per_hour, dice);
    for (std::size_t index = 0; index < course.size(); ++index)
        course[index] += height * (0.3 + working(hour_of(index, begin))) * std::exp(load[index]);
}

void high_water(Course& course, double base, Dice& dice) {
    const double often = dice.magnitude(1, 60) / per_hour;
    double most = 0;
    for (double& each : course) {
        if (dice.chance(often)) most = std::max(most, base * 0.2 * std::exp(0.5 * dice.normal()));
        each += most;
    }
}

void clipped_wander(Course& course, double base, Dice& dice) {
    const double wall = base * dice.between(0.05, 0.4);
    const double step = wall / std::sqrt(dice.magnitude(0.05, 12) * per_hour);
    double at = wall * dice.between(-1, 1);
    for (double& each : course) {
        at += step * dice.normal();
        if (std::abs(at) > wall) at = std::copysign(2 * wall, at) - at;
        each += at;
    }
}

void pulses_each_hour(Course& course, double base, Dice& dice) {
    const double height = base * dice.between(0.1, 1);
    const double hold = dice.between(0.05, 0.4);
    const double period = dice.magnitude(0.5, 6);
    double size = 1;
    for (std::size_t index = 0; index < course.size(); ++index) {
        const double phase = std::fmod(static_cast<double>(index) / per_hour, period) / period;
        if (phase * period * per_hour < 1) size = dice.between(0.7, 1.3);
        course[index] += phase < hold ? height * size * std::min(1.0, 4 * phase / hold) : 0;
    }
}

void shape(AppMemory kind, Course& course, double base, Dice& dice) {
    switch (kind) {
    case AppMemory::pareto_teeth:
        return pareto_teeth(course, base, dice);
    case AppMemory::promotions:
        return promotions(course, base, dice);
    case AppMemory::levels:
        return levels(course, base, dice);
    case AppMemory::weekdays:
        return weekdays(course, base, dice);
    case AppMemory::bursts:
        return bursts(course, base, dice);
    case AppMemory::quantised:
        return add_noise(course, base * dice.between(0.005, 0.05), dice.magnitude(1, 2000), dice);
    case AppMemory::gaps:
        return gaps(course, base, dice);
    case AppMemory::crashes:
        return crashes(course, dice);
    case AppMemory::warm_cache:
        return warm_cache(course, dice);
    case AppMemory::tasks:
        return tasks(course, dice);
    case AppMemory::load_following:
        return load_following(course, base, dice);
    case AppMemory::high_water:
        return high_water(course, base, dice);
    case AppMemory::clipped_wander:
        return clipped_wander(course, base, dice);
    case AppMemory::pulses_each_hour:
        return pulses_each_hour(course, base, dice);
    }
}

} // namespace

std::string name_of(AppMemory kind) {
    constexpr std::array<const char*, app_memory_count> names = {"collections of Pareto period",
                                                                 "promotions and large collections",
                                                                 "jumps between loads",
                                                                 "weekdays",
                                                                 "bursts given back slowly",
                                                                 "quantised",
                                                                 "values missing",
                                                                 "crashes",
                                                                 "a cache that warms up",
                                                                 "tasks of 1 to 100 MB",
                                                                 "follows the load",
                                                                 "high-water marks",
                                                                 "a walk between walls",
                                                                 "a job each hour"};
    return names[static_cast<std::size_t>(kind)];
}

std::string name_of(AppLeak kind) {
    constexpr std::array<const char*, app_leak_count> names = {"steady", "under load only", "in lumps", "noisy"};
    return names[static_cast<std::size_t>(kind)];
}

std::vector<double> app_course(AppMemory kind, std::size_t count, std::mt19937_64& random) {
    Dice dice(random);
    const double base = megabyte * dice.magnitude(20, 800);
    Course course(count, base);
    add_noise(course, base * dice.magnitude(0.0005, 0.01), 1, dice);
    shape(kind, course, base, dice);
    const double page = kind == AppMemory::quantised ? megabyte * std::pow(2, std::floor(dice.between(0, 5))) : 4096;
    for (double& each : course)
        if (!std::isnan(each)) each = std::max(megabyte, page * std::round(each / page));
    return course;
}

void add_leak(std::vector<double>& course, AppLeak kind, double bytes_per_hour, std::size_t from,
              std::mt19937_64& random) {
    Dice dice(random);
    const double step = bytes_per_hour / per_hour;
    const double lump = megabyte * dice.magnitude(0.1, 3);
    const double busy = dice.magnitude(0.02, 0.3) * per_hour;
    double leaked = 0;
    double left = 0;
    bool is_busy = true;
    for (std::size_t index = from; index < course.size(); ++index) {
        if (--left <= 0) {
            is_busy = !is_busy;
            left = dice.wait(is_busy ? busy : 2 * busy);
        }
        if (kind == AppLeak::steady) leaked += step;
        if (kind == AppLeak::under_load && is_busy) leaked += 3 * step;
        if (kind == AppLeak::lumps && dice.chance(step / lump)) leaked += lump;
        if (kind == AppLeak::every_request) leaked += step * 2 * dice.between(0, 1);
        course[index] += leaked;
    }
}

} // namespace pillion::bench
