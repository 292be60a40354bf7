// The reference of methods, events, types and errors that people read, as Markdown with its own anchors. Any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"

#include <span>
#include <string>

namespace pillion {

std::string method_reference(const MethodTable& methods, std::span<const Event* const> events);

} // namespace pillion
