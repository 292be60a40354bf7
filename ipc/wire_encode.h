// Writes described structs (wire_type.h) as JSON, straight into an outgoing buffer. Any thread.
#pragma once

#include "ipc/base/pool.h"
#include "ipc/wire_type.h"

namespace pillion::wire {

void encode(const Type& type, const void* value, Buffer& out);

template <class T>
void encode(const T& value, Buffer& out) {
    encode(type_of<T>, &value, out);
}

} // namespace pillion::wire
