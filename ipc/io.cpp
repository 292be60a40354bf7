// One Asio timer stands for the whole queue: it is armed for the earliest task and re-armed after each change.
#include "ipc/io.h"

#include "ipc/base/log.h"
#include "ipc/base/platform.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>

namespace pillion {

struct Io::Engine {
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
    boost::asio::steady_timer timer{context};
    std::thread thread;
};

Io::Io(const Clock& clock) : clock_(clock) {}

Io::~Io() { stop(); }

Io::Engine& Io::engine() {
    if (Engine* const running = started_.load(std::memory_order_acquire)) return *running;
    const std::lock_guard lock(mutex_);
    if (!engine_) {
        engine_ = std::make_unique<Engine>();
        if (!stopped_)
            engine_->thread = std::thread([context = &engine_->context] {
                platform::name_thread("pillion-io");
                context->run();
            });
    }
    started_.store(engine_.get(), std::memory_order_release);
    return *engine_;
}

boost::asio::io_context& Io::context() { return engine().context; }

void Io::post(std::function<void()> task) { boost::asio::post(engine().context, std::move(task)); }

// On the io thread: runs what is due and waits for what is next.
void Io::arm() {
    while (const auto task = queue_.take_due(clock_.now_ns())) task();
    const auto next = queue_.next_ns();
    if (!next) return;
    boost::asio::steady_timer& timer = engine().timer;
    timer.expires_after(std::chrono::nanoseconds(std::max<std::int64_t>(0, *next - clock_.now_ns())));
    timer.async_wait([this](const boost::system::error_code& error) {
        if (!error) arm();
    });
}

TimerId Io::after_ms(std::int64_t delay_ms, std::function<void()> task) {
    const TimerId timer = queue_.add(clock_.now_ns() + delay_ms * 1'000'000, std::move(task));
    if (queue_.next_ns() == timer.at_ns) post([this] { arm(); });
    return timer;
}

bool Io::cancel(TimerId timer) { return queue_.remove(timer); }

void Io::stop() {
    Engine* engine = nullptr;
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        engine = engine_.get();
    }
    if (engine == nullptr || !engine->thread.joinable()) return;
    engine->context.stop();
    engine->thread.join();
}

} // namespace pillion
