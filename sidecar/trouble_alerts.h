// Which alert says what a part of Pillion complains of, apart from rules over metrics. Pure functions; any thread.
#pragma once

#include "modules/alerts/alerts.h"
#include "modules/backends/backends.h"
#include "modules/cache/cache.h"
#include "modules/components/components.h"
#include "modules/storage/storage.h"

#include <optional>
#include <string>

namespace pillion {

// What is to be raised, or resolved; neither where nothing is to be said.
struct TroubleAlert {
    std::optional<AlertNotice> raise{};
    std::string resolve{};     // the key
    bool is_momentary = false; // nothing will ever say that it is over: it resolves after a while
};

TroubleAlert trouble_alert(const StoreDamage& damage);
TroubleAlert trouble_alert(const CacheTrouble& trouble);
TroubleAlert trouble_alert(const ComponentChange& change);
TroubleAlert trouble_alert(const BackendChange& change);

} // namespace pillion
