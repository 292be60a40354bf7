// The functions of libsqlite3 that we use, bound when the first database is opened.
#pragma once

#include "ipc/base/shared_library.h"

#include <sqlite3.h>

namespace pillion {

#define PILLION_SQLITE(X)                                                                                              \
    X(sqlite3_open_v2)                                                                                                 \
    X(sqlite3_close_v2)                                                                                                \
    X(sqlite3_errmsg)                                                                                                  \
    X(sqlite3_errstr)                                                                                                  \
    X(sqlite3_extended_errcode)                                                                                        \
    X(sqlite3_busy_timeout)                                                                                            \
    X(sqlite3_exec)                                                                                                    \
    X(sqlite3_prepare_v3)                                                                                              \
    X(sqlite3_finalize)                                                                                                \
    X(sqlite3_step)                                                                                                    \
    X(sqlite3_reset)                                                                                                   \
    X(sqlite3_clear_bindings)                                                                                          \
    X(sqlite3_bind_int64)                                                                                              \
    X(sqlite3_bind_double)                                                                                             \
    X(sqlite3_bind_text)                                                                                               \
    X(sqlite3_bind_blob)                                                                                               \
    X(sqlite3_bind_null)                                                                                               \
    X(sqlite3_column_int64)                                                                                            \
    X(sqlite3_column_double)                                                                                           \
    X(sqlite3_column_blob)                                                                                             \
    X(sqlite3_column_bytes)                                                                                            \
    X(sqlite3_column_type)                                                                                             \
    X(sqlite3_changes64)                                                                                               \
    X(sqlite3_last_insert_rowid)                                                                                       \
    X(sqlite3_get_autocommit)                                                                                          \
    X(sqlite3_threadsafe)

struct Sqlite {
    PILLION_SQLITE(PILLION_LIBRARY_MEMBER)
};

// Opens the library at the first call; -32005 where there is none.
Result<const Sqlite*> sqlite();

} // namespace pillion
