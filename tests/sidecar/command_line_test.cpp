#include "sidecar/command_line.h"
#include "sidecar/completions.h"

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace pillion;
using Kind = Command::Kind;

namespace {

Result<Command> parse(std::vector<const char*> words, bool on_terminal = false) {
    words.insert(words.begin(), "pillion");
    return parse_command_line(static_cast<int>(words.size()), words.data(), on_terminal);
}

std::string error(std::vector<const char*> words) {
    const auto command = parse(std::move(words));
    REQUIRE_FALSE(command);
    CHECK(command.error().message.find('\n') == std::string::npos);
    return command.error().message;
}

} // namespace

TEST_CASE("alone on a pipe it serves, alone on a terminal it explains itself", "[command_line]") {
    CHECK(parse({})->kind == Kind::serve);
    CHECK(parse({}, true)->kind == Kind::help);
    CHECK(parse({}, true)->text.find("pillion call rpc.ping") != std::string::npos);
    CHECK(parse({"serve"}, true)->kind == Kind::serve);
}

TEST_CASE("serve takes its options in any order and spelling", "[command_line]") {
    const auto command =
        parse({"serve", "--set", "ipc.workers=2", "--data-dir=/d", "--log-level", "debug", "--set=log.file=/a=b",
               "--app-id", "app", "--config", "c.toml", "--framing", "headers"});
    REQUIRE(command);
    CHECK(command->data_dir == "/d");
    CHECK(command->app_id == "app");
    CHECK(command->config_file == "c.toml");
    CHECK(command->framing == Framing::headers);
    CHECK(command->set == std::vector<std::string>{"ipc.workers=2", "log.file=/a=b", "log.level=debug"});
}

TEST_CASE("call takes a method, params and the options of serve", "[command_line]") {
    const auto command =
        parse({"call", "cache.get", R"({"key":"a, [b]"})", "--data-dir", "/d", "--set", "a.b=1", "--set", "c.d=[1,2]"});
    REQUIRE(command);
    CHECK(command->kind == Kind::call);
    CHECK(command->method == "cache.get");
    CHECK(command->params == R"({"key":"a, [b]"})");
    CHECK(command->data_dir == "/d");
    CHECK(command->set == std::vector<std::string>{"a.b=1", "c.d=[1,2]"});
    CHECK(parse({"call", "rpc.ping"})->params.empty());
    CHECK(parse({"call", "rpc.ping", "[1,2]"})->params == "[1,2]");
}

TEST_CASE("call refuses what is no method, no JSON or too much", "[command_line]") {
    CHECK(error({"call"}).find("usage: pillion call METHOD [JSON] [options]") != std::string::npos);
    CHECK(error({"call", "a.b", "{x}"}).starts_with("the params are not JSON"));
    CHECK(error({"call", "a.b", "{} {}"}).starts_with("the params are not JSON"));
    CHECK(error({"call", "a.b", "7"}) == "the params must be a JSON object or array, got 7");
    CHECK(error({"call", "a.b", "{}", "{}"}).starts_with("more arguments than it takes"));
}

TEST_CASE("schema, config, completions and man are read", "[command_line]") {
    CHECK(parse({"schema"})->schema_format == SchemaFormat::openrpc);
    CHECK(parse({"schema", "--format", "config"})->schema_format == SchemaFormat::config);
    CHECK(parse({"schema", "--format=typescript"})->schema_format == SchemaFormat::typescript);
    CHECK(parse({"config", "check", "a.toml"})->config_file == "a.toml");
    CHECK(parse({"config", "check", "a.toml"})->kind == Kind::config_check);
    CHECK(parse({"config", "default"})->kind == Kind::config_default);
    CHECK(parse({"man"})->text.starts_with(".TH PILLION 1"));
    CHECK(parse({"completions", "fish"})->kind == Kind::completions);
}

TEST_CASE("bench takes suites, a program or a method, and how long", "[command_line]") {
    const auto suites = parse({"bench", "ipc,memory", "--runs", "5", "--time", "0.5", "--json", "--baseline"});
    REQUIRE(suites);
    CHECK(suites->kind == Kind::bench);
    CHECK(suites->suites == std::vector<std::string>{"ipc", "memory"});
    CHECK(suites->runs == 5);
    CHECK(suites->seconds == 0.5);
    CHECK(suites->as_json);
    CHECK(suites->is_baseline);
    CHECK(parse({"bench", "--timeout", "2"})->timeout_seconds == 2);
    CHECK(parse({"bench"})->suites.empty());
    const auto program = parse({"bench", "command", "--runs", "3", "--", "ls", "-l", "--json"});
    REQUIRE(program);
    CHECK(program->program == std::vector<std::string>{"ls", "-l", "--json"});
    CHECK_FALSE(program->as_json);
    CHECK(parse({"bench", "method", "rpc.echo", "[1]"})->params == "[1]");
}

