#include "modules/remote_store/remote_listener.h"

#include "modules/remote_store/remote_notice.h"

#include <chrono>

namespace pillion {

RemoteListener::RemoteListener(std::unique_ptr<RemoteEar> ear, const RemoteLimits& limits, std::string origin,
                               std::string app, Heard heard)
    : ear_(std::move(ear)), origin_(std::move(origin)), app_(std::move(app)), heard_(std::move(heard)),
      backoff_(limits.backoff_ms_min, limits.backoff_ms_max) {}

void RemoteListener::wait_for_first_attempt() {
    std::unique_lock lock(mutex_);
    if (is_stopping_) return;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    wake_.wait(lock, [this] { return is_settled_ || is_stopping_; });
}

void RemoteListener::kick() {
    const std::lock_guard lock(mutex_);
    is_kicked_ = true;
    wake_.notify_all();
}

void RemoteListener::stop() {
    std::thread ended;
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
        ended.swap(thread_);
        rung_.ring();
        wake_.notify_all();
    }
    if (ended.joinable()) ended.join();
}

bool RemoteListener::is_stopping() const {
    const std::lock_guard lock(mutex_);
    return is_stopping_;
}

void RemoteListener::settle() {
    const std::lock_guard lock(mutex_);
    is_settled_ = true;
    is_kicked_ = false;
    wake_.notify_all();
}

void RemoteListener::run() {
    block_signals();
    bool was_deaf = false;
    while (!is_stopping()) {
        const Result<void> opened = ear_->open();
        settle();
        if (!opened) {
            was_deaf = true;
            ear_->close();
            backoff_.failed(system_clock().now_ns(), opened.error().code);
            pause();
            continue;
        }
        backoff_.succeeded();
        if (was_deaf) heard_({.uncertain = true});
        while (!is_stopping()) {
            const auto messages = ear_->hear(rung_);
            if (!messages) break;
            for (const std::string& message : *messages) pass_on(message);
        }
        ear_->close();
        if (is_stopping()) break;
        was_deaf = true;
    }
}

void RemoteListener::pause() {
    std::unique_lock lock(mutex_);
    const auto pause_ns = backoff_.next_ns() - system_clock().now_ns();
    wake_.wait_for(lock, std::chrono::nanoseconds(pause_ns), [this] { return is_stopping_ || is_kicked_; });
    is_kicked_ = false;
}

// What is not understood, from a newer sidecar perhaps, may have concerned anything.
void RemoteListener::pass_on(const std::string& message) {
    auto notice = decode_notice(message);
    if (!notice) {
        heard_({.uncertain = true});
        return;
    }
    if (notice->origin == origin_ || notice->app != app_) return;
    heard_({.selection = std::move(notice->selection)});
}

} // namespace pillion
