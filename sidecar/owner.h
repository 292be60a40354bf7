// Names this process in what several keep in one file: by its pid and when it was started, which together name one
// process for good. Any thread.
#pragma once

#include <string>

namespace pillion {

std::string own_name();
// Whether the process so named is still there. Where the system lets nobody be seen, nobody is called dead.
bool is_alive(const std::string& name);

} // namespace pillion
