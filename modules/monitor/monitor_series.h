// The monitor's series: names, units, labels, and what of a sample goes into each. A process has no pid in its labels,
// for every restart would breed series: processes of equal labels are summed. The monitor hands values to a sink, so
// that it need not know who keeps them. Belongs to the Monitor's reading thread.
#pragma once

#include "modules/monitor/monitor_rates.h"
#include "modules/series/series.h"

#include <functional>
#include <map>
#include <span>

namespace pillion {

// All there are, for the reference.
std::span<const SeriesSpec> monitor_series();

using MonitorSink = std::function<void(const SeriesSpec& series, const SeriesLabels& labels, double value)>;

class MonitorSeriesWriter {
  public:
    void write(const MonitorMeasure& measure, const MonitorSink& sink);

  private:
    // Counters as they stand. Those of labels that no process has any more are forgotten: a total that begins anew is
    // what the keeper of a series takes for a restart.
    struct Totals {
        double cpu_s = 0;
        double read_bytes = 0;
        double written_bytes = 0;
    };
    void write_processes(const MonitorMeasure& measure, const MonitorSink& sink);
    void write_machine(const MonitorMeasure& measure, const MonitorSink& sink);

    std::map<SeriesLabels, Totals> totals_;
    Totals disks_;
    double received_bytes_ = 0;
    double sent_bytes_ = 0;
};

} // namespace pillion
