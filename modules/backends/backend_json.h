// The pieces of JSON text that a proxy needs: members taken out, replaced and put in, messages put together. Texts are
// valid JSON (a JsonScanner has accepted them). Any thread; nothing here keeps state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion::backend_json {

// The text of a member of an object; nothing if there is none, or if `object` is none. The last one of a name counts.
std::optional<std::string_view> find_member(std::string_view object, std::string_view name);
// Along a path of names with dots between them.
std::optional<std::string_view> find_path(std::string_view value, std::string_view path);
// The decoded text of a member that is a string.
std::optional<std::string> find_text(std::string_view object, std::string_view name);
std::optional<std::int64_t> find_integer(std::string_view object, std::string_view name);
std::optional<double> find_number(std::string_view object, std::string_view name);
// The whole of `text` as an integer.
std::optional<std::int64_t> read_integer(std::string_view text);
// The names and values of an object's members, names as they stand between the quotes.
std::vector<std::pair<std::string_view, std::string_view>> members(std::string_view object);
// The texts of a list's elements.
std::vector<std::string_view> elements(std::string_view list);

// The object with these members (values are JSON) in place of those of the same name; an empty value takes one out.
// An empty text is taken for {}.
std::string with_members(std::string_view object, const std::vector<std::pair<std::string_view, std::string>>& changes);

std::string quoted(std::string_view text);
// Line ends become spaces: between tokens, the only place where they may stand, that means the same.
std::string on_one_line(std::string_view text);
bool has_line_ends(std::string_view text);

std::string request(std::int64_t id, std::string_view method, std::string_view params);
std::string notification(std::string_view method, std::string_view params);
std::string response(std::string_view id, std::string_view result);
std::string error_response(std::string_view id, int code, std::string_view message);
// With an error object as it is.
std::string raw_error_response(std::string_view id, std::string_view error);

} // namespace pillion::backend_json
