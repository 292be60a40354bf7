#include "sidecar/config_toml.h"

#include "ipc/json_text.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 1
#include <toml++/toml.h>

namespace pillion {

namespace {

// False for what JSON has no value for: infinities and not-a-number.
bool append_json(std::string& out, const toml::node& node) {
    if (const auto* table = node.as_table()) {
        out += '{';
        for (const auto& [key, value] : *table) {
            if (out.back() != '{') out += ',';
            append_quoted(out, key.str());
            out += ':';
            if (!append_json(out, value)) return false;
        }
        out += '}';
        return true;
    }
    if (const auto* array = node.as_array()) {
        out += '[';
        for (const auto& value : *array) {
            if (out.back() != '[') out += ',';
            if (!append_json(out, value)) return false;
        }
        out += ']';
        return true;
    }
    if (const auto* text = node.as_string())
        append_quoted(out, text->get());
    else if (const auto* integer = node.as_integer())
        out += std::to_string(integer->get());
    else if (const auto* boolean = node.as_boolean())
        out += boolean->get() ? "true" : "false";
    else if (const auto* number = node.as_floating_point()) {
        if (!std::isfinite(number->get())) return false;
        BufferPool pool;
        Buffer digits(pool);
        append_number(digits, number->get());
        out += digits.view();
    } else { // dates and times: as they are written
        std::ostringstream written;
        if (const auto* date = node.as_date())
            written << date->get();
        else if (const auto* time = node.as_time())
            written << time->get();
        else if (const auto* moment = node.as_date_time())
            written << moment->get();
        append_quoted(out, written.str());
    }
    return true;
}

Result<void> append_entry(std::vector<TomlEntry>& entries, std::string_view section, const toml::key& key,
                          const toml::node& value, const std::string& name) {
    TomlEntry entry{std::string(section), std::string(key.str()), {}, key.source().begin.line};
    if (!append_json(entry.json, value))
        return fail(ErrorCode::invalid_params, name + ":" + std::to_string(entry.line) + ": " + entry.section + "." +
                                                   entry.key + " must be a finite number, got " +
                                                   (std::isnan(value.value_or(0.0)) ? "nan" : "inf"));
    entries.push_back(std::move(entry));
    return {};
}

} // namespace

Result<std::vector<TomlEntry>> read_toml(std::string_view text, const std::string& name) {
    const toml::parse_result parsed = toml::parse(text, std::string_view(name));
    if (!parsed) {
        const toml::source_position at = parsed.error().source().begin;
        return fail(ErrorCode::invalid_params, name + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) +
                                                   ": " + std::string(parsed.error().description()));
    }
    std::vector<TomlEntry> entries;
    for (const auto& [section, node] : parsed.table()) {
        const auto* keys = node.as_table();
        if (keys == nullptr) {
            PILLION_TRY(append_entry(entries, {}, section, node, name));
            continue;
        }
        entries.push_back({std::string(section.str()), {}, {}, section.source().begin.line});
        for (const auto& [key, value] : *keys) PILLION_TRY(append_entry(entries, section.str(), key, value, name));
    }
    std::ranges::stable_sort(
        entries, {}, &TomlEntry::line); // the table is sorted by name; the first error should be the first in the file
    return entries;
}

} // namespace pillion
