// The TypeScript client's types, frontend-bindings/client/src/generated/protocol.ts: an interface for each struct, and
// the maps `Methods` and `Events` that the client's calls and listeners are typed with. Any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"

#include <span>
#include <string>

namespace pillion {

std::string typescript_types(const MethodTable& methods, std::span<const Event* const> events);

} // namespace pillion
