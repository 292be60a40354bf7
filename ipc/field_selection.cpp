#include "ipc/field_selection.h"

#include "ipc/json_scanner.h"
#include "ipc/json_text.h"
#include "ipc/nearest.h"
#include "ipc/request_meta.h"

namespace pillion {

namespace {

constexpr std::string_view whole = "whole";
constexpr std::string_view partly = "partly";
constexpr std::string_view pointer = "/_meta/fields";

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// Whether a path can lead anywhere in a result of this type.
Result<void> check_path(std::string_view path, const wire::Type* type) {
    while (type != nullptr && !path.empty()) {
        while (type->kind == wire::Kind::list) type = type->element;
        if (type->kind == wire::Kind::json || type->kind == wire::Kind::map) return {};
        const std::string_view name = path.substr(0, path.find('.'));
        NearestName nearest(name);
        const wire::Type* next = nullptr;
        for (const wire::Field& field : type->fields) {
            nearest.consider(field.name);
            if (field.name == name) next = field.type;
        }
        if (next == nullptr)
            return fail(ErrorCode::invalid_params,
                        "fields: the result has no member \"" + std::string(name) + "\"" +
                            (nearest.best().empty() ? "" : "; did you mean \"" + std::string(nearest.best()) + "\"?"),
                        std::string(pointer), std::string(nearest.best()));
        type = next;
        path.remove_prefix(std::min(name.size() + 1, path.size()));
    }
    return {};
}

} // namespace

Result<void> FieldSelection::add(std::string_view path, const wire::Type* type, bool is_list) {
    path = trimmed(path);
    if (is_list && path.starts_with("items.")) path.remove_prefix(6);
    if (path.empty() || path.front() == '.' || path.back() == '.' || path.find("..") != std::string_view::npos)
        return fail(ErrorCode::invalid_params,
                    "fields: \"" + std::string(path) + "\" is no path; write names joined by dots",
                    std::string(pointer));
    if (is_list && path == "items") return {}; // all of every item: said by there being no path
    const bool of_page = is_list && (path == "page" || path.starts_with("page."));
    if (of_page)
        PILLION_TRY(check_path(path.substr(std::min<std::size_t>(path.size(), 5)), &wire::type_of<Page>));
    else
        PILLION_TRY(check_path(path, type));
    // The text never grows past the capacity reserved by create(), so the views stay valid.
    const std::size_t start = text_->size();
    if (is_list && !of_page) text_->append("items.");
    text_->append(path);
    const std::string_view kept = std::string_view(*text_).substr(start);
    for (std::size_t dot = kept.find('.'); dot != std::string_view::npos; dot = kept.find('.', dot + 1))
        paths_->try_emplace(kept.substr(0, dot), partly);
    (*paths_)[kept] = whole;
    return {};
}

Result<FieldSelection> FieldSelection::create(std::string_view spec, const wire::Type* type, bool is_list,
                                              MemoryPools& pools) {
    FieldSelection selection(pools);
    JsonScanner scanner(spec);
    std::string_view raw;
    selection.text_->reserve(spec.size() * 4 + 64);
    const auto add_all = [&](std::string_view names) -> Result<void> {
        while (true) {
            const std::size_t comma = names.find(',');
            PILLION_TRY(selection.add(names.substr(0, comma), type, is_list));
            if (comma == std::string_view::npos) return {};
            names.remove_prefix(comma + 1);
        }
    };
    switch (scanner.peek()) {
    case JsonKind::string:
        scanner.read_string(raw);
        PILLION_TRY(add_all(raw));
        break;
    case JsonKind::array:
        scanner.enter('[');
        while (scanner.next_element()) {
            if (scanner.peek() != JsonKind::string)
                return fail(ErrorCode::invalid_params, "fields: every path must be a string", std::string(pointer));
            scanner.read_string(raw);
            PILLION_TRY(add_all(raw));
        }
        break;
    default:
        return fail(ErrorCode::invalid_params,
                    "fields must be a string or an array of strings, got " + std::string(spec.substr(0, 60)),
                    std::string(pointer));
    }
    if (is_list && !selection.paths_->empty()) selection.paths_->try_emplace("page", whole);
    if (!selection.paths_->empty()) (*selection.paths_)["_meta"] = whole;
    return selection;
}

void FieldSelection::select_object(JsonScanner& scanner, Buffer& out) {
    const std::size_t path_bytes = path_->size();
    std::string_view key;
    bool first = true;
    scanner.enter('{');
    out.append('{');
    while (scanner.next_member(key)) {
        if (path_bytes != 0) path_->push_back('.');
        path_->append(key);
        const auto wanted = paths_->find(std::string_view(*path_));
        std::string_view value;
        if (wanted == paths_->end()) {
            scanner.skip_value();
        } else {
            out.append(first ? "\"" : ",\"");
            out.append(key);
            out.append("\":");
            first = false;
            if (wanted->second == whole) {
                scanner.read_value(value);
                out.append(value);
            } else {
                select(scanner, out);
            }
        }
        path_->resize(path_bytes);
    }
    out.append('}');
}

void FieldSelection::select(JsonScanner& scanner, Buffer& out) {
    std::string_view value;
    switch (scanner.peek()) {
    case JsonKind::object:
        return select_object(scanner, out);
    case JsonKind::array:
        scanner.enter('[');
        out.append('[');
        for (bool first = true; scanner.next_element(); first = false) {
            if (!first) out.append(',');
            select(scanner, out);
        }
        out.append(']');
        return;
    default:
        scanner.read_value(value);
        out.append(value);
    }
}

void FieldSelection::apply(std::string_view json, Buffer& out) {
    if (paths_->empty()) return out.append(json);
    JsonScanner scanner(json);
    select(scanner, out);
}

} // namespace pillion
