// The command line, said once: parsing, help, completions and the man page are made from these tables. Constants: any
// thread, no initialisation at start.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace pillion {

struct OptionDescription {
    std::string_view name;     // "--data-dir"
    std::string_view argument; // "DIR"; empty for a flag
    std::string_view summary;
    std::span<const std::string_view> choices{};
    bool is_repeatable = false;
};

struct PositionalDescription {
    std::string_view name; // "METHOD"
    std::string_view summary;
    bool is_required = true;
    std::span<const std::string_view> choices{};
    bool is_repeatable = false; // all that follows
};

struct CommandDescription {
    std::string_view name; // "config check": the second word is a command of the first
    std::string_view summary;
    std::span<const PositionalDescription> positionals{};
    std::span<const OptionDescription> options{};
};

struct ExampleDescription {
    std::string_view line;
    std::string_view explanation;
};

namespace command_table {

inline constexpr std::array<std::string_view, 6> levels{"trace", "debug", "info", "warning", "error", "off"};
inline constexpr std::array<std::string_view, 3> framings{"auto", "lines", "headers"};
inline constexpr std::array<std::string_view, 4> formats{"openrpc", "typescript", "markdown", "config"};
inline constexpr std::array<std::string_view, 3> shells{"bash", "zsh", "fish"};

inline constexpr std::array<OptionDescription, 6> serve_options{{
    {"--data-dir", "DIR", "Where the app's data is kept; the platform's data directory and the app id if left out."},
    {"--app-id", "ID", "The app that this serves; names the data directory."},
    {"--config", "FILE", "A TOML file with the configuration."},
    {"--set", "SECTION.KEY=VALUE", "One configuration value; stronger than the file and the environment.", {}, true},
    {"--log-level", "LEVEL", "What is logged on stderr; short for --set log.level=LEVEL.", levels},
    {"--framing", "FRAMING", "How messages are separated; found out from the first bytes if auto.", framings},
}};
inline constexpr std::array<OptionDescription, 1> schema_options{
    {{"--format", "FORMAT", "What to print; openrpc if left out.", formats}}};
inline constexpr std::array<OptionDescription, 5> components_options{{
    {"--data-dir", "DIR", "The app's data, where what earlier starts taught is kept."},
    {"--app-id", "ID", "The app; names the data directory."},
    {"--config", "FILE", "The configuration that declares the components."},
    {"--set", "SECTION.KEY=VALUE", "One configuration value; stronger than the file.", {}, true},
    {"--json", "", "Prints JSON instead of a table."},
}};
inline constexpr std::array<OptionDescription, 4> alerts_options{{
    {"--data-dir", "DIR", "The app's data, where its alerts are kept."},
    {"--app-id", "ID", "The app; names the data directory."},
    {"--all", "", "Those that have resolved too."},
    {"--json", "", "Prints JSON instead of a table."},
}};
inline constexpr std::array<OptionDescription, 5> simulate_options{{
    {"--entries", "N,N,...", "Capacities to try: entries, or bytes with --bytes; spread over the trace if left out."},
    {"--policies", "NAME,NAME,...", "Only these policies; all if left out."},
    {"--bytes", "", "Each line is a key and a size, and capacities are bytes."},
    {"--plot", "FILE", "Writes the miss-ratio curves there, as SVG."},
    {"--json", "", "Prints JSON instead of a table."},
}};
inline constexpr std::array<OptionDescription, 10> bench_options{{
    {"--data-dir", "DIR", "Where the results are kept, and on whose disk files and databases are measured."},
    {"--app-id", "ID", "The app; names the data directory."},
    {"--config", "FILE", "The configuration that declares the components, for their start."},
    {"--set", "SECTION.KEY=VALUE", "One configuration value; stronger than the file.", {}, true},
    {"--runs", "N", "At least so many runs of each benchmark; 30 if left out."},
    {"--time", "SECONDS", "Time of each benchmark past which there are no more runs than that."},
    {"--timeout", "SECONDS", "How long one operation may take; 60 if left out."},
    {"--label", "TEXT", "What this measurement is called in the history."},
    {"--baseline", "", "Later measurements are compared with this one."},
    {"--json", "", "Prints JSON, which `pillion bench compare` reads, instead of a table."},
}};
inline constexpr std::array<OptionDescription, 4> compare_options{{
    {"--data-dir", "DIR", "Where stored measurements are kept."},
    {"--app-id", "ID", "The app; names the data directory."},
    {"--min-effect", "PERCENT", "What is smaller is no change; 4 if left out."},
    {"--json", "", "Prints JSON instead of a table."},
}};
inline constexpr std::array<OptionDescription, 1> list_options{{{"--json", "", "Prints JSON instead of a table."}}};
inline constexpr std::array<OptionDescription, 2> global_options{
    {{"--help", "", "Explains the program or a command."}, {"--version", "", "Prints the version."}}};

inline constexpr std::array<PositionalDescription, 2> call_positionals{
    {{"METHOD", "The method's name, as in rpc.ping."}, {"JSON", "Its params: an object or an array.", false}}};
inline constexpr std::array<PositionalDescription, 1> check_positionals{{{"FILE", "The TOML file to check."}}};
inline constexpr std::array<PositionalDescription, 1> shell_positionals{{{"SHELL", "For which shell.", true, shells}}};

inline constexpr std::array<PositionalDescription, 1> trace_positionals{
    {{"TRACE", "A file with one key a line, in the order of the requests; may be gzip."}}};

inline constexpr std::array<PositionalDescription, 1> bench_positionals{
    {{"SUITE", "A suite, a benchmark, or several with commas between them; everything if left out.", false}}};
inline constexpr std::array<PositionalDescription, 2> compare_positionals{
    {{"BEFORE", "A file of `pillion bench --json`, or a stored measurement: its number, `latest` or `baseline`."},
     {"AFTER", "The same, of what is newer."}}};
inline constexpr std::array<PositionalDescription, 1> command_positionals{
    {{"PROGRAM", "The program and its arguments, best after --.", true, {}, true}}};

inline constexpr std::array<CommandDescription, 16> commands{{
    {"serve", "Speaks JSON-RPC on stdin and stdout until stdin ends.", {}, serve_options},
    {"call", "Calls one method, prints its result as JSON and ends; the error goes to stderr.", call_positionals,
     serve_options},
    {"schema", "Prints the contract: every method and event, or the configuration.", {}, schema_options},
    {"config check", "Checks a configuration file and says what is wrong with it.", check_positionals},
    {"config default", "Prints a configuration file with every key and its default."},
    {"components", "Lists the app's components: kinds, rules, what they need, what they take.", {}, components_options},
    {"alerts", "Lists what is wrong with the app now, as its Pillion has kept it.", {}, alerts_options},
    {"cache simulate", "Tells what a cache would have hit: a trace of requests through every policy.",
     trace_positionals, simulate_options},
    {"bench", "Measures this program on this machine: start, wire, memory, files, database, cache.", bench_positionals,
     bench_options},
    {"bench compare", "Tells which of two measurements is slower: exit status 0 neither, 1 the second, 2 unclear.",
     compare_positionals, compare_options},
    {"bench command", "Measures a program of yours, from its start to its end; its name is the benchmark's.",
     command_positionals, bench_options},
    {"bench method", "Measures a method, over the wire.", call_positionals, bench_options},
    {"bench list", "Lists the suites and their benchmarks.", {}, list_options},
    {"version", "Prints the version."},
    {"completions", "Prints a script that completes this command line in a shell.", shell_positionals},
    {"man", "Prints the manual page."},
}};

inline constexpr std::array<ExampleDescription, 9> examples{{
    {"pillion serve --data-dir ~/.local/share/my-app", "Serves an app, as its front end starts it."},
    {"pillion call rpc.ping", "Tries a method by hand."},
    {"pillion call config.get '{\"key\":\"ipc\"}' --set ipc.workers=4", "With params and a configuration value."},
    {"pillion config default > pillion.toml", "A configuration file to start from."},
    {"pillion schema --format typescript > pillion.d.ts", "The types of every method."},
    {"pillion cache simulate requests.gz --entries 500,1000", "Which policy and size would serve best."},
    {"pillion bench ipc --json > before.json", "Measures a suite; the file can be compared with a later one."},
    {"pillion bench compare before.json after.json", "Whether the second build is slower, for scripts and CI."},
    {"source <(pillion completions bash)", "Completes commands and options in this shell."},
}};

} // namespace command_table
} // namespace pillion
