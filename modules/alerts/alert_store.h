// What of alerts outlives the process, as rows of `state.db`. Pure functions on a database; the storage thread.
#pragma once

#include "modules/alerts/alerts.h"
#include "modules/storage/storage.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pillion {

std::vector<const char*> alerts_schema(); // and its changes, in order

// What has changed since the latest write; of each thing its newest state.
struct AlertWrites {
    std::map<std::pair<std::string, std::int64_t>, Alert> alerts{}; // by id and when it was raised
    std::map<std::string, std::optional<AlertSilence>> silences{};  // none: gone
    std::map<std::string, std::optional<std::string>> rules{};      // set at run time, as text; none: gone
    std::string owner{};                                            // of the alerts
    bool is_empty() const { return alerts.empty() && silences.empty() && rules.empty(); }
    // Takes what `older` has and this has not.
    void add_older(AlertWrites older);
};

// How much history is kept.
struct AlertBounds {
    std::int64_t history_max = 0;
    std::int64_t resolved_after_ms = 0;
    std::int64_t active_max = 0;
};

struct AlertsKept {
    std::vector<Alert> active{};
    std::vector<Alert> resolved{}; // oldest first
    std::vector<AlertSilence> silences{};
    std::map<std::string, std::string> rules{};
    bool is_read = false;
    std::size_t unreadable = 0; // rows that make no sense; left out
};

Result<void> write_alerts(Database& database, const AlertWrites& writes, const AlertBounds& bounds);
// Those others who are alive and whose alerts stand.
Result<std::vector<std::string>> find_alert_owners(Database& database, const std::string& own,
                                                   const std::function<bool(const std::string& owner)>& is_alive);
// What stands goes over to `own`, but for that of `others`.
Result<void> take_over_alerts(Database& database, const std::string& own, const std::vector<std::string>& others);
// Without what stands of `others`.
Result<AlertsKept> read_alerts(Database& database, const AlertBounds& bounds, const std::vector<std::string>& others);

} // namespace pillion
