#include "modules/cache/invalidations.h"

#include <algorithm>
#include <vector>

namespace pillion {

namespace {

std::int64_t raise(std::atomic<std::int64_t>& to, std::int64_t least) {
    std::int64_t seen = to.load(std::memory_order_acquire);
    while (seen < least && !to.compare_exchange_weak(seen, least, std::memory_order_acq_rel)) {
    }
    return std::max(seen, least);
}

} // namespace

std::int64_t Invalidations::version(std::int64_t now_ms) { return raise(clock_, now_ms); }

void Invalidations::follow(std::int64_t version) { raise(clock_, version); }

std::int64_t Invalidations::tick(std::int64_t now_ms) {
    std::int64_t seen = clock_.load(std::memory_order_acquire);
    std::int64_t next = 0;
    do {
        next = std::max(seen + 1, now_ms);
    } while (!clock_.compare_exchange_weak(seen, next, std::memory_order_acq_rel));
    return next;
}

std::int64_t Invalidations::cut(std::string_view space, std::int64_t now_ms) {
    const std::int64_t version = tick(now_ms);
    keep(space, {}, version);
    return version;
}

std::int64_t Invalidations::cut_all(std::int64_t now_ms) { return cut({}, now_ms); }

std::int64_t Invalidations::cut_tag(std::string_view space, std::string_view tag, std::int64_t now_ms) {
    const std::int64_t version = tick(now_ms);
    keep(space, tag, version);
    return version;
}

void Invalidations::learn(std::string_view space, std::string_view tag, std::int64_t version) {
    follow(version);
    keep(space, tag, version);
}

// An empty tag stands for all entries, an empty namespace for all namespaces.
void Invalidations::keep(std::string_view space, std::string_view tag, std::int64_t version) {
    const std::unique_lock lock(mutex_);
    if (tag.empty()) {
        raise(last_cut_, version);
        if (space.empty()) {
            floor_ = std::max(floor_, version);
        } else {
            auto& cut = spaces_[std::string(space)];
            cut = std::max(cut, version);
        }
        return;
    }
    raise(last_tag_cut_, version);
    auto& tags = tags_[std::string(space)];
    const auto [at, fresh] = tags.try_emplace(std::string(tag), version);
    if (!fresh) {
        at->second = std::max(at->second, version);
        return;
    }
    if (++tag_count_ <= tags_max) return;
    // The older half goes; what it covered is covered by the floor.
    std::vector<std::int64_t> versions;
    versions.reserve(tag_count_);
    for (const auto& [name, kept] : tags_)
        for (const auto& [text, at_version] : kept) versions.push_back(at_version);
    const auto middle = versions.begin() + static_cast<std::ptrdiff_t>(versions.size() / 2);
    std::nth_element(versions.begin(), middle, versions.end());
    const std::int64_t limit = *middle;
    floor_ = std::max(floor_, limit);
    raise(last_cut_, limit);
    tag_count_ = 0;
    for (auto& [name, kept] : tags_) {
        std::erase_if(kept, [limit](const auto& entry) { return entry.second <= limit; });
        tag_count_ += kept.size();
    }
}

std::int64_t Invalidations::floor_of(std::string_view space) const {
    const auto at = spaces_.find(space);
    return at == spaces_.end() ? floor_ : std::max(floor_, at->second);
}

bool Invalidations::counts_untagged(std::string_view space, std::int64_t version) const {
    if (version >= last_cut()) return true;
    const std::shared_lock lock(mutex_);
    return version >= floor_of(space);
}

bool Invalidations::counts(std::string_view space, const RecordMeta& meta) const {
    if (!counts_untagged(space, meta.version_ms)) return false;
    if (meta.tags.empty() || meta.version_ms >= last_tag_cut()) return true;
    const std::shared_lock lock(mutex_);
    for (const std::string_view scope : {std::string_view{}, space}) {
        const auto tags = tags_.find(scope);
        if (tags == tags_.end()) continue;
        for (const std::string& tag : meta.tags)
            if (const auto at = tags->second.find(tag); at != tags->second.end() && meta.version_ms < at->second)
                return false;
    }
    return true;
}

void Invalidations::visit(const std::function<void(std::string_view, std::string_view, std::int64_t)>& visit) const {
    const std::shared_lock lock(mutex_);
    if (floor_ > 0) visit({}, {}, floor_);
    for (const auto& [space, version] : spaces_) visit(space, {}, version);
    for (const auto& [space, tags] : tags_)
        for (const auto& [tag, version] : tags) visit(space, tag, version);
}

std::size_t Invalidations::tags() const {
    const std::shared_lock lock(mutex_);
    return tag_count_;
}

} // namespace pillion
