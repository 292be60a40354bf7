// Sampled eviction by hyperbolic priority (Blankstein, Sen, Freedman: "Hyperbolic Caching", USENIX ATC 2017): uses
// since it came per time since it came, times what it cost to make, by its size. Nothing has to be kept in order, so
// a read changes nothing on disk, and a new entry has its chance because it is young.
//
// Hashes are spread evenly, so the rows after a random hash are a random sample.
#include "modules/disk_store/disk_eviction.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

constexpr int looks = 4; // of a sample, each at another place
constexpr std::int64_t rows_of_a_look = 16;
constexpr std::uint64_t removals_max = 20'000; // in one commit, where a quota was lowered: the next one goes on
constexpr std::size_t part_that_goes = 8;      // one in so many of a sample

double worth(const DiskRow& row, std::int64_t now_ms) {
    const double seconds = static_cast<double>(std::max<std::int64_t>(now_ms - row.created_ms, 0)) / 1000.0 + 1.0;
    const double uses = static_cast<double>(row.uses) + 1.0;
    const double cost = static_cast<double>(std::max<std::int64_t>(row.made_in_ms, 0)) + 10.0;
    const double priority = std::exp2(static_cast<double>(row.priority) - 5.0);
    return uses * cost * priority / (seconds * (static_cast<double>(row.bytes) + 512.0));
}

} // namespace

Result<void> DiskEviction::add_sample(Database& database) {
    const auto keep = [this](const DiskRow& row) {
        const bool is_new = std::ranges::find(sample_, row.hash, &DiskRow::hash) == sample_.end();
        if (is_new) sample_.push_back(row);
        return true;
    };
    const auto from = static_cast<std::int64_t>(random_());
    const auto next = PILLION_TRY(visit_rows(database, from, rows_of_a_look, keep));
    if (!next) PILLION_TRY(visit_rows(database, std::numeric_limits<std::int64_t>::min(), rows_of_a_look, keep));
    return {};
}

Result<void> DiskEviction::make_room(Database& database, std::int64_t bytes, std::int64_t bytes_max,
                                     std::int64_t now_ms, DiskChange& change) {
    const std::int64_t goal = bytes_max - bytes_max / 64; // a little further, so that not every commit has to
    std::int64_t left = bytes;
    while (left > goal && change.evicted + change.expired < removals_max) {
        sample_.clear();
        for (int look = 0; look < looks; ++look) PILLION_TRY(add_sample(database));
        if (sample_.empty()) return {};
        std::ranges::sort(
            sample_, {}, [now_ms](const DiskRow& row) { return row.gone_at_ms <= now_ms ? -1.0 : worth(row, now_ms); });
        std::size_t going = std::max<std::size_t>(sample_.size() / part_that_goes, 1);
        for (const DiskRow& row : sample_) {
            const bool is_gone = row.gone_at_ms <= now_ms;
            if (!is_gone && (going == 0 || left <= goal)) break;
            PILLION_TRY(remove_row(database, row, change));
            left -= row.bytes;
            ++(is_gone ? change.expired : change.evicted);
            if (!is_gone) --going;
        }
    }
    return {};
}

Result<void> DiskEviction::sweep(Database& database, std::int64_t rows, std::int64_t now_ms, DiskChange& change) {
    std::vector<DiskRow> gone;
    const auto next = PILLION_TRY(visit_rows(database, swept_to_, rows, [&](const DiskRow& row) {
        if (row.gone_at_ms <= now_ms) gone.push_back(row);
        return true;
    }));
    swept_to_ = next.value_or(std::numeric_limits<std::int64_t>::min());
    for (const DiskRow& row : gone) PILLION_TRY(remove_row(database, row, change));
    change.expired += gone.size();
    return {};
}

} // namespace pillion
