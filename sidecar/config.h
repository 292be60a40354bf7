// The configuration: sections of described structs, filled from their initialisers, then a TOML file, then the
// environment (PILLION_IPC_WORKERS), then `--set ipc.workers=2`, each stronger than the one before. A load or a change
// happens whole or not at all, and every error names where the value came from and which key it was for.
//
// The composition root owns both the Configuration and the structs it fills, and keeps the structs alive longer. load()
// is called once, before other threads exist; the rest from any thread. Members that are not marked `live` never
// change after load() and are read freely. A live member changes inside set(): read it in a listener, or in read().
#pragma once

#include "ipc/base/error.h"
#include "ipc/wire_type.h"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

struct ConfigSection {
    std::string_view name; // camelCase, as it stands in the file: [ipc]
    // A struct of owned members, each with an initialiser; or a map of such structs, whose keys are the user's names:
    // [components.database].
    const wire::Type* type;
    void* values; // that struct or map
    // What bounds on single members cannot say; null where nothing is left to say.
    Result<void> (*check)(const void* values) = nullptr;
};

template <class T>
ConfigSection config_section(std::string_view name, T& values) {
    return {name, &wire::type_of<T>, &values};
}
// With a check of the whole: `Check` is a Result<void>(const T&).
template <auto Check, class T>
ConfigSection config_section(std::string_view name, T& values) {
    return {name, &wire::type_of<T>, &values,
            [](const void* checked) { return Check(*static_cast<const T*>(checked)); }};
}

struct ConfigSources {
    std::optional<std::string> file{};        // path of a TOML file
    const char* const* environment = nullptr; // as `environ`: NAME=value, ended by a null pointer
    std::vector<std::string> set{};           // "section.key=value"
};

class Configuration {
  public:
    explicit Configuration(std::vector<ConfigSection> sections) : sections_(std::move(sections)) {}
    Configuration(const Configuration&) = delete;

    // Fills the structs. After an error they are as they were.
    Result<void> load(const ConfigSources& sources);

    // All of it (an empty key), or only a section ("ipc") or one value ("ipc.workers"): {"ipc":{"workers":2}}. Same
    // shape whatever was asked for.
    Result<std::string> get(std::string_view key = {}) const;

    // Changes live values while running; the keys whose value is now another one. Listeners have been called.
    Result<std::vector<std::string>> set(const std::map<std::string, Json>& values);

    // Calls `listener(section)` after a change, on the thread that made it. It may read the values and call get(), but
    // not set().
    void on_change(std::function<void(std::string_view section)> listener);

    // Runs `look()` while no value changes.
    template <class Look>
    auto read(Look look) const {
        const std::lock_guard lock(values_mutex_);
        return look();
    }

    // The JSON Schema of all sections.
    std::string schema() const;
    // A TOML file with every key, what it means and its default, for people to start from.
    std::string default_toml() const;

    const std::vector<ConfigSection>& sections() const { return sections_; }

  private:
    struct Key {
        const ConfigSection* section = nullptr;
        const wire::Field* field = nullptr; // null: the whole entry
        std::string entry{};                // the user's name, where the section is a map
        std::string name() const;
        bool is_live() const { return field != nullptr && field->is_live; }
    };
    // One value for one key and where it was written.
    struct Assignment {
        Key key;
        std::string json;
        std::string where;
    };
    class Drafts;

    Result<Key> find(std::string_view section, std::string_view field) const;
    Result<Key> find(std::string_view dotted) const;
    Result<void> collect_file(const std::string& path, std::vector<Assignment>& out) const;
    Result<void> collect_environment(const char* const* environment, std::vector<Assignment>& out) const;
    Result<void> collect_set(const std::vector<std::string>& set, std::vector<Assignment>& out) const;
    Result<void> apply(const Assignment& assignment);
    Result<Key> find_in_entry(const ConfigSection& section, std::string_view field) const;
    std::string value_json(const Key& key) const;
    Result<void> check_sections(const std::vector<Assignment>& assignments) const;
    std::unexpected<Error> unknown_variable(std::string_view name) const;

    const std::vector<ConfigSection> sections_;
    std::mutex change_mutex_;         // one set() at a time, its listeners included; taken before values_mutex_
    mutable std::mutex values_mutex_; // guards the live members of the structs
    std::vector<std::function<void(std::string_view)>> listeners_{}; // guarded by change_mutex_
};

// The variable that sets a key: PILLION_IPC_MESSAGE_BYTES_MAX for ipc.messageBytesMax.
std::string config_variable(std::string_view section, std::string_view field);

} // namespace pillion
