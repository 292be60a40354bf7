// Texts made from the tables of the command line: help, shell completions, the manual page. Any thread.
#pragma once

#include "sidecar/command_table.h"

#include <string>
#include <string_view>

namespace pillion {

// The whole program's help, or a command's.
std::string help_text();
std::string help_text(const CommandDescription& command);
// How a command is written: "pillion call METHOD [JSON] [options]".
std::string synopsis(const CommandDescription& command);

// `shell` is one of command_table::shells.
std::string completions_for(std::string_view shell);
std::string man_page(std::string_view version);

} // namespace pillion
