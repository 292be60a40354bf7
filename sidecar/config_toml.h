// The TOML file as a flat list, so that the TOML library stays in one .cpp. Private to the configuration. Any thread.
#pragma once

#include "ipc/base/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace pillion {

struct TomlEntry {
    std::string section; // empty for a value that stands outside any section
    std::string key;     // empty for the section's own header
    std::string json;    // the value
    unsigned line = 0;
};

// In the order of the file. `name` is what errors call it.
Result<std::vector<TomlEntry>> read_toml(std::string_view text, const std::string& name);

} // namespace pillion
