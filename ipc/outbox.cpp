// The right to write is a flag under the mutex, held while the mutex is not: senders append and leave. Messages are
// written in the order they were sent. A write that would block hands the right to the writer thread, which polls.
#include "ipc/outbox.h"

#include "ipc/base/platform.h"

#include <cerrno>
#include <chrono>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pillion {

namespace {
constexpr std::size_t kept_bytes_max = 4 * 1024 * 1024;
constexpr unsigned kept_flushes = 64;
} // namespace

Outbox::Outbox(int descriptor, BufferPool& pool, std::size_t backlog_bytes_max)
    : descriptor_(descriptor), pool_(pool), backlog_bytes_max_(backlog_bytes_max) {
    if (const int own = platform::reopen_nonblocking(descriptor); own >= 0) {
        descriptor_ = own;
        owns_descriptor_ = true;
    } else {
        is_socket_ = platform::is_socket(descriptor);
    }
}

Outbox::~Outbox() {
    stop();
    if (owns_descriptor_) close(descriptor_);
}

std::size_t Outbox::write_now(const char* data, std::size_t size, bool& blocked, int patience_ms) {
    std::size_t done = 0;
    while (done < size) {
        const ssize_t n = is_socket_ ? ::send(descriptor_, data + done, size - done, MSG_DONTWAIT | MSG_NOSIGNAL)
                                     : ::write(descriptor_, data + done, size - done);
        if (n >= 0) {
            done += static_cast<std::size_t>(n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            pollfd ready{.fd = descriptor_, .events = POLLOUT, .revents = 0};
            if (patience_ms > 0 && poll(&ready, 1, patience_ms) > 0) continue;
            blocked = true;
            break;
        } else if (errno != EINTR) {
            broken_.store(true, std::memory_order_release);
            break;
        }
    }
    bytes_written_.fetch_add(done, std::memory_order_relaxed);
    return done;
}

// Takes and writes what is pending until nothing is left or stdout is full. Called with the lock and the right to
// write; gives the right back, or passes it to the writer thread.
void Outbox::write_pending(std::unique_lock<std::mutex>& lock) {
    bool drained = false;
    while (!pending_.empty() && !is_broken()) {
        std::vector<Buffer> taken;
        taken.swap(pending_);
        std::size_t skip = first_written_;
        first_written_ = 0;
        lock.unlock();
        bool blocked = false;
        std::size_t written = 0;
        std::size_t i = 0;
        for (; i < taken.size() && !blocked && !is_broken(); ++i) {
            const std::size_t done = write_now(taken[i].data() + skip, taken[i].size() - skip, blocked, 0);
            written += done;
            if (done + skip < taken[i].size()) {
                skip += done;
                break;
            }
            skip = 0;
        }
        lock.lock();
        backlog_bytes_.fetch_sub(written, std::memory_order_relaxed);
        if (i == taken.size()) { // all written: keep the vector's memory
            taken.clear();
            if (pending_.empty()) pending_.swap(taken);
            drained = true;
            continue;
        }
        first_written_ = skip;
        pending_.insert(pending_.begin(), std::make_move_iterator(taken.begin() + static_cast<std::ptrdiff_t>(i)),
                        std::make_move_iterator(taken.end()));
        if (blocked) {
            room_.notify_all();
            return hand_to_writer(); // the right to write goes along
        }
    }
    if (is_broken()) return break_off(lock);
    writing_ = false;
    room_.notify_all();
    if (drained && hooks_.on_drained) {
        lock.unlock();
        hooks_.on_drained();
        lock.lock();
    }
}

void Outbox::break_off(std::unique_lock<std::mutex>& lock) {
    pending_.clear();
    first_written_ = 0;
    backlog_bytes_.store(0, std::memory_order_relaxed);
    writing_ = false;
    room_.notify_all();
    const auto hook = std::exchange(hooks_.on_broken, nullptr);
    lock.unlock();
    if (hook) hook();
    lock.lock();
}

void Outbox::hand_to_writer() {
    writer_wanted_ = true;
    if (!writer_.joinable() && !stopping_) writer_ = std::thread([this] { run_writer(); });
    work_.notify_one();
}

void Outbox::run_writer() {
    platform::name_thread("pillion-writer");
    std::unique_lock lock(mutex_);
    while (true) {
        work_.wait(lock, [this] { return writer_wanted_ || stopping_; });
        if (stopping_) return;
        writer_wanted_ = false;
        lock.unlock();
        // A time limit, so that stop() is noticed even if the reader of stdout never comes back.
        pollfd ready{.fd = descriptor_, .events = POLLOUT, .revents = 0};
        poll(&ready, 1, 100);
        lock.lock();
        write_pending(lock);
    }
}

// While somebody else writes, messages share blocks: a queue of small ones, each in a block of its own, would hold twenty
// times its size. Called with the lock; false for those that half fill a block by themselves.
bool Outbox::gather(const Buffer& bytes) {
    constexpr std::size_t block_bytes = BufferPool::class_bytes.back();
    if (bytes.size() > block_bytes / 2) return false;
    if (pending_.empty() || pending_.back().capacity() - pending_.back().size() < bytes.size())
        pending_.emplace_back(pool_).prepare(block_bytes);
    pending_.back().append(bytes.view());
    return true;
}

void Outbox::send(Buffer bytes) {
    if (bytes.empty() || is_broken()) return;
    std::unique_lock lock(mutex_);
    backlog_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
    if (writing_ && gather(bytes)) return;
    pending_.push_back(std::move(bytes));
    if (writing_) return;
    writing_ = true;
    write_pending(lock);
}

void Outbox::flush_own(Buffer& bytes) {
    if (bytes.empty()) return;
    std::unique_lock lock(mutex_);
    if (writing_ || !pending_.empty() || is_broken()) {
        lock.unlock();
        send(std::exchange(bytes, Buffer(pool_)));
        return;
    }
    writing_ = true;
    lock.unlock();
    bool blocked = false;
    // An answer larger than the pipe: a client that reads makes room sooner than another thread would wake.
    const std::size_t done = write_now(bytes.data(), bytes.size(), blocked, 1);
    lock.lock();
    if (done == bytes.size()) {
        // A buffer that grew for large answers is kept while they come: fresh memory costs a page fault every 4 KiB.
        small_flushes_ = bytes.size() > BufferPool::class_bytes.back() ? 0 : small_flushes_ + 1;
        bytes.clear();
        if (bytes.capacity() > kept_bytes_max ||
            (small_flushes_ > kept_flushes && bytes.capacity() > BufferPool::class_bytes.back()))
            bytes.reset();
    } else if (!is_broken()) {
        backlog_bytes_.fetch_add(bytes.size() - done, std::memory_order_relaxed);
        pending_.insert(pending_.begin(), std::exchange(bytes, Buffer(pool_)));
        first_written_ = done;
    }
    write_pending(lock);
}

bool Outbox::wait_below(std::size_t bytes, std::int64_t wait_ms_max) {
    std::unique_lock lock(mutex_);
    return room_.wait_for(lock, std::chrono::milliseconds(wait_ms_max),
                          [&] { return backlog_bytes() < bytes || is_broken(); });
}

void Outbox::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        work_.notify_all();
    }
    if (writer_.joinable()) writer_.join();
}

} // namespace pillion
