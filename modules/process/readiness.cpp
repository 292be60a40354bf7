// Attempts follow each other, never overlap. Expressions run on libstdc++'s breadth-first executor, whose time is
// polynomial and whose stack is constant, since the lines come from a program that may be hostile.
#include "modules/process/readiness.h"

#include "modules/process/process.h"
#include "modules/process/readiness_connection.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <regex>

namespace pillion {

namespace {

constexpr std::size_t pattern_line_bytes_max = 2048;

#ifdef __GLIBCXX__
constexpr auto pattern_flags = std::regex::ECMAScript | std::regex::optimize | std::regex_constants::__polynomial;
#else
constexpr auto pattern_flags = std::regex::ECMAScript | std::regex::optimize;
#endif

class Probe final : public ReadinessProbe, public std::enable_shared_from_this<Probe> {
  public:
    Probe(Io& io, const Clock& clock, ProbeSpec spec, std::shared_ptr<Process> process,
          std::function<void(Result<void>)> on_answer)
        : io_(io), clock_(clock), spec_(std::move(spec)), process_(std::move(process)),
          on_answer_(std::move(on_answer)), began_ns_(clock.now_ns()), interval_ms_(spec_.interval_ms) {}

    Result<void> prepare();
    void begin();
    void cancel() override {
        if (io_.context().get_executor().running_in_this_thread())
            give_up();
        else
            io_.post([self = shared_from_this()] { self->give_up(); });
    }

  private:
    std::string target() const { return spec_.host + ":" + std::to_string(spec_.port); }
    std::int64_t passed_ms() const { return (clock_.now_ns() - began_ns_) / 1'000'000; }
    void give_up();
    void answer(Result<void> result);
    void fail_with(ErrorCode code, const std::string& what);
    void attempt();
    void attempted(std::uint64_t number, Result<void> result);
    void schedule();
    bool matches(std::string_view line) const;
    std::string waited_for() const;

