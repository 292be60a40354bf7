#include "ipc/wire_text.h"

#include "ipc/base/pool.h"
#include "ipc/json_scanner.h"
#include "ipc/wire_decode.h"
#include "ipc/wire_encode.h"

namespace pillion::wire {

std::string text_of(const Type& type, const void* value) {
    BufferPool pool;
    Buffer json(pool);
    encode(type, value, json);
    return std::string(json.view());
}

Result<void> read_text(const Type& type, std::string_view text, void* out) {
    JsonScanner scanner(text);
    if (!scanner.skip_value() || !scanner.at_end()) return fail(ErrorCode::corrupt, "what was kept is no longer JSON");
    std::string scratch;
    return decode_value(type, text, out, scratch);
}

} // namespace pillion::wire
