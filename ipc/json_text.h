// JSON text in and out: strings to and from their escaped form, numbers, and the canonical form of RFC 8785. Any
// thread; nothing here keeps state.
#pragma once

#include "ipc/base/pool.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pillion {

// Appends the decoded form of a string's text (what stands between the quotes, already scanned). False if it holds an
// unpaired surrogate escape, which no UTF-8 string can hold.
bool append_unescaped(std::string& out, std::string_view raw);

// The decoded form; nullopt as above.
std::optional<std::string> unescaped(std::string_view raw);

// Appends a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD, so that the wire stays valid whatever
// a file name or a library's message holds.
void append_quoted(Buffer& out, std::string_view text);
void append_quoted(std::string& out, std::string_view text);

void append_integer(Buffer& out, std::int64_t value);
// The shortest text that reads back as this value; null for what JSON has no number for.
void append_number(Buffer& out, double value);

// Appends the canonical form (RFC 8785, JSON Canonicalization Scheme) of a scanned value: members sorted by UTF-16 code
// units, no white space, one spelling of each string. Numbers that a double holds are written as ECMAScript writes
// them; longer integers and what overflows keep their spelling, so different values never share a form. A member
// that stands twice makes the value uncanonical: false. `omit` leaves out one member of the outermost object.
bool append_canonical(std::string& out, std::string_view value, std::string_view omit = {});

// Whether the bytes are UTF-8 text, and so may stand in a JSON string as they are.
bool is_utf8(std::string_view bytes);

} // namespace pillion
