// The OpenRPC document (https://spec.open-rpc.org, 1.3): every method as a machine reads it, answered by `rpc.discover`
// and printed by `pillion schema`. Any thread.
//
// Beyond the standard: `x-lane`, `x-cacheTtlMs`, `x-invalidatedBy`, `x-sortable`, `x-aliases` and `x-aliasOf` on
// methods; `x-events`, `x-meta`, `x-resultMeta` and `x-eventEnvelope` on the document.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"

#include <span>
#include <string>
#include <string_view>

namespace pillion {

// On the wire a message is one line; people and files have it indented, with a line end.
enum class OpenrpcLayout { indented, one_line };

std::string openrpc_document(const MethodTable& methods, std::span<const Event* const> events,
                             std::string_view version, OpenrpcLayout layout = OpenrpcLayout::indented);

} // namespace pillion
