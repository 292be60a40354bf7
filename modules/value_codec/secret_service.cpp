// libsecret's simple password API (gnome.pages.gitlab.gnome.org/libsecret). Its few functions are declared here, so
// that the build needs neither its headers nor GLib's.
#include "modules/value_codec/secret_service.h"

#include "ipc/base/shared_library.h"

#include <cstdlib>

extern "C" {

// Layouts are part of libsecret's and GLib's stable ABI. NOLINTBEGIN(readability-identifier-naming)
struct SecretSchemaAttribute {
    const char* name;
    int type; // 0: string
};
struct SecretSchema {
    const char* name;
    int flags;
    SecretSchemaAttribute attributes[32];
    int reserved;
    void* reserved_pointers[7];
};
struct GError {
    std::uint32_t domain;
    int code;
    char* message;
};
struct GCancellable;

char* secret_password_lookup_sync(const SecretSchema* schema, GCancellable* cancellable, GError** error, ...);
int secret_password_store_sync(const SecretSchema* schema, const char* collection, const char* label,
                               const char* password, GCancellable* cancellable, GError** error, ...);
void secret_password_free(char* password);
void g_error_free(GError* error);
// NOLINTEND(readability-identifier-naming)

} // extern "C"

namespace pillion {

namespace {

#define PILLION_LIBSECRET(X)                                                                                           \
    X(secret_password_lookup_sync) X(secret_password_store_sync) X(secret_password_free) X(g_error_free)
struct Libsecret {
    PILLION_LIBSECRET(PILLION_LIBRARY_MEMBER)
};

Result<const Libsecret*> libsecret() {
    static const Result<Libsecret> opened = [] -> Result<Libsecret> {
        const auto library = PILLION_TRY(SharedLibrary::open({"libsecret-1.so.0"}, "libsecret-1-0"));
        Libsecret functions;
        PILLION_LIBSECRET(PILLION_LIBRARY_BIND)
        return functions;
    }();
    if (!opened) return std::unexpected(opened.error());
    // GLib would start a bus of its own where there is none.
    if (const char* const bus = std::getenv("DBUS_SESSION_BUS_ADDRESS"); bus == nullptr || *bus == '\0')
        return fail(ErrorCode::unavailable, "the OS keyring cannot be reached: there is no session bus", {},
                    "take the key from a file or the environment");
    return &*opened;
}

const SecretSchema schema{"org.pillion.Cache", 0, {{"application", 0}, {"use", 0}}, 0, {}};
const char* const end = nullptr; // of a list of attributes

std::unexpected<Error> refusal(const Libsecret& api, GError* error, const char* what) {
    std::string message = std::string("the OS keyring ") + what + ": " + error->message;
    api.g_error_free(error);
    return fail(ErrorCode::unavailable, std::move(message), {},
                "unlock the keyring, or take the key from a file or the environment");
}

} // namespace

Result<std::optional<SecretText>> find_in_keyring(const std::string& app) {
    const Libsecret& api = *PILLION_TRY(libsecret());
    GError* error = nullptr;
    char* const found =
        api.secret_password_lookup_sync(&schema, nullptr, &error, "application", app.c_str(), "use", "cache", end);
    if (error != nullptr) return refusal(api, error, "did not answer");
    if (found == nullptr) return std::nullopt;
    SecretText text{std::string(found)};
    api.secret_password_free(found); // wipes it
    return text;
}

Result<void> store_in_keyring(const std::string& app, const SecretText& text) {
    const Libsecret& api = *PILLION_TRY(libsecret());
    const std::string label = "Cache keys of " + app;
    GError* error = nullptr;
    api.secret_password_store_sync(&schema, nullptr, label.c_str(), text.view().c_str(), nullptr, &error, "application",
                                   app.c_str(), "use", "cache", end);
    if (error != nullptr) return refusal(api, error, "did not take the key");
    return {};
}

} // namespace pillion
