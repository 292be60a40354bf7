// A method shows the members of its own params and result; structs inside those, and enums, get a section of their own
// under "Types", once, and are linked. Which types those are is found before anything is written.
#include "ipc/schema/reference.h"

#include "ipc/request_meta.h"
#include "ipc/schema/example.h"
#include "ipc/schema/type_names.h"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

namespace pillion {

using schema::NamedType;
using schema::TypeNames;
using wire::Field;
using wire::Kind;
using wire::Presence;
using wire::Type;

namespace {

// Text from a declaration, so that Markdown and tables show it as it was written.
std::string plain(std::string_view text) {
    std::string shown;
    bool in_code = false;
    for (const char c : text) {
        if (c == '`') in_code = !in_code;
        if (c == '|')
            shown += "\\|";
        else if (c == '\n')
            shown += ' ';
        else if (c == '<' && !in_code)
            shown += "&lt;";
        else
            shown += c;
    }
    return shown;
}

std::string code(std::string_view text) { return "`" + std::string(text) + "`"; }

std::string link(std::string_view text, std::string_view kind, std::string_view name) {
    return "[" + std::string(text) + "](#" + std::string(kind) + "-" + std::string(name) + ")";
}

std::string heading(std::string_view marks, std::string_view title, std::string_view kind, std::string_view name) {
    return "<a id=\"" + std::string(kind) + "-" + std::string(name) + "\"></a>\n" + std::string(marks) + " " +
           std::string(title) + "\n\n";
}

class Reference {
  public:
    Reference(const MethodTable& methods, std::span<const Event* const> events)
        : methods_(methods), events_(events), names_(methods, events) {
        names_.add(wire::type_of<ResultMeta>);
        names_.add(wire::type_of<EventEnvelope>);
        find_groups();
        find_sections();
    }
    std::string text() const;

  private:
    void find_groups();
    void find_sections();
    void want_section(const Type& type);
    void want_sections_inside(const Type& type);

    std::string contents() const;
    std::string meta_section() const;
    std::string method_section(const Method& method) const;
    std::string params_part(const Method& method) const;
    std::string result_part(const Method& method) const;
    std::string event_section(const Event& event) const;
    std::string type_section(const NamedType& named) const;
    std::string sent_table(const Type& type) const;
    std::string read_table(const Type& type) const;
    std::string type_text(const Type& type) const;
    std::string member_type(const Type& owner, const Field& field) const;

