// One row per method and params of a backend, under the fingerprint of what it was started as. Read on the store's own
// thread, so that nobody waits for a disk.
#include "modules/backends/backends.h"
#include "modules/storage/storage.h"

namespace pillion {

namespace {

class StoreMemory final : public BackendMemory {
  public:
    StoreMemory(Store& store, const Clock& clock) : store_(store), clock_(clock) {
        store_.add_schema("backends",
                          {"CREATE TABLE backend_answers (backend TEXT, method TEXT, params TEXT, fingerprint TEXT, "
                           "json TEXT, stored_at INTEGER, PRIMARY KEY (backend, method, params)) WITHOUT ROWID"});
    }

    void load(const std::string& backend, const std::string& fingerprint,
              std::function<void(std::vector<Item>)> done) override {
        const auto items = std::make_shared<std::vector<Item>>();
        store_.write(
            [items, backend, fingerprint](Database& database) -> Result<void> {
                items->clear(); // it may run again where the first attempt failed
                Statement rows = PILLION_TRY(database.prepare("SELECT method, params, json FROM backend_answers WHERE "
                                                              "backend = ?1 AND fingerprint = ?2 LIMIT 256"));
                rows.with(std::string_view(backend), std::string_view(fingerprint));
                while (PILLION_TRY(rows.step()))
                    items->push_back({std::string(rows.text(0)), std::string(rows.text(1)), std::string(rows.text(2))});
                return {};
            },
            [items, done = std::move(done)](const Result<void>& read) {
                done(read ? std::move(*items) : std::vector<Item>{}); // what cannot be read is asked anew
            });
    }

    void save(const std::string& backend, const std::string& fingerprint, Item item) override {
        store_.write([backend, fingerprint, item = std::move(item),
                      at_ms = clock_.wall_ms()](Database& database) -> Result<void> {
            Statement row =
                PILLION_TRY(database.prepare("INSERT OR REPLACE INTO backend_answers VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
            return row
                .with(std::string_view(backend), std::string_view(item.method), std::string_view(item.params),
                      std::string_view(fingerprint), std::string_view(item.json), at_ms)
                .run();
        });
    }

    void forget(const std::string& backend, const std::string& method) override {
        store_.write([backend, method](Database& database) -> Result<void> {
            Statement rows =
                PILLION_TRY(database.prepare("DELETE FROM backend_answers WHERE backend = ?1 AND method = ?2"));
            return rows.with(std::string_view(backend), std::string_view(method)).run();
        });
    }

  private:
    Store& store_;
    const Clock& clock_;
};

} // namespace

std::unique_ptr<BackendMemory> store_memory(Store& store, const Clock& clock) {
    return std::make_unique<StoreMemory>(store, clock);
}

} // namespace pillion
