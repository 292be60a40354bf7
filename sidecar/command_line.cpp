// Both ways of reading fill the same list of raw values, which one function turns into a Command. CLI11 checks what is
// missing or one too many; unknown names are looked for before it runs, so that the nearest one can be named.
#include "sidecar/command_line.h"

#include "ipc/base/number_text.h"
#include "ipc/json_scanner.h"
#include "ipc/nearest.h"
#include "sidecar/command_table.h"
#include "sidecar/completions.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <span>

#ifndef PILLION_VERSION
#define PILLION_VERSION "0.1.0"
#endif

namespace pillion {

namespace {

using Arguments = std::span<const char* const>;

struct RawValue {
    std::string_view name; // an option's or a positional's, as the table spells it
    std::string value;
};

std::unexpected<Error> wrong(std::string message, std::string hint = {}) {
    return fail(ErrorCode::invalid_params, std::move(message), {}, std::move(hint));
}

std::string did_you_mean(std::string_view nearest) {
    return nearest.empty() ? std::string() : "; did you mean " + std::string(nearest) + "?";
}

const CommandDescription* find_command(std::string_view name) {
    for (const CommandDescription& command : command_table::commands)
        if (command.name == name) return &command;
    return nullptr;
}

const OptionDescription* find_option(const CommandDescription& command, std::string_view name) {
    for (const OptionDescription& option : command.options)
        if (option.name == name) return &option;
    return nullptr;
}

Result<void> check_choice(std::string_view name, std::span<const std::string_view> choices, std::string_view value) {
    if (choices.empty() || std::ranges::find(choices, value) != choices.end()) return {};
    NearestName nearest(value);
    std::string all;
    for (const std::string_view choice : choices) {
        nearest.consider(choice);
        all += (all.empty() ? "" : ", ") + std::string(choice);
    }
    return wrong(std::string(name) + " must be one of " + all + ", got \"" + std::string(value) + "\"" +
                     did_you_mean(nearest.best()),
                 std::string(nearest.best()));
}

Command::Kind kind_of(const CommandDescription& command) {
    using enum Command::Kind;
    if (command.name == "serve") return serve;
    if (command.name == "call") return call;
    if (command.name == "schema") return schema;
    if (command.name == "config check") return config_check;
    if (command.name == "config default") return config_default;
    if (command.name == "completions") return completions;
    if (command.name == "components") return components;
    if (command.name == "alerts") return alerts;
    if (command.name == "cache simulate") return cache_simulate;
    if (command.name == "bench compare") return bench_compare;
    if (command.name == "bench list") return bench_list;
    if (command.name.starts_with("bench")) return bench;
    return command.name == "man" ? man : version;
}

std::vector<std::string> split(std::string_view list) {
    std::vector<std::string> parts;
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        parts.emplace_back(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return parts;
}

Result<void> take_capacities(Command& command, const std::string& list) {
    for (const std::string& text : split(list)) {
        std::uint64_t capacity = 0;
        const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), capacity);
        if (status != std::errc{} || end != text.data() + text.size() || capacity == 0)
            return wrong("--entries takes whole numbers over 0 with commas between them, got \"" + text + "\"");
        command.capacities.push_back(capacity);
    }
    return {};
}

Result<void> take_simulate(Command& command, std::string_view name, const std::string& value) {
    if (name == "TRACE") command.trace = value;
    if (name == "--policies") command.policies = split(value);
    if (name == "--bytes") command.has_sizes = true;
    if (name == "--plot") command.plot_file = value;
    return name == "--entries" ? take_capacities(command, value) : Result<void>{};
}

template <class Number>
Result<void> take_number(std::optional<Number>& number, const RawValue& raw, Number low, Number high) {
    Number value{};
    const char* const end = raw.value.data() + raw.value.size();
    const auto [stopped, status] = std::from_chars(raw.value.data(), end, value);
    if (status != std::errc{} || stopped != end || !(value >= low && value <= high))
        return wrong(std::string(raw.name) + " takes a number, got \"" + raw.value + "\"; the least is " +
                     formatted("%g", static_cast<double>(low)) + ", the most " +
                     formatted("%g", static_cast<double>(high)));
    number = value;
    return {};
}

Result<void> take_bench(Command& command, const RawValue& raw) {
    if (raw.name == "SUITE") command.suites = split(raw.value);
    if (raw.name == "PROGRAM") command.program.push_back(raw.value);
    if (raw.name == "--label") command.label = raw.value;
    if (raw.name == "--baseline") command.is_baseline = true;
    if (raw.name == "BEFORE") command.before = raw.value;
    if (raw.name == "AFTER") command.after = raw.value;
    if (raw.name == "--runs") return take_number<std::int64_t>(command.runs, raw, 1, 10'000);
    if (raw.name == "--time") return take_number(command.seconds, raw, 0.001, 3600.0);
    if (raw.name == "--timeout") return take_number(command.timeout_seconds, raw, 0.001, 3600.0);
    if (raw.name == "--min-effect") return take_number(command.minimum_effect_percent, raw, 0.1, 100.0);
    return {};
}

Result<void> take(Command& command, const RawValue& raw, std::string& log_level) {
    const auto& [name, value] = raw;
    // A script's variable that was not set: what is kept must not land at the root.
    if (value.empty() && (name == "--data-dir" || name == "--app-id" || name == "--config"))
        return wrong(std::string(name) + " is empty; leave it out, or name one");
    if (name == "--json") command.as_json = true;
    if (name == "--all") command.wants_all = true;
    PILLION_TRY(take_bench(command, raw));
    if (command.kind == Command::Kind::cache_simulate) return take_simulate(command, name, value);
    if (name == "--data-dir")
        command.data_dir = value;
    else if (name == "--app-id")
        command.app_id = value;
    else if (name == "--config" || name == "FILE")
        command.config_file = value;
    else if (name == "--set")
        command.set.push_back(value);
    else if (name == "--log-level")
        log_level = value;
    else if (name == "--framing")
        command.framing = value == "lines"     ? Framing::lines
                          : value == "headers" ? Framing::headers
                                               : Framing::automatic;
    else if (name == "--format")
        command.schema_format = static_cast<SchemaFormat>(std::ranges::find(command_table::formats, value) -
                                                          command_table::formats.begin());
    else if (name == "METHOD")
        command.method = value;
    else if (name == "SHELL")
        command.text = completions_for(value);
    else if (name == "JSON") {
        JsonScanner scanner(value);
        const JsonKind kind = scanner.peek();
        if (!scanner.skip_value() || !scanner.at_end())
            return wrong("the params are not JSON: " +
                         std::string(scanner.failed() ? scanner.reason() : "something follows the value") +
                         " at byte " + std::to_string(scanner.offset()));
        if (kind != JsonKind::object && kind != JsonKind::array)
            return wrong("the params must be a JSON object or array, got " + value);
        command.params = value;
    }
    return {};
}

Result<Command> make_command(const CommandDescription& description, const std::vector<RawValue>& values) {
    Command command;
    command.kind = kind_of(description);
    std::string log_level;
    for (const RawValue& raw : values) {
        if (const OptionDescription* option = find_option(description, raw.name))
            PILLION_TRY(check_choice(option->name, option->choices, raw.value));
        for (const PositionalDescription& positional : description.positionals)
            if (positional.name == raw.name) PILLION_TRY(check_choice(positional.name, positional.choices, raw.value));
        PILLION_TRY(take(command, raw, log_level));
    }
    if (!log_level.empty()) command.set.push_back("log.level=" + log_level);
    if (command.kind == Command::Kind::version) command.text = version_text();
    if (command.kind == Command::Kind::man) command.text = man_page(PILLION_VERSION);
    return command;
}

// Options with their values and nothing else; nullopt for anything that needs the long way.
std::optional<std::vector<RawValue>> read_plainly(const CommandDescription& command, Arguments arguments) {
    std::vector<RawValue> values;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        const std::size_t equals = argument.find('=');
        const OptionDescription* option = find_option(command, argument.substr(0, equals));
        if (option == nullptr) return std::nullopt;
        const bool is_repeated =
            std::ranges::any_of(values, [&](const RawValue& seen) { return seen.name == option->name; });
        if (is_repeated && !option->is_repeatable) return std::nullopt;
        if (option->argument.empty() && equals == std::string_view::npos) {
            values.push_back({option->name, {}});
            continue;
        }
        if (option->argument.empty()) return std::nullopt;
        if (equals != std::string_view::npos) {
            values.push_back({option->name, std::string(argument.substr(equals + 1))});
            continue;
        }
        if (++i == arguments.size() || arguments[i][0] == '-') return std::nullopt;
        values.push_back({option->name, arguments[i]});
    }
    return values;
}

Result<void> check_option_names(const CommandDescription& command, Arguments arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--") break;
        if (argument.size() < 2 || argument[0] != '-') continue;
        const std::string_view name = argument.substr(0, argument.find('='));
        if (const OptionDescription* option = find_option(command, name)) {
            if (name.size() == argument.size() && !option->argument.empty()) ++i; // the next one is its value
            continue;
        }
        NearestName nearest(name);
        for (const OptionDescription& option : command.options) nearest.consider(option.name);
        return wrong("unknown option " + std::string(name) + " of pillion " + std::string(command.name) +
                         did_you_mean(nearest.best()),
                     std::string(nearest.best()));
    }
    return {};
}

