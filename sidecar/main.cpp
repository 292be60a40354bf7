// pillion: serves JSON-RPC on stdin and stdout, or does one thing and ends. The main thread is the reader thread.
#include "ipc/base/platform.h"
#include "ipc/schema/openrpc.h"
#include "ipc/schema/reference.h"
#include "ipc/schema/typescript.h"
#include "modules/process/process.h"
#include "sidecar/application.h"
#include "sidecar/bench_command.h"
#include "sidecar/command_line.h"
#include "sidecar/one_call.h"
#include "sidecar/standard_streams.h"
#include "sidecar/table_commands.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <unistd.h>

namespace {

using namespace pillion;

constexpr int failed = 1;
constexpr int unusable = 2; // the command line or the configuration

int print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0 ? 0 : failed;
}

int complain(const Error& error) {
    print_error(error);
    return unusable;
}

// An option, or the variable that stands for it where it was not given.
std::optional<std::string> option_or_variable(const std::optional<std::string>& option, const char* variable) {
    if (option) return option;
    const char* const value = std::getenv(variable);
    return value != nullptr && value[0] != '\0' ? std::optional<std::string>(value) : std::nullopt;
}

ApplicationOptions options_of(const Command& command) {
    const auto data_directory = option_or_variable(command.data_dir, "PILLION_DATA_DIR");
    return {.config = {.file = option_or_variable(command.config_file, "PILLION_CONFIG"),
                       .environment = environ,
                       .set = command.set},
            .data_directory =
                data_directory ? *data_directory : platform::data_directory(command.app_id.value_or("pillion")),
            .app_id = command.app_id.value_or("pillion"),
            .framing = command.framing};
}

int serve(const Command& command) {
    const StandardStreams streams = claim_standard_streams();
    const auto application = Application::create(options_of(command), streams.output);
    return application ? (*application)->serve(streams.input) : complain(application.error());
}

int print_schema(const Command& command) {
    const auto application = Application::create({}, -1);
    if (!application) return complain(application.error());
    const Application& app = **application;
    switch (command.schema_format) {
    case SchemaFormat::openrpc:
        return print(app.openrpc());
    case SchemaFormat::typescript:
        return print(typescript_types(app.methods(), app.events()));
    case SchemaFormat::markdown:
        return print(method_reference(app.methods(), app.events()));
    case SchemaFormat::config:
        return print(app.configuration().schema() + "\n");
    }
    return unusable;
}

int check_config(const Command& command) {
    const auto application =
        Application::create({.config = {.file = command.config_file, .environment = environ, .set = command.set}}, -1);
    if (!application) return complain(application.error());
    return print(command.config_file.value_or("the configuration") + " is valid\n");
}

int print_default_config() {
    const auto application = Application::create({}, -1);
    return application ? print((*application)->configuration().default_toml()) : complain(application.error());
}

int run(const Command& command) {
    switch (command.kind) {
    case Command::Kind::serve:
        return serve(command);
    case Command::Kind::call:
        return run_one_call(options_of(command), command.method, command.params);
    case Command::Kind::schema:
        return print_schema(command);
    case Command::Kind::config_check:
        return check_config(command);
    case Command::Kind::config_default:
        return print_default_config();
    case Command::Kind::components:
        return list_components(options_of(command), command.as_json);
    case Command::Kind::alerts:
        return list_alerts(options_of(command), command);
    case Command::Kind::cache_simulate:
        return simulate_cache(command);
    case Command::Kind::bench:
        return bench_run(options_of(command), command);
    case Command::Kind::bench_compare:
        return bench_compare(options_of(command), command);
    case Command::Kind::bench_list:
        return bench_list(command.as_json);
    case Command::Kind::version:
    case Command::Kind::help:
    case Command::Kind::completions:
    case Command::Kind::man:
        return print(command.text);
    }
    return unusable;
}

} // namespace

int main(int argc, char** argv) {
    if (is_guard(argc, argv)) return run_guard(argc, argv);
    const auto command = parse_command_line(argc, argv, isatty(STDIN_FILENO) == 1);
    return command ? run(*command) : report_usage_error(command.error());
}
