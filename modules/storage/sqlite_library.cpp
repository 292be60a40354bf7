#include "modules/storage/sqlite_library.h"

namespace pillion {

Result<const Sqlite*> sqlite() {
    static const Result<Sqlite> opened = [] -> Result<Sqlite> {
        const auto library = PILLION_TRY(SharedLibrary::open({"libsqlite3.so.0", "libsqlite3.so"}, "libsqlite3-0"));
        Sqlite functions;
        PILLION_SQLITE(PILLION_LIBRARY_BIND)
        return functions;
    }();
    if (!opened) return std::unexpected(opened.error());
    return &*opened;
}

} // namespace pillion
