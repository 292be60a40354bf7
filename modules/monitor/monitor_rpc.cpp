#include "modules/monitor/monitor_rpc.h"

#include <memory>
#include <utility>

namespace pillion {

std::vector<Method> monitor_methods(Monitor& monitor) {
    std::vector<Method> methods;
    methods.push_back(method("monitor.start",
                             "Begins to watch processes and the machine; once more, changes the interval.",
                             Lane::direct, [&monitor](const MonitorStartParams& params) -> Result<MonitorStatus> {
                                 return monitor.start(params.intervalMs);
                             }));
    methods.push_back(method("monitor.stop", "Ends what monitor.start began; who subscribes is served on.",
                             Lane::direct,
                             [&monitor](const NoParams&) -> Result<MonitorStatus> { return monitor.stop(); }));
    methods.push_back(async_method<NoParams, MonitorSample>(
                          "monitor.sample",
                          "The tree of processes and the machine as they are now. While nobody watches it reads twice, "
                          "a quarter of a second apart, so that there are rates.",
                          [&monitor](const NoParams&, Reply<MonitorSample> reply) {
                              auto promise = std::make_shared<Reply<MonitorSample>>(std::move(reply));
                              monitor.sample_soon([promise](const MonitorSample& sample) { (*promise)(sample); });
                          })
                          .alias("get_resource_stats"));
    methods.push_back(
        method("monitor.system", "What the machine is: system, kernel, processor, memory, disks, desktop, versions.",
               Lane::pooled, [&monitor](const NoParams&) -> Result<MonitorMachine> { return monitor.machine(); })
            .alias("get_system_info_summary"));
    return methods;
}

} // namespace pillion
