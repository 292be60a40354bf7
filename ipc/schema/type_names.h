// What the outputs of schema/ share: which named types a program's methods and events use, under which names, and the
// small facts about a field that each of them tells in its own notation. Built when a schema is asked for, read-only
// afterwards; any thread.
#pragma once

#include "ipc/base/error.h"
#include "ipc/event.h"
#include "ipc/method.h"
#include "ipc/wire_type.h"

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pillion::schema {

// A struct or an enum that a client meets.
struct NamedType {
    const wire::Type* type = nullptr;
    std::string name;       // unique among all
    bool in_params = false; // clients send it: defaulted members may be left out
    bool is_params = false; // it is the whole params of a method, so `_meta` may stand in it
    bool is_result = false; // it is the whole result of a method, likewise
};

// All named types reachable from methods and events, in first-seen order, `_meta` and the page of lists first.
class TypeNames {
  public:
    TypeNames(const MethodTable& methods, std::span<const Event* const> events);

    // Adds a type, and what it holds, that clients only read.
    void add(const wire::Type& type) { collect(type, false); }
    const std::vector<NamedType>& all() const { return all_; }
    // Of a struct or enum that was collected; aborts for any other.
    const NamedType& of(const wire::Type& type) const;
    // Whether `field` of `owner` may be missing: from params if clients send `owner`, else from what they read.
    bool may_be_missing(const wire::Type& owner, const wire::Field& field) const;

  private:
    void collect(const wire::Type& type, bool in_params);
    std::string unique_name(std::string_view name) const;

    std::vector<NamedType> all_;
    std::unordered_map<const wire::Type*, std::size_t> places_;
};

// Params that the table describes; false for free-form ones.
bool has_described_params(const Method& method);

// What a member of type Json takes. The members of `_meta` are told more exactly than by their type.
enum class JsonShape : std::uint8_t { any, string_or_number, string_or_strings };
JsonShape json_shape(const wire::Type& owner, const wire::Field& field);

// The default of a `defaulted` member, as JSON text.
std::string default_json(const wire::Type& owner, const wire::Field& field);

// A number without needless decimals.
std::string number_text(double value);

// "0 to 60000", "at most 256 bytes"; empty for a field without bounds.
std::string bounds_text(const wire::Field& field);

// The part of a method's name before the dot; "general" if there is none.
std::string_view group_of(std::string_view method);

// A sentence with one full stop at its end.
std::string sentence(std::string_view text);

struct ErrorDescription {
    ErrorCode code;
    std::string_view when;
};

inline constexpr ErrorDescription error_descriptions[] = {
    {ErrorCode::parse_error, "The message is not valid JSON."},
    {ErrorCode::invalid_request, "The message is JSON but not a valid request, or it is over a limit."},
    {ErrorCode::method_not_found, "There is no such method; the nearest name is suggested."},
    {ErrorCode::invalid_params,
     "A param is missing, unknown, of the wrong type or out of range; `data.field` names it."},
    {ErrorCode::internal_error, "A fault of Pillion itself."},
    {ErrorCode::cancelled, "The request was cancelled before it was answered."},
    {ErrorCode::timeout, "The request's deadline passed."},
    {ErrorCode::not_found, "What the request names does not exist."},
    {ErrorCode::conflict, "The request contradicts the present state, such as a version that is no longer current."},
    {ErrorCode::exhausted, "A limit or a quota is reached, or a queue is full."},
    {ErrorCode::unavailable, "A component, backend or tier is down."},
    {ErrorCode::denied, "The configuration does not allow it."},
    {ErrorCode::failed_precondition, "Something else has to be done first."},
    {ErrorCode::corrupt, "Stored data failed its check; it was set aside and not served."},
};

} // namespace pillion::schema