Result<std::vector<RawValue>> read_with_cli11(const CommandDescription& command, Arguments arguments) {
    CLI::App app;
    app.set_help_flag();
    // Both stay in place, as CLI11 keeps references. A vector takes as many words as there are, so single values have
    // none.
    std::map<std::string_view, std::vector<std::string>> lists;
    std::map<std::string_view, std::optional<std::string>> singles;
    std::map<std::string_view, bool> flags;
    for (const OptionDescription& option : command.options) {
        if (option.argument.empty())
            app.add_flag(std::string(option.name), flags[option.name])
                ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
        else if (option.is_repeatable)
            app.add_option(std::string(option.name), lists[option.name])->expected(1)->take_all();
        else
            app.add_option(std::string(option.name), singles[option.name])
                ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
    }
    for (const PositionalDescription& positional : command.positionals) {
        if (positional.is_repeatable)
            app.add_option(std::string(positional.name), lists[positional.name])->required(positional.is_required);
        else
            app.add_option(std::string(positional.name), singles[positional.name])->required(positional.is_required);
    }
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend()); // as CLI11 wants them
    try {
        app.parse(std::move(reversed));
    } catch (const CLI::ExtrasError&) {
        return wrong("more arguments than it takes; usage: " + synopsis(command));
    } catch (const CLI::Error& error) {
        std::string message = error.what();
        std::ranges::replace(message, '\n', ' ');
        return wrong(message + "; usage: " + synopsis(command));
    }
    std::vector<RawValue> values;
    for (const auto& [name, texts] : lists)
        for (const std::string& text : texts) values.push_back({name, text});
    for (const auto& [name, is_given] : flags)
        if (is_given) values.push_back({name, {}});
    for (const auto& [name, text] : singles)
        if (text) values.push_back({name, *text});
    return values;
}

