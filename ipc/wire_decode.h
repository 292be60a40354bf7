// Reads described structs (wire_type.h) from JSON text that a JsonScanner has accepted, validating as it goes. Errors
// are -32602 and name the member by JSON pointer, the value that was wrong and what would be right. Any thread.
#pragma once

#include "ipc/base/error.h"
#include "ipc/wire_type.h"

#include <string>
#include <string_view>

namespace pillion::wire {

// Decodes a method's params: an object by name, an array by position in the declared order, or nothing (empty text).
// A top-level `_meta` member is the pipeline's and is passed over. `scratch` holds decoded text that views point to: it
// must live as long as they do and be empty at first.
Result<void> decode_params(const Type& type, std::string_view params, void* out, std::string& scratch);

template <class T>
Result<void> decode_params(std::string_view params, T& out, std::string& scratch) {
    return decode_params(type_of<T>, params, &out, scratch);
}

// What to do about a member that the struct does not have. Foreign ones have a '/' or '.' in their name: they belong to
// another protocol (MCP's convention for `_meta`).
enum class Unknown : std::uint8_t { refused, foreign_passed_over };

// Decodes one value of any described type.
Result<void> decode_value(const Type& type, std::string_view text, void* out, std::string& scratch,
                          Unknown unknown = Unknown::refused);

} // namespace pillion::wire
