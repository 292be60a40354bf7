// One pass over the collected types, then the maps. Nothing here needs a declaration before its use: TypeScript's own
// order of declarations is free.
#include "ipc/schema/typescript.h"

#include "ipc/json_text.h"
#include "ipc/schema/type_names.h"

namespace pillion {

using schema::NamedType;
using schema::TypeNames;
using wire::Field;
using wire::Kind;
using wire::Type;

namespace {

std::string quoted(std::string_view text) {
    std::string literal;
    append_quoted(literal, text);
    return literal;
}

std::string doc_comment(std::string_view indent, std::string text) {
    if (text.empty()) return {};
    for (std::size_t at = 0; (at = text.find("*/", at)) != std::string::npos; at += 3) text.insert(at + 1, "\\");
    return std::string(indent) + "/** " + text + " */\n";
}

std::string type_text(const TypeNames& names, const Type& type) {
    switch (type.kind) {
    case Kind::boolean:
        return "boolean";
    case Kind::integer:
    case Kind::number:
        return "number";
    case Kind::string:
        return "string";
    case Kind::json:
        return "unknown";
    case Kind::enumeration:
    case Kind::object:
        return names.of(type).name;
    case Kind::list:
        return type_text(names, *type.element) + "[]";
    case Kind::map:
        return "Record<string, " + type_text(names, *type.element) + ">";
    }
    return "unknown";
}

std::string member_type(const TypeNames& names, const Type& owner, const Field& field) {
    switch (schema::json_shape(owner, field)) {
    case schema::JsonShape::string_or_number:
        return "string | number";
    case schema::JsonShape::string_or_strings:
        return "string | string[]";
    case schema::JsonShape::any:
        break;
    }
    return type_text(names, *field.type);
}

std::string member_doc(const Type& owner, const Field& field, bool is_sent) {
    std::string doc = schema::sentence(field.doc);
    const auto add = [&doc](std::string_view fact) { doc += (doc.empty() ? "" : " ") + schema::sentence(fact); };
    if (const std::string bounds = schema::bounds_text(field); !bounds.empty()) add("Range: " + bounds);
    if (is_sent && field.presence == wire::Presence::defaulted) add("Default: " + schema::default_json(owner, field));
    return doc;
}

std::string declaration(const TypeNames& names, const NamedType& named) {
    const Type& type = *named.type;
    std::string text = doc_comment("", schema::sentence(type.doc));
    if (type.kind == Kind::enumeration) {
        text += "export type " + named.name + " =";
        std::string_view separator = " ";
        for (const std::string_view enumerator : type.enumerators) {
            text += std::string(separator) + quoted(enumerator);
            separator = " | ";
        }
        return text + ";\n";
    }
    // An empty interface would take any object at all.
    if (type.fields.empty() && named.in_params)
        return text + "export type " + named.name + " = Record<string, never>;\n";
    text += "export interface " + named.name + " {\n";
    for (const Field& field : type.fields) {
        text += doc_comment("  ", member_doc(type, field, named.in_params));
        text += "  " + std::string(field.name) + (names.may_be_missing(type, field) ? "?: " : ": ");
        text += member_type(names, type, field) + ";\n";
    }
    return text + "}\n";
}

std::string params_text(const TypeNames& names, const Method& method) {
    if (schema::has_described_params(method)) return names.of(*method.params).name;
    return "Record<string, unknown> | unknown[]";
}

std::string result_text(const TypeNames& names, const Method& method) {
    if (method.result == nullptr) return "Record<string, unknown>";
    const std::string text = type_text(names, *method.result);
    return method.is_list ? "ListOf<" + text + ">" : text;
}

std::string methods_interface(const TypeNames& names, const MethodTable& methods) {
    std::string text =
        doc_comment("", "All methods by name: what each takes and answers.") + "export interface Methods {\n";
    for (const auto& method : methods.all()) {
        const std::string types =
            ": { params: " + params_text(names, *method) + "; result: " + result_text(names, *method) + " };\n";
        text += doc_comment("  ", schema::sentence(method->summary)) + "  " + quoted(method->name) + types;
        for (const std::string_view alias : method->aliases)
            text += doc_comment("  ", "Another name for `" + std::string(method->name) + "`.") + "  " + quoted(alias) +
                    types;
    }
    return text + "}\n";
}

std::string events_text(const TypeNames& names, std::span<const Event* const> events) {
    std::string text = doc_comment("", "All events by name: the data of each.") + "export interface Events {\n";
    std::string topics = doc_comment("", "The topic that each event comes with: what `events.subscribe` takes.");
    topics += "export const topics = {\n";
    for (const Event* const event : events) {
        text += doc_comment("  ", schema::sentence(event->summary)) + "  " + quoted(event->name) + ": " +
                (event->payload == nullptr ? "unknown" : type_text(names, *event->payload)) + ";\n";
        topics += "  " + quoted(event->name) + ": " + quoted(event->topic) + ",\n";
    }
    return text + "}\n\n" + topics + "} as const;\n";
}

std::string async_methods(const MethodTable& methods) {
    std::string text = doc_comment("", "Methods that answer when something else is done, not as soon as they can.");
    text += "export const asyncMethods = [\n";
    for (const auto& method : methods.all()) {
        if (method->lane != Lane::async && method->lane != Lane::hybrid) continue;
        text += "  " + quoted(method->name) + ",\n";
        for (const std::string_view alias : method->aliases) text += "  " + quoted(alias) + ",\n";
    }
    return text + "] as const;\n";
}

} // namespace

std::string typescript_types(const MethodTable& methods, std::span<const Event* const> events) {
    const TypeNames names(methods, events);
    std::string text = "// Generated by `pillion schema --format typescript`. Do not edit.\n\n";
    for (const NamedType& named : names.all()) text += declaration(names, named) + "\n";
    text += doc_comment("", "What methods that list answer: one page of the items.");
    text += "export interface ListOf<Item> {\n  items: Item[];\n  page: Page;\n}\n\n";
    return text + methods_interface(names, methods) + "\n" + events_text(names, events) + "\n" + async_methods(methods);
}

} // namespace pillion
