#include "sidecar/status_rpc.h"

namespace pillion {

std::vector<Method> status_methods(std::function<StatusResult()> status, std::function<HealthResult()> health) {
    std::vector<Method> methods;
    methods.push_back(method("status.get", "What the process is doing, in one look.", Lane::pooled,
                             [status = std::move(status)](const NoParams&) -> Result<StatusResult> { return status(); })
                          .alias("get_performance_status"));
    methods.push_back(
        method("health.check", "Whether every part works.", Lane::pooled,
               [health = std::move(health)](const NoParams&) -> Result<HealthResult> { return health(); }));
    return methods;
}

} // namespace pillion