    Io& io_;
    const Clock& clock_;
    const ProbeSpec spec_;
    std::shared_ptr<Process> process_;
    std::function<void(Result<void>)> on_answer_;
    const std::int64_t began_ns_;
    std::int64_t interval_ms_;
    std::regex pattern_;
    std::vector<boost::asio::ip::tcp::endpoint> endpoints_;
    std::shared_ptr<ReadinessConnection> connection_;
    std::string last_seen_;
    std::uint64_t attempts_ = 0;
    bool is_attempting_ = false;
    TimerId timer_{};
    bool is_over_ = false;
};

Result<void> Probe::prepare() {
    const auto invalid = [](const std::string& what, std::string field) {
        return fail(ErrorCode::invalid_params, what, std::move(field));
    };
    const bool needs_process =
        spec_.kind == ProbeKind::process || spec_.kind == ProbeKind::line || spec_.kind == ProbeKind::pattern;
    if (needs_process && !process_) return invalid("this readiness check needs a process of its own", "/kind");
    if (spec_.timeout_ms <= 0)
        return invalid("the readiness timeout is " + std::to_string(spec_.timeout_ms) + " ms; it should be above 0",
                       "/timeoutMs");
    if (spec_.kind == ProbeKind::custom && !spec_.check)
        return invalid("the readiness check has nothing to call", "/kind");
    if ((spec_.kind == ProbeKind::line || spec_.kind == ProbeKind::pattern) && spec_.text.empty())
        return invalid("the readiness check waits for a line but does not say which", "/text");
    if (spec_.kind == ProbeKind::pattern) {
        try {
            pattern_.assign(spec_.text, pattern_flags);
        } catch (const std::regex_error&) {
            return invalid("'" + spec_.text + "' is no regular expression of ECMAScript without back-references",
                           "/text");
        }
    }
    if (spec_.kind != ProbeKind::tcp && spec_.kind != ProbeKind::http) return {};
    if (spec_.port == 0) return invalid("the readiness check has port 0; it should be 1 to 65535", "/port");
    if (spec_.kind == ProbeKind::http &&
        (!spec_.path.starts_with('/') || spec_.path.find_first_of(" \r\n") != std::string::npos))
        return invalid("'" + spec_.path + "' is no path of a URL; it should begin with / and have no blanks", "/path");
    namespace ip = boost::asio::ip;
    if (spec_.host == "localhost") {
        endpoints_ = {{ip::address_v4::loopback(), spec_.port}, {ip::address_v6::loopback(), spec_.port}};
        return {};
    }
    boost::system::error_code error;
    const auto address = ip::make_address(spec_.host, error);
    if (error)
        return invalid("'" + spec_.host + "' is no IP address; a readiness check takes one, or localhost", "/host");
    endpoints_ = {{address, spec_.port}};
    return {};
}

void Probe::begin() {
    if (spec_.kind == ProbeKind::line || spec_.kind == ProbeKind::pattern)
        process_->observe_output_lines([self = weak_from_this()](std::string_view line) {
            const auto probe = self.lock();
            if (!probe || probe->is_over_) return true;
            if (!probe->matches(line)) return false;
            probe->answer({});
            return true;
        });
    io_.post([self = shared_from_this()] {
        // "Up" means more than started: programs that cannot run tend to end at once.
        if (self->spec_.kind == ProbeKind::process)
            self->schedule();
        else
            self->attempt();
    });
}

bool Probe::matches(std::string_view line) const {
    if (spec_.kind == ProbeKind::line) return line.find(spec_.text) != std::string_view::npos;
    line = line.substr(0, pattern_line_bytes_max);
    try {
        return std::regex_search(line.begin(), line.end(), pattern_);
    } catch (const std::regex_error&) {
        return false;
    }
}

void Probe::give_up() {
    is_over_ = true;
    io_.cancel(timer_);
    if (connection_) connection_->cancel();
    connection_.reset();
    on_answer_ = nullptr;
    process_.reset();
}

void Probe::answer(Result<void> result) {
    if (is_over_) return;
    const auto self = shared_from_this();
    const auto on_answer = std::move(on_answer_);
    give_up();
    if (on_answer) on_answer(std::move(result));
}

std::string Probe::waited_for() const {
    switch (spec_.kind) {
    case ProbeKind::process:
        return "to be up";
    case ProbeKind::line:
        return "for a line with '" + spec_.text + "' on stdout";
    case ProbeKind::pattern:
        return "for a line that matches '" + spec_.text + "' on stdout";
    case ProbeKind::tcp:
        return "for connections on " + target();
    case ProbeKind::http:
        return "for a 2xx answer from http://" + target() + spec_.path;
    case ProbeKind::custom:
        break;
    }
    return "for its readiness check";
}

void Probe::fail_with(ErrorCode code, const std::string& what) {
    std::string message = what;
    if (!last_seen_.empty()) message += "; last seen: " + last_seen_;
    if (process_)
        if (const std::string lines = process_->last_lines(); !lines.empty())
            message += "; last line printed: " + lines.substr(lines.rfind('\n') + 1).substr(0, 300);
    answer(fail(code, std::move(message)));
}

void Probe::attempt() {
    if (is_over_) return;
    const std::string name = process_ ? "'" + process_->spec().name + "'" : "the component";
    if (process_ && !process_->is_running())
        return fail_with(ErrorCode::unavailable,
                         name + " ended after " + std::to_string(passed_ms()) + " ms of waiting " + waited_for());
    if (passed_ms() >= spec_.timeout_ms)
        return fail_with(ErrorCode::timeout, name + " was not ready within " + std::to_string(spec_.timeout_ms) +
                                                 " ms; Pillion waited " + waited_for());
    // The last attempt's answer is overdue: it counts no more.
    if (is_attempting_ && connection_) connection_->cancel();
    if (is_attempting_)
        last_seen_ = "no answer to the last attempt within " + std::to_string(spec_.attempt_ms_max) + " ms";
    is_attempting_ = false;
    const std::uint64_t number = ++attempts_;
    const auto done = [self = weak_from_this(), number](Result<void> result) {
        if (const auto probe = self.lock()) probe->attempted(number, std::move(result));
    };
    switch (spec_.kind) {
    case ProbeKind::process:
        return answer({});
    case ProbeKind::line:
    case ProbeKind::pattern:
        return schedule();
    case ProbeKind::tcp:
    case ProbeKind::http:
        is_attempting_ = true;
        connection_ = std::make_shared<ReadinessConnection>(io_.context(), endpoints_[attempts_ % endpoints_.size()]);
        connection_->start(spec_.kind == ProbeKind::http ? "GET " + spec_.path + " HTTP/1.1\r\nHost: " + target() +
                                                               "\r\nUser-Agent: pillion\r\nConnection: close\r\n\r\n"
                                                         : "",
                           done);
        break;
    case ProbeKind::custom:
        is_attempting_ = true;
        spec_.check(done);
        break;
    }
    if (!is_attempting_ || is_over_) return;
    const std::int64_t left_ms = std::max<std::int64_t>(1, spec_.timeout_ms - passed_ms());
    timer_ = io_.after_ms(std::min(spec_.attempt_ms_max, left_ms), [self = shared_from_this()] { self->attempt(); });
}

void Probe::attempted(std::uint64_t number, Result<void> result) {
    if (is_over_ || number != attempts_ || !is_attempting_) return;
    is_attempting_ = false;
    io_.cancel(timer_);
    if (result) return answer({});
    last_seen_ = result.error().message;
    schedule();
}

void Probe::schedule() {
    if (is_over_) return;
    const std::int64_t left_ms = std::max<std::int64_t>(1, spec_.timeout_ms - passed_ms());
    timer_ = io_.after_ms(std::min(interval_ms_, left_ms), [self = shared_from_this()] { self->attempt(); });
    interval_ms_ = std::clamp(interval_ms_ + interval_ms_ / 2, spec_.interval_ms,
                              std::max(spec_.interval_ms, spec_.interval_ms_max));
}

} // namespace

Result<std::shared_ptr<ReadinessProbe>> start_probe(Io& io, const Clock& clock, ProbeSpec spec,
                                                    std::shared_ptr<Process> process,
                                                    std::function<void(Result<void>)> on_answer) {
    spec.interval_ms = std::max<std::int64_t>(spec.interval_ms, 1);
    const auto probe = std::make_shared<Probe>(io, clock, std::move(spec), std::move(process), std::move(on_answer));
    PILLION_TRY(probe->prepare());
    probe->begin();
    return probe;
}

} // namespace pillion
