// A request that a method accepts, to show in its documentation. Any thread.
#pragma once

#include "ipc/method.h"

#include <string>

namespace pillion::schema {

// One line: the method with the params that it requires and no others, their values from types, bounds and names.
std::string example_request(const Method& method);

} // namespace pillion::schema
