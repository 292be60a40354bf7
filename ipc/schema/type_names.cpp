// A depth-first walk over the tables. A type is entered once as read-only and at most once more when it turns out that
// clients send it too, so cycles end.
#include "ipc/schema/type_names.h"

#include "ipc/base/pool.h"
#include "ipc/request_meta.h"
#include "ipc/wire_encode.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace pillion::schema {

using wire::Field;
using wire::Kind;
using wire::Type;

namespace {

// "audio::Tone" is `audioTone` in languages that have no such names.
std::string identifier(std::string_view name) {
    std::string text;
    for (const char c : name)
        if (c != ':') text += c;
    return text;
}

std::string_view counted_unit(Kind kind) {
    switch (kind) {
    case Kind::string:
        return " bytes";
    case Kind::list:
        return " elements";
    case Kind::map:
        return " members";
    default:
        return "";
    }
}

} // namespace

TypeNames::TypeNames(const MethodTable& methods, std::span<const Event* const> events) {
    collect(wire::type_of<RequestMeta>, true);
    collect(wire::type_of<Page>, false);
    for (const auto& method : methods.all()) {
        if (has_described_params(*method)) {
            collect(*method->params, true);
            all_[places_.at(method->params)].is_params = true;
        }
        if (method->result == nullptr) continue;
        collect(*method->result, false);
        if (method->result->kind == Kind::object && !method->is_list) all_[places_.at(method->result)].is_result = true;
    }
    for (const Event* const event : events)
        if (event->payload != nullptr) collect(*event->payload, false);
}

void TypeNames::collect(const Type& type, bool in_params) {
    if (type.element != nullptr) return collect(*type.element, in_params);
    if (type.kind != Kind::object && type.kind != Kind::enumeration) return;
    const auto [place, fresh] = places_.try_emplace(&type, all_.size());
    if (fresh)
        all_.push_back({.type = &type, .name = unique_name(identifier(type.name))});
    else if (!in_params || all_[place->second].in_params)
        return;
    if (in_params) all_[place->second].in_params = true;
    for (const Field& field : type.fields) collect(*field.type, in_params);
}

std::string TypeNames::unique_name(std::string_view name) const {
    const auto is_taken = [this](std::string_view candidate) {
        return std::any_of(all_.begin(), all_.end(), [&](const NamedType& named) { return named.name == candidate; });
    };
    std::string unique(name);
    for (int number = 2; is_taken(unique); ++number) unique = std::string(name) + std::to_string(number);
    return unique;
}

const NamedType& TypeNames::of(const Type& type) const {
    const auto place = places_.find(&type);
    if (place == places_.end()) std::abort(); // shown but never collected
    return all_[place->second];
}

bool TypeNames::may_be_missing(const Type& owner, const Field& field) const {
    if (field.presence == wire::Presence::defaulted) return of(owner).in_params;
    return field.presence == wire::Presence::optional;
}

bool has_described_params(const Method& method) {
    return method.params != nullptr && method.params->kind == Kind::object;
}

JsonShape json_shape(const Type& owner, const Field& field) {
    if (&owner != &wire::type_of<RequestMeta>) return JsonShape::any;
    if (field.name == "progressToken") return JsonShape::string_or_number;
    if (field.name == "fields") return JsonShape::string_or_strings;
    return JsonShape::any;
}

std::string default_json(const Type& owner, const Field& field) {
    BufferPool pool;
    Buffer json(pool);
    void* const object = owner.create();
    wire::encode(*field.type, field.value_in(object), json);
    owner.destroy(object);
    return std::string(json.view());
}

std::string number_text(double value) {
    constexpr double exact_max = 9007199254740992.0; // 2^53
    char text[64];
    const auto end = std::trunc(value) == value && std::abs(value) <= exact_max
                         ? std::to_chars(text, text + sizeof text, static_cast<std::int64_t>(value)).ptr
                         : std::to_chars(text, text + sizeof text, value).ptr;
    return {text, end};
}

std::string bounds_text(const Field& field) {
    const auto [low, high] = field.bounds;
    const std::string unit(counted_unit(field.type->kind));
    if (std::isfinite(low) && std::isfinite(high))
        return low == high ? "exactly " + number_text(low) + unit
                           : number_text(low) + " to " + number_text(high) + unit;
    if (std::isfinite(low)) return "at least " + number_text(low) + unit;
    if (std::isfinite(high)) return "at most " + number_text(high) + unit;
    return {};
}

std::string_view group_of(std::string_view method) {
    const std::size_t dot = method.find('.');
    return dot == std::string_view::npos ? "general" : method.substr(0, dot);
}

std::string sentence(std::string_view text) {
    std::string whole(text);
    if (!whole.empty() && !std::string_view(".!?").contains(whole.back())) whole += '.';
    return whole;
}

} // namespace pillion::schema
