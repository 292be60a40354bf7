// How a struct looks on the wire, said once. A plain struct with the wire's member names, and beside it
//
//     struct DelayParams {
//         std::int64_t durationMs = 0;
//         std::optional<std::string> note;
//     };
//     PILLION_WIRE(DelayParams,
//                  PILLION_FIELD(durationMs, "How long to wait before answering, in milliseconds.", between(0,
//                  60'000)), PILLION_FIELD(note, "Free text that comes back in the answer."))
//
// gives a constant table from which decoding, validation, encoding, OpenRPC, TypeScript and the reference are made by
// ordinary functions (wire_decode.h, wire_encode.h, schema/). A member left out of the list does not compile.
//
// Members may be bool, int32/int64/uint32/uint64, double, std::string, std::string_view, Json, JsonView, a described
// enum or struct, and std::optional, std::vector or std::map<std::string, ...> of these. A member is required unless
// it is optional or says `defaulted` (then its initialiser is the default). Views in params point into the request and
// are valid until it is answered.
//
// The tables are constants: any thread, no initialisation at start.
#pragma once

#include <boost/pfr/tuple_size.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace pillion {

// Free-form JSON text, kept as it was sent. Always one valid value.
struct Json {
    std::string text = "null";
};
struct JsonView {
    std::string_view text = "null";
};

namespace wire {

enum class Kind : std::uint8_t { boolean, integer, number, string, json, enumeration, object, list, map };
enum class Storage : std::uint8_t { owned, view };

struct Field;

// What of a type cannot be read from a table: how to reach the elements of its list or map.
struct ListOperations {
    std::size_t (*size)(const void* list);
    const void* (*element)(const void* list, std::size_t index);
    void* (*append)(void* list);
    void (*clear)(void* list);
};
struct MapOperations {
    void* (*insert)(void* map, std::string_view key); // nullptr if the key stands there already
    // Calls visit(context, key, value) for each entry in key order.
    void (*visit)(const void* map, void* context, void (*visit)(void*, std::string_view, const void*));
    void* (*at)(void* map, std::string_view key); // the entry, made if there is none
    void (*erase)(void* map, std::string_view key);
    void (*clear)(void* map);
};

struct Type {
    Kind kind;
    std::uint8_t bytes = 0; // integers and enums: their size
    bool is_signed = false; // integers
    Storage storage = Storage::owned;
    std::string_view name{}; // structs and enums
    std::string_view doc{};  // structs: a line of documentation, may be empty
    std::span<const Field> fields{};
    std::span<const std::string_view> enumerators{};
    const Type* element = nullptr;
    const ListOperations* list = nullptr;
    const MapOperations* map = nullptr;
    void* (*create)() = nullptr; // structs: a default one, and its end; for the defaults in the schema
    void (*destroy)(void*) = nullptr;
};

enum class Presence : std::uint8_t { required, optional, defaulted };

struct Bounds {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    bool any() const {
        return low > -std::numeric_limits<double>::infinity() || high < std::numeric_limits<double>::infinity();
    }
};

// Modifiers of a field. Bounds hold for a number's value, a string's length in bytes, a list's number of elements.
constexpr Bounds between(double low, double high) { return {low, high}; }
constexpr Bounds at_least(double low) { return {low, std::numeric_limits<double>::infinity()}; }
constexpr Bounds at_most(double high) { return {-std::numeric_limits<double>::infinity(), high}; }
enum class Flag : std::uint8_t {
    defaulted, // may be left out of params; the initialiser is the default
    sortable,  // a list of these may be sorted by this member
    live,      // configuration: may be changed while running
    secret,    // configuration: holds a password; shown as "***"
};
inline constexpr Flag defaulted = Flag::defaulted;
inline constexpr Flag sortable = Flag::sortable;
inline constexpr Flag live = Flag::live;
inline constexpr Flag secret = Flag::secret;

struct Field {
    std::string_view name;
    std::string_view doc;
    std::size_t offset;
    const Type* type;
    Presence presence = Presence::required;
    Bounds bounds{};
    bool is_sortable = false;
    bool is_live = false;
    bool is_secret = false;
    // Optional members: the value if there is one; and a fresh value to fill.
    const void* (*find)(const void* optional) = nullptr;
    void* (*emplace)(void* optional) = nullptr;

    constexpr void apply(Bounds value) { bounds = value; }
    constexpr void apply(Flag flag) {
        if (flag == Flag::defaulted) presence = Presence::defaulted;
        if (flag == Flag::sortable) is_sortable = true;
        if (flag == Flag::live) is_live = true;
        if (flag == Flag::secret) is_secret = true;
    }
    // The member's value in `object`; null for an optional one that is empty.
    const void* value_in(const void* object) const {
        const void* const member = static_cast<const char*>(object) + offset;
        return find != nullptr ? find(member) : member;
    }
    void* fresh_in(void* object) const {
        void* const member = static_cast<char*>(object) + offset;
        return emplace != nullptr ? emplace(member) : member;
    }
};

// Specialised by PILLION_WIRE and PILLION_ENUM.
template <class T>
struct Described;

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};

template <class T>
constexpr Type make_type();

template <class T>
inline constexpr Type type_of = make_type<T>();

template <class T>
inline constexpr ListOperations list_operations{
    [](const void* list) { return static_cast<const std::vector<T>*>(list)->size(); },
    [](const void* list, std::size_t index) -> const void* {
        return &(*static_cast<const std::vector<T>*>(list))[index];
    },
    [](void* list) -> void* { return &static_cast<std::vector<T>*>(list)->emplace_back(); },
    [](void* list) { static_cast<std::vector<T>*>(list)->clear(); }};

