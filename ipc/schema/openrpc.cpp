// Schemas are JSON Schema draft-07, as OpenRPC asks. There `$ref` hides what stands beside it, so a reference that has
// a description or a default goes into `allOf`.
#include "ipc/schema/openrpc.h"

#include "ipc/request_meta.h"
#include "ipc/schema/type_names.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

namespace pillion {

using OrderedJson = nlohmann::ordered_json;
using schema::NamedType;
using schema::TypeNames;
using wire::Field;
using wire::Kind;
using wire::Presence;
using wire::Type;

namespace {

OrderedJson schema_reference(const TypeNames& names, const Type& type) {
    return {{"$ref", "#/components/schemas/" + names.of(type).name}};
}

OrderedJson number_json(double value) {
    constexpr double exact_max = 9007199254740992.0; // 2^53
    if (std::trunc(value) == value && std::abs(value) <= exact_max) return static_cast<std::int64_t>(value);
    return value;
}

void add_integer_range(OrderedJson& schema, const Type& type) {
    if (!type.is_signed) schema["minimum"] = 0;
    if (type.bytes != 4) return;
    if (type.is_signed) schema["minimum"] = std::numeric_limits<std::int32_t>::min();
    schema["maximum"] = type.is_signed ? std::int64_t{std::numeric_limits<std::int32_t>::max()}
                                       : std::int64_t{std::numeric_limits<std::uint32_t>::max()};
}

OrderedJson type_schema(const TypeNames& names, const Type& type) {
    switch (type.kind) {
    case Kind::boolean:
        return {{"type", "boolean"}};
    case Kind::integer: {
        OrderedJson schema{{"type", "integer"}};
        add_integer_range(schema, type);
        return schema;
    }
    case Kind::number:
        return {{"type", "number"}};
    case Kind::string:
        return {{"type", "string"}};
    case Kind::json:
        return OrderedJson::object();
    case Kind::enumeration:
    case Kind::object:
        return schema_reference(names, type);
    case Kind::list:
        return {{"type", "array"}, {"items", type_schema(names, *type.element)}};
    case Kind::map:
        return {{"type", "object"}, {"additionalProperties", type_schema(names, *type.element)}};
    }
    return OrderedJson::object();
}

void add_bounds(OrderedJson& schema, const Field& field) {
    const char* low = "minimum";
    const char* high = "maximum";
    switch (field.type->kind) {
    case Kind::integer:
    case Kind::number:
        break;
    case Kind::string:
        low = "minLength", high = "maxLength";
        break;
    case Kind::list:
        low = "minItems", high = "maxItems";
        break;
    case Kind::map:
        low = "minProperties", high = "maxProperties";
        break;
    default:
        return;
    }
    const bool is_count = field.type->kind != Kind::integer && field.type->kind != Kind::number;
    if (std::isfinite(field.bounds.low) && !(is_count && field.bounds.low <= 0))
        schema[low] = number_json(field.bounds.low);
    if (std::isfinite(field.bounds.high)) schema[high] = number_json(field.bounds.high);
}

OrderedJson json_member_schema(schema::JsonShape shape) {
    const OrderedJson string{{"type", "string"}};
    if (shape == schema::JsonShape::string_or_number) return {{"type", {"string", "number"}}};
    return {{"anyOf", OrderedJson::array({string, {{"type", "array"}, {"items", string}}})}};
}

// The schema of a member: its type, bounds, default, and its documentation unless that stands elsewhere.
OrderedJson member_schema(const TypeNames& names, const Type& owner, const Field& field, bool with_description) {
    const schema::JsonShape shape = schema::json_shape(owner, field);
    OrderedJson schema = shape == schema::JsonShape::any ? type_schema(names, *field.type) : json_member_schema(shape);
    add_bounds(schema, field);
    OrderedJson annotations = OrderedJson::object();
    if (with_description && !field.doc.empty()) annotations["description"] = field.doc;
    if (field.presence == Presence::defaulted && names.of(owner).in_params) {
        OrderedJson value = OrderedJson::parse(schema::default_json(owner, field), nullptr, false);
        if (!value.is_discarded()) annotations["default"] = std::move(value);
    }
    if (schema.contains("$ref") && !annotations.empty()) {
        OrderedJson wrapped;
        wrapped["allOf"] = OrderedJson::array({std::move(schema)});
        schema = std::move(wrapped);
    }
    schema.update(annotations);
    return schema;
}

OrderedJson struct_schema(const TypeNames& names, const NamedType& named) {
    const Type& type = *named.type;
    OrderedJson schema{{"type", "object"}};
    if (!type.doc.empty()) schema["description"] = type.doc;
    OrderedJson properties = OrderedJson::object();
    OrderedJson required = OrderedJson::array();
    for (const Field& field : type.fields) {
        properties[std::string(field.name)] = member_schema(names, type, field, true);
        if (!names.may_be_missing(type, field)) required.push_back(field.name);
    }
    if (named.is_params)
        properties["_meta"] = schema_reference(names, wire::type_of<RequestMeta>);
    else if (named.is_result)
        properties["_meta"] = schema_reference(names, wire::type_of<ResultMeta>);
    schema["properties"] = std::move(properties);
    if (!required.empty()) schema["required"] = std::move(required);
    if (!named.in_params || named.is_result) return schema;
    // Members of `_meta` that belong to other protocols have a '/' or a '.' in their name.
    if (&type == &wire::type_of<RequestMeta>) schema["patternProperties"] = {{"[./]", OrderedJson::object()}};
    schema["additionalProperties"] = false;
    return schema;
}

OrderedJson named_schema(const TypeNames& names, const NamedType& named) {
    if (named.type->kind == Kind::object) return struct_schema(names, named);
    OrderedJson schema{{"type", "string"}};
    schema["enum"] = OrderedJson::array();
    for (const std::string_view enumerator : named.type->enumerators) schema["enum"].push_back(enumerator);
    return schema;
}

OrderedJson list_schema(const TypeNames& names, const Type& item) {
    OrderedJson properties;
    properties["items"] = {{"type", "array"}, {"items", type_schema(names, item)}};
    properties["page"] = schema_reference(names, wire::type_of<Page>);
    properties["_meta"] = schema_reference(names, wire::type_of<ResultMeta>);
    return {{"type", "object"}, {"properties", std::move(properties)}, {"required", {"items", "page"}}};
}

OrderedJson result_descriptor(const TypeNames& names, const Method& method) {
    if (method.result == nullptr) return {{"name", "result"}, {"schema", {{"type", "object"}}}};
    const bool is_named = method.result->kind == Kind::object || method.result->kind == Kind::enumeration;
    const std::string name = is_named ? names.of(*method.result).name : "result";
    if (method.is_list)
        return {{"name", is_named ? name + "List" : "list"}, {"schema", list_schema(names, *method.result)}};
    return {{"name", name}, {"schema", type_schema(names, *method.result)}};
}

// OpenRPC wants the required params first. Where they are not declared so, positions in the document are not those on
// the wire, and the method is shown as one that takes params by name.
void add_params(OrderedJson& out, const TypeNames& names, const Method& method) {
    std::vector<const Field*> fields;
    if (schema::has_described_params(method))
        for (const Field& field : method.params->fields) fields.push_back(&field);
    const auto is_required = [](const Field* field) { return field->presence == Presence::required; };
    const bool is_in_order = std::ranges::is_partitioned(fields, is_required);
    std::ranges::stable_partition(fields, is_required);
    out["paramStructure"] = is_in_order ? "either" : "by-name";
    out["params"] = OrderedJson::array();
    for (const Field* const field : fields) {
        OrderedJson descriptor{{"name", field->name}};
        if (!field->doc.empty()) descriptor["summary"] = field->doc;
        descriptor["required"] = is_required(field);
        descriptor["schema"] = member_schema(names, *method.params, *field, false);
        out["params"].push_back(std::move(descriptor));
    }
    if (!schema::has_described_params(method)) out["x-freeFormParams"] = true;
}

std::string_view lane_name(Lane lane) {
    switch (lane) {
    case Lane::direct:
        return "direct";
    case Lane::pooled:
        return "pooled";
    case Lane::async:
        return "async";
    case Lane::hybrid:
        return "hybrid";
    }
    return "direct";
}

// The errors that a request for this method may meet once it is understood as one.
OrderedJson error_references(const Method& method) {
    OrderedJson errors = OrderedJson::array();
    for (const auto& [code, when] : schema::error_descriptions) {
        const bool is_of_envelope =
            code == ErrorCode::parse_error || code == ErrorCode::invalid_request || code == ErrorCode::method_not_found;
        const bool needs_time = code == ErrorCode::cancelled || code == ErrorCode::timeout;
        if (is_of_envelope || (needs_time && method.lane == Lane::direct)) continue;
        errors.push_back({{"$ref", "#/components/errors/" + std::string(error_kind(code))}});
    }
    return errors;
}

OrderedJson method_json(const TypeNames& names, const Method& method) {
    OrderedJson out{{"name", method.name}, {"summary", method.summary}};
    out["tags"] = OrderedJson::array({{{"name", schema::group_of(method.name)}}});
    add_params(out, names, method);
    out["result"] = result_descriptor(names, method);
    out["errors"] = error_references(method);
    out["x-lane"] = lane_name(method.lane);
    if (method.cacheable.ttl_ms > 0) {
        out["x-cacheTtlMs"] = method.cacheable.ttl_ms;
        if (!method.cacheable.invalidated_by.empty()) out["x-invalidatedBy"] = method.cacheable.invalidated_by;
    }
    if (method.is_list && method.result != nullptr) {
        out["x-sortable"] = OrderedJson::array();
        for (const Field& field : method.result->fields)
            if (field.is_sortable) out["x-sortable"].push_back(field.name);
    }
    if (!method.aliases.empty()) out["x-aliases"] = method.aliases;
    return out;
}

OrderedJson alias_json(const TypeNames& names, const Method& method, std::string_view alias) {
    OrderedJson out{{"name", alias}, {"summary", "Another name for " + std::string(method.name) + "."}};
    add_params(out, names, method);
    out["result"] = result_descriptor(names, method);
    out["x-aliasOf"] = method.name;
    return out;
}

OrderedJson event_json(const TypeNames& names, const Event& event) {
    OrderedJson out{{"name", event.name}, {"topic", event.topic}};
    out["kind"] = event.kind == EventKind::sample ? "sample" : "change";
    out["summary"] = event.summary;
    out["payload"] = event.payload == nullptr ? OrderedJson::object() : type_schema(names, *event.payload);
    return out;
}

OrderedJson components_json(const TypeNames& names) {
    OrderedJson schemas = OrderedJson::object();
    for (const NamedType& named : names.all()) schemas[named.name] = named_schema(names, named);
    OrderedJson errors = OrderedJson::object();
    for (const auto& [code, when] : schema::error_descriptions) {
        const std::string kind(error_kind(code));
        errors[kind] = {{"code", static_cast<int>(code)}, {"message", when}};
        errors[kind]["data"] = {{"kind", kind}, {"retryable", error_is_retryable(code)}};
    }
    return {{"schemas", std::move(schemas)}, {"errors", std::move(errors)}};
}

} // namespace

std::string openrpc_document(const MethodTable& methods, std::span<const Event* const> events,
                             std::string_view version, OpenrpcLayout layout) {
    TypeNames names(methods, events);
    names.add(wire::type_of<ResultMeta>);
    names.add(wire::type_of<EventEnvelope>);
    OrderedJson document;
    document["openrpc"] = "1.3.2";
    document["info"] = {
        {"title", "Pillion"},
        {"description", "Native performance sidecar for desktop apps: JSON-RPC 2.0 over stdin and stdout."},
        {"version", version}};
    document["methods"] = OrderedJson::array();
    for (const auto& method : methods.all()) {
        document["methods"].push_back(method_json(names, *method));
        for (const std::string_view alias : method->aliases)
            document["methods"].push_back(alias_json(names, *method, alias));
    }
    document["components"] = components_json(names);
    document["x-meta"] = schema_reference(names, wire::type_of<RequestMeta>);
    document["x-resultMeta"] = schema_reference(names, wire::type_of<ResultMeta>);
    document["x-eventEnvelope"] = schema_reference(names, wire::type_of<EventEnvelope>);
    document["x-events"] = OrderedJson::array();
    for (const Event* const event : events) document["x-events"].push_back(event_json(names, *event));
    constexpr auto replace = OrderedJson::error_handler_t::replace;
    if (layout == OpenrpcLayout::one_line) return document.dump(-1, ' ', false, replace);
    return document.dump(2, ' ', false, replace) + "\n";
}

} // namespace pillion
