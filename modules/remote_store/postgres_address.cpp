#include "modules/remote_store/postgres_address.h"

#include <algorithm>
#include <optional>

namespace pillion {

namespace {

struct Place {
    std::string host;
    std::string port;
};

std::unexpected<Error> wrong(std::string what) {
    return fail(ErrorCode::invalid_params, "the address of postgres is wrong: " + std::move(what), "/url",
                "write postgresql://user:password@host:5432/database, or host=... dbname=...");
}

std::optional<std::string_view> find_rest_of_url(std::string_view url) {
    for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
        if (url.starts_with(scheme)) return url.substr(scheme.size());
    }
    return std::nullopt;
}

bool is_space(char byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

// keyword=value pairs as libpq reads them: values may be in single quotes, a backslash keeps the next character.
Result<Place> read_keywords(std::string_view text) {
    Place place;
    std::size_t at = 0;
    const auto skip = [&] {
        while (at < text.size() && is_space(text[at])) ++at;
    };
    for (skip(); at < text.size(); skip()) {
        std::string keyword;
        while (at < text.size() && text[at] != '=' && !is_space(text[at])) keyword.push_back(text[at++]);
        skip();
        if (at >= text.size() || text[at] != '=') return wrong("a keyword has no = after it");
        ++at;
        skip();
        const bool is_quoted = at < text.size() && text[at] == '\'';
        if (is_quoted) ++at;
        std::string value;
        while (at < text.size() && (is_quoted ? text[at] != '\'' : !is_space(text[at]))) {
            if (text[at] == '\\' && at + 1 < text.size()) ++at;
            value.push_back(text[at++]);
        }
        if (is_quoted && at >= text.size()) return wrong("a quote is not closed");
        if (is_quoted) ++at;
        if (keyword == "host" || (keyword == "hostaddr" && place.host.empty())) place.host = value;
        if (keyword == "port") place.port = value;
    }
    return place;
}

// Also of several hosts: they are shown as they are written.
Result<Place> read_url(std::string_view rest) {
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    if (rest.substr(end).substr(0, rest.substr(end).find('?')).find('@') != std::string_view::npos) {
        return wrong("a / in the user or password must be written %2F");
    }
    std::string_view authority = rest.substr(0, end);
    if (std::count(authority.begin(), authority.end(), '@') > 1) {
        return wrong("an @ in the user or password must be written %40");
    }
    authority.remove_prefix(authority.rfind('@') + 1);
    Place place;
    const std::size_t colon = authority.rfind(':');
    const std::size_t bracket = authority.rfind(']');
    const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    place.host = authority.substr(0, has_port ? colon : authority.size());
    if (has_port) place.port = authority.substr(colon + 1);
    // libpq also takes ?host=/socket/folder&port=5433.
    std::string_view query =
        rest.find('?') == std::string_view::npos ? std::string_view() : rest.substr(rest.find('?') + 1);
    while (!query.empty()) {
        const std::string_view option = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(option.size() + 1, query.size()));
        if (option.starts_with("host=")) place.host = option.substr(5);
        if (option.starts_with("port=")) place.port = option.substr(5);
    }
    return place;
}

Result<Place> read_place(std::string_view url) {
    const auto rest = find_rest_of_url(url);
    Place place = PILLION_TRY(rest ? read_url(*rest) : read_keywords(url));
    const auto fits = [](char byte) { return (byte >= '0' && byte <= '9') || byte == ','; };
    if (!std::all_of(place.port.begin(), place.port.end(), fits)) return wrong("the port is no number");
    return place;
}

} // namespace

Result<void> check_postgres_url(std::string_view url) {
    if (url.find('\0') != std::string_view::npos) return wrong("it contains a NUL");
    if (!find_rest_of_url(url) && url.find('=') == std::string_view::npos) {
        return wrong("it is neither a postgresql:// URL nor a list of keyword=value");
    }
    PILLION_TRY(read_place(url));
    return {};
}

std::string postgres_where(std::string_view url) {
    const auto place = read_place(url);
    if (!place || place->host.empty()) return "postgres";
    return "postgres at " + place->host + (place->port.empty() ? "" : ":" + place->port);
}

} // namespace pillion
