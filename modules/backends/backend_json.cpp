#include "modules/backends/backend_json.h"

#include "ipc/json_scanner.h"
#include "ipc/json_text.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace pillion::backend_json {

namespace {

bool is_named(std::string_view raw, std::string_view name) {
    return raw == name || (raw.find('\\') != std::string_view::npos && unescaped(raw) == name);
}

template <class Number>
std::optional<Number> read(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

std::string opened(std::string_view id) { return "{\"jsonrpc\":\"2.0\",\"id\":" + std::string(id); }

} // namespace

std::vector<std::pair<std::string_view, std::string_view>> members(std::string_view object) {
    std::vector<std::pair<std::string_view, std::string_view>> found;
    JsonScanner scanner(object);
    if (scanner.peek() != JsonKind::object) return found;
    scanner.enter('{');
    std::string_view key, value;
    while (scanner.next_member(key)) {
        if (!scanner.read_value(value)) break;
        found.emplace_back(key, value);
    }
    return found;
}

std::vector<std::string_view> elements(std::string_view list) {
    std::vector<std::string_view> found;
    JsonScanner scanner(list);
    if (scanner.peek() != JsonKind::array) return found;
    scanner.enter('[');
    std::string_view value;
    while (scanner.next_element() && scanner.read_value(value)) found.push_back(value);
    return found;
}

std::optional<std::string_view> find_member(std::string_view object, std::string_view name) {
    std::optional<std::string_view> found;
    JsonScanner scanner(object);
    if (scanner.peek() != JsonKind::object) return found;
    scanner.enter('{');
    std::string_view key, value;
    while (scanner.next_member(key)) {
        if (!scanner.read_value(value)) break;
        if (is_named(key, name)) found = value;
    }
    return found;
}

std::optional<std::string_view> find_path(std::string_view value, std::string_view path) {
    while (!path.empty()) {
        const std::size_t dot = std::min(path.find('.'), path.size());
        const auto next = find_member(value, path.substr(0, dot));
        if (!next) return std::nullopt;
        value = *next;
        path.remove_prefix(std::min(dot + 1, path.size()));
    }
    return value;
}

std::optional<std::string> find_text(std::string_view object, std::string_view name) {
    const auto value = find_member(object, name);
    if (!value || value->size() < 2 || value->front() != '"') return std::nullopt;
    return unescaped(value->substr(1, value->size() - 2));
}

std::optional<std::int64_t> read_integer(std::string_view text) { return read<std::int64_t>(text); }

std::optional<std::int64_t> find_integer(std::string_view object, std::string_view name) {
    const auto value = find_member(object, name);
    return value ? read_integer(*value) : std::nullopt;
}

std::optional<double> find_number(std::string_view object, std::string_view name) {
    const auto value = find_member(object, name);
    return value ? read<double>(*value) : std::nullopt;
}

std::string with_members(std::string_view object,
                         const std::vector<std::pair<std::string_view, std::string>>& changes) {
    std::string out = "{";
    const auto separate = [&out] {
        if (out.size() > 1) out += ',';
    };
    for (const auto& [key, value] : members(object)) {
        const bool changed = std::any_of(changes.begin(), changes.end(),
                                         [name = key](const auto& change) { return is_named(name, change.first); });
        if (changed) continue;
        separate();
        out.append("\"").append(key).append("\":").append(value);
    }
    for (const auto& [name, value] : changes) {
        if (value.empty()) continue;
        separate();
        append_quoted(out, name);
        out.append(":").append(value);
    }
    return out += '}';
}

std::string quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

bool has_line_ends(std::string_view text) {
    return !text.empty() && (std::memchr(text.data(), '\n', text.size()) != nullptr ||
                             std::memchr(text.data(), '\r', text.size()) != nullptr);
}

std::string on_one_line(std::string_view text) {
    std::string out(text);
    std::replace(out.begin(), out.end(), '\n', ' ');
    std::replace(out.begin(), out.end(), '\r', ' ');
    return out;
}

std::string request(std::int64_t id, std::string_view method, std::string_view params) {
    std::string out;
    out.reserve(method.size() + params.size() + 80);
    out.append(opened(std::to_string(id))).append(",\"method\":");
    append_quoted(out, method);
    if (!params.empty()) out.append(",\"params\":").append(params);
    return out += '}';
}

std::string notification(std::string_view method, std::string_view params) {
    std::string out = "{\"jsonrpc\":\"2.0\",\"method\":";
    append_quoted(out, method);
    if (!params.empty()) out.append(",\"params\":").append(params);
    return out += '}';
}

std::string response(std::string_view id, std::string_view result) {
    return opened(id).append(",\"result\":").append(result) += '}';
}

std::string error_response(std::string_view id, int code, std::string_view message) {
    return opened(id)
        .append(",\"error\":{\"code\":")
        .append(std::to_string(code))
        .append(",\"message\":")
        .append(quoted(message))
        .append("}}");
}

std::string raw_error_response(std::string_view id, std::string_view error) {
    return opened(id).append(",\"error\":").append(error) += '}';
}

} // namespace pillion::backend_json
