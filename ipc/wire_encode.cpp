#include "ipc/wire_encode.h"

#include "ipc/json_text.h"

#include <cstring>

namespace pillion::wire {

namespace {

std::int64_t integer_value(const Type& type, const void* value) {
    if (type.bytes == 8) {
        std::int64_t wide;
        std::memcpy(&wide, value, 8);
        return wide;
    }
    std::uint32_t narrow;
    std::memcpy(&narrow, value, 4);
    return type.is_signed ? static_cast<std::int32_t>(narrow) : std::int64_t{narrow};
}

void encode_object(const Type& type, const void* object, Buffer& out) {
    out.append('{');
    bool first = true;
    for (const Field& field : type.fields) {
        const void* const member = field.value_in(object);
        if (member == nullptr) continue;
        out.append(first ? "\"" : ",\"");
        out.append(field.name);
        out.append("\":");
        encode(*field.type, member, out);
        first = false;
    }
    out.append('}');
}

} // namespace

void encode(const Type& type, const void* value, Buffer& out) {
    switch (type.kind) {
    case Kind::boolean:
        out.append(*static_cast<const bool*>(value) ? "true" : "false");
        return;
    case Kind::integer:
        append_integer(out, integer_value(type, value));
        return;
    case Kind::number:
        append_number(out, *static_cast<const double*>(value));
        return;
    case Kind::string:
        append_quoted(out, type.storage == Storage::view ? *static_cast<const std::string_view*>(value)
                                                         : std::string_view(*static_cast<const std::string*>(value)));
        return;
    case Kind::json:
        out.append(type.storage == Storage::view ? static_cast<const JsonView*>(value)->text
                                                 : std::string_view(static_cast<const Json*>(value)->text));
        return;
    case Kind::enumeration: {
        std::size_t index = 0;
        std::memcpy(&index, value, type.bytes);
        append_quoted(out, type.enumerators[index]);
        return;
    }
    case Kind::object:
        encode_object(type, value, out);
        return;
    case Kind::list: {
        out.append('[');
        const std::size_t count = type.list->size(value);
        for (std::size_t i = 0; i < count; ++i) {
            if (i != 0) out.append(',');
            encode(*type.element, type.list->element(value, i), out);
        }
        out.append(']');
        return;
    }
    case Kind::map: {
        struct Context {
            const Type& element;
            Buffer& out;
            bool first;
        } context{*type.element, out, true};
        out.append('{');
        type.map->visit(value, &context, [](void* opaque, std::string_view key, const void* entry) {
            Context& visiting = *static_cast<Context*>(opaque);
            if (!visiting.first) visiting.out.append(',');
            visiting.first = false;
            append_quoted(visiting.out, key);
            visiting.out.append(':');
            encode(visiting.element, entry, visiting.out);
        });
        out.append('}');
        return;
    }
    }
}

} // namespace pillion::wire