template <class T>
inline constexpr MapOperations map_operations{
    [](void* map, std::string_view key) -> void* {
        const auto [at, fresh] = static_cast<std::map<std::string, T>*>(map)->try_emplace(std::string(key));
        return fresh ? &at->second : nullptr;
    },
    [](const void* map, void* context, void (*visit)(void*, std::string_view, const void*)) {
        for (const auto& [key, value] : *static_cast<const std::map<std::string, T>*>(map)) visit(context, key, &value);
    },
    [](void* map, std::string_view key) -> void* {
        return &(*static_cast<std::map<std::string, T>*>(map))[std::string(key)];
    },
    [](void* map, std::string_view key) { static_cast<std::map<std::string, T>*>(map)->erase(std::string(key)); },
    [](void* map) { static_cast<std::map<std::string, T>*>(map)->clear(); }};

template <class T>
constexpr Type make_type() {
    if constexpr (std::is_same_v<T, bool>) {
        return {.kind = Kind::boolean};
    } else if constexpr (std::is_integral_v<T>) {
        return {.kind = Kind::integer, .bytes = sizeof(T), .is_signed = std::is_signed_v<T>};
    } else if constexpr (std::is_same_v<T, double>) {
        return {.kind = Kind::number};
    } else if constexpr (std::is_same_v<T, std::string>) {
        return {.kind = Kind::string};
    } else if constexpr (std::is_same_v<T, std::string_view>) {
        return {.kind = Kind::string, .storage = Storage::view};
    } else if constexpr (std::is_same_v<T, Json>) {
        return {.kind = Kind::json};
    } else if constexpr (std::is_same_v<T, JsonView>) {
        return {.kind = Kind::json, .storage = Storage::view};
    } else if constexpr (std::is_enum_v<T>) {
        return {.kind = Kind::enumeration,
                .bytes = sizeof(T),
                .name = Described<T>::name,
                .enumerators = Described<T>::enumerators};
    } else if constexpr (IsVector<T>::value) {
        using Element = typename T::value_type;
        return {.kind = Kind::list, .element = &type_of<Element>, .list = &list_operations<Element>};
    } else if constexpr (IsMap<T>::value) {
        using Element = typename T::mapped_type;
        return {.kind = Kind::map, .element = &type_of<Element>, .map = &map_operations<Element>};
    } else {
        return {.kind = Kind::object,
                .name = Described<T>::name,
                .fields = Described<T>::fields,
                .create = [] { return static_cast<void*>(new T{}); },
                .destroy = [](void* object) { delete static_cast<T*>(object); }};
    }
}

template <class Member, class... Modifiers>
constexpr Field make_field(std::string_view name, std::size_t offset, std::string_view doc, Modifiers... modifiers) {
    if constexpr (IsOptional<Member>::value) {
        using Value = typename Member::value_type;
        Field field{
            .name = name, .doc = doc, .offset = offset, .type = &type_of<Value>, .presence = Presence::optional};
        field.find = [](const void* member) -> const void* {
            const Member& optional = *static_cast<const Member*>(member);
            return optional ? &*optional : nullptr;
        };
        field.emplace = [](void* member) -> void* { return &static_cast<Member*>(member)->emplace(); };
        (field.apply(modifiers), ...);
        return field;
    } else {
        Field field{.name = name, .doc = doc, .offset = offset, .type = &type_of<Member>};
        (field.apply(modifiers), ...);
        return field;
    }
}

} // namespace wire
} // namespace pillion

// Describes a struct: use at namespace scope `pillion`, after the struct.
#define PILLION_WIRE(Struct, ...)                                                                                      \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Winvalid-offsetof\"") template <>                \
    struct wire::Described<Struct> {                                                                                   \
        using Self = Struct;                                                                                           \
        static constexpr std::string_view name = #Struct;                                                              \
        static constexpr ::pillion::wire::Field fields[] = {__VA_ARGS__};                                              \
        static_assert(std::size(fields) == ::boost::pfr::tuple_size_v<Struct>,                                         \
                      "PILLION_WIRE(" #Struct ") must list every member");                                             \
    };                                                                                                                 \
    _Pragma("GCC diagnostic pop")

#define PILLION_FIELD(member, ...)                                                                                     \
    [] {                                                                                                               \
        using namespace ::pillion::wire;                                                                               \
        return make_field<decltype(Self::member)>(#member, offsetof(Self, member), __VA_ARGS__);                       \
    }()

// A member whose wire name is a word of C++ ("namespace").
#define PILLION_FIELD_AS(member, wire_name, ...)                                                                       \
    [] {                                                                                                               \
        using namespace ::pillion::wire;                                                                               \
        return make_field<decltype(Self::member)>(wire_name, offsetof(Self, member), __VA_ARGS__);                     \
    }()

// A struct without members: params of methods that take none.
#define PILLION_WIRE_EMPTY(Struct)                                                                                     \
    template <>                                                                                                        \
    struct wire::Described<Struct> {                                                                                   \
        static constexpr std::string_view name = #Struct;                                                              \
        static constexpr std::span<const ::pillion::wire::Field> fields{};                                             \
    };

// Describes an enum whose values are 0, 1, 2, ...: the wire's names in that order.
#define PILLION_ENUM(Enum, ...)                                                                                        \
    template <>                                                                                                        \
    struct wire::Described<Enum> {                                                                                     \
        static constexpr std::string_view name = #Enum;                                                                \
        static constexpr std::string_view enumerators[] = {__VA_ARGS__};                                               \
    };

namespace pillion {
struct NoParams {};
PILLION_WIRE_EMPTY(NoParams)
} // namespace pillion
