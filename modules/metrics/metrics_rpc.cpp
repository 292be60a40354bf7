#include "modules/metrics/metrics_rpc.h"

namespace pillion {

std::vector<Method> metrics_methods(Metrics& metrics) {
    std::vector<Method> methods;
    methods.push_back(method("metrics.snapshot", "Startup, runtime, wire, pools and counters in one reading.",
                             Lane::pooled,
                             [&metrics](const NoParams&) -> Result<MetricsSnapshot> { return metrics.snapshot(); })
                          .alias("get_performance_metrics"));
    methods.push_back(list_method("metrics.methods", "Calls, errors and latency of each method.", Lane::pooled,
                                  [&metrics](const MetricsMethodsParams& params) -> Result<std::vector<MetricsMethod>> {
                                      return metrics.methods(params.all);
                                  }));
    methods.push_back(method(
        "metrics.histogram", "The distribution of the latency, of one method or of all, or of the wait for a worker.",
        Lane::pooled, [&metrics](const MetricsHistogramParams& params) -> Result<MetricsHistogram> {
            return metrics.histogram(params.method, params.metric, static_cast<std::size_t>(params.buckets));
        }));
    methods.push_back(method("metrics.reset",
                             "Clears the statistics of one method or of all; sums since the start stay.", Lane::pooled,
                             [&metrics](const MetricsResetParams& params) -> Result<MetricsResetResult> {
                                 return MetricsResetResult{.methods = PILLION_TRY(metrics.reset(params.method))};
                             }));
    return methods;
}

} // namespace pillion
