#include "modules/cache/cache.h"
#include "modules/value_codec/value_codec.h"

namespace pillion {

CacheCodec make_cache_codec(ValueCodec& codec) {
    const auto protection = [](bool is_encrypted) { return is_encrypted ? Protection::encrypted : Protection::none; };
    return {
        .seal = [&codec, protection](const TierKey& key, RecordMeta meta, std::string_view plain, bool encrypt,
                                     std::size_t compress_from_bytes) -> Result<std::string> {
            return codec.seal({key.space, key.name}, std::move(meta), plain, protection(encrypt), compress_from_bytes);
        },
        .open = [&codec, protection](const TierKey& key, std::string_view record,
                                     bool is_encrypted) -> Result<CacheValue> {
            OpenedValue opened = PILLION_TRY(codec.open({key.space, key.name}, record, protection(is_encrypted)));
            return CacheValue{std::move(opened.meta), std::move(opened.plain)};
        }};
}

} // namespace pillion
