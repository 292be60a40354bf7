#include "ipc/request_meta.h"

#include "ipc/json_scanner.h"
#include "ipc/wire_decode.h"

namespace pillion {

Result<RequestMeta> read_request_meta(std::string_view text, std::string& scratch) {
    RequestMeta meta;
    if (JsonScanner(text).peek() != JsonKind::object)
        return fail(ErrorCode::invalid_params, "_meta must be an object", "/_meta");
    auto decoded =
        wire::decode_value(wire::type_of<RequestMeta>, text, &meta, scratch, wire::Unknown::foreign_passed_over);
    if (!decoded) {
        decoded.error().field.insert(0, "/_meta");
        return std::unexpected(std::move(decoded).error());
    }
    if (meta.progressToken) {
        const JsonKind kind = JsonScanner(meta.progressToken->text).peek();
        if (kind != JsonKind::string && kind != JsonKind::number)
            return fail(ErrorCode::invalid_params,
                        "progressToken must be a string or a number, got " + std::string(meta.progressToken->text),
                        "/_meta/progressToken");
    }
    return meta;
}

} // namespace pillion
