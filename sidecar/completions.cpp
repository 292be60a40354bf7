#include "sidecar/completions.h"

#include <algorithm>
#include <vector>

namespace pillion {

namespace {

std::string text(std::string_view view) { return std::string(view); }

std::string joined(std::span<const std::string_view> words, std::string_view separator = " ") {
    std::string out;
    for (const std::string_view word : words) {
        if (!out.empty()) out += separator;
        out += word;
    }
    return out;
}

std::string_view first_word(std::string_view name) { return name.substr(0, name.find(' ')); }
std::string_view second_word(std::string_view name) {
    const std::size_t space = name.find(' ');
    return space == std::string_view::npos ? std::string_view() : name.substr(space + 1);
}

std::vector<std::string_view> first_words() {
    std::vector<std::string_view> words;
    for (const CommandDescription& command : command_table::commands)
        if (words.empty() || words.back() != first_word(command.name)) words.push_back(first_word(command.name));
    return words;
}

// The second words that a first one may have.
std::string second_words(std::string_view first) {
    std::string words;
    for (const CommandDescription& command : command_table::commands)
        if (first_word(command.name) == first && !second_word(command.name).empty())
            words += (words.empty() ? "" : " ") + text(second_word(command.name));
    return words;
}

bool is_file(std::string_view positional) {
    return positional == "FILE" || positional == "BEFORE" || positional == "AFTER" || positional == "TRACE";
}

// Whether the word alone is a command.
bool takes_itself(std::string_view first) {
    return std::ranges::any_of(command_table::commands, [&](const auto& command) { return command.name == first; });
}

// All commands of two words, quoted.
std::string second_commands(std::string_view separator, std::string (*quoted)(std::string_view)) {
    std::string names;
    for (const CommandDescription& command : command_table::commands)
        if (!second_word(command.name).empty()) names += (names.empty() ? "" : text(separator)) + quoted(command.name);
    return names;
}

std::string row(std::string left, std::string_view right) {
    constexpr std::size_t column = 30;
    left.insert(0, "  ");
    if (left.size() + 2 > column)
        left += "\n" + std::string(column, ' ');
    else
        left.resize(column, ' ');
    return left + text(right) + "\n";
}

std::string option_rows(std::span<const OptionDescription> options) {
    std::string out;
    for (const OptionDescription& option : options) {
        std::string left = text(option.name);
        if (!option.argument.empty()) left += " " + text(option.argument);
        std::string right = text(option.summary);
        if (!option.choices.empty()) right += " One of " + joined(option.choices, ", ") + ".";
        if (option.is_repeatable) right += " May be repeated.";
        out += row(left, right);
    }
    return out;
}

// For a single-quoted word of sh and its kin.
std::string shell_quoted(std::string_view words) {
    std::string out = "'";
    for (const char c : words) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string bash_case(const CommandDescription& command) {
    std::string words;
    if (second_word(command.name).empty()) words = second_words(command.name) + " ";
    for (const OptionDescription& option : command.options) words += text(option.name) + " ";
    for (const PositionalDescription& positional : command.positionals)
        if (!positional.choices.empty()) words += joined(positional.choices) + " ";
    return "    " + shell_quoted(command.name) + ") words=" + shell_quoted(words + "--help") + " ;;\n";
}

// Options whose values are known, each once.
std::vector<const OptionDescription*> all_options() {
    std::vector<const OptionDescription*> options;
    for (const CommandDescription& command : command_table::commands)
        for (const OptionDescription& option : command.options)
            if (std::ranges::none_of(options, [&](const auto* seen) { return seen->name == option.name; }))
                options.push_back(&option);
    return options;
}

std::string bash() {
    std::string out = "# bash completion for pillion\n"
                      "_pillion() {\n"
                      "  local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" words=''\n"
                      "  COMPREPLY=()\n"
                      "  case \"$before\" in\n";
    for (const OptionDescription* option : all_options()) {
        if (option->argument.empty()) continue;
        if (!option->choices.empty())
            out += "    " + text(option->name) + ") COMPREPLY=($(compgen -W " + shell_quoted(joined(option->choices)) +
                   " -- \"$word\")); return ;;\n";
        else if (option->argument == "DIR")
            out += "    " + text(option->name) + ") COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n";
        else if (option->argument == "FILE")
            out += "    " + text(option->name) + ") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n";
        else
            out += "    " + text(option->name) + ") return ;;\n";
    }
    out += "  esac\n"
           "  if ((COMP_CWORD == 1)); then\n"
           "    COMPREPLY=($(compgen -W " +
           shell_quoted(joined(first_words()) + " --help --version") +
           " -- \"$word\")); return\n"
           "  fi\n"
           "  local command=\"${COMP_WORDS[1]}\"\n"
           "  if ((COMP_CWORD > 2)); then\n"
           "    case \"$command ${COMP_WORDS[2]}\" in\n"
           "      " +
           second_commands("|", shell_quoted) +
           ") command+=\" ${COMP_WORDS[2]}\" ;;\n"
           "    esac\n"
           "  fi\n"
           "  if [[ $word != -* ]]; then\n"
           "    case \"$command\" in\n";
    for (const CommandDescription& command : command_table::commands) {
        if (command.positionals.empty()) continue;
        const std::string_view name = command.positionals.front().name;
        if (is_file(name) || name == "PROGRAM")
            out += "      " + shell_quoted(command.name) + ") COMPREPLY=($(compgen " + (is_file(name) ? "-f" : "-c") +
                   " -- \"$word\")); return ;;\n";
    }
    out += "    esac\n"
           "  fi\n"
           "  case \"$command\" in\n";
    for (const std::string_view word : first_words())
        if (!takes_itself(word)) out += "    " + text(word) + ") words=" + shell_quoted(second_words(word)) + " ;;\n";
    for (const CommandDescription& command : command_table::commands) out += bash_case(command);
    return out + "  esac\n"
                 "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                 "}\n"
                 "complete -F _pillion pillion\n";
}

// For text inside a specification of zsh's _arguments, where brackets and colons mean something.
std::string zsh_escaped(std::string_view words) {
    std::string out;
    for (const char c : words) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string zsh_action(std::string_view argument, std::span<const std::string_view> choices) {
    if (!choices.empty()) return "(" + joined(choices) + ")";
    if (argument == "PROGRAM") return "_command_names -e";
    return argument == "DIR" ? "_files -/" : is_file(argument) ? "_files" : " ";
}

std::string zsh_arguments(const CommandDescription& command) {
    std::string out = "_arguments";
    for (const OptionDescription& option : command.options) {
        std::string specification =
            (option.is_repeatable ? "*" : "") + text(option.name) + "[" + zsh_escaped(option.summary) + "]";
        if (!option.argument.empty())
            specification += ":" + text(option.argument) + ":" + zsh_action(option.argument, option.choices);
        out += " " + shell_quoted(specification);
    }
    for (const PositionalDescription& positional : command.positionals)
        out += " " + shell_quoted((positional.is_repeatable ? "*:"
                                   : positional.is_required ? ":"
                                                            : "::") +
                                  text(positional.name) + ":" + zsh_action(positional.name, positional.choices));
    return out + " '--help[Explains the command.]'";
}

std::string zsh_second_words() {
    std::string out;
    for (const std::string_view word : first_words())
        if (const std::string words = second_words(word); !words.empty())
            out += "      " + text(word) + ") compadd -- " + words + (takes_itself(word) ? " ;;\n" : "; return ;;\n");
    return out;
}

std::string zsh() {
    std::string out = "#compdef pillion\n"
                      "_pillion() {\n"
                      "  if ((CURRENT == 2)); then\n"
                      "    compadd -- " +
                      joined(first_words()) +
                      " --help --version\n"
                      "    return\n"
                      "  fi\n"
                      "  local command=$words[2]\n"
                      "  case \"$command $words[3]\" in\n"
                      "    " +
                      second_commands("|", shell_quoted) +
                      ")\n"
                      "      if ((CURRENT > 3)); then\n"
                      "        command+=\" $words[3]\"\n"
                      "        shift words; ((CURRENT--))\n"
                      "      fi ;;\n"
                      "  esac\n"
                      "  if ((CURRENT == 3)); then\n"
                      "    case $command in\n" +
                      zsh_second_words() +
                      "    esac\n"
                      "  fi\n"
                      "  shift words; ((CURRENT--))\n"
                      "  case $command in\n";
    for (const CommandDescription& command : command_table::commands)
        out += "    " + shell_quoted(command.name) + ") " + zsh_arguments(command) + " ;;\n";
    return out + "  esac\n"
                 "}\n"
                 "compdef _pillion pillion\n";
}

std::string fish() {
    std::string out = "# fish completion for pillion\n"
                      "complete -c pillion -f\n"
                      "complete -c pillion -n __fish_use_subcommand -l help -d 'Explains the program'\n"
                      "complete -c pillion -n __fish_use_subcommand -l version -d 'Prints the version'\n";
    for (const CommandDescription& command : command_table::commands) {
        const std::string_view second = second_word(command.name);
        const std::string seen = "'__fish_seen_subcommand_from " + text(first_word(command.name)) +
                                 (second.empty() ? "" : "; and __fish_seen_subcommand_from " + text(second)) + "'";
        const std::string condition = second.empty()
                                          ? "__fish_use_subcommand"
                                          : "'__fish_seen_subcommand_from " + text(first_word(command.name)) +
                                                "; and not __fish_seen_subcommand_from " +
                                                second_words(first_word(command.name)) + "'";
        // Fish knows ' and \ only inside single quotes; the summaries have neither.
        out += "complete -c pillion -n " + condition + " -a " + text(second.empty() ? command.name : second) + " -d " +
               shell_quoted(command.summary) + "\n";
        for (const OptionDescription& option : command.options) {
            out += "complete -c pillion -n " + seen + " -l " + text(option.name.substr(2));
            if (!option.argument.empty()) out += " -r";
            if (!option.choices.empty())
                out += " -a " + shell_quoted(joined(option.choices));
            else if (option.argument == "DIR")
                out += " -a '(__fish_complete_directories)'";
            else if (option.argument == "FILE")
                out += " -F";
            out += " -d " + shell_quoted(option.summary) + "\n";
        }
        for (const PositionalDescription& positional : command.positionals) {
            if (!positional.choices.empty())
                out += "complete -c pillion -n " + seen + " -a " + shell_quoted(joined(positional.choices)) + "\n";
            else if (is_file(positional.name))
                out += "complete -c pillion -n " + seen + " -F\n";
            else if (positional.name == "PROGRAM")
                out += "complete -c pillion -n " + seen + " -a '(__fish_complete_command)'\n";
        }
    }
    for (const std::string_view word : first_words())
        if (!takes_itself(word))
            out += "complete -c pillion -n __fish_use_subcommand -a " + text(word) + " -d " +
                   shell_quoted(second_words(word)) + "\n";
    return out;
}

// Hyphens are minus signs, a leading dot or quote is no request, a backslash is itself.
std::string roff(std::string_view words) {
    std::string out;
    for (const char c : words) {
        if (c == '-')
            out += "\\-";
        else if (c == '\\')
            out += "\\e";
        else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
            out += std::string("\\&") + c;
        else if (c == '\'')
            out += "\\(aq";
        else if (c == '~')
            out += "\\(ti";
        else
            out += c;
    }
    return out;
}

std::string roff_options(std::span<const OptionDescription> options) {
    std::string out;
    for (const OptionDescription& option : options) {
        out += ".TP\n\\fB" + roff(option.name) + "\\fR";
        if (!option.argument.empty()) out += " \\fI" + roff(option.argument) + "\\fR";
        out += "\n" + roff(option.summary) + "\n";
        if (!option.choices.empty()) out += "One of " + roff(joined(option.choices, ", ")) + ".\n";
        if (option.is_repeatable) out += "May be repeated.\n";
    }
    return out;
}

} // namespace

std::string synopsis(const CommandDescription& command) {
    std::string out = "pillion " + text(command.name);
    for (const PositionalDescription& positional : command.positionals) {
        const std::string name =
            (positional.choices.empty() ? text(positional.name) : joined(positional.choices, "|")) +
            (positional.is_repeatable ? "..." : "");
        out += positional.is_required ? " " + name : " [" + name + "]";
    }
    return command.options.empty() ? out : out + " [options]";
}

std::string help_text() {
    std::string out =
        "Pillion is a performance sidecar: a desktop app starts it and speaks JSON-RPC with it over stdin and stdout.\n"
        "On a pipe, `pillion` alone serves.\n\n"
        "Commands:\n";
    for (const CommandDescription& command : command_table::commands)
        out += row(synopsis(command).substr(8), command.summary);
    out += "\nOptions of serve and call:\n" + option_rows(command_table::serve_options);
    out += "\nOptions of the program:\n" + option_rows(command_table::global_options);
    out += "\nExamples:\n";
    for (const ExampleDescription& example : command_table::examples)
        out += "  " + text(example.line) + "\n      " + text(example.explanation) + "\n";
    return out + "\nExit status: 0 done, 1 failed, 2 wrong command line or configuration.\n";
}

std::string help_text(const CommandDescription& command) {
    std::string out = "Usage: " + synopsis(command) + "\n\n" + text(command.summary) + "\n";
    if (!command.positionals.empty()) out += "\nArguments:\n";
    for (const PositionalDescription& positional : command.positionals) {
        std::string right = text(positional.summary);
        if (!positional.choices.empty()) right += " One of " + joined(positional.choices, ", ") + ".";
        out += row(text(positional.name), right);
    }
    if (!command.options.empty()) out += "\nOptions:\n" + option_rows(command.options);
    std::string examples;
    for (const ExampleDescription& example : command_table::examples)
        if (example.line.find("pillion " + text(command.name)) != std::string_view::npos)
            examples += "  " + text(example.line) + "\n";
    return examples.empty() ? out : out + "\nExamples:\n" + examples;
}

std::string completions_for(std::string_view shell) {
    if (shell == "zsh") return zsh();
    return shell == "fish" ? fish() : bash();
}

std::string man_page(std::string_view version) {
    std::string out = ".TH PILLION 1 \"\" \"pillion " + text(version) +
                      "\" \"User Commands\"\n"
                      ".SH NAME\npillion \\- performance sidecar for desktop apps\n"
                      ".SH SYNOPSIS\n";
    for (const CommandDescription& command : command_table::commands)
        out += ".B " + roff(synopsis(command)) + "\n.br\n";
    out += ".SH DESCRIPTION\nA desktop app starts Pillion and speaks JSON\\-RPC with it over stdin and stdout.\n"
           "On a pipe, \\fBpillion\\fR alone serves; on a terminal it explains itself.\n"
           ".SH COMMANDS\n";
    for (const CommandDescription& command : command_table::commands) {
        out += ".TP\n\\fB" + roff(command.name) + "\\fR\n" + roff(command.summary) + "\n";
        for (const PositionalDescription& positional : command.positionals)
            out += "\\fI" + roff(positional.name) + "\\fR: " + roff(positional.summary) + "\n";
    }
    out += ".SH OPTIONS\n";
    const auto& all = command_table::commands;
    for (std::size_t first = 0; first < all.size(); ++first) {
        const auto shares = [&](const CommandDescription& command) {
            return command.options.data() == all[first].options.data();
        };
        if (all[first].options.empty() || std::find_if(all.begin(), all.end(), shares) != all.begin() + first) continue;
        std::string names;
        for (const CommandDescription& command : all)
            if (shares(command)) names += (names.empty() ? "" : ", ") + std::string(command.name);
        out += ".SS Of " + roff(names) + "\n" + roff_options(all[first].options);
    }
    out += ".SS Of the program\n" + roff_options(command_table::global_options);
    out += ".SH CONFIGURATION\nValues come from the file of \\fB\\-\\-config\\fR, then the environment, then "
           "\\fB\\-\\-set\\fR,\n"
           "each stronger than the one before. The variable for a key like ipc.messageBytesMax is "
           "PILLION_IPC_MESSAGE_BYTES_MAX.\n"
           ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong command line or configuration, 130 interrupted.\n"
           ".SH EXAMPLES\n";
    for (const ExampleDescription& example : command_table::examples)
        out += ".TP\n\\fB" + roff(example.line) + "\\fR\n" + roff(example.explanation) + "\n";
    return out;
}

} // namespace pillion
