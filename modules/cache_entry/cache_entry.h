// What the cache and its tiers agree on: the record, which is one cached value as it is kept (cache_record.h), and the
// tier, which is a place slower than memory to keep it (cache_tier.h); and the patterns that select keys
// (cache_glob.h).
#pragma once

#include "modules/cache_entry/cache_glob.h"   // IWYU pragma: export
#include "modules/cache_entry/cache_record.h" // IWYU pragma: export
#include "modules/cache_entry/cache_tier.h"   // IWYU pragma: export
