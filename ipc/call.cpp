#include "ipc/call.h"

#include "ipc/base/log.h"
#include "ipc/method.h"

namespace pillion {

void Call::on_cancel(std::function<void()> stop) {
    {
        const std::lock_guard lock(mutex_);
        if (!is_cancelled()) {
            stop_ = std::move(stop);
            return;
        }
    }
    stop();
}

void Call::report_progress(double percentage, std::string_view message) {
    if (!is_answered()) sink_->progressed(*this, percentage, message);
}

void Call::finish(const Result<std::string_view>& result) {
    if (answered_.exchange(true, std::memory_order_acq_rel)) return;
    sink_->answered(*this, result);
    const std::lock_guard lock(mutex_);
    stop_ = nullptr;
}

void Call::answer(std::string_view result_json) { finish(result_json); }

void Call::answer(Error error) { finish(std::unexpected(std::move(error))); }

void Call::cancel(Error error) {
    std::function<void()> stop;
    {
        const std::lock_guard lock(mutex_);
        cancelled_.store(true, std::memory_order_relaxed);
        stop = std::move(stop_);
        stop_ = nullptr;
    }
    finish(std::unexpected(std::move(error)));
    if (stop) stop();
}

void Call::answer_dropped() {
    if (is_answered()) return;
    log(LogLevel::error, "ipc", "method " + std::string(method_->name) + " dropped its reply");
    answer(Error{ErrorCode::internal_error, "the method ended without an answer", {}, {}});
}

} // namespace pillion
