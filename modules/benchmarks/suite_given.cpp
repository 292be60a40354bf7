// What the user names: a command that is run to its end, a method that is called in this process.
#include "modules/benchmarks/benchmark_case.h"
#include "modules/benchmarks/benchmark_child.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace pillion {

namespace {

// One call's answer; outlives whoever waits for it, since it may come late.
class Answer {
  public:
    void set(Result<void> result) {
        const std::lock_guard lock(mutex_);
        result_ = std::move(result);
        came_.notify_all();
    }
    // Nothing if it does not come in time.
    std::optional<Result<void>> await(std::int64_t wait_ms_max, const std::function<bool()>& is_cancelled) {
        constexpr std::int64_t slice_ms = 100;
        std::unique_lock lock(mutex_);
        for (std::int64_t waited_ms = 0; waited_ms < wait_ms_max; waited_ms += slice_ms) {
            if (came_.wait_for(lock, std::chrono::milliseconds(std::min(slice_ms, wait_ms_max - waited_ms)),
                               [this] { return result_.has_value(); }))
                return result_;
            if (is_cancelled && is_cancelled()) break;
        }
        return std::nullopt;
    }

  private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::optional<Result<void>> result_{};
};

} // namespace

std::unique_ptr<BenchmarkCase> command_benchmark(std::vector<std::string> command,
                                                 const BenchmarkSurroundings& around) {
    const ChildSurroundings its{
        .children = around.children, .wait_ms_max = around.timeout_ms, .is_cancelled = around.is_cancelled};
    return std::make_unique<TimedCase>(
        around.host.clock,
        [around] {
            return around.host.guard_program.empty() ? Result<void>{}
                                                     : around.children.guard(around.host.guard_program);
        },
        [command = std::move(command), errors = around.folder + "/stderr", its] {
            return run_command(command, errors, its);
        });
}

std::unique_ptr<BenchmarkCase> method_benchmark(std::string method, std::string params,
                                                const BenchmarkSurroundings& around) {
    return std::make_unique<TimedCase>(
        around.host.clock, nullptr, [method = std::move(method), params = std::move(params), around]() -> Result<void> {
            const auto answer = std::make_shared<Answer>();
            around.host.call_method(method, params, [answer](Result<void> result) { answer->set(std::move(result)); });
            auto came = answer->await(around.timeout_ms, around.is_cancelled);
            if (!came)
                return fail(ErrorCode::timeout,
                            method + " did not answer within " + std::to_string(around.timeout_ms) + " ms");
            if (!*came) came->error().message.insert(0, method + " failed: ");
            return *came;
        });
}

} // namespace pillion
