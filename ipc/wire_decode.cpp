// One walk over text and table together. Paths are built only on the way out of an error: each level prepends itself.
#include "ipc/wire_decode.h"

#include "ipc/json_scanner.h"
#include "ipc/json_text.h"
#include "ipc/nearest.h"

#include <charconv>
#include <cmath>
#include <cstring>

namespace pillion::wire {

namespace {

// A value as it may stand in a message: whole if short.
std::string shown(std::string_view text) {
    constexpr std::size_t shown_bytes_max = 60;
    if (text.size() <= shown_bytes_max) return std::string(text);
    std::size_t cut = shown_bytes_max;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut; // not inside a character
    return std::string(text.substr(0, cut)) + "...";
}

std::string number_text(double value) {
    char text[32];
    const auto end = std::abs(value) < 1e15
                         ? std::to_chars(text, text + sizeof text, value, std::chars_format::fixed).ptr
                         : std::to_chars(text, text + sizeof text, value).ptr;
    return {text, end};
}

std::string pointer_token(std::string_view name) {
    std::string token = "/";
    for (const char c : name) {
        if (c == '~')
            token += "~0";
        else if (c == '/')
            token += "~1";
        else
            token += c;
    }
    return token;
}

std::unexpected<Error> within(std::string_view name, Error error) {
    error.field.insert(0, pointer_token(name));
    return std::unexpected(std::move(error));
}

std::unexpected<Error> wrong(std::string message, std::string hint = {}) {
    return fail(ErrorCode::invalid_params, std::move(message), {}, std::move(hint));
}

std::string_view kind_noun(const Type& type) {
    switch (type.kind) {
    case Kind::boolean:
        return "true or false";
    case Kind::integer:
        return "an integer";
    case Kind::number:
        return "a number";
    case Kind::string:
        return "a string";
    case Kind::enumeration:
        return "a string";
    case Kind::object:
    case Kind::map:
        return "an object";
    case Kind::list:
        return "an array";
    case Kind::json:
        return "a value";
    }
    return "a value";
}

class Decoder {
  public:
    Decoder(std::string_view text, std::string& scratch, Unknown unknown = Unknown::refused)
        : scanner_(text), text_(text), scratch_(scratch), unknown_(unknown) {}

    Result<void> value(const Type& type, const Bounds& bounds, void* out);
    Result<void> object(const Type& type, void* out, bool outermost);
    Result<void> positional(const Type& type, void* out);
    JsonKind kind() { return scanner_.peek(); }

  private:
    Result<void> integer(const Type& type, const Bounds& bounds, std::string_view raw, void* out);
    Result<void> string(const Type& type, const Bounds& bounds, void* out);
    Result<void> enumeration(const Type& type, void* out);
    Result<void> list(const Type& type, const Bounds& bounds, void* out);
    Result<void> map(const Type& type, const Bounds& bounds, void* out);
    Result<void> json(const Type& type, void* out);
    Result<void> missing(const Type& type, std::uint64_t seen);
    bool skip_null(const Field& field);
    std::unexpected<Error> mismatch(const Type& type);
    std::unexpected<Error> unknown_member(const Type& type, std::string_view key);
    // A string's text with escapes decoded, in the request or in scratch.
    Result<std::string_view> decoded(std::string_view raw);

