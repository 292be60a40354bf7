#include "other_courses.h"

#include "dice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace pillion::bench {

namespace {

constexpr double megabyte = 1024 * 1024;
constexpr double per_hour = 3600.0 * 1000 / course_step_ms;
constexpr double none = std::numeric_limits<double>::quiet_NaN();

using Course = std::vector<double>;

void add_teeth(Course& course, double height, double period, Dice& dice) {
    double level = dice.between(0, height);
    double limit = height;
    for (double& each : course) {
        level += height / period * dice.between(0.5, 1.5);
        if (level > limit) {
            level = 0;
            limit = height * dice.between(0.7, 1.3);
        }
        each += level;
    }
}

void still(Course& course, double base, Dice& dice) {
    const double often = dice.magnitude(0.05, 2) / per_hour;
    double level = base;
    for (double& each : course) {
        if (dice.chance(often)) level = base * dice.between(0.8, 1.6);
        each = level;
    }
}

void sleeps(Course& course, double base, Dice& dice) {
    add_teeth(course, base * dice.between(0.1, 0.5), dice.magnitude(10, 600), dice);
    const double often = 1 / (dice.between(2, 12) * per_hour);
    double left = 0;
    double level = 1;
    for (double& each : course) {
        if (left <= 0 && dice.chance(often)) {
            left = dice.between(0.5, 12) * per_hour;
            level = dice.between(0.85, 1.15);
        }
        each = --left > 0 ? none : each * level;
    }
}

void sessions(Course& course, double base, Dice& dice) {
    const double step = base * dice.between(0.01, 0.1);
    const double often = dice.magnitude(2, 30) / per_hour;
    double left = 0;
    double held = 0;
    bool is_open = false;
    for (double& each : course) {
        if (--left <= 0) {
            is_open = !is_open;
            held = 0;
            left = dice.wait((is_open ? dice.between(0.5, 5) : dice.between(0.2, 4)) * per_hour);
        }
        if (is_open && dice.chance(often)) held += step * dice.between(-0.5, 1.5);
        each += std::max(held, 0.0);
    }
}

void batch_ramps(Course& course, double base, Dice& dice) {
    const double often = dice.magnitude(0.05, 1) / per_hour;
    const double most = base * dice.between(0.2, 1.5);
    double length = 0;
    double done = 0;
    double height = 0;
    for (double& each : course) {
        if (done >= length && dice.chance(often)) {
            length = dice.between(0.3, 3) * per_hour;
            height = most * dice.between(0.5, 1);
            done = 0;
        }
        if (done < length) each += height * ++done / length;
    }
}

void holidays(Course& course, double base, Dice& dice) {
    const double height = base * dice.magnitude(0.05, 1);
    const double begin = dice.between(0, 24);
    std::array<double, 9> days{};
    for (std::size_t day = 0; day < days.size(); ++day)
        days[day] = dice.chance(0.3) ? dice.between(0, 0.15) : dice.between(0.8, 1.2);
    add_teeth(course, base * dice.between(0.02, 0.3), dice.magnitude(10, 300), dice);
    for (std::size_t index = 0; index < course.size(); ++index) {
        const double hour = begin + static_cast<double>(index) / per_hour;
        const double of_day = std::fmod(hour, 24);
        const double work = 1 / (1 + std::exp(-2 * (of_day - 8.5))) - 1 / (1 + std::exp(-2 * (of_day - 18)));
        course[index] += height * days[static_cast<std::size_t>(hour / 24) % days.size()] * work;
    }
}

void adaptive_heap(Course& course, double base, Dice& dice) {
    const double live = base * dice.between(0.2, 0.8);
    const double most = live * dice.between(0.5, 3);
    const double rate = most / dice.magnitude(20, 2000);
    double heap = most * dice.between(0.02, 0.1);
    double level = 0;
    for (double& each : course) {
        level += rate * dice.between(0, 2);
        if (level > heap) {
            level = heap * dice.between(0, 0.1);
            heap = std::min(most, heap * dice.between(1, 1.3));
        }
        each += level;
    }
}

void swapped(Course& course, double base, Dice& dice) {
    add_teeth(course, base * dice.between(0.02, 0.2), dice.magnitude(10, 300), dice);
    const double often = dice.magnitude(0.02, 0.3) / per_hour;
    double out = 0;
    double target = 0;
    double pace = 1;
    double left = 0;
    for (double& each : course) {
        if (--left <= 0 && dice.chance(often)) {
            target = dice.between(0.1, 0.6);
            pace = 1 / (dice.between(0.02, 0.3) * per_hour);
            left = dice.between(0.3, 6) * per_hour;
        }
        if (left <= 0 && target > 0) {
            target = 0;
            pace = 1 / (dice.between(0.05, 0.7) * per_hour);
        }
        out += pace * (target - out);
        each *= 1 - out;
    }
}

void fragmentation(Course& course, double base, Dice& dice) {
    add_teeth(course, base * dice.between(0.05, 0.4), dice.magnitude(10, 600), dice);
    const double scale = dice.magnitude(0.02, 1) * per_hour;
    const double height = base * dice.between(0.05, 0.3) / std::log(1 + 168 * per_hour / scale);
    for (std::size_t index = 0; index < course.size(); ++index)
        course[index] += height * std::log(1 + static_cast<double>(index) / scale);
}

void idle_collector(Course& course, double base, Dice& dice) {
    const double most = base * dice.between(0.3, 1.5);
    const double busy = dice.magnitude(0.05, 1) * per_hour;
    const double rate = most / dice.magnitude(0.2, 3) / per_hour;
    double left = 0;
    double level = 0;
    bool is_busy = false;
    for (double& each : course) {
        if (--left <= 0) {
            is_busy = !is_busy;
            left = dice.wait(is_busy ? busy : busy / 2);
            if (!is_busy) level *= dice.between(0, 0.1);
        }
        if (is_busy) level += rate * dice.between(0, 2);
        if (level > most) level = 0;
        each += level;
    }
}

void tabs(Course& course, Dice& dice) {
    const double stay = dice.magnitude(0.1, 3) * per_hour;
    const double mean = dice.between(2, 12);
    std::vector<double> open;
    for (double& each : course) {
        if (dice.chance(mean / stay)) open.push_back(megabyte * dice.magnitude(15, 150));
        if (dice.chance(static_cast<double>(open.size()) / stay))
            open.erase(open.begin() + static_cast<std::ptrdiff_t>(dice.between(0, static_cast<double>(open.size()))));
        for (const double size : open) each += size;
    }
}

void shape(OtherMemory kind, Course& course, double base, Dice& dice) {
    switch (kind) {
    case OtherMemory::tiny:
    case OtherMemory::huge:
        return add_teeth(course, base * dice.between(0.02, 0.3), dice.magnitude(10, 600), dice);
    case OtherMemory::still:
        return still(course, base, dice);
    case OtherMemory::sleeps:
        return sleeps(course, base, dice);
    case OtherMemory::sessions:
        return sessions(course, base, dice);
    case OtherMemory::batch_ramps:
        return batch_ramps(course, base, dice);
    case OtherMemory::holidays:
        return holidays(course, base, dice);
    case OtherMemory::adaptive_heap:
        return adaptive_heap(course, base, dice);
    case OtherMemory::swapped:
        return swapped(course, base, dice);
    case OtherMemory::fragmentation:
        return fragmentation(course, base, dice);
    case OtherMemory::idle_collector:
        return idle_collector(course, base, dice);
    case OtherMemory::tabs:
        return tabs(course, dice);
    }
}

double base_of(OtherMemory kind, Dice& dice) {
    if (kind == OtherMemory::tiny) return megabyte * dice.magnitude(0.5, 4);
    if (kind == OtherMemory::huge) return megabyte * dice.magnitude(4'000, 64'000);
    return megabyte * dice.magnitude(20, 800);
}

} // namespace

std::string name_of(OtherMemory kind) {
    constexpr std::array<const char*, other_memory_count> names = {"a tiny process",
                                                                   "a huge process",
                                                                   "stands still, then steps",
                                                                   "sleep",
                                                                   "sessions",
                                                                   "jobs that take memory evenly",
                                                                   "working days and holidays",
                                                                   "a heap that finds its size",
                                                                   "swapped out and in",
                                                                   "fragmentation",
                                                                   "collects when idle",
                                                                   "tabs"};
    return names[static_cast<std::size_t>(kind)];
}

std::vector<double> other_course(OtherMemory kind, std::size_t count, std::mt19937_64& random) {
    Dice dice(random);
    const double base = base_of(kind, dice);
    Course course(count, base);
    for (double& each : course) each += base * 0.003 * dice.normal();
    shape(kind, course, base, dice);
    for (double& each : course)
        if (!std::isnan(each)) each = std::max(0.25 * megabyte, 4096 * std::round(each / 4096));
    return course;
}

} // namespace pillion::bench
