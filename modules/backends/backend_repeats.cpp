#include "modules/backends/backend_repeats.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

std::uint64_t BackendRepeats::hash(std::string_view method, std::string_view params) {
    return XXH3_64bits_withSeed(params.data(), params.size(), XXH3_64bits(method.data(), method.size()));
}

void BackendRepeats::saw(std::string_view method, std::uint64_t call, std::string_view result, std::int64_t took_ns) {
    auto at = methods_.find(method);
    if (at == methods_.end()) {
        if (methods_.size() >= methods_max) return;
        at = methods_.try_emplace(std::string(method)).first;
    }
    if (!places_) places_ = std::make_unique<Place[]>(places);
    Count& count = at->second;
    ++count.calls;
    count.took_ns += took_ns;
    Place& place = places_[call % places];
    const std::uint64_t answer = XXH3_64bits(result.data(), result.size());
    if (place.call == call) {
        ++count.repeats;
        if (place.result != answer) ++count.contradictions;
    }
    place = {call, answer};
}

std::vector<BackendRepeated> BackendRepeats::read() const {
    std::vector<BackendRepeated> all;
    for (const auto& [method, count] : methods_)
        all.push_back({.method = method,
                       .calls = count.calls,
                       .repeats = count.repeats,
                       .contradictions = count.contradictions,
                       .meanMs = static_cast<double>(count.took_ns) / 1e6 / static_cast<double>(count.calls)});
    return all;
}

} // namespace pillion
