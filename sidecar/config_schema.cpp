// What the configuration says about itself: the JSON Schema for editors and the commented file for people, both from
// the same tables that read it.
#include "ipc/base/pool.h"
#include "ipc/wire_encode.h"
#include "sidecar/config.h"

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

namespace pillion {

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson encoded(const wire::Type& type, const void* value) {
    BufferPool pool;
    Buffer json(pool);
    wire::encode(type, value, json);
    return OrderedJson::parse(json.view(), nullptr, false);
}

// A bound as it should be read: without ".0" where it is whole.
OrderedJson bound(double value) {
    if (std::trunc(value) == value && std::abs(value) < 1e15) return static_cast<std::int64_t>(value);
    return value;
}

void add_bounds(OrderedJson& schema, const wire::Field& field) {
    const char* low = "minimum";
    const char* high = "maximum";
    if (field.type->kind == wire::Kind::string)
        low = "minLength", high = "maxLength";
    else if (field.type->kind == wire::Kind::list)
        low = "minItems", high = "maxItems";
    else if (field.type->kind == wire::Kind::map)
        low = "minProperties", high = "maxProperties";
    if (std::isfinite(field.bounds.low)) schema[low] = bound(field.bounds.low);
    if (std::isfinite(field.bounds.high)) schema[high] = bound(field.bounds.high);
}

OrderedJson type_schema(const wire::Type& type);

OrderedJson object_schema(const wire::Type& type) {
    const std::unique_ptr<void, void (*)(void*)> defaults(
        type.create != nullptr ? type.create() : nullptr, type.destroy != nullptr ? type.destroy : [](void*) {});
    OrderedJson properties = OrderedJson::object();
    for (const wire::Field& field : type.fields) {
        OrderedJson property = type_schema(*field.type);
        property["description"] = field.doc;
        const void* const value = defaults ? field.value_in(defaults.get()) : nullptr;
        if (value != nullptr) property["default"] = encoded(*field.type, value);
        add_bounds(property, field);
        property["x-live"] = field.is_live;
        properties[std::string(field.name)] = std::move(property);
    }
    return {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
}

OrderedJson type_schema(const wire::Type& type) {
    switch (type.kind) {
    case wire::Kind::boolean:
        return {{"type", "boolean"}};
    case wire::Kind::integer:
        return {{"type", "integer"}};
    case wire::Kind::number:
        return {{"type", "number"}};
    case wire::Kind::string:
        return {{"type", "string"}};
    case wire::Kind::json:
        return OrderedJson::object();
    case wire::Kind::enumeration: {
        OrderedJson names = OrderedJson::array();
        for (const std::string_view name : type.enumerators) names.push_back(name);
        return {{"type", "string"}, {"enum", std::move(names)}};
    }
    case wire::Kind::list:
        return {{"type", "array"}, {"items", type_schema(*type.element)}};
    case wire::Kind::map:
        return {{"type", "object"}, {"additionalProperties", type_schema(*type.element)}};
    case wire::Kind::object:
        return object_schema(type);
    }
    return OrderedJson::object();
}

// A JSON value as TOML: they differ in objects only.
std::string toml_value(const OrderedJson& value) {
    std::string out;
    if (value.is_object()) {
        for (const auto& [key, member] : value.items())
            out += (out.empty() ? "" : ", ") + OrderedJson(key).dump() + " = " + toml_value(member);
        return "{ " + out + " }";
    }
    if (value.is_array()) {
        for (const auto& element : value) out += (out.empty() ? "" : ", ") + toml_value(element);
        return "[" + out + "]";
    }
    return value.dump();
}

std::string what_is_allowed(const wire::Field& field) {
    std::string text;
    if (field.type->kind == wire::Kind::enumeration) {
        for (const std::string_view name : field.type->enumerators)
            text += (text.empty() ? "One of " : ", ") + std::string(name);
        return text;
    }
    const bool has_low = std::isfinite(field.bounds.low);
    const bool has_high = std::isfinite(field.bounds.high);
    const std::string low = has_low ? bound(field.bounds.low).dump() : "";
    const std::string high = has_high ? bound(field.bounds.high).dump() : "";
    const std::string unit = field.type->kind == wire::Kind::string ? " bytes"
                             : field.type->kind == wire::Kind::list ? " elements"
                                                                    : "";
    if (has_low && has_high) return low + " to " + high + unit;
    if (has_low) return "At least " + low + unit;
    return has_high ? "At most " + high + unit : "";
}

std::string default_members(const wire::Type& type) {
    std::string out;
    const std::unique_ptr<void, void (*)(void*)> defaults(type.create(), type.destroy);
    for (const wire::Field& field : type.fields) {
        out += "# " + std::string(field.doc) + "\n";
        std::string about = what_is_allowed(field);
        if (field.is_live) about += about.empty() ? "May be changed while running" : "; may be changed while running";
        if (!about.empty()) out += "# " + about + ".\n";
        const void* const value = field.value_in(defaults.get());
        if (value == nullptr)
            out += "# " + std::string(field.name) + " has no default.\n";
        else
            out += "#" + std::string(field.name) + " = " + toml_value(encoded(*field.type, value)) + "\n";
    }
    return out;
}

} // namespace

std::string Configuration::schema() const {
    OrderedJson sections = OrderedJson::object();
    for (const ConfigSection& section : sections_) {
        OrderedJson one = type_schema(*section.type);
        if (!section.type->doc.empty()) one["description"] = section.type->doc;
        sections[std::string(section.name)] = std::move(one);
    }
    const OrderedJson whole{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                            {"title", "Pillion configuration"},
                            {"type", "object"},
                            {"additionalProperties", false},
                            {"properties", std::move(sections)}};
    return whole.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string Configuration::default_toml() const {
    std::string out =
        "# Configuration of Pillion. Every key stands here with its default: remove the # before a key to change it.\n"
        "# Stronger than this file are the environment (PILLION_LOG_LEVEL=debug) and --set log.level=debug.\n";
    for (const ConfigSection& section : sections_) {
        if (section.type->kind == wire::Kind::map)
            out += "\n# One such table for each, under a name of your own.\n#[" + std::string(section.name) +
                   ".NAME]\n" + default_members(*section.type->element);
        else
            out += "\n[" + std::string(section.name) + "]\n" + default_members(*section.type);
    }
    return out;
}

} // namespace pillion
