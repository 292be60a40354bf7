#include "modules/value_codec/encryption.h"

#include "ipc/base/shared_library.h"

#include <algorithm>
#include <limits>
#include <openssl/evp.h>
#include <openssl/rand.h>

namespace pillion {

namespace {

#define PILLION_LIBCRYPTO(X)                                                                                           \
    X(EVP_CIPHER_CTX_new)                                                                                              \
    X(EVP_CIPHER_CTX_free)                                                                                             \
    X(EVP_CIPHER_CTX_ctrl)                                                                                             \
    X(EVP_CIPHER_fetch)                                                                                                \
    X(EVP_EncryptInit_ex)                                                                                              \
    X(EVP_EncryptUpdate)                                                                                               \
    X(EVP_EncryptFinal_ex)                                                                                             \
    X(EVP_DecryptInit_ex)                                                                                              \
    X(EVP_DecryptUpdate)                                                                                               \
    X(EVP_DecryptFinal_ex)                                                                                             \
    X(EVP_Digest)                                                                                                      \
    X(EVP_sha256)                                                                                                      \
    X(RAND_bytes)
struct Libcrypto {
    PILLION_LIBCRYPTO(PILLION_LIBRARY_MEMBER)
    const EVP_CIPHER* aes_256_gcm = nullptr;
};

Result<const Libcrypto*> libcrypto() {
    static const Result<Libcrypto> opened = [] -> Result<Libcrypto> {
        const auto library = PILLION_TRY(SharedLibrary::open({"libcrypto.so.3"}, "libssl3"));
        Libcrypto functions;
        PILLION_LIBCRYPTO(PILLION_LIBRARY_BIND)
        functions.aes_256_gcm = functions.EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
        if (functions.aes_256_gcm == nullptr) return fail(ErrorCode::unavailable, "libcrypto has no AES-256-GCM");
        return functions;
    }();
    if (!opened) return std::unexpected(opened.error());
    return &*opened;
}

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { (**libcrypto()).EVP_CIPHER_CTX_free(context); } // wipes it
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(char* text) { return reinterpret_cast<unsigned char*>(text); }

std::unexpected<Error> broken() { return fail(ErrorCode::internal_error, "libcrypto failed to encrypt or decrypt"); }

Result<void> check_size(std::string_view text) {
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
        return fail(ErrorCode::exhausted, "a value over 2 GiB cannot be encrypted");
    return {};
}

} // namespace

Result<std::string> encrypt(const SecretKey& key, std::string_view plain, std::string_view associated) {
    const Libcrypto& api = *PILLION_TRY(libcrypto());
    PILLION_TRY(check_size(plain));
    std::string out(nonce_bytes + plain.size() + tag_bytes, '\0');
    unsigned char* const nonce = bytes_of(out.data());
    unsigned char* const body = nonce + nonce_bytes;
    PILLION_TRY(fill_random({nonce, nonce_bytes}));
    const Context context(api.EVP_CIPHER_CTX_new());
    int written = 0;
    const bool done =
        context && api.EVP_EncryptInit_ex(context.get(), api.aes_256_gcm, nullptr, key.bytes().data(), nonce) == 1 &&
        api.EVP_EncryptUpdate(context.get(), nullptr, &written, bytes_of(associated),
                              static_cast<int>(associated.size())) == 1 &&
        api.EVP_EncryptUpdate(context.get(), body, &written, bytes_of(plain), static_cast<int>(plain.size())) == 1 &&
        api.EVP_EncryptFinal_ex(context.get(), body + plain.size(), &written) == 1 &&
        api.EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_bytes, body + plain.size()) == 1;
    if (!done) return broken();
    return out;
}

Result<std::string> decrypt(const SecretKey& key, std::string_view sealed, std::string_view associated) {
    const Libcrypto& api = *PILLION_TRY(libcrypto());
    PILLION_TRY(check_size(sealed));
    if (sealed.size() < nonce_bytes + tag_bytes)
        return fail(ErrorCode::corrupt, "an encrypted value is too short to be one");
    const std::string_view body = sealed.substr(nonce_bytes, sealed.size() - nonce_bytes - tag_bytes);
    std::array<unsigned char, tag_bytes> tag{};
    std::copy_n(bytes_of(sealed) + sealed.size() - tag_bytes, tag_bytes, tag.data());
    std::string plain(body.size() + 1, '\0'); // one more: the library is handed the address of the end
    const Context context(api.EVP_CIPHER_CTX_new());
    int written = 0;
    const bool ready =
        context &&
        api.EVP_DecryptInit_ex(context.get(), api.aes_256_gcm, nullptr, key.bytes().data(), bytes_of(sealed)) == 1 &&
        api.EVP_DecryptUpdate(context.get(), nullptr, &written, bytes_of(associated),
                              static_cast<int>(associated.size())) == 1 &&
        api.EVP_DecryptUpdate(context.get(), bytes_of(plain.data()), &written, bytes_of(body),
                              static_cast<int>(body.size())) == 1 &&
        api.EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, tag_bytes, tag.data()) == 1;
    if (!ready) return broken();
    if (api.EVP_DecryptFinal_ex(context.get(), bytes_of(plain.data()) + body.size(), &written) != 1)
        return fail(ErrorCode::corrupt, "an encrypted value does not decrypt: it was changed, or belongs to another "
                                        "entry");
    plain.pop_back();
    return plain;
}

Result<void> fill_random(std::span<unsigned char> bytes) {
    const Libcrypto& api = *PILLION_TRY(libcrypto());
    if (api.RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
        return fail(ErrorCode::unavailable, "libcrypto has no random bytes to give");
    return {};
}

Result<std::uint32_t> key_id(const SecretKey::Bytes& key) {
    const Libcrypto& api = *PILLION_TRY(libcrypto());
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    if (api.EVP_Digest(key.data(), key.size(), digest.data(), nullptr, api.EVP_sha256(), nullptr) != 1) return broken();
    const std::uint32_t id = static_cast<std::uint32_t>(digest[0]) << 24 | static_cast<std::uint32_t>(digest[1]) << 16 |
                             static_cast<std::uint32_t>(digest[2]) << 8 | static_cast<std::uint32_t>(digest[3]);
    return id == 0 ? 1 : id;
}

} // namespace pillion
