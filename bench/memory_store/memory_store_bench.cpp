// memory_store_bench [--quick] [--json FILE] [--traces FOLDER]: hits and how many, of the memory tier. The
// environment's PILLION_TRACES overrides the folder.
#include "rows.h"

#include <cstdlib>
#include <iostream>
#include <string_view>

int main(int count, char** arguments) {
    using namespace pillion::bench;
    bool is_quick = false;
    std::string json;
    std::string traces;
    for (int i = 1; i < count; ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--quick") is_quick = true;
        if (argument == "--json" && i + 1 < count) json = arguments[++i];
        if (argument == "--traces" && i + 1 < count) traces = arguments[++i];
    }
    if (const char* const folder = std::getenv("PILLION_TRACES")) traces = folder;

    Report report("Memory tier of the cache", "pillion", "memory_store as a library");
    std::vector<std::string> skipped;
    for (Row& row : throughput_rows(is_quick)) report.add(std::move(row));
    for (Row& row : hit_ratio_rows(is_quick, traces, skipped)) report.add(std::move(row));
    report.print(std::cout);
    for (const std::string& name : skipped) std::cout << "skipped: " << name << " is not there\n";
    if (!json.empty() && !report.write_json(json)) {
        std::cerr << json << " cannot be written\n";
        return 1;
    }
    return report.has_failures() ? 1 : 0;
}
