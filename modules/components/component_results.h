// Results of tasks, kept in `state.db` under the fingerprint of what they depend on: one for each task, the last.
// Private to the module. With no store nothing is kept. Any thread; what is marked so blocks.
#pragma once

#include "modules/components/component_inputs.h"
#include "modules/storage/storage.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace pillion {

struct KeptResult {
    std::string json{};
    std::int64_t took_ns = 0; // to make it
};

class ComponentResults {
  public:
    explicit ComponentResults(Store* store) : store_(store) {}
    static void add_schema(Store& store);

    struct Found {
        std::string fingerprint{};
        std::optional<KeptResult> result{};
    };
    // The present fingerprint, and the result if it was made under the same. Blocks: reads input files and the store.
    Result<Found> find(const std::string& name, const ComponentSpec& spec);
    // In the background; what cannot be kept is made again.
    void keep(const std::string& name, const std::string& fingerprint, KeptResult result);
    // Drops all; how many they were. Blocks.
    Result<std::uint64_t> forget();

  private:
    void remember(std::map<std::string, FileHash> hashes);
    Store* const store_;
};

} // namespace pillion
