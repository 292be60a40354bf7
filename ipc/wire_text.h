// Described structs (wire_type.h) as JSON texts of their own: for files, tables and terminals rather than the wire. Any
// thread.
#pragma once

#include "ipc/base/error.h"
#include "ipc/wire_type.h"

#include <string>
#include <string_view>

namespace pillion::wire {

std::string text_of(const Type& type, const void* value);

template <class T>
std::string text_of(const T& value) {
    return text_of(type_of<T>, &value);
}

// Reads such a text. -32008 where it is not JSON, -32602 where it is not of that type.
Result<void> read_text(const Type& type, std::string_view text, void* out);

template <class T>
Result<T> read_text(std::string_view text) {
    T value;
    PILLION_TRY(read_text(type_of<T>, text, &value));
    return value;
}

} // namespace pillion::wire
