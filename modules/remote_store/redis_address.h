// Where a Redis server is and who we are there, as read from its URL. Private to this module; values, any thread.
#pragma once

#include "ipc/base/error.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace pillion {

struct RedisAddress {
    std::string socket_path{}; // empty: host and port
    std::string host{};
    int port = 6379;
    std::string user{};
    std::string password{};
    int database = 0;

    // Without user and password.
    std::string where() const;
};

// redis://[[user]:password@]host[:port][/db] or unix://[[user]:password@]/path[?db=n]; user, password and path may be
// percent-encoded. Errors are -32602 and quote nothing that could be a password.
Result<RedisAddress> read_redis_url(std::string_view url);

} // namespace pillion
