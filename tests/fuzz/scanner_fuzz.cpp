// JsonScanner accepts exactly what nlohmann_json accepts. Four differences are known and meant: nlohmann refuses
// unpaired surrogate escapes and numbers that overflow a double, passes over a byte order mark, and takes a NUL for the
// end.
#include "ipc/json_scanner.h"
#include "tests/support/tight_text.h"

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace {

bool has_unpaired_surrogate_or_overflow(const std::string& text) {
    try {
        return nlohmann::json::parse(text).is_discarded();
    } catch (const nlohmann::json::out_of_range&) {
        return true;
    } catch (const nlohmann::json::parse_error& error) {
        return std::string_view(error.what()).find("surrogate") != std::string_view::npos;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const pillion::test::TightText tight(text);
    pillion::JsonScanner scanner(tight.view());
    const bool accepted = scanner.skip_value() && scanner.at_end();
    if (scanner.too_deep() || text.starts_with("\xEF\xBB\xBF") || text.find('\0') != std::string::npos) return 0;
    const bool expected = nlohmann::json::accept(text);
    if (accepted == expected) return 0;
    if (accepted && has_unpaired_surrogate_or_overflow(text)) return 0;
    std::abort();
}
