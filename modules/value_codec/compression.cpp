// What does not compress (audio, images, ciphertext) is told by a sample: three slices at the fastest level, which cost
// a fraction of the whole.
#include "modules/value_codec/compression.h"

#include "ipc/base/log.h"
#include "ipc/base/shared_library.h"

#include <array>
#include <memory>
#include <mutex>
#include <vector>
#include <zstd.h>

namespace pillion {

namespace {

#define PILLION_ZSTD(X)                                                                                                \
    X(ZSTD_createCCtx)                                                                                                 \
    X(ZSTD_freeCCtx)                                                                                                   \
    X(ZSTD_compressCCtx)                                                                                               \
    X(ZSTD_createDCtx)                                                                                                 \
    X(ZSTD_freeDCtx)                                                                                                   \
    X(ZSTD_decompressDCtx)                                                                                             \
    X(ZSTD_compressBound)                                                                                              \
    X(ZSTD_getFrameContentSize)                                                                                        \
    X(ZSTD_isError)
struct Zstd {
    PILLION_ZSTD(PILLION_LIBRARY_MEMBER)
};

Result<const Zstd*> zstd() {
    static const Result<Zstd> opened = [] -> Result<Zstd> {
        const auto library = PILLION_TRY(SharedLibrary::open({"libzstd.so.1"}, "libzstd1"));
        Zstd functions;
        PILLION_ZSTD(PILLION_LIBRARY_BIND)
        return functions;
    }();
    if (!opened) {
        static std::once_flag told;
        std::call_once(
            told, [] { log(LogLevel::warning, "cache", "values are kept uncompressed: " + opened.error().message); });
        return std::unexpected(opened.error());
    }
    return &*opened;
}

struct FreeContext {
    void operator()(ZSTD_CCtx* context) const { (**zstd()).ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const { (**zstd()).ZSTD_freeDCtx(context); }
};

// Contexts are costly to make and large, so a few idle ones are kept and shared by all threads.
template <class Context>
class Contexts {
  public:
    using Owned = std::unique_ptr<Context, FreeContext>;
    template <class Make>
    Owned take(Make make) {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                Owned context = std::move(idle_.back());
                idle_.pop_back();
                return context;
            }
        }
        return Owned(make());
    }
    void give_back(Owned context) {
        const std::lock_guard lock(mutex_);
        if (idle_.size() < kept) idle_.push_back(std::move(context));
    }

  private:
    static constexpr std::size_t kept = 2;
    std::mutex mutex_;
    std::vector<Owned> idle_;
};

Contexts<ZSTD_CCtx>& compressors() {
    static Contexts<ZSTD_CCtx> contexts;
    return contexts;
}
Contexts<ZSTD_DCtx>& decompressors() {
    static Contexts<ZSTD_DCtx> contexts;
    return contexts;
}

constexpr std::size_t slice_bytes = 4096;
constexpr std::size_t sampled_from_bytes = 8 * slice_bytes;
constexpr int fastest_level = -1;

// The most a compressed value may have to be worth it.
constexpr std::size_t worth(std::size_t plain_bytes) { return plain_bytes - plain_bytes / 10; }

bool sample_compresses(const Zstd& api, ZSTD_CCtx* context, std::string_view plain) {
    std::array<char, worth(3 * slice_bytes)> out; // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::size_t bytes = 0;
    for (const std::size_t at : {std::size_t{0}, plain.size() / 2, plain.size() - slice_bytes}) {
        const std::size_t made = api.ZSTD_compressCCtx(context, out.data() + bytes, out.size() - bytes,
                                                       plain.data() + at, slice_bytes, fastest_level);
        if (api.ZSTD_isError(made) != 0) return false; // it does not fit, so it is not worth it
        bytes += made;
    }
    return true;
}

std::optional<std::string> compress_with(const Zstd& api, ZSTD_CCtx* context, std::string_view plain, int level) {
    if (plain.size() >= sampled_from_bytes && !sample_compresses(api, context, plain)) return std::nullopt;
    std::string out;
    bool pays = false;
    out.resize_and_overwrite(api.ZSTD_compressBound(plain.size()), [&](char* bytes, std::size_t capacity) {
        const std::size_t made = api.ZSTD_compressCCtx(context, bytes, capacity, plain.data(), plain.size(), level);
        pays = api.ZSTD_isError(made) == 0 && made <= worth(plain.size());
        return pays ? made : 0;
    });
    if (!pays) return std::nullopt;
    return out;
}

std::unexpected<Error> damaged(const char* reason) {
    return fail(ErrorCode::corrupt, std::string("a compressed value does not decompress: ") + reason);
}

} // namespace

std::optional<std::string> compress(std::string_view plain, int level) {
    const auto library = zstd();
    if (!library) return std::nullopt;
    auto context = compressors().take((*library)->ZSTD_createCCtx);
    if (!context) return std::nullopt;
    auto out = compress_with(**library, context.get(), plain, level);
    compressors().give_back(std::move(context));
    return out;
}

Result<std::string> decompress(std::string_view compressed, std::uint64_t plain_bytes) {
    const Zstd& api = *PILLION_TRY(zstd());
    // A frame of ours says its size; one that lies about it is cut off at the size that was asked for.
    if (api.ZSTD_getFrameContentSize(compressed.data(), compressed.size()) != plain_bytes)
        return damaged("it has another size than its record says");
    auto context = decompressors().take(api.ZSTD_createDCtx);
    if (!context) return fail(ErrorCode::exhausted, "there is no memory to decompress a value");
    std::string plain;
    plain.resize_and_overwrite(plain_bytes, [&](char* bytes, std::size_t capacity) {
        const std::size_t made =
            api.ZSTD_decompressDCtx(context.get(), bytes, capacity, compressed.data(), compressed.size());
        return api.ZSTD_isError(made) != 0 ? 0 : made;
    });
    decompressors().give_back(std::move(context));
    if (plain.size() != plain_bytes) return damaged("it is damaged");
    return plain;
}

} // namespace pillion
