// What is written to a child's stdin. The caller's thread writes as much as the pipe takes, which for a message to a
// waiting backend is all of it and saves a change of threads; the rest waits for the io thread.
#include "modules/process/child_process.h"

#include <cerrno>
#include <unistd.h>

namespace pillion {

namespace {

// How many bytes were taken; absent if nobody will ever read them.
std::optional<std::size_t> write_some(int descriptor, std::string_view bytes) {
    std::size_t written = 0;
    while (written < bytes.size()) {
        const ssize_t taken = ::write(descriptor, bytes.data() + written, bytes.size() - written);
        if (taken >= 0)
            written += static_cast<std::size_t>(taken);
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            return std::nullopt;
    }
    return written;
}

} // namespace

Result<void> ChildProcess::write(std::string bytes) {
    const std::lock_guard lock(mutex_);
    if (!spec_.has_input)
        return fail(ErrorCode::failed_precondition, "'" + spec_.name + "' was started without an input to write to");
    if (input_number_ < 0 || closes_input_)
        return fail(ErrorCode::unavailable,
                    "'" + spec_.name + "' has ended or its input is closed; nothing can be written to it");
    if (input_bytes_ + bytes.size() > spec_.input_bytes_max)
        return fail(ErrorCode::exhausted,
                    "'" + spec_.name + "' does not read its input: " + std::to_string(input_bytes_) +
                        " bytes wait already, and " + std::to_string(bytes.size()) + " more would exceed the " +
                        std::to_string(spec_.input_bytes_max) + " allowed");
    return write_now(bytes);
}

// With mutex_ held.
Result<void> ChildProcess::write_now(std::string& bytes) {
    std::size_t written = 0;
    if (input_queue_.empty()) {
        const auto taken = write_some(input_number_, bytes);
        if (!taken) {
            closes_input_ = true;
            on_io(&ChildProcess::close_input_now);
            return fail(ErrorCode::unavailable,
                        "'" + spec_.name + "' has closed its input; nothing can be written to it");
        }
        written = *taken;
        if (written == bytes.size()) return {};
        input_offset_ = written;
    }
    input_bytes_ += bytes.size() - written;
    input_queue_.push_back(std::move(bytes));
    if (!waits_to_write_) {
        waits_to_write_ = true;
        on_io(&ChildProcess::wait_to_write);
    }
    return {};
}

void ChildProcess::wait_to_write() {
    if (!input_) return;
    input_->async_wait(boost::asio::posix::descriptor_base::wait_write,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                           if (!error) self->flush_input();
                       });
}

void ChildProcess::flush_input() {
    bool is_over = false;
    bool has_more = false;
    {
        const std::lock_guard lock(mutex_);
        while (!input_queue_.empty() && input_number_ >= 0) {
            const std::string& first = input_queue_.front();
            const auto taken = write_some(input_number_, std::string_view(first).substr(input_offset_));
            if (!taken) {
                is_over = true;
                break;
            }
            input_bytes_ -= *taken;
            input_offset_ += *taken;
            if (input_offset_ < first.size()) break;
            input_queue_.pop_front();
            input_offset_ = 0;
        }
        is_over = is_over || (input_queue_.empty() && closes_input_);
        has_more = !input_queue_.empty() && !is_over;
        waits_to_write_ = has_more;
    }
    if (is_over)
        close_input_now();
    else if (has_more)
        wait_to_write();
}

void ChildProcess::close_input() {
    const std::lock_guard lock(mutex_);
    if (closes_input_ || input_number_ < 0) return;
    closes_input_ = true;
    if (input_queue_.empty()) on_io(&ChildProcess::close_input_now);
}

void ChildProcess::close_input_now() {
    const std::lock_guard lock(mutex_);
    input_number_ = -1;
    input_queue_.clear();
    input_bytes_ = 0;
    input_offset_ = 0;
    waits_to_write_ = false;
    input_.reset();
}

} // namespace pillion
