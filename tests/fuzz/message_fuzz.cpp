// Whatever comes, a message is read or refused; params that decode come back the same after encoding; and the canonical
// form of a value is its own canonical form.
#include "ipc/json_scanner.h"
#include "ipc/json_text.h"
#include "ipc/message.h"
#include "ipc/request_meta.h"
#include "ipc/wire_decode.h"
#include "ipc/wire_encode.h"
#include "tests/support/tight_text.h"

#include <cstdint>
#include <cstdlib>

namespace pillion {

enum class FuzzKind : std::uint8_t { a, b, c };
PILLION_ENUM(FuzzKind, "a", "b", "c")

struct FuzzInner {
    std::int64_t n = 0;
    std::optional<bool> yes;
};
PILLION_WIRE(FuzzInner, PILLION_FIELD(n, "A number.", between(-100, 100)), PILLION_FIELD(yes, "Or no."))

struct FuzzParams {
    std::string s;
    std::optional<std::string_view> v;
    double d = 0;
    std::uint32_t u = 0;
    FuzzKind k = FuzzKind::a;
    Json j;
    std::vector<FuzzInner> l;
    std::map<std::string, double> m;
};
PILLION_WIRE(FuzzParams, PILLION_FIELD(s, "Text.", defaulted), PILLION_FIELD(v, "View.", at_most(8)),
             PILLION_FIELD(d, "Double.", defaulted), PILLION_FIELD(u, "Unsigned.", defaulted),
             PILLION_FIELD(k, "Kind.", defaulted), PILLION_FIELD(j, "Json.", defaulted),
             PILLION_FIELD(l, "List.", defaulted), PILLION_FIELD(m, "Map.", defaulted))

} // namespace pillion

namespace {

using namespace pillion;

void require(bool fact) {
    if (!fact) std::abort();
}

bool is_json(std::string_view text) {
    JsonScanner scanner(text);
    return scanner.skip_value() && scanner.at_end();
}

void check_params(std::string_view text, BufferPool& pool) {
    std::string scratch;
    FuzzParams params;
    if (const auto decoded = wire::decode_params(text, params, scratch); !decoded) {
        require(decoded.error().code == ErrorCode::invalid_params && !decoded.error().message.empty());
        return;
    }
    Buffer once(pool), twice(pool);
    wire::encode(params, once);
    require(is_json(once.view()));
    FuzzParams again;
    std::string scratch_again;
    require(wire::decode_params(once.view(), again, scratch_again).has_value());
    wire::encode(again, twice);
    require(once.view() == twice.view());
}

void check_canonical(std::string_view text) {
    std::string once, twice;
    if (!append_canonical(once, text)) return;
    require(is_json(once));
    require(append_canonical(twice, once));
    require(once == twice);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static BufferPool pool;
    static MessageReader reader(MessageLimits{.nesting = 32, .batch = 8});
    const test::TightText text(std::string_view(reinterpret_cast<const char*>(data), size));
    if (is_json(text.view())) check_canonical(text.view());
    if (!reader.read(text.view())) return 0;
    require(is_json(text.view()));
    require(!reader.messages().empty() && reader.messages().size() <= 8);
    for (const Message& message : reader.messages()) {
        require((message.kind == Message::Kind::invalid) == message.fault.has_value());
        require(message.id.empty() || is_json(message.id));
        if (!message.params.empty()) check_params(message.params, pool);
        std::string scratch;
        if (!message.meta.empty()) (void)read_request_meta(message.meta, scratch);
    }
    return 0;
}
