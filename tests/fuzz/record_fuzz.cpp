// Whatever bytes come, a record is refused as corrupt or read; what was read is encoded and read the same; a glance
// sees what a full look sees.
#include "modules/cache_entry/cache_entry.h"
#include "tests/support/tight_text.h"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace pillion;

void require(bool fact) {
    if (!fact) std::abort();
}

void check_glance(const RecordGlance& glance, const RecordView& view) {
    const RecordMeta& meta = view.meta;
    require(glance.created_ms == meta.created_ms && glance.fresh_until_ms == meta.fresh_until_ms);
    require(glance.gone_at_ms == meta.gone_at_ms && glance.version_ms == meta.version_ms);
    require(glance.sliding_ms == meta.sliding_ms && glance.made_in_ms == meta.made_in_ms);
    require(glance.priority == meta.priority && glance.etag == meta.etag && glance.payload == view.payload);
    require(glance.is_plain == (!meta.is_negative && !meta.is_compressed && meta.key_id == 0));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const test::TightText text(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto view = decode_record(text.view());
    const auto glance = glance_record(text.view());
    if (!view) {
        require(view.error().code == ErrorCode::corrupt);
        return 0;
    }
    require(glance.has_value());
    check_glance(*glance, *view);
    require(view->meta.priority >= 1 && view->meta.priority <= 10);

    const std::string once = encode_record(view->meta, view->payload);
    const auto again = decode_record(once);
    require(again.has_value() && again->payload == view->payload && again->meta.tags == view->meta.tags);
    require(encode_record(again->meta, again->payload) == once);
    return 0;
}
