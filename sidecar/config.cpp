// Every source is turned into assignments of JSON text to one key. All of them are tried on drafts of the structs, and
// only when every one was accepted are they repeated on the structs themselves. A key is decoded as an object type
// that has this one field, which brings its bounds and its error text with it.
#include "sidecar/config.h"

#include "ipc/json_scanner.h"
#include "ipc/json_text.h"
#include "ipc/nearest.h"
#include "ipc/wire_decode.h"
#include "ipc/wire_text.h"
#include "sidecar/config_toml.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

namespace pillion {

namespace {

constexpr std::size_t file_bytes_max = 1024 * 1024; // a configuration, not data
constexpr std::string_view variable_prefix = "PILLION_";
// Variables that are not configuration: where wrappers find the program, and what stands for an option of its own.
// The last is the mark of a child of Pillion, which may be another one.
constexpr std::array<std::string_view, 4> foreign_variables{"PILLION_BINARY", "PILLION_CONFIG", "PILLION_DATA_DIR",
                                                            "PILLION_RUN_ID"};
constexpr std::string_view port_prefix = "PILLION_PORT_"; // where a component finds those it depends on

std::unexpected<Error> invalid(std::string message, std::string hint = {}) {
    return fail(ErrorCode::invalid_params, std::move(message), {}, std::move(hint));
}

std::string did_you_mean(std::string_view nearest) {
    return nearest.empty() ? std::string() : "; did you mean " + std::string(nearest) + "?";
}

// Whether the whole text is one JSON value, and its exact extent.
bool is_json(std::string_view text, std::string_view& value, JsonKind& kind) {
    JsonScanner scanner(text);
    kind = scanner.peek();
    return scanner.read_value(value) && scanner.at_end();
}

std::string quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

// What somebody wrote without quotes, as JSON of the type it is meant for. What does not fit becomes a string, so that
// the decoder's refusal shows it.
std::string bare_to_json(const wire::Type& type, std::string_view text) {
    std::string_view value;
    JsonKind kind{};
    switch (type.kind) {
    case wire::Kind::boolean:
    case wire::Kind::integer:
    case wire::Kind::number:
        if (is_json(text, value, kind) && (kind == JsonKind::number || kind == JsonKind::boolean))
            return std::string(value);
        return quoted(text);
    case wire::Kind::string:
    case wire::Kind::enumeration:
        return quoted(text);
    case wire::Kind::object:
    case wire::Kind::map:
    case wire::Kind::json:
        return is_json(text, value, kind) ? std::string(value) : quoted(text);
    case wire::Kind::list:
        break;
    }
    if (is_json(text, value, kind) && kind == JsonKind::array) return std::string(value);
    if (text.starts_with('[')) return quoted(text);
    std::string list = "[";
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        if (list.size() > 1) list += ',';
        list += bare_to_json(*type.element, text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return list + "]";
}

// Decoding adds to a list or map, so a new value for one begins by emptying it.
void clear_value(const wire::Type& type, void* value) {
    if (type.kind == wire::Kind::list) type.list->clear(value);
    if (type.kind == wire::Kind::map) type.map->clear(value);
}

// Puts a value into one member of `object`; the error reads "section.key must be ...".
Result<void> assign(const std::string& section, const wire::Type& type, const wire::Field& field, std::string_view json,
                    void* object) {
    if (json == "null" && field.type->kind != wire::Kind::json)
        return invalid(section + "." + std::string(field.name) + " cannot be null; give a value");
    clear_value(*field.type, field.fresh_in(object));
    wire::Type one = type;
    one.fields = std::span(&field, 1);
    std::string text = "{" + quoted(field.name) + ":";
    text += json;
    text += '}';
    std::string scratch;
    auto decoded = wire::decode_value(one, text, object, scratch);
    if (decoded) return {};
    Error error = std::move(decoded).error();
    if (error.message.starts_with("unknown member")) {
        const std::size_t slash = error.field.rfind('/'); // "/rules/slow/warnin": it is the table that has it
        const std::string table = slash == std::string::npos || slash == 0 ? "" : error.field.substr(1, slash - 1);
        error.message = section + (table.empty() ? "" : "." + table) + ": " + error.message;
    } else
        error.message = section + "." + error.message;
    if (field.is_secret) error.message.resize(std::min(error.message.find(", got "), error.message.size()));
    return std::unexpected(std::move(error));
}

// Fills a fresh entry of a section that is a map.
Result<void> assign_entry(const std::string& name, const wire::Type& type, std::string_view json, void* object) {
    std::string scratch;
    if (JsonScanner(json).peek() != JsonKind::object)
        return invalid(name + " must be a table, [" + name + "], got " + std::string(json.substr(0, 60)));
    auto decoded = wire::decode_value(type, json, object, scratch);
    if (decoded) return {};
    Error error = std::move(decoded).error();
    const bool is_of_the_whole = error.message.starts_with("unknown member") || error.message.starts_with("member ");
    error.message = name + (is_of_the_whole ? ": " : ".") + error.message;
    return std::unexpected(std::move(error));
}

struct Destroy {
    void (*destroy)(void*);
    void operator()(void* object) const { destroy(object); }
};
using Draft = std::unique_ptr<void, Destroy>;

Draft make_draft(const wire::Type& type) { return {type.create(), Destroy{type.destroy}}; }

const void* find_entry(const ConfigSection& section, std::string_view name) {
    struct Search {
        std::string_view name;
        const void* found = nullptr;
    } search{name};
    section.type->map->visit(section.values, &search, [](void* context, std::string_view key, const void* value) {
        auto& sought = *static_cast<Search*>(context);
        if (key == sought.name) sought.found = value;
    });
    return search.found;
}

std::string member_json(const wire::Field& field, const void* object) {
    const void* const value = field.value_in(object);
    return value == nullptr ? "null" : wire::text_of(*field.type, value);
}

// As people may see it: a secret that is set is not told.
std::string shown_member(const wire::Field& field, const void* object) {
    const std::string json = member_json(field, object);
    return field.is_secret && json != "null" && json != "\"\"" ? "\"***\"" : json;
}

std::string shown_section(const ConfigSection& section) {
    if (section.type->kind == wire::Kind::map) return wire::text_of(*section.type, section.values);
    std::string all = "{";
    for (const wire::Field& field : section.type->fields) {
        if (field.value_in(section.values) == nullptr) continue;
        all += (all.size() > 1 ? "," : "") + quoted(field.name) + ":" + shown_member(field, section.values);
    }
    return all + "}";
}

void append_upper_snake(std::string& out, std::string_view camel) {
    for (const char c : camel) {
        if (c >= 'A' && c <= 'Z') out += '_';
        out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
}

} // namespace

// Structs with their default values on which assignments are tried.
class Configuration::Drafts {
  public:
    Result<void> try_out(const Assignment& assignment) {
        const Key& key = assignment.key;
        const ConfigSection& section = *key.section;
        const bool is_map = section.type->kind == wire::Kind::map;
        const wire::Type& type = is_map ? *section.type->element : *section.type;
        if (key.field != nullptr)
            return assign(prefix_of(key), type, *key.field, assignment.json, draft_of(section, type, key.entry));
        drafts_.erase({&section, key.entry});
        return assign_entry(prefix_of(key), type, assignment.json, draft_of(section, type, key.entry));
    }
    static std::string prefix_of(const Key& key) {
        return std::string(key.section->name) + (key.entry.empty() ? "" : "." + key.entry);
    }

  private:
    void* draft_of(const ConfigSection& section, const wire::Type& type, const std::string& entry) {
        return drafts_.try_emplace({&section, entry}, make_draft(type)).first->second.get();
    }
    std::map<std::pair<const ConfigSection*, std::string>, Draft> drafts_;
};

std::string Configuration::Key::name() const {
    return Drafts::prefix_of(*this) + (field == nullptr ? "" : "." + std::string(field->name));
}

std::string config_variable(std::string_view section, std::string_view field) {
    std::string name(variable_prefix);
    append_upper_snake(name, section);
    name += '_';
    append_upper_snake(name, field);
    return name;
}

Result<Configuration::Key> Configuration::find(std::string_view section, std::string_view field) const {
    NearestName nearest_section(section);
    for (const ConfigSection& candidate : sections_) {
        nearest_section.consider(candidate.name);
        if (candidate.name != section) continue;
        if (candidate.type->kind == wire::Kind::map) return find_in_entry(candidate, field);
        NearestName nearest(field);
        std::string all;
        for (const wire::Field& known : candidate.type->fields) {
            if (known.name == field) return Key{&candidate, &known};
            nearest.consider(known.name);
            all += (all.empty() ? "" : ", ") + std::string(known.name);
        }
        const std::string best = nearest.best().empty() ? "" : std::string(section) + "." + std::string(nearest.best());
        return invalid(
            "unknown key " + std::string(section) + "." + std::string(field) +
                (best.empty() ? "; known keys of [" + std::string(section) + "] are " + all : did_you_mean(best)),
            best);
    }
    const std::string best = nearest_section.best().empty() ? "" : "[" + std::string(nearest_section.best()) + "]";
    std::string all;
    for (const ConfigSection& known : sections_) all += (all.empty() ? "" : ", ") + std::string(known.name);
    return invalid("unknown section [" + std::string(section) + "]" +
                       (best.empty() ? "; known sections are " + all : did_you_mean(best)),
                   std::string(nearest_section.best()));
}

// `name` or `name.member` below a section that is a map.
Result<Configuration::Key> Configuration::find_in_entry(const ConfigSection& section, std::string_view rest) const {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string entry(rest.substr(0, dot));
    if (entry.empty())
        return invalid("a name is missing after " + std::string(section.name) + "; write " + std::string(section.name) +
                       ".NAME");
    if (dot == rest.size()) return Key{&section, nullptr, entry};
    const std::string_view member = rest.substr(dot + 1);
    NearestName nearest(member);
    for (const wire::Field& known : section.type->element->fields) {
        if (known.name == member) return Key{&section, &known, entry};
        nearest.consider(known.name);
    }
    const std::string prefix = std::string(section.name) + "." + entry + ".";
    const std::string best = nearest.best().empty() ? "" : prefix + std::string(nearest.best());
    return invalid("unknown key " + prefix + std::string(member) + did_you_mean(best), best);
}

Result<Configuration::Key> Configuration::find(std::string_view dotted) const {
    const std::size_t dot = dotted.find('.');
    if (dot != std::string_view::npos) return find(dotted.substr(0, dot), dotted.substr(dot + 1));
    for (const ConfigSection& section : sections_)
        for (const wire::Field& field : section.type->fields)
            if (field.name == dotted) {
                const std::string full = std::string(section.name) + "." + std::string(field.name);
                return invalid("unknown key " + std::string(dotted) + did_you_mean(full), full);
            }
    return invalid("unknown key " + std::string(dotted) + "; keys are written section.key");
}

Result<void> Configuration::collect_file(const std::string& path, std::vector<Assignment>& out) const {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text;
    if (file) {
        text.resize(file_bytes_max + 1);
        file.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(file.gcount()));
    }
    if (!file.is_open() || file.bad())
        return fail(ErrorCode::not_found, path + ": cannot be read: " + std::strerror(errno != 0 ? errno : EIO));
    if (text.size() > file_bytes_max) return invalid(path + ": must be at most 1 MiB");
    const auto entries = PILLION_TRY(read_toml(text, path));
    for (const TomlEntry& entry : entries) {
        const std::string where = path + ":" + std::to_string(entry.line);
        const bool is_header = entry.key.empty() && entry.json.empty();
        const bool is_known_section =
            std::ranges::any_of(sections_, [&](const auto& section) { return section.name == entry.section; });
        if (is_header && is_known_section) continue;
        if (entry.section.empty() && !is_header) {
            const bool names_section =
                std::ranges::any_of(sections_, [&](const auto& section) { return section.name == entry.key; });
            if (names_section)
                return invalid(where + ": " + entry.key + " is a section; write [" + entry.key +
                               "] and its keys below it");
        }
        auto key = entry.section.empty() && !is_header ? find(entry.key) : find(entry.section, entry.key);
        if (!key) {
            key.error().message.insert(0, where + ": ");
            return std::unexpected(std::move(key).error());
        }
        out.push_back({*key, entry.json, where});
    }
    return {};
}

std::unexpected<Error> Configuration::unknown_variable(std::string_view name) const {
    // Compared without what all have in common, which would make everything near.
    NearestName nearest(name.substr(variable_prefix.size()));
    std::vector<std::string> known;
    for (const ConfigSection& section : sections_)
        for (const wire::Field& field : section.type->fields)
            known.push_back(config_variable(section.name, field.name).substr(variable_prefix.size()));
    for (const std::string& variable : known) nearest.consider(variable);
    const std::string best = nearest.best().empty() ? "" : std::string(variable_prefix) + std::string(nearest.best());
    return invalid(
        "unknown environment variable " + std::string(name) +
            (best.empty() ? "; variables are named PILLION_SECTION_KEY, as in PILLION_LOG_LEVEL" : did_you_mean(best)),
        best);
}

Result<void> Configuration::collect_environment(const char* const* environment, std::vector<Assignment>& out) const {
    for (; environment != nullptr && *environment != nullptr; ++environment) {
        const std::string_view line = *environment;
        if (!line.starts_with(variable_prefix)) continue;
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        const std::string_view name = line.substr(0, equals);
        Key key{};
        for (const ConfigSection& section : sections_)
            for (const wire::Field& field : section.type->fields)
                if (config_variable(section.name, field.name) == name) key = {&section, &field};
        if (key.field != nullptr)
            out.push_back({key, bare_to_json(*key.field->type, line.substr(equals + 1)), std::string(name)});
        else if (std::ranges::find(foreign_variables, name) == foreign_variables.end() &&
                 !name.starts_with(port_prefix))
            return unknown_variable(name);
    }
    return {};
}

Result<void> Configuration::collect_set(const std::vector<std::string>& set, std::vector<Assignment>& out) const {
    for (const std::string& text : set) {
        std::string where = "--set " + text;
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos) return invalid(where + ": write it as section.key=value");
        auto key = find(std::string_view(text).substr(0, equals));
        if (!key) {
            key.error().message.insert(0, where + ": ");
            return std::unexpected(std::move(key).error());
        }
        const wire::Type& type = key->field != nullptr ? *key->field->type : *key->section->type;
        if (key->field != nullptr && key->field->is_secret) where.resize(where.find('='));
        out.push_back(
            {std::move(*key), bare_to_json(type, std::string_view(text).substr(equals + 1)), std::move(where)});
    }
    return {};
}

Result<void> Configuration::load(const ConfigSources& sources) {
    std::vector<Assignment> assignments;
    if (sources.file) PILLION_TRY(collect_file(*sources.file, assignments));
    PILLION_TRY(collect_environment(sources.environment, assignments));
    PILLION_TRY(collect_set(sources.set, assignments));
    Drafts drafts;
    for (const Assignment& assignment : assignments) {
        auto tried = drafts.try_out(assignment);
        if (tried) continue;
        tried.error().message.insert(0, assignment.where + ": ");
        return std::unexpected(std::move(tried).error());
    }
    const std::lock_guard lock(values_mutex_);
    for (const Assignment& assignment : assignments) PILLION_TRY(apply(assignment));
    return check_sections(assignments);
}

// values_mutex_ is held; the value has been tried out.
Result<void> Configuration::apply(const Assignment& assignment) {
    const Key& key = assignment.key;
    const wire::Type& type = *key.section->type;
    const std::string prefix = Drafts::prefix_of(key);
    if (type.kind != wire::Kind::map) return assign(prefix, type, *key.field, assignment.json, key.section->values);
    if (key.field == nullptr) type.map->erase(key.section->values, key.entry);
    void* const entry = type.map->at(key.section->values, key.entry);
    if (key.field != nullptr) return assign(prefix, *type.element, *key.field, assignment.json, entry);
    return assign_entry(prefix, *type.element, assignment.json, entry);
}

// Those that got a value; the others are as they were declared.
Result<void> Configuration::check_sections(const std::vector<Assignment>& assignments) const {
    for (const ConfigSection& section : sections_) {
        const bool is_touched = std::ranges::any_of(
            assignments, [&](const Assignment& assignment) { return assignment.key.section == &section; });
        if (section.check == nullptr || !is_touched) continue;
        if (auto checked = section.check(section.values); !checked) {
            std::string where = std::string(section.name) + ": ";
            const auto is_of_section = [&](const Assignment& assignment) { return assignment.key.section == &section; };
            if (std::ranges::count_if(assignments, is_of_section) == 1) // else nobody knows which it was
                where.insert(0, std::ranges::find_if(assignments, is_of_section)->where + ": ");
            checked.error().message.insert(0, where);
            return checked;
        }
    }
    return {};
}

Result<std::string> Configuration::get(std::string_view key) const {
    const std::lock_guard lock(values_mutex_);
    if (key.empty()) {
        std::string all = "{";
        for (const ConfigSection& section : sections_) {
            if (all.size() > 1) all += ',';
            all += quoted(section.name) + ":" + shown_section(section);
        }
        return all + "}";
    }
    for (const ConfigSection& section : sections_)
        if (section.name == key) return "{" + quoted(section.name) + ":" + shown_section(section) + "}";
    auto found = find(key);
    if (!found) {
        found.error().field = "/key";
        return std::unexpected(std::move(found).error());
    }
    const Key& one = *found;
    const std::string_view member = one.field == nullptr ? std::string_view{} : one.field->name;
    std::string json =
        one.field != nullptr && one.field->is_secret ? shown_member(*one.field, one.section->values) : value_json(one);
    if (!member.empty()) json = "{" + quoted(member) + ":" + json + "}";
    if (!one.entry.empty()) json = "{" + quoted(one.entry) + ":" + json + "}";
    return "{" + quoted(one.section->name) + ":" + json + "}";
}

// values_mutex_ is held. "null" for an entry that does not exist.
std::string Configuration::value_json(const Key& key) const {
    const void* object = key.section->values;
    const bool is_map = key.section->type->kind == wire::Kind::map;
    if (is_map) object = find_entry(*key.section, key.entry);
    if (object == nullptr) return "null";
    return key.field == nullptr ? wire::text_of(*key.section->type->element, object) : member_json(*key.field, object);
}

Result<std::vector<std::string>> Configuration::set(const std::map<std::string, Json>& values) {
    const std::lock_guard change_lock(change_mutex_);
    std::vector<Assignment> assignments;
    Drafts drafts;
    for (const auto& [name, value] : values) {
        const auto refuse = [&](Error error) {
            error.field = "/values/" + name;
            return std::unexpected(std::move(error));
        };
        auto key = find(name);
        if (!key) return refuse(std::move(key).error());
        if (!key->is_live())
            return refuse({ErrorCode::failed_precondition,
                           name + " needs a restart: it cannot be changed while running",
                           {},
                           "set it in the configuration file" +
                               (key->entry.empty() ? ", or as " + config_variable(key->section->name, key->field->name)
                                                   : std::string())});
        assignments.push_back({*key, value.text, {}});
        if (auto tried = drafts.try_out(assignments.back()); !tried) return refuse(std::move(tried).error());
    }
    std::vector<std::string> changed;
    std::vector<std::string_view> changed_sections;
    {
        const std::lock_guard lock(values_mutex_);
        std::vector<Assignment> undo;
        for (const Assignment& assignment : assignments) {
            undo.push_back({assignment.key, value_json(assignment.key), {}});
            PILLION_TRY(apply(assignment));
        }
        if (auto checked = check_sections(assignments); !checked) {
            for (const Assignment& assignment : undo) PILLION_TRY(apply(assignment));
            checked.error().field = "/values";
            return std::unexpected(std::move(checked).error());
        }
        for (const Assignment& before : undo) {
            const std::string_view section = before.key.section->name;
            if (value_json(before.key) == before.json) continue;
            changed.push_back(before.key.name());
            if (std::ranges::find(changed_sections, section) == changed_sections.end())
                changed_sections.push_back(section);
        }
    }
    for (const std::string_view section : changed_sections)
        for (const auto& listener : listeners_) listener(section);
    return changed;
}

void Configuration::on_change(std::function<void(std::string_view section)> listener) {
    const std::lock_guard lock(change_mutex_);
    listeners_.push_back(std::move(listener));
}

} // namespace pillion