    JsonScanner scanner_;
    std::string_view text_;
    std::string& scratch_;
    const Unknown unknown_;
};

std::unexpected<Error> Decoder::mismatch(const Type& type) {
    std::string_view raw;
    scanner_.read_value(raw);
    return wrong("must be " + std::string(kind_noun(type)) + ", got " + shown(raw));
}

Result<void> check_count(const Bounds& bounds, std::size_t count, std::string_view of_what) {
    const double n = static_cast<double>(count);
    if (n < bounds.low)
        return wrong("must have at least " + number_text(bounds.low) + std::string(of_what) + ", got " +
                     number_text(n));
    if (n > bounds.high)
        return wrong("must have at most " + number_text(bounds.high) + std::string(of_what) + ", got " +
                     number_text(n));
    return {};
}

Result<void> check_number(const Bounds& bounds, double value, std::string_view raw) {
    if (value < bounds.low) return wrong("must be at least " + number_text(bounds.low) + ", got " + shown(raw));
    if (value > bounds.high) return wrong("must be at most " + number_text(bounds.high) + ", got " + shown(raw));
    return {};
}

Result<void> Decoder::integer(const Type& type, const Bounds& bounds, std::string_view raw, void* out) {
    std::int64_t number = 0;
    std::errc error{};
    if (raw.find_first_of(".eE") == std::string_view::npos) {
        error = std::from_chars(raw.data(), raw.data() + raw.size(), number).ec;
    } else { // 1.0 and 1e2 are integers, as in JSON Schema
        double value = 0;
        error = std::from_chars(raw.data(), raw.data() + raw.size(), value).ec;
        if (error == std::errc{} && value != std::trunc(value)) return wrong("must be an integer, got " + shown(raw));
        if (std::abs(value) > static_cast<double>(limits::integer_max)) error = std::errc::result_out_of_range;
        if (error == std::errc{}) number = static_cast<std::int64_t>(value);
    }
    const std::int64_t low = !type.is_signed   ? 0
                             : type.bytes == 4 ? std::numeric_limits<std::int32_t>::min()
                                               : -limits::integer_max;
    const std::int64_t high = type.bytes == 4
                                  ? (type.is_signed ? std::numeric_limits<std::int32_t>::max()
                                                    : std::int64_t{std::numeric_limits<std::uint32_t>::max()})
                                  : limits::integer_max;
    if (error != std::errc{} || number < low || number > high) {
        const double bounded_low = std::max(static_cast<double>(low), bounds.low);
        const double bounded_high = std::min(static_cast<double>(high), bounds.high);
        return wrong("must be between " + number_text(bounded_low) + " and " + number_text(bounded_high) + ", got " +
                     shown(raw));
    }
    PILLION_TRY(check_number(bounds, static_cast<double>(number), raw));
    if (type.bytes == 8) {
        std::memcpy(out, &number, 8); // a non-negative int64 and a uint64 have the same bytes
    } else {
        const std::uint32_t narrow = static_cast<std::uint32_t>(number);
        std::memcpy(out, &narrow, 4);
    }
    return {};
}

Result<std::string_view> Decoder::decoded(std::string_view raw) {
    if (raw.find('\\') == std::string_view::npos) return raw;
    // Decoded text is never longer than its escaped form, so one reservation keeps earlier views valid.
    if (scratch_.capacity() < text_.size()) scratch_.reserve(text_.size());
    const std::size_t start = scratch_.size();
    if (!append_unescaped(scratch_, raw)) return wrong("has an unpaired surrogate escape, which is not a character");
    return std::string_view(scratch_).substr(start);
}

Result<void> Decoder::string(const Type& type, const Bounds& bounds, void* out) {
    std::string_view raw;
    scanner_.read_string(raw);
    if (type.storage == Storage::view) {
        const std::string_view text = PILLION_TRY(decoded(raw));
        *static_cast<std::string_view*>(out) = text;
        return check_count(bounds, text.size(), " bytes");
    }
    std::string& text = *static_cast<std::string*>(out);
    text.clear();
    if (!append_unescaped(text, raw)) return wrong("has an unpaired surrogate escape, which is not a character");
    return check_count(bounds, text.size(), " bytes");
}

Result<void> Decoder::enumeration(const Type& type, void* out) {
    std::string_view raw;
    scanner_.read_string(raw);
    raw = PILLION_TRY(decoded(raw));
    NearestName nearest(raw);
    std::string all;
    for (std::size_t i = 0; i < type.enumerators.size(); ++i) {
        if (type.enumerators[i] == raw) {
            // Described enums count from 0; little-endian bytes of the index are the value in any size.
            std::memcpy(out, &i, type.bytes);
            return {};
        }
        nearest.consider(type.enumerators[i]);
        if (i != 0) all += ", ";
        all += "\"" + std::string(type.enumerators[i]) + "\"";
    }
    return wrong("must be one of " + all + ", got \"" + shown(raw) + "\"", std::string(nearest.best()));
}

Result<void> Decoder::list(const Type& type, const Bounds& bounds, void* out) {
    scanner_.enter('[');
    type.list->clear(out);
    for (std::size_t i = 0; scanner_.next_element(); ++i)
        if (auto element = value(*type.element, {}, type.list->append(out)); !element)
            return within(std::to_string(i), std::move(element).error());
    return check_count(bounds, type.list->size(out), " elements");
}

Result<void> Decoder::map(const Type& type, const Bounds& bounds, void* out) {
    std::string_view raw;
    std::size_t count = 0;
    scanner_.enter('{');
    type.map->clear(out);
    for (; scanner_.next_member(raw); ++count) {
        const auto key = unescaped(raw);
        if (!key) return wrong("has a member name with an unpaired surrogate escape");
        void* const slot = type.map->insert(out, *key);
        if (slot == nullptr) return within(*key, Error{ErrorCode::invalid_params, "stands twice", {}, {}});
        if (auto entry = value(*type.element, {}, slot); !entry) return within(*key, std::move(entry).error());
    }
    return check_count(bounds, count, " members");
}

Result<void> Decoder::json(const Type& type, void* out) {
    std::string_view raw;
    scanner_.read_value(raw);
    if (type.storage == Storage::view)
        static_cast<JsonView*>(out)->text = raw;
    else
        static_cast<Json*>(out)->text.assign(raw);
    return {};
}

Result<void> Decoder::value(const Type& type, const Bounds& bounds, void* out) {
    const JsonKind kind = scanner_.peek();
    std::string_view raw;
    switch (type.kind) {
    case Kind::boolean:
        if (kind != JsonKind::boolean) return mismatch(type);
        scanner_.read_value(raw);
        *static_cast<bool*>(out) = raw == "true";
        return {};
    case Kind::integer:
        if (kind != JsonKind::number) return mismatch(type);
        scanner_.read_value(raw);
        return integer(type, bounds, raw, out);
    case Kind::number: {
        if (kind != JsonKind::number) return mismatch(type);
        scanner_.read_value(raw);
        double number = 0;
        if (std::from_chars(raw.data(), raw.data() + raw.size(), number).ec != std::errc{})
            return wrong("is out of the range of a number: " + shown(raw));
        *static_cast<double*>(out) = number;
        return check_number(bounds, number, raw);
    }
    case Kind::string:
        return kind == JsonKind::string ? string(type, bounds, out) : mismatch(type);
    case Kind::enumeration:
        return kind == JsonKind::string ? enumeration(type, out) : mismatch(type);
    case Kind::list:
        return kind == JsonKind::array ? list(type, bounds, out) : mismatch(type);
    case Kind::map:
        return kind == JsonKind::object ? map(type, bounds, out) : mismatch(type);
    case Kind::object:
        return kind == JsonKind::object ? object(type, out, false) : mismatch(type);
    case Kind::json:
        return json(type, out);
    }
    return {};
}

std::unexpected<Error> Decoder::unknown_member(const Type& type, std::string_view key) {
    NearestName nearest(key);
    std::string all;
    for (const Field& field : type.fields) {
        nearest.consider(field.name);
        all += (all.empty() ? "" : ", ") + std::string(field.name);
    }
    std::string message = "unknown member \"" + shown(key) + "\"";
    if (!nearest.best().empty())
        message += "; did you mean \"" + std::string(nearest.best()) + "\"?";
    else if (all.empty())
        message += "; this takes no members";
    else
        message += "; known members are " + all;
    return within(key, Error{ErrorCode::invalid_params, std::move(message), {}, std::string(nearest.best())});
}

Result<void> Decoder::missing(const Type& type, std::uint64_t seen) {
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
        const Field& field = type.fields[i];
        if ((seen >> i & 1) == 0 && field.presence == Presence::required)
            return within(field.name, Error{ErrorCode::invalid_params,
                                            "is missing; it is " + std::string(kind_noun(*field.type)) + ": " +
                                                std::string(field.doc),
                                            {},
                                            {}});
    }
    return {};
}

// Where a member stands in the table, looking first where it is expected; the table's size if nowhere.
std::size_t member_index(const Type& type, std::string_view key, std::size_t expected) {
    if (expected < type.fields.size() && type.fields[expected].name == key) return expected;
    std::size_t i = 0;
    while (i < type.fields.size() && type.fields[i].name != key) ++i;
    return i;
}

// Null and absent are the same for an optional member.
bool Decoder::skip_null(const Field& field) {
    return field.presence == Presence::optional && field.type->kind != Kind::json &&
           scanner_.peek() == JsonKind::null && scanner_.skip_value();
}

Result<void> Decoder::object(const Type& type, void* out, bool outermost) {
    std::uint64_t seen = 0;
    std::string_view key;
    std::size_t expected = 0; // clients mostly send members in the declared order
    scanner_.enter('{');
    while (scanner_.next_member(key)) {
        if (key.find('\\') != std::string_view::npos) key = PILLION_TRY(decoded(key));
        if (outermost && key == "_meta") {
            scanner_.skip_value();
            continue;
        }
        const std::size_t i = member_index(type, key, expected);
        if (i == type.fields.size()) {
            if (unknown_ == Unknown::refused || key.find_first_of("/.") == std::string_view::npos)
                return unknown_member(type, key);
            scanner_.skip_value();
            continue;
        }
        if (seen >> i & 1) return within(key, Error{ErrorCode::invalid_params, "stands twice", {}, {}});
        seen |= std::uint64_t{1} << i;
        expected = i + 1;
        const Field& field = type.fields[i];
        if (skip_null(field)) continue;
        if (auto member = value(*field.type, field.bounds, field.fresh_in(out)); !member)
            return within(field.name, std::move(member).error());
    }
    return missing(type, seen);
}

Result<void> Decoder::positional(const Type& type, void* out) {
    std::uint64_t seen = 0;
    scanner_.enter('[');
    for (std::size_t i = 0; scanner_.next_element(); ++i) {
        if (i >= type.fields.size())
            return within(std::to_string(i),
                          Error{ErrorCode::invalid_params,
                                "one param too many; the method takes at most " + std::to_string(type.fields.size()),
                                {},
                                {}});
        seen |= std::uint64_t{1} << i;
        const Field& field = type.fields[i];
        if (skip_null(field)) continue;
        if (auto member = value(*field.type, field.bounds, field.fresh_in(out)); !member)
            return within(std::to_string(i), std::move(member).error());
    }
    return missing(type, seen);
}

// A message reads as a sentence about the member it names.
Result<void> named(Result<void> result) {
    if (result) return result;
    Error& error = result.error();
    const std::size_t slash = error.field.rfind('/');
    const bool says_name =
        error.message.starts_with("unknown member") || error.message.starts_with("one param too many");
    if (slash != std::string::npos && !says_name) error.message = error.field.substr(1) + " " + error.message;
    return result;
}

} // namespace

Result<void> decode_params(const Type& type, std::string_view params, void* out, std::string& scratch) {
    if (params.empty()) params = "{}";
    Decoder decoder(params, scratch);
    return named(decoder.kind() == JsonKind::array ? decoder.positional(type, out) : decoder.object(type, out, true));
}

Result<void> decode_value(const Type& type, std::string_view text, void* out, std::string& scratch, Unknown unknown) {
    return named(Decoder(text, scratch, unknown).value(type, {}, out));
}

} // namespace pillion::wire