TEST_CASE("bench compare takes two measurements and a minimum effect", "[command_line]") {
    const auto command = parse({"bench", "compare", "a.json", "baseline", "--min-effect", "2.5"});
    REQUIRE(command);
    CHECK(command->kind == Kind::bench_compare);
    CHECK(command->before == "a.json");
    CHECK(command->after == "baseline");
    CHECK(command->minimum_effect_percent == 2.5);
    CHECK(error({"bench", "compare", "a.json"}).find("usage: pillion bench compare BEFORE AFTER") != std::string::npos);
    CHECK(error({"bench", "compare", "a", "b", "--min-effect", "nan"}).starts_with("--min-effect takes a number"));
    CHECK(error({"bench", "--runs", "0"}).starts_with("--runs takes a number, got \"0\""));
    CHECK(error({"bench", "--time", "0"}).ends_with("the least is 0.001, the most 3600"));
    CHECK(error({"bench", "command"}).find("PROGRAM") != std::string::npos);
}

TEST_CASE("the version is one line", "[command_line]") {
    CHECK(parse({"--version"})->text == "pillion 0.1.0\n");
    CHECK(parse({"version"})->text == "pillion 0.1.0\n");
}

TEST_CASE("help explains the program and each command", "[command_line]") {
    CHECK(parse({"--help"})->text == help_text());
    CHECK(parse({"help"})->kind == Kind::help);
    CHECK(parse({"serve", "--help"})->text.starts_with("Usage: pillion serve [options]"));
    CHECK(parse({"help", "config", "check"})->text.starts_with("Usage: pillion config check FILE"));
    CHECK(parse({"call", "--help"})->kind == Kind::help);
}

TEST_CASE("help on the first word of commands of two explains them all", "[command_line]") {
    for (const auto& words : {std::vector<const char*>{"config", "--help"}, {"config", "-h"}, {"help", "config"}}) {
        const auto command = parse(words);
        REQUIRE(command);
        CHECK(command->kind == Kind::help);
        CHECK(command->text.find("pillion config check FILE") != std::string::npos);
        CHECK(command->text.find("pillion config default") != std::string::npos);
    }
    CHECK(parse({"bench", "--help"})->text.find("pillion bench compare BEFORE AFTER\n") == std::string::npos);
    CHECK_FALSE(parse({"confog", "--help"}));
}

TEST_CASE("a wrong name gives the nearest command or option", "[command_line]") {
    CHECK(error({"sevre"}) == "unknown command sevre; did you mean serve?");
    CHECK(error({"config", "chek"}) == "unknown command config chek; did you mean config check?");
    CHECK(error({"config"}) == "pillion config needs to know what to do: check or default");
    CHECK(error({"serve", "--data-dri", "/d"}) ==
          "unknown option --data-dri of pillion serve; did you mean --data-dir?");
    CHECK(error({"--verison"}) == "unknown option --verison; did you mean --version?");
    CHECK(error({"--data-dir", "/d"}) == "options come after the command: pillion serve --data-dir");
    CHECK(error({"serve", "--log-level", "debgu"}) ==
          "--log-level must be one of trace, debug, info, warning, error, off, got \"debgu\"; did you mean debug?");
    CHECK(error({"completions", "tcsh"}).starts_with("SHELL must be one of bash, zsh, fish, got \"tcsh\""));
}

TEST_CASE("an option without its value, given twice or standing where none belongs is refused", "[command_line]") {
    CHECK(error({"serve", "--data-dir"}).find("--data-dir") != std::string::npos);
    CHECK(error({"serve", "--data-dir", "a", "--data-dir", "b"}).find("--data-dir") != std::string::npos);
    CHECK(error({"serve", "stray"}).starts_with("more arguments"));
    CHECK(error({"man", "--format", "x"}).starts_with("unknown option --format of pillion man"));
}

TEST_CASE("an empty name of a folder, an app or a file is refused", "[command_line]") {
    for (const char* option : {"--data-dir", "--app-id", "--config"})
        for (const char* command : {"serve", "bench"})
            CHECK(error({command, option, ""}) == std::string(option) + " is empty; leave it out, or name one");
    CHECK(error({"serve", "--data-dir="}).starts_with("--data-dir is empty"));
}

TEST_CASE("a wrong command line exits with status 2", "[command_line]") {
    CHECK(report_usage_error({.message = "expected in this test"}) == 2);
}

TEST_CASE("every command and option stands in every completion and in the manual page", "[command_line]") {
    for (const auto shell : command_table::shells) {
        const std::string script = completions_for(shell);
        for (const auto* word : {"serve", "call", "schema", "check", "default", "completions", "data-dir", "log-level",
                                 "headers", "typescript", "zsh"})
            CHECK(script.find(word) != std::string::npos);
    }
    const std::string page = man_page("0.1.0");
    for (const CommandDescription& command : command_table::commands)
        for (const OptionDescription& option : command.options)
            CHECK(page.find(option.summary.substr(0, option.summary.find_first_of("-`'"))) != std::string::npos);
}

TEST_CASE("bash accepts its completion script", "[command_line]") {
    std::FILE* const shell = ::popen("bash -n", "w");
    REQUIRE(shell != nullptr);
    std::fputs(completions_for("bash").c_str(), shell);
    CHECK(::pclose(shell) == 0);
}
