// Which entries go when the tier is full, or when their time is over. Private to the module; on the writer's thread.
#pragma once

#include "modules/disk_store/disk_table.h"

#include <random>

namespace pillion {

class DiskEviction {
  public:
    // Removes entries until at most `bytes_max` bytes are left of `bytes`, or so many went that it is enough for one
    // commit.
    Result<void> make_room(Database& database, std::int64_t bytes, std::int64_t bytes_max, std::int64_t now_ms,
                           DiskChange& change);
    // Looks at the next `rows` entries on a round through all of them, and removes what is gone.
    Result<void> sweep(Database& database, std::int64_t rows, std::int64_t now_ms, DiskChange& change);

  private:
    Result<void> add_sample(Database& database);

    std::mt19937_64 random_{std::random_device{}()};
    std::vector<DiskRow> sample_; // their texts are not kept
    std::int64_t swept_to_ = std::numeric_limits<std::int64_t>::min();
};

} // namespace pillion
