// What the program was asked to do. Parsed once by main, before anything else exists. The command line that apps start
// (`pillion`, or `pillion serve` with its options) is read by a plain loop; everything else, every mistake included,
// by CLI11, which a start should not pay for.
#pragma once

#include "ipc/base/error.h"
#include "ipc/framing.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

enum class SchemaFormat : unsigned char { openrpc, typescript, markdown, config };

struct Command {
    enum class Kind {
        serve,
        call,
        schema,
        config_check,
        config_default,
        version,
        help,
        completions,
        man,
        components,
        alerts,
        cache_simulate,
        bench,
        bench_compare,
        bench_list
    };
    Kind kind = Kind::serve;

    // serve, call
    std::optional<std::string> data_dir{};
    std::optional<std::string> app_id{};
    std::optional<std::string> config_file{}; // config_check: the file to check
    std::vector<std::string> set{};           // --set in their order, then --log-level as "log.level=..."
    Framing framing = Framing::automatic;

    std::string method{}; // call
    std::string params{}; // call: JSON, empty if none were given
    SchemaFormat schema_format = SchemaFormat::openrpc;
    std::string text{};     // version, help, completions, man: what to print on stdout
    bool as_json = false;   // components, alerts, cache_simulate, bench...
    bool wants_all = false; // alerts

    // cache_simulate
    std::string trace{};
    std::vector<std::uint64_t> capacities{};
    std::vector<std::string> policies{};
    bool has_sizes = false;
    std::optional<std::string> plot_file{};

    // bench: with `method` and `params` as call has them
    std::vector<std::string> suites{};
    std::vector<std::string> program{};
    std::optional<std::int64_t> runs{};
    std::optional<double> seconds{};
    std::optional<double> timeout_seconds{};
    std::string label{};
    bool is_baseline = false;
    // bench_compare
    std::string before{};
    std::string after{};
    std::optional<double> minimum_effect_percent{};
};

// `on_terminal`: whether stdin is one. Then the program alone explains itself, where on a pipe it serves. An error is
// one line to show.
Result<Command> parse_command_line(int argc, const char* const* argv, bool on_terminal);

// Prints the error of a wrong command line on stderr; the exit status for it.
int report_usage_error(const Error& error);

// Prints an error on stderr as people should read it, in one line, with its hint where the message does not have it.
void print_error(const Error& error);

// "pillion 0.1.0", with its line end.
std::string version_text();

} // namespace pillion
