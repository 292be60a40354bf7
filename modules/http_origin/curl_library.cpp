#include "modules/http_origin/curl_library.h"

namespace pillion {

Result<const Curl*> curl() {
    static const Result<Curl> opened = [] -> Result<Curl> {
        const auto library =
            PILLION_TRY(SharedLibrary::open({"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so"}, "libcurl4"));
        Curl functions;
        PILLION_CURL(PILLION_LIBRARY_BIND)
        functions.curl_global_init(CURL_GLOBAL_DEFAULT);
        return functions;
    }();
    if (!opened) return std::unexpected(opened.error());
    return &*opened;
}

} // namespace pillion
