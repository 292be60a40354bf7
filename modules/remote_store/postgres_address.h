// What a PostgreSQL connection string says, as far as it concerns us before libpq reads it: whether it is one, and
// where it leads. Private to this module; functions without state, any thread.
#pragma once

#include "ipc/base/error.h"

#include <string>
#include <string_view>

namespace pillion {

// -32602 for what is neither a postgresql:// URL nor a list of keyword=value, or could show a password in the wrong
// place. Errors quote nothing.
Result<void> check_postgres_url(std::string_view url);
// "postgres at host:port", without user, password and database.
std::string postgres_where(std::string_view url);

} // namespace pillion
