#include "ipc/server.h"

#include "ipc/base/log.h"
#include "ipc/dispatcher_metrics.h"
#include "ipc/lifetime.h"

#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace pillion {

namespace {
constexpr std::int64_t answers_held_ns_max = 250'000;
}

Server::Server(int input, Dispatcher& dispatcher, Outbox& outbox, FrameWriter& frames, MemoryPools& pools,
               const ServerOptions& options)
    : input_(input), dispatcher_(dispatcher), outbox_(outbox), frames_(frames),
      framer_(pools.buffers, options.framing, options.message_bytes_max), options_(options) {}

bool Server::take(const Frame& frame) {
    frames_.set_framing(framer_.framing());
    if (frame.fault)
        dispatcher_.refuse(*frame.fault);
    else
        dispatcher_.receive(frame.text);
    stream_is_broken_ = stream_is_broken_ || frame.fatal;
    return !stream_is_broken_;
}

void Server::take_frames() {
    const auto go_on = [] { return !Lifetime::is_ending(); };
    // Answers leave while more messages of the same read wait, so that the client can work on them and memory stays
    // small; but not so often that waking the client costs more than the answers. The clock is looked at now and then.
    constexpr std::size_t messages_between_looks = 64;
    std::size_t taken = 0;
    std::int64_t flushed_ns = system_clock().now_ns();
    const auto are_answers_old = [&] {
        return ++taken % messages_between_looks == 0 && system_clock().now_ns() - flushed_ns >= answers_held_ns_max;
    };
    dispatcher_.begin_read();
    while (const auto frame = framer_.next()) {
        if (!take(*frame) || Lifetime::reason() == EndReason::shutdown) break;
        if (!are_answers_old() && !dispatcher_.has_much_to_send()) continue;
        dispatcher_.flush(go_on);
        flushed_ns = system_clock().now_ns();
    }
    dispatcher_.flush(go_on);
}

void Server::read_all() {
    while (!Lifetime::is_ending() && !stream_is_broken_) {
        const std::span<char> space = framer_.space();
        const ssize_t n = read(input_, space.data(), space.size());
        if (n > 0) {
            metrics::bytes_in.add(static_cast<std::uint64_t>(n));
            framer_.commit(static_cast<std::size_t>(n));
            take_frames();
        } else if (n == 0) {
            break;
        } else if (errno == EAGAIN) { // somebody who shares the descriptor made it non-blocking
            pollfd ready{.fd = input_, .events = POLLIN, .revents = 0};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            log(LogLevel::warning, "ipc", "stdin cannot be read any more");
            break;
        }
    }
    if (Lifetime::is_ending()) return;
    if (const auto last = framer_.finish()) {
        dispatcher_.begin_read();
        take(*last);
        dispatcher_.flush([] { return !Lifetime::is_ending(); });
    }
}

bool Server::run() {
    read_all();
    if (!Lifetime::is_ending()) Lifetime::request_end(EndReason::end_of_input);
    const std::int64_t started_ns = system_clock().now_ns();
    if (options_.on_ending) options_.on_ending();
    const auto left_ms = [&] {
        return std::max<std::int64_t>(0, options_.shutdown_ms - (system_clock().now_ns() - started_ns) / 1'000'000);
    };
    if (outbox_.is_broken()) return dispatcher_.in_flight() == 0;
    const bool all_answered = dispatcher_.drain(left_ms());
    dispatcher_.flush([] { return false; });
    // A reader that is slow but reads gets everything: the time counts from its last progress.
    for (std::size_t before = outbox_.backlog_bytes();
         !outbox_.wait_until_empty(std::max<std::int64_t>(options_.shutdown_ms, 100));) {
        const std::size_t now = outbox_.backlog_bytes();
        if (now >= before) return false;
        before = now;
    }
    return all_answered;
}

} // namespace pillion