// Takes the command's one or two words off `arguments`.
Result<const CommandDescription*> read_command(Arguments& arguments) {
    const std::string_view word = arguments[0];
    const std::string prefix = std::string(word) + " ";
    if (arguments.size() > 1)
        if (const CommandDescription* command = find_command(prefix + arguments[1])) {
            arguments = arguments.subspan(2);
            return command;
        }
    if (const CommandDescription* command = find_command(word)) {
        arguments = arguments.subspan(1);
        return command;
    }
    const bool has_second = std::ranges::any_of(command_table::commands,
                                                [&](const auto& command) { return command.name.starts_with(prefix); });
    const std::string name = has_second && arguments.size() > 1 ? prefix + arguments[1] : std::string(word);
    NearestName nearest(name);
    std::string second;
    for (const CommandDescription& command : command_table::commands) {
        nearest.consider(command.name);
        if (command.name.starts_with(prefix))
            second += (second.empty() ? "" : " or ") + std::string(command.name.substr(prefix.size()));
    }
    if (has_second && arguments.size() == 1)
        return wrong("pillion " + std::string(word) + " needs to know what to do: " + second);
    const bool is_option = word.starts_with('-');
    for (const OptionDescription& option : command_table::global_options) nearest.consider(option.name);
    if (is_option && find_option(*find_command("serve"), word.substr(0, word.find('='))) != nullptr)
        return wrong("options come after the command: pillion serve " + std::string(word), "serve");
    return wrong((is_option ? "unknown option " : "unknown command ") + name + did_you_mean(nearest.best()),
                 std::string(nearest.best()));
}

