// cache_bench --pillion PATH [--redis PATH] [--quick] [--json FILE]: hits through the program against Redis, and in
// process. Without a redis-server its figures are absent.
#include "../wire/peer_process.h"
#include "rows.h"

#include <filesystem>
#include <iostream>
#include <signal.h>
#include <stdlib.h>

int main(int count, char** values) {
    using namespace pillion::bench;
    namespace fs = std::filesystem;
    CacheBench bench;
    std::string json;
    const std::vector<std::string> arguments(values + 1, values + count);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const bool has_value = i + 1 < arguments.size();
        if (arguments[i] == "--quick") {
            bench.is_quick = true;
        } else if (arguments[i] == "--json" && has_value) {
            json = arguments[++i];
        } else if (arguments[i] == "--pillion" && has_value) {
            bench.pillion = arguments[++i];
        } else if (arguments[i] == "--redis" && has_value) {
            bench.redis = arguments[++i];
        } else {
            bench.pillion.clear();
            break;
        }
    }
    if (bench.pillion.empty()) {
        std::cerr << "usage: cache_bench --pillion PATH [--redis PATH] [--quick] [--json FILE]\n";
        return 2;
    }
    if (!fs::exists(bench.redis)) bench.redis.clear();
    signal(SIGPIPE, SIG_IGN);
    std::string home = (fs::temp_directory_path() / "cache_bench_XXXXXX").string();
    if (mkdtemp(home.data()) == nullptr) {
        std::cerr << "cache_bench: cannot create " << home << '\n';
        return 2;
    }
    bench.home = home;
    setenv("XDG_CONFIG_HOME", home.c_str(), 1); // no user's settings weigh on what is measured
    int status = 0;
    try {
        const std::string version = output_of({bench.pillion, "--version"});
        Report report("The cache", "pillion", version.substr(0, version.find('\n')));
        measure_wire(bench, report);
        measure_library(bench, report);
        report.print(std::cout);
        if (!json.empty() && !report.write_json(json)) throw PeerFailure("cannot write " + json);
        status = report.has_failures() ? 1 : 0;
    } catch (const std::exception& failure) {
        std::cerr << "cache_bench: " << failure.what() << '\n';
        status = 1;
    }
    std::error_code ignored;
    fs::remove_all(home, ignored);
    return status;
}
