// The wire benchmark: what a round over stdin and stdout costs with Pillion, against programs that do the least
// possible, that do it plainly, and that a user would pick instead. This file reads the command line, finds the
// peers and runs the rows; the measuring is in the other files of this directory.

#include "rows.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <signal.h>
#include <sstream>
#include <unistd.h>

namespace pillion::bench {

namespace {

namespace fs = std::filesystem;

constexpr const char* usage =
    R"(usage: wire_bench --peers DIR [--pillion PATH] [--rows LIST] [--json FILE] [--quick]

  --peers DIR           directory of c_echo, simdjson_echo, nlohmann_echo, node_echo.mjs, python_echo.py
  --pillion PATH        the program that is judged; without it only the peers are measured
  --pillion-arguments A its arguments, split at spaces (default: serve --data-dir a temporary directory)
  --rows LIST           of: spawn,idle,ping,echo,singles,batches,large,size,allocations (default: all)
  --allocations N       allocations per request, as counted by the test
  --json FILE           also write the report as JSON
  --quick               a quarter of the rounds
  --show-errors         let the programs' stderr through
)";

struct CommandLine {
    std::string pillion;
    std::optional<std::string> pillion_arguments;
    std::string peers;
    std::vector<std::string> rows;
    std::string json;
    std::optional<double> allocations;
    Effort effort = Effort::full;
};

class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) {
        if (!part.empty()) parts.push_back(part);
    }
    return parts;
}

CommandLine read_command_line(const std::vector<std::string>& arguments) {
    CommandLine line;
    for (std::size_t index = 0; index < arguments.size(); ++index) {
        const std::string& option = arguments[index];
        const auto value = [&]() -> const std::string& {
            if (index + 1 == arguments.size()) throw UsageError(option + " needs a value");
            return arguments[++index];
        };
        if (option == "--pillion")
            line.pillion = value();
        else if (option == "--pillion-arguments")
            line.pillion_arguments = value();
        else if (option == "--peers")
            line.peers = value();
        else if (option == "--rows")
            line.rows = split(value(), ',');
        else if (option == "--json")
            line.json = value();
        else if (option == "--allocations")
            line.allocations = std::strtod(value().c_str(), nullptr);
        else if (option == "--quick")
            line.effort = Effort::quick;
        else if (option == "--show-errors")
            show_peer_errors();
        else
            throw UsageError("unknown option " + option);
    }
    if (line.peers.empty()) throw UsageError("--peers is missing");
    return line;
}

// Where an interpreter really is, asked of itself: a spawn must measure neither a search nor a version manager's
// script in front of it. Empty if there is none.
std::string find_interpreter(const std::vector<std::string>& question) {
    const std::string path = output_of(question);
    return path.substr(0, path.find('\n'));
}

std::vector<PeerProgram> find_peers(const fs::path& directory) {
    std::vector<PeerProgram> peers;
    const auto add = [&](const std::string& name, const std::string& interpreter, const char* file, bool is_slow) {
        const fs::path path = directory / file;
        if (!fs::exists(path)) throw UsageError(path.string() + " does not exist: build the peers first");
        std::vector<std::string> arguments{path.string()};
        if (!interpreter.empty()) arguments.insert(arguments.begin(), interpreter);
        peers.push_back({name, arguments, is_slow});
    };
    add("c", "", "c_echo", false);
    add("simdjson", "", "simdjson_echo", false);
    add("nlohmann", "", "nlohmann_echo", true);
    const std::string node = find_interpreter({"node", "-p", "process.execPath"});
    if (!node.empty()) add("node", node, "node_echo.mjs", true);
    const std::string python = find_interpreter({"python3", "-c", "import sys; print(sys.executable)"});
    if (!python.empty()) add("python", python, "python_echo.py", true);
    return peers;
}

// A home of its own for the programs, so that no user's settings or data weigh on them; gone at the end.
class TemporaryHome {
  public:
    TemporaryHome() {
        std::string pattern = (fs::temp_directory_path() / "wire_bench_XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw UsageError("cannot create " + pattern);
        path_ = pattern;
        for (const char* name : {"XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"}) {
            setenv(name, path_.c_str(), 1);
        }
    }
    ~TemporaryHome() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    TemporaryHome(const TemporaryHome&) = delete;
    TemporaryHome& operator=(const TemporaryHome&) = delete;

    std::string path() const { return path_.string(); }

  private:
    fs::path path_;
};

// Adds the program that is judged, and says which build of it this is.
std::string add_subject(const CommandLine& line, const TemporaryHome& home, Field& field) {
    if (line.pillion.empty()) return "no pillion given, peers only";
    if (access(line.pillion.c_str(), X_OK) != 0) throw UsageError(line.pillion + " cannot be executed");
    const std::string path = fs::absolute(line.pillion).string();
    std::vector<std::string> arguments{path, "serve", "--data-dir", home.path()};
    if (line.pillion_arguments) {
        arguments = split(*line.pillion_arguments, ' ');
        arguments.insert(arguments.begin(), path);
    }
    field.peers.push_back({field.subject, arguments, false});
    const std::string version = output_of({path, "--version"});
    return version.empty() ? "pillion of unknown version" : version.substr(0, version.find('\n'));
}

struct NamedRow {
    const char* name;
    std::function<void()> measure;
};

void run_rows(const CommandLine& line, const Field& field, Report& report) {
    const std::array<NamedRow, 9> all{{
        {"spawn", [&] { measure_spawn(field, report); }},
        {"idle", [&] { measure_idle_memory(field, report); }},
        {"ping", [&] { measure_round_trip(field, RequestKind::ping, report); }},
        {"echo", [&] { measure_round_trip(field, RequestKind::echo, report); }},
        {"singles", [&] { measure_pipelined(field, Load::singles, report); }},
        {"batches", [&] { measure_pipelined(field, Load::batches, report); }},
        {"large", [&] { measure_large_value(field, report); }},
        {"size", [&] { measure_size(field, report); }},
        {"allocations", [&] { report_allocations(field, line.allocations, report); }},
    }};
    for (const auto& wanted : line.rows) {
        const bool exists = std::any_of(all.begin(), all.end(), [&](const auto& row) { return row.name == wanted; });
        if (!exists) throw UsageError("there is no row " + wanted);
    }
    for (const auto& row : all) {
        const bool is_wanted = line.rows.empty() || std::count(line.rows.begin(), line.rows.end(), row.name) > 0;
        if (is_wanted) row.measure();
    }
}

int run(const std::vector<std::string>& arguments) {
    const CommandLine line = read_command_line(arguments);
    signal(SIGPIPE, SIG_IGN); // a peer that goes away is noticed where it is written to
    const TemporaryHome home;
    Field field{find_peers(line.peers), "pillion", line.effort};
    Report report("The wire", field.subject, add_subject(line, home, field));
    run_rows(line, field, report);
    report.print(std::cout);
    if (!line.json.empty() && !report.write_json(line.json)) throw UsageError("cannot write " + line.json);
    return report.has_failures() ? 1 : 0;
}

} // namespace

} // namespace pillion::bench

int main(int count, char** values) {
    const std::vector<std::string> arguments(values + 1, values + count);
    if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end()) {
        std::cout << pillion::bench::usage;
        return 0;
    }
    try {
        return pillion::bench::run(arguments);
    } catch (const std::exception& error) {
        std::cerr << "wire_bench: " << error.what() << '\n';
        return 2;
    }
}
