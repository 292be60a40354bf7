#include "sidecar/config_rpc.h"

namespace pillion {

std::vector<Method> config_methods(Configuration& configuration, std::function<void(const ConfigChanged&)> publish) {
    constexpr std::int64_t kept_ms = 3'600'000;
    std::vector<Method> methods;
    methods.push_back(method("config.get", "The configuration in force: all of it, a section or one value.",
                             Lane::pooled,
                             [&configuration](const ConfigGetParams& params) -> Result<Json> {
                                 return Json{PILLION_TRY(configuration.get(params.key.value_or("")))};
                             })
                          .cached(kept_ms, {config_changed.name}));
    methods.push_back(method(
        "config.set", "Changes values that are marked live, all of them or none, until the end of the process.",
        Lane::pooled,
        [&configuration, publish = std::move(publish)](const ConfigSetParams& params) -> Result<ConfigSetResult> {
            auto changed = PILLION_TRY(configuration.set(params.values));
            if (!changed.empty() && publish) publish(ConfigChanged{changed});
            return ConfigSetResult{std::move(changed)};
        }));
    methods.push_back(
        method("config.schema", "The JSON Schema of the configuration: every key, its default and its bounds.",
               Lane::pooled, [&configuration](const NoParams&) -> Result<Json> { return Json{configuration.schema()}; })
            .cached(kept_ms));
    return methods;
}

} // namespace pillion
