// Sessions in `state.db` where there is a store: those of earlier processes and of other sidecars on the same data
// directory. Owned by the engine; any thread. Nothing is opened before the first call.
#pragma once

#include "modules/sessions/sessions.h"

#include <string>
#include <vector>

namespace pillion {

class SessionHistory {
  public:
    explicit SessionHistory(const Sessions::Host& host) : host_(host) {}
    static void add_schema(Store& store);

    // It has begun, come further or ended; written in the background.
    void keep(const Session& session);
    // Those of other processes, or the one of that id, the latest first. Whose process is gone is interrupted.
    Result<std::vector<Session>> others(const std::string& id = {}) const;

  private:
    const Sessions::Host& host_;
};

} // namespace pillion
