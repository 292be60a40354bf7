#include "modules/components/component_results.h"

#include "ipc/base/log.h"

namespace pillion {

namespace {

constexpr const char* tables =
    "CREATE TABLE component_results (name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, result TEXT NOT NULL,"
    " took_ns INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE component_files (path TEXT PRIMARY KEY, modified_ns INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " inode INTEGER NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID";

void warn(const Result<void>& written) {
    if (!written) log(LogLevel::warning, "components", "a task's result was not kept: " + written.error().message);
}

Result<std::optional<FileHash>> known_file(Statement& statement, const std::string& path) {
    if (!PILLION_TRY(statement.with(std::string_view(path)).step())) return std::nullopt;
    FileHash known{
        .stamp = {.modified_ns = statement.integer(0), .bytes = statement.integer(1), .inode = statement.integer(2)},
        .hash = std::string(statement.text(3))};
    statement.reset();
    return known;
}

} // namespace

void ComponentResults::add_schema(Store& store) { store.add_schema("components", {tables}); }

Result<ComponentResults::Found> ComponentResults::find(const std::string& name, const ComponentSpec& spec) {
    Found found;
    if (store_ == nullptr || !spec.inputs.any()) return found;
    FileHashes hashes;
    const auto look = [&](Database& database) -> Result<void> {
        Statement files = PILLION_TRY(
            database.prepare("SELECT modified_ns, bytes, inode, hash FROM component_files WHERE path = ?1"));
        hashes.find = [&files](const std::string& path) { return known_file(files, path).value_or(std::nullopt); };
        found.fingerprint = PILLION_TRY(task_fingerprint(spec, hashes));
        hashes.find = {};
        Statement kept = PILLION_TRY(
            database.prepare("SELECT result, took_ns FROM component_results WHERE name = ?1 AND fingerprint = ?2"));
        if (PILLION_TRY(kept.with(std::string_view(name), std::string_view(found.fingerprint)).step()))
            found.result = KeptResult{.json = std::string(kept.text(0)), .took_ns = kept.integer(1)};
        return {};
    };
    PILLION_TRY(store_->read(look));
    remember(std::move(hashes.fresh));
    return found;
}

void ComponentResults::remember(std::map<std::string, FileHash> hashes) {
    if (hashes.empty()) return;
    store_->write(
        [hashes = std::move(hashes)](Database& database) -> Result<void> {
            Statement statement =
                PILLION_TRY(database.prepare("INSERT OR REPLACE INTO component_files VALUES (?1, ?2, ?3, ?4, ?5)"));
            for (const auto& [path, known] : hashes)
                PILLION_TRY(statement
                                .with(std::string_view(path), known.stamp.modified_ns, known.stamp.bytes,
                                      known.stamp.inode, std::string_view(known.hash))
                                .run());
            return {};
        },
        warn);
}

void ComponentResults::keep(const std::string& name, const std::string& fingerprint, KeptResult result) {
    if (store_ == nullptr || fingerprint.empty()) return;
    store_->write(
        [name, fingerprint, result = std::move(result)](Database& database) -> Result<void> {
            Statement statement =
                PILLION_TRY(database.prepare("INSERT OR REPLACE INTO component_results VALUES (?1, ?2, ?3, ?4)"));
            return statement
                .with(std::string_view(name), std::string_view(fingerprint), std::string_view(result.json),
                      result.took_ns)
                .run();
        },
        warn);
}

Result<std::uint64_t> ComponentResults::forget() {
    if (store_ == nullptr) return 0U;
    std::uint64_t dropped = 0;
    const auto drop = [&dropped](Database& database) -> Result<void> {
        PILLION_TRY(database.execute("DELETE FROM component_results"));
        dropped = static_cast<std::uint64_t>(database.changes());
        return database.execute("DELETE FROM component_files");
    };
    PILLION_TRY(store_->write_and_wait(drop));
    return dropped;
}

} // namespace pillion