    const MethodTable& methods_;
    std::span<const Event* const> events_;
    TypeNames names_;
    std::vector<std::pair<std::string_view, std::vector<const Method*>>> groups_; // in first-seen order
    std::unordered_set<const Type*> sections_;
};

void Reference::find_groups() {
    for (const auto& method : methods_.all()) {
        const std::string_view name = schema::group_of(method->name);
        auto group = std::ranges::find_if(groups_, [name](const auto& other) { return other.first == name; });
        if (group == groups_.end()) group = groups_.insert(groups_.end(), {name, {}});
        group->second.push_back(method.get());
    }
}

void Reference::find_sections() {
    want_sections_inside(wire::type_of<RequestMeta>);
    want_section(wire::type_of<Page>);
    for (const auto& method : methods_.all()) {
        if (schema::has_described_params(*method)) want_sections_inside(*method->params);
        if (method->result == nullptr) continue;
        if (method->result->kind == Kind::object)
            want_sections_inside(*method->result);
        else
            want_section(*method->result);
    }
    for (const Event* const event : events_) {
        if (event->payload == nullptr) continue;
        if (event->payload->kind == Kind::object)
            want_sections_inside(*event->payload);
        else
            want_section(*event->payload);
    }
}

void Reference::want_section(const Type& type) {
    if (type.element != nullptr) return want_section(*type.element);
    if (type.kind != Kind::object && type.kind != Kind::enumeration) return;
    if (sections_.insert(&type).second) want_sections_inside(type);
}

void Reference::want_sections_inside(const Type& type) {
    for (const Field& field : type.fields) want_section(*field.type);
}

std::string Reference::type_text(const Type& type) const {
    switch (type.kind) {
    case Kind::boolean:
        return "boolean";
    case Kind::integer:
        return "integer";
    case Kind::number:
        return "number";
    case Kind::string:
        return "string";
    case Kind::json:
        return "any JSON";
    case Kind::enumeration:
    case Kind::object:
        return link(names_.of(type).name, "type", names_.of(type).name);
    case Kind::list:
        return "list of " + type_text(*type.element);
    case Kind::map:
        return "map of " + type_text(*type.element);
    }
    return "any JSON";
}

std::string Reference::member_type(const Type& owner, const Field& field) const {
    switch (schema::json_shape(owner, field)) {
    case schema::JsonShape::string_or_number:
        return "string or number";
    case schema::JsonShape::string_or_strings:
        return "string or list of string";
    case schema::JsonShape::any:
        break;
    }
    return type_text(*field.type);
}

// Members that clients send.
std::string Reference::sent_table(const Type& type) const {
    std::string table = "| Name | Type | Required | Bounds | Description |\n|---|---|---|---|---|\n";
    for (const Field& field : type.fields) {
        std::string required = field.presence == Presence::required ? "yes" : "no";
        if (field.presence == Presence::defaulted)
            required = "default " + code(plain(schema::default_json(type, field)));
        table += "| " + code(field.name) + " | " + member_type(type, field) + " | " + required + " | " +
                 schema::bounds_text(field) + " | " + plain(schema::sentence(field.doc)) + " |\n";
    }
    return table + "\n";
}

// Members that clients only read.
std::string Reference::read_table(const Type& type) const {
    std::string table = "| Name | Type | Present | Description |\n|---|---|---|---|\n";
    for (const Field& field : type.fields)
        table += "| " + code(field.name) + " | " + member_type(type, field) + " | " +
                 (field.presence == Presence::optional ? "may be missing" : "always") + " | " +
                 plain(schema::sentence(field.doc)) + " |\n";
    return table + "\n";
}

std::string Reference::contents() const {
    std::string text = "## Contents\n\n- [What any request may add](#meta)\n";
    for (const auto& [name, methods] : groups_) {
        text += "- " + link(name, "group", name) + ": ";
        for (std::size_t i = 0; i < methods.size(); ++i)
            text += (i == 0 ? "" : ", ") + link(code(methods[i]->name), "method", methods[i]->name);
        text += "\n";
    }
    text += "- [Events](#events)";
    for (std::size_t i = 0; i < events_.size(); ++i)
        text += (i == 0 ? ": " : ", ") + link(code(events_[i]->name), "event", events_[i]->name);
    return text + "\n- [Types](#types)\n- [Errors](#errors)\n\n";
}

std::string Reference::meta_section() const {
    return "<a id=\"meta\"></a>\n## What any request may add\n\n"
           "A member `_meta` beside a method's own params:\n\n" +
           sent_table(wire::type_of<RequestMeta>) +
           "Where the request asked for caching, an etag or timing, the result has a `_meta` too:\n\n" +
           read_table(wire::type_of<ResultMeta>);
}

std::string lane_text(Lane lane) {
    switch (lane) {
    case Lane::direct:
        return "Answered at once, before the next message is read.";
    case Lane::pooled:
        return "Runs in the background; other requests go on meanwhile, and it can be cancelled or given a deadline.";
    case Lane::async:
        return "Answered when what it starts or waits for is done; other requests go on meanwhile, and it can be "
               "cancelled or given a deadline.";
    case Lane::hybrid:
        return "Answered at once where the answer is at hand; otherwise other requests go on meanwhile, and it can be "
               "cancelled or given a deadline.";
    }
    return {};
}

std::string caching_text(const Cacheable& cacheable) {
    if (cacheable.ttl_ms <= 0) return {};
    std::string text = "The answer may be kept for " + std::to_string(cacheable.ttl_ms) + " ms";
    for (std::size_t i = 0; i < cacheable.invalidated_by.size(); ++i)
        text += (i == 0 ? " or until " : ", ") + code(cacheable.invalidated_by[i]);
    return text + ".";
}

std::string Reference::params_part(const Method& method) const {
    if (!schema::has_described_params(method)) return "**Params:** free-form.\n\n";
    if (method.params->fields.empty()) return "**Params:** none.\n\n";
    return "**Params**\n\n" + sent_table(*method.params);
}

std::string Reference::result_part(const Method& method) const {
    if (method.result == nullptr) return "**Result:** a free-form object.\n\n";
    const bool is_struct = method.result->kind == Kind::object && !method.result->fields.empty();
    if (!method.is_list) {
        if (is_struct) return "**Result**\n\n" + read_table(*method.result);
        return method.result->kind == Kind::object ? "**Result:** an empty object.\n\n"
                                                   : "**Result:** " + type_text(*method.result) + ".\n\n";
    }
    std::string sortable;
    for (const Field& field : method.result->fields)
        if (field.is_sortable) sortable += (sortable.empty() ? "" : ", ") + code(field.name);
    std::string text =
        "**Result:** `items` and the " + link("page", "type", names_.of(wire::type_of<Page>).name) + " that they are";
    text += sortable.empty() ? "." : "; `sortBy` takes " + sortable + ".";
    return text + (is_struct ? " An item:\n\n" + read_table(*method.result)
                             : " An item: " + type_text(*method.result) + ".\n\n");
}

std::string Reference::method_section(const Method& method) const {
    std::string text = heading("###", code(method.name), "method", method.name);
    text += plain(schema::sentence(method.summary)) + "\n\n" + lane_text(method.lane);
    if (const std::string caching = caching_text(method.cacheable); !caching.empty()) text += " " + caching;
    for (std::size_t i = 0; i < method.aliases.size(); ++i)
        text += (i == 0 ? " Also called " : ", ") + code(method.aliases[i]);
    if (!method.aliases.empty()) text += ".";
    return text + "\n\n" + params_part(method) + result_part(method) + "**Example**\n\n```json\n" +
           schema::example_request(method) + "\n```\n\n";
}

std::string Reference::event_section(const Event& event) const {
    std::string text = heading("###", code(event.name), "event", event.name);
    text += plain(schema::sentence(event.summary)) + "\n\nTopic " + code(event.topic) + ". ";
    text += event.kind == EventKind::sample ? "A reading: a newer one replaces one that was not read in time.\n\n"
                                            : "Kept in order for readers that are slow, up to a bound.\n\n";
    if (event.payload == nullptr) return text;
    if (event.payload->kind != Kind::object) return text + "Data: " + type_text(*event.payload) + ".\n\n";
    return event.payload->fields.empty() ? text : text + read_table(*event.payload);
}

std::string Reference::type_section(const NamedType& named) const {
    std::string text = heading("###", named.name, "type", named.name);
    if (!named.type->doc.empty()) text += plain(schema::sentence(named.type->doc)) + "\n\n";
    if (named.type->kind == Kind::object)
        return text + (named.in_params ? sent_table(*named.type) : read_table(*named.type));
    text += "One of ";
    for (std::size_t i = 0; i < named.type->enumerators.size(); ++i)
        text += (i == 0 ? "" : ", ") + code("\"" + std::string(named.type->enumerators[i]) + "\"");
    return text + ".\n\n";
}

std::string errors_section() {
    std::string text = "<a id=\"errors\"></a>\n## Errors\n\n"
                       "`error.data` holds `kind`, `retryable` and, where they apply, `field` and `hint`.\n\n"
                       "| Code | Kind | Worth retrying | When |\n|---|---|---|---|\n";
    for (const auto& [error_code, when] : schema::error_descriptions)
        text += "| " + code(std::to_string(static_cast<int>(error_code))) + " | " + code(error_kind(error_code)) +
                " | " + (error_is_retryable(error_code) ? "yes" : "no") + " | " + plain(when) + " |\n";
    return text;
}

std::string Reference::text() const {
    std::string text =
        "<!-- Generated by `pillion schema --format markdown`. Do not edit. -->\n\n# Methods and events\n\n";
    text += contents() + meta_section();
    for (const auto& [name, methods] : groups_) {
        text += heading("##", name, "group", name);
        for (const Method* const method : methods) text += method_section(*method);
    }
    text +=
        "<a id=\"events\"></a>\n## Events\n\n`events.subscribe` takes topics; each event is then a notification called "
        "by its name, whose params are:\n\n" +
        read_table(wire::type_of<EventEnvelope>);
    for (const Event* const event : events_) text += event_section(*event);
    text += "<a id=\"types\"></a>\n## Types\n\n";
    for (const NamedType& named : names_.all())
        if (sections_.contains(named.type)) text += type_section(named);
    return text + errors_section();
}

} // namespace

std::string method_reference(const MethodTable& methods, std::span<const Event* const> events) {
    return Reference(methods, events).text();
}

} // namespace pillion
