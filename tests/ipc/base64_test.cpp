#include "ipc/base/base64.h"

#include <catch2/catch.hpp>

using namespace pillion;

TEST_CASE("the examples of RFC 4648 are encoded and decoded", "[base64]") {
    const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                            {"f", "Zg=="},
                                                            {"fo", "Zm8="},
                                                            {"foo", "Zm9v"},
                                                            {"foob", "Zm9vYg=="},
                                                            {"fooba", "Zm9vYmE="},
                                                            {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, text] : examples) {
        CHECK(base64_encode(plain) == text);
        CHECK(base64_decode(text) == plain);
    }
    CHECK(base64_decode("Zm9vYg") == "foob");
}

TEST_CASE("all bytes survive", "[base64]") {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) {
        bytes += static_cast<char>(byte);
        CHECK(base64_decode(base64_encode(bytes)) == bytes);
    }
}

TEST_CASE("what is no base64 is refused", "[base64]") {
    for (const char* const text :
         {"Z", "Zm9vY", "Zm9v!A==", "Zg=x", "Zh==", "Zm9=", "Zg===", "=", "====", "Zm 9v", "Zm9v\n"}) {
        INFO(text);
        CHECK(!base64_decode(text));
    }
}
