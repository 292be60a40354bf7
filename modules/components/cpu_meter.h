// How busy the machine's processors are, between one look and the next. Private to the module; not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pillion {

class CpuMeter {
  public:
    // Percent of all processors together since the look before; absent at the first, and where the system does not say.
    std::optional<double> look();
    // The same for the text of /proc/stat.
    std::optional<double> look(std::string_view stat);

  private:
    std::uint64_t busy_ = 0;
    std::uint64_t total_ = 0;
    bool has_looked_ = false;
};

} // namespace pillion
