// The values are plausible rather than meaningful: a member's name says a little about what would be sent (`timeoutMs`,
// `path`), its bounds have the last word.
#include "ipc/schema/example.h"

#include "ipc/json_text.h"
#include "ipc/schema/type_names.h"

#include <algorithm>
#include <cmath>

namespace pillion::schema {

using wire::Bounds;
using wire::Field;
using wire::Kind;
using wire::Type;

namespace {

constexpr int depth_max = 6; // a struct that requires itself inside lists ends here

void append_value(std::string& out, const Type& type, const Bounds& bounds, std::string_view name, int depth);

double example_number(const Type& type, const Bounds& bounds, std::string_view name) {
    double preferred = 1;
    if (name.ends_with("Ms"))
        preferred = 1000;
    else if (name.ends_with("Bytes") || name.ends_with("bytes"))
        preferred = 65536;
    const double value = std::min(std::max(preferred, bounds.low), bounds.high);
    return type.kind == Kind::integer ? std::ceil(std::min(value, std::floor(bounds.high))) : value;
}

std::string example_text(const Bounds& bounds, std::string_view name) {
    std::string text(name.empty() ? "text" : name);
    if (name == "path" || name == "file" || name.ends_with("Path") || name.ends_with("File"))
        text = "/tmp/example";
    else if (name == "url" || name.ends_with("Url"))
        text = "https://example.com/";
    else if (name == "id" || name == "key" || name.ends_with("Id") || name.ends_with("Key"))
        text += "-1";
    if (const auto low = std::max(bounds.low, 0.0); static_cast<double>(text.size()) < low)
        text.resize(static_cast<std::size_t>(std::ceil(low)), 'x');
    if (static_cast<double>(text.size()) > bounds.high)
        text.resize(static_cast<std::size_t>(std::max(bounds.high, 0.0)));
    return text;
}

std::size_t example_count(const Bounds& bounds, int depth) {
    const double wanted = depth >= depth_max ? 0 : 1;
    return static_cast<std::size_t>(std::ceil(std::max(0.0, std::min(std::max(wanted, bounds.low), bounds.high))));
}

void append_list(std::string& out, const Type& type, const Bounds& bounds, std::string_view name, int depth) {
    if (name.size() > 1 && name.ends_with('s')) name.remove_suffix(1); // of `topics`, each is a topic
    out += '[';
    for (std::size_t i = 0, count = example_count(bounds, depth); i < count; ++i) {
        if (i != 0) out += ',';
        append_value(out, *type.element, {}, name, depth + 1);
    }
    out += ']';
}

void append_map(std::string& out, const Type& type, const Bounds& bounds, int depth) {
    out += '{';
    for (std::size_t i = 0, count = example_count(bounds, depth); i < count; ++i) {
        if (i != 0) out += ',';
        append_quoted(out, i == 0 ? "name" : "name" + std::to_string(i + 1));
        out += ':';
        append_value(out, *type.element, {}, "value", depth + 1);
    }
    out += '}';
}

void append_object(std::string& out, const Type& type, int depth) {
    out += '{';
    bool first = true;
    for (const Field& field : type.fields) {
        if (field.presence != wire::Presence::required) continue;
        if (!first) out += ',';
        append_quoted(out, field.name);
        out += ':';
        append_value(out, *field.type, field.bounds, field.name, depth + 1);
        first = false;
    }
    out += '}';
}

void append_value(std::string& out, const Type& type, const Bounds& bounds, std::string_view name, int depth) {
    switch (type.kind) {
    case Kind::boolean:
        out += "true";
        return;
    case Kind::integer:
    case Kind::number:
        out += number_text(example_number(type, bounds, name));
        return;
    case Kind::string:
        append_quoted(out, example_text(bounds, name));
        return;
    case Kind::json:
        out += "{}";
        return;
    case Kind::enumeration:
        append_quoted(out, type.enumerators.front());
        return;
    case Kind::object:
        append_object(out, type, depth);
        return;
    case Kind::list:
        append_list(out, type, bounds, name, depth);
        return;
    case Kind::map:
        append_map(out, type, bounds, depth);
        return;
    }
}

} // namespace

std::string example_request(const Method& method) {
    std::string request = R"({"jsonrpc":"2.0","id":1,"method":)";
    append_quoted(request, method.name);
    const auto is_required = [](const Field& field) { return field.presence == wire::Presence::required; };
    if (has_described_params(method) && std::ranges::any_of(method.params->fields, is_required)) {
        request += ",\"params\":";
        append_object(request, *method.params, 0);
    }
    return request + '}';
}

} // namespace pillion::schema
