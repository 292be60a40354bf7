// Trace Event Format (Google, "Trace Event Format", 2016). Each step is a complete event (X) on its thread. A request
// that left the reader is also an asynchronous slice (b, e) from its receipt to its answer, and a flow (s, t, f) that
// ties its steps together across threads. One that is not answered when the trace ends has its end there, marked so:
// every beginning has an end. One whose beginning had to go from the ring has only its steps.
//
// A request is known by the address of its call, which another may have once it is answered: numbers are given in the
// order in which steps begin.
#include "modules/profiler/trace_events_rpc.h"

#include "ipc/json_text.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <unordered_map>
#include <utility>

namespace pillion {

namespace {

class Writer {
  public:
    Writer(const RequestTraceSteps& trace, std::int64_t process_id) : trace_(trace), process_id_(process_id) {}

    std::string write() {
        text_ = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
        begin("M", "process_name", 0, trace_.began_ns);
        text_ += ",\"args\":{\"name\":\"pillion\"}}";
        for (const auto& [thread, name] : trace_.threads) {
            begin("M", "thread_name", thread, trace_.began_ns);
            text_ += ",\"args\":{\"name\":";
            append_quoted(text_, name);
            text_ += "}}";
        }
        for (const RecordedStep& step : trace_.steps) add(step);
        std::map<std::uint64_t, Open> left;
        for (const auto& [call, open] : open_) left.emplace(open.number, open);
        for (const auto& [number, open] : left) end_request(open, trace_.ended_ns, "not answered yet");
        text_ += "\n],\"otherData\":{\"dropped\":" + std::to_string(trace_.dropped) + "}}\n";
        return std::move(text_);
    }

  private:
    struct Open {
        std::uint64_t number = 0;
        std::string_view method;
        std::int32_t thread = 0;
    };

    static const char* label(TraceStep step) {
        switch (step) {
        case TraceStep::direct:
            return "direct";
        case TraceStep::received:
            return "queue";
        case TraceStep::run:
            return "run";
        case TraceStep::answered:
            return "answer";
        }
        return "";
    }

    void begin(std::string_view phase, std::string_view name, std::int32_t thread, std::int64_t at_ns) {
        if (!std::exchange(is_first_, false)) text_ += ",\n";
        text_ += "{\"ph\":\"";
        text_ += phase;
        text_ += "\",\"name\":";
        append_quoted(text_, name);
        char rest[128];
        const int n = std::snprintf(rest, sizeof rest, ",\"pid\":%lld,\"tid\":%d,\"ts\":%.3f",
                                    static_cast<long long>(process_id_), static_cast<int>(thread), microseconds(at_ns));
        text_.append(rest, static_cast<std::size_t>(n));
    }

    // Since the trace began; what was received just before it begins with it.
    double microseconds(std::int64_t at_ns) const {
        return static_cast<double>(std::max<std::int64_t>(0, at_ns - trace_.began_ns)) / 1000;
    }

    void add(const RecordedStep& step) {
        std::string name(step.method());
        if (step.step != TraceStep::direct && step.step != TraceStep::run) name += std::string(": ") + label(step.step);
        begin("X", name, step.thread, step.begun_ns);
        char duration[64];
        const double length = microseconds(step.ended_ns) - microseconds(step.begun_ns);
        const int n = std::snprintf(duration, sizeof duration, ",\"dur\":%.3f", std::max(0.0, length));
        text_.append(duration, static_cast<std::size_t>(n));
        text_ += ",\"cat\":\"";
        text_ += label(step.step);
        text_ += "\",\"args\":{\"method\":";
        append_quoted(text_, step.method());
        text_ += ",\"paramsBytes\":" + std::to_string(step.params_bytes);
        if (step.step != TraceStep::received) {
            text_ += ",\"resultBytes\":" + std::to_string(step.result_bytes);
            text_ += step.failed ? ",\"failed\":true" : ",\"failed\":false";
        }
        text_ += "}}";
        if (step.step != TraceStep::direct) follow(step);
    }

    // The request that the step belongs to, across threads.
    void follow(const RecordedStep& step) {
        if (step.step == TraceStep::received) {
            if (const auto before = open_.find(step.call); before != open_.end()) {
                end_request(before->second, step.begun_ns, "its answer was not recorded");
                open_.erase(before);
            }
            const Open open{++numbers_, step.method(), step.thread};
            begin("b", open.method, step.thread, step.received_ns);
            text_ += request_number(open) + "}";
            flow("s", open, step);
            open_.emplace(step.call, open);
            return;
        }
        const auto at = open_.find(step.call);
        if (at == open_.end()) return;
        if (step.step == TraceStep::run) return flow("t", at->second, step);
        flow("f", at->second, step);
        end_request(at->second, step.ended_ns, step.failed ? "failed" : "answered");
        open_.erase(at);
    }

    void flow(std::string_view phase, const Open& open, const RecordedStep& step) {
        begin(phase, "request", step.thread, step.begun_ns);
        text_ += ",\"cat\":\"flow\",\"id\":" + std::to_string(open.number) + (phase == "f" ? ",\"bp\":\"e\"}" : "}");
    }

    void end_request(const Open& open, std::int64_t at_ns, std::string_view how) {
        begin("e", open.method, open.thread, at_ns);
        text_ += request_number(open) + ",\"args\":{\"end\":";
        append_quoted(text_, how);
        text_ += "}}";
    }

    static std::string request_number(const Open& open) {
        return ",\"cat\":\"request\",\"id\":" + std::to_string(open.number);
    }

    const RequestTraceSteps& trace_;
    const std::int64_t process_id_;
    std::string text_;
    bool is_first_ = true;
    std::uint64_t numbers_ = 0;
    std::unordered_map<const void*, Open> open_;
};

} // namespace

std::string trace_events(const RequestTraceSteps& trace, std::int64_t process_id) {
    return Writer(trace, process_id).write();
}

} // namespace pillion
