// Whatever was kept, it is refused or read as a rule; what was read is written and read the same, and can be checked.
#include "modules/alerts/alerts_rpc.h"
#include "tests/support/tight_text.h"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace pillion;

void require(bool fact) {
    if (!fact) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const test::TightText text(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto rule = read_alert_rule(text.view());
    if (!rule) {
        require(!rule.error().message.empty());
        return 0;
    }
    const std::string once = alert_rule_text(*rule);
    const auto again = read_alert_rule(once);
    require(again.has_value() && *again == *rule && alert_rule_text(*again) == once);

    const auto sound = check_alert_rule("rule", *rule);
    require(sound || !sound.error().message.empty());
    static_cast<void>(alert_thresholds(*rule, "1"));
    return 0;
}
