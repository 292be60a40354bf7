#include "modules/cache/cache_reading.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

namespace pillion {

namespace {
constexpr std::size_t damaged_max = 16;
}

void keep_damaged_record(const std::string& data_directory, const TierKey& key, std::string_view record) {
    if (data_directory.empty()) return;
    namespace fs = std::filesystem;
    std::error_code ignored;
    const fs::path folder = fs::path(data_directory) / "damaged";
    fs::create_directories(folder, ignored);
    fs::permissions(folder, fs::perms::owner_all, ignored);
    std::vector<fs::directory_entry> kept;
    for (fs::directory_iterator at(folder, ignored), end; at != end; at.increment(ignored)) {
        if (ignored) return;
        kept.push_back(*at);
    }
    if (kept.size() >= damaged_max) {
        const auto oldest = std::ranges::min_element(
            kept, {}, [&ignored](const fs::directory_entry& file) { return file.last_write_time(ignored); });
        fs::remove(oldest->path(), ignored);
    }
    const std::uint64_t hash = MemoryStore::hash_of(key.name);
    std::ofstream file(folder / (key.space + "-" + std::to_string(hash) + ".record"), std::ios::binary);
    file.write(record.data(), static_cast<std::streamsize>(record.size()));
}

} // namespace pillion