bool asks_for_help(std::string_view argument) { return argument == "--help" || argument == "-h"; }

// The help of all commands that begin with a word which is no command itself; empty if there are none.
std::string group_help(std::string_view word) {
    if (find_command(word) != nullptr) return {};
    std::string text;
    for (const CommandDescription& command : command_table::commands)
        if (command.name.starts_with(std::string(word) + " ")) text += (text.empty() ? "" : "\n") + help_text(command);
    return text;
}

Command showing(Command::Kind kind, std::string text) {
    Command command;
    command.kind = kind;
    command.text = std::move(text);
    return command;
}

} // namespace

std::string version_text() { return "pillion " PILLION_VERSION "\n"; }

Result<Command> parse_command_line(int argc, const char* const* argv, bool on_terminal) {
    Arguments arguments(argv, static_cast<std::size_t>(std::max(argc, 0)));
    if (!arguments.empty()) arguments = arguments.subspan(1);
    if (arguments.empty()) return on_terminal ? showing(Command::Kind::help, help_text()) : Command{};

    const std::string_view first = arguments[0];
    if (asks_for_help(first) || (first == "help" && arguments.size() == 1))
        return showing(Command::Kind::help, help_text());
    if (first == "--version" || first == "-V") return showing(Command::Kind::version, version_text());
    const bool begins_with_help = first == "help"; // pillion help call
    if (begins_with_help) arguments = arguments.subspan(1);
    if (begins_with_help ? arguments.size() == 1 : arguments.size() == 2 && asks_for_help(arguments[1]))
        if (std::string text = group_help(arguments[0]); !text.empty())
            return showing(Command::Kind::help, std::move(text));

    const CommandDescription& command = *PILLION_TRY(read_command(arguments));
    if (begins_with_help) return showing(Command::Kind::help, help_text(command));
    if (command.positionals.empty())
        if (const auto values = read_plainly(command, arguments)) return make_command(command, *values);

    for (const std::string_view argument : arguments) {
        if (argument == "--") break;
        if (asks_for_help(argument)) return showing(Command::Kind::help, help_text(command));
    }
    PILLION_TRY(check_option_names(command, arguments));
    return make_command(command, PILLION_TRY(read_with_cli11(command, arguments)));
}

void print_error(const Error& error) {
    // Where it suggests a spelling, the message has it already.
    const bool adds = !error.hint.empty() && error.message.find(error.hint) == std::string::npos;
    std::fprintf(stderr, "pillion: %s%s\n", error.message.c_str(), adds ? (" (" + error.hint + ")").c_str() : "");
}

int report_usage_error(const Error& error) {
    std::fprintf(stderr, "pillion: %s (pillion --help explains)\n", error.message.c_str());
    return 2;
}

} // namespace pillion
