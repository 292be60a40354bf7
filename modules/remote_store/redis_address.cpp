#include "modules/remote_store/redis_address.h"

#include "modules/remote_store/remote_notice.h"

#include <charconv>
#include <optional>

namespace pillion {

namespace {

constexpr std::string_view form = "write redis://user:password@host:6379/0 or unix:///path/to/socket?db=0";

std::unexpected<Error> wrong(std::string what) {
    return fail(ErrorCode::invalid_params, "the address of redis is wrong: " + std::move(what), "/url",
                std::string(form));
}

std::optional<int> find_number(std::string_view text, int high) {
    int number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
    return number < 0 || number > high ? std::nullopt : std::optional(number);
}

// `[user]:password@`, or a user alone; leaves the rest.
Result<void> take_user(std::string_view& rest, std::size_t end, RedisAddress& address) {
    const std::size_t at = rest.substr(0, end).rfind('@');
    if (at == std::string_view::npos) return {};
    const std::string_view who = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    const std::size_t colon = who.find(':');
    const auto user = percent_decode(who.substr(0, colon));
    const auto password = percent_decode(colon == std::string_view::npos ? std::string_view() : who.substr(colon + 1));
    if (!user || !password) return wrong("a % in the user or the password is not followed by two hexadecimal digits");
    address.user = *user;
    address.password = *password;
    if (!address.user.empty() && address.password.empty()) return wrong("it names a user but no password");
    return {};
}

Result<void> read_host(std::string_view text, RedisAddress& address) {
    std::string_view port;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return wrong("the bracket before the host is not closed");
        address.host = text.substr(1, end - 1);
        port = text.substr(end + 1);
    } else {
        const std::size_t colon = text.find(':');
        address.host = text.substr(0, colon);
        port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    }
    if (address.host.empty()) return wrong("it names no host");
    if (port.empty()) return {};
    const auto number = port.front() == ':' ? find_number(port.substr(1), 65'535) : std::nullopt;
    if (!number || *number == 0) return wrong("the port is no number from 1 to 65535");
    address.port = *number;
    return {};
}

Result<void> read_database(std::string_view text, RedisAddress& address) {
    if (text.empty()) return {};
    const auto number = find_number(text, 1'000'000);
    if (!number) return wrong("the database is no number");
    address.database = *number;
    return {};
}

} // namespace

std::string RedisAddress::where() const {
    if (!socket_path.empty()) return "redis at " + socket_path;
    const bool is_ipv6 = host.find(':') != std::string::npos;
    return "redis at " + (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<RedisAddress> read_redis_url(std::string_view url) {
    RedisAddress address;
    constexpr std::string_view tcp = "redis://";
    constexpr std::string_view local = "unix://";
    if (url.starts_with("rediss://")) {
        return wrong("rediss:// (TLS) is not supported; let a proxy such as stunnel carry the connection");
    }
    if (url.starts_with(local)) {
        url.remove_prefix(local.size());
        PILLION_TRY(take_user(url, url.find('/'), address));
        const std::size_t query = url.find('?');
        const auto path = percent_decode(url.substr(0, query));
        if (!path || !path->starts_with('/')) return wrong("the path of the socket is not absolute");
        address.socket_path = *path;
        if (query == std::string_view::npos) return address;
        const std::string_view option = url.substr(query + 1);
        if (!option.starts_with("db=")) return wrong("only ?db=n may follow the path");
        PILLION_TRY(read_database(option.substr(3), address));
        return address;
    }
    if (!url.starts_with(tcp)) return wrong("it begins with neither redis:// nor unix://");
    url.remove_prefix(tcp.size());
    PILLION_TRY(take_user(url, url.size(), address));
    const std::size_t slash = url.find('/');
    PILLION_TRY(read_host(url.substr(0, slash), address));
    if (slash != std::string_view::npos) PILLION_TRY(read_database(url.substr(slash + 1), address));
    return address;
}

} // namespace pillion
