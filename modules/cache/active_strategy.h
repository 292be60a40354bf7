// A strategy in force, with what it has learned. Private to the strategies; shared by the timers and reads it started.
#pragma once

#include "modules/cache/cache_strategies.h"

#include <unordered_map>

namespace pillion {

struct CacheStrategies::Active {
    CacheStrategy strategy;
    CacheSpace* space = nullptr;
    std::unique_ptr<Predictor> predictor{};
    std::unique_ptr<PreloadJudge> judge{};
    std::mutex mutex;                                   // guards what follows
    std::unordered_map<std::string, CacheLoad> loads{}; // how keys were loaded
    std::vector<CacheOptimization> optimizations{};
    std::vector<std::shared_ptr<TimerId>> timers{};
    bool is_over = false;
};

} // namespace pillion
