// The end of a process is three things: its exit status (a pidfd becomes readable), the end of its output, and the end
// of its descendants. on_exit comes after all three, or a short while after the first: a descendant that keeps a pipe
// open does not hold it up. The zombie is kept until the tree is gone, so that its group's number is not given to
// others.
#include "modules/process/child_process.h"

#include "modules/process/supervisor.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>

namespace pillion {

namespace {

namespace asio = boost::asio;

constexpr std::int64_t drain_ms_max = 200;
constexpr int reads_in_a_row = 4;
// What a pipe can hold (/proc/sys/fs/pipe-max-size) is read at the end, and no more, should a descendant go on writing.
constexpr int last_reads_max = 16;

void make_nonblocking(int descriptor) { ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK); }

} // namespace

ChildProcess::ChildProcess(std::weak_ptr<Supervisor> supervisor, Io& io, const Clock& clock, Parts parts)
    : supervisor_(std::move(supervisor)), io_(io), clock_(clock), spec_(std::move(parts.spec)), pid_(parts.pid),
      start_ticks_(parts.start_ticks), mark_(std::move(parts.mark)), started_ns_(clock.now_ns()),
      handlers_(std::move(parts.handlers)) {
    const auto take = [&io](std::optional<asio::posix::stream_descriptor>& to, Descriptor& from) {
        make_nonblocking(from.number());
        to.emplace(io.context(), from.release());
    };
    input_number_ = parts.input.number();
    if (parts.input.is_open()) take(input_, parts.input);
    take(output_.descriptor, parts.output);
    take(errors_.descriptor, parts.errors);
    end_.emplace(io.context(), parts.end.release());
}

void ChildProcess::begin() {
    wait_for(output_);
    wait_for(errors_);
    end_->async_wait(asio::posix::descriptor_base::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                         if (!error) self->notice_exit();
                     });
}

void ChildProcess::on_io(void (ChildProcess::*task)()) {
    if (const auto supervisor = supervisor_.lock())
        supervisor->post([self = shared_from_this(), task] { (self.get()->*task)(); });
}

void ChildProcess::wait_for(Stream& stream) {
    if (stream.is_at_end || stream.is_waiting) return;
    stream.is_waiting = true;
    stream.descriptor->async_wait(asio::posix::descriptor_base::wait_read,
                                  [self = shared_from_this(), &stream](const boost::system::error_code& error) {
                                      stream.is_waiting = false;
                                      if (!error) self->read(stream);
                                  });
}

void ChildProcess::read(Stream& stream) {
    for (int reads = 0; reads < reads_in_a_row; ++reads) {
        if (stream.is_at_end || (&stream == &output_ && is_paused_)) return;
        if (!read_some(stream)) break;
    }
    wait_for(stream);
}

// False if nothing is there now.
bool ChildProcess::read_some(Stream& stream) {
    std::array<char, 64 * 1024> buffer;
    ssize_t got = 0;
    do got = ::read(stream.descriptor->native_handle(), buffer.data(), buffer.size());
    while (got < 0 && errno == EINTR);
    if (got > 0)
        deliver(stream, {buffer.data(), static_cast<std::size_t>(got)});
    else if (got == 0 || errno != EAGAIN)
        end_of(stream);
    return got > 0;
}

void ChildProcess::deliver(const Stream& stream, std::string_view bytes) {
    const bool is_output = &stream == &output_;
    {
        const std::lock_guard lock(mutex_);
        (is_output ? output_tail_ : error_tail_).append(bytes);
    }
    if (is_output) {
        if (!observers_.empty()) show_lines(bytes);
        if (handlers_.on_output) handlers_.on_output(bytes);
    } else if (handlers_.on_error_line) {
        error_lines_.append(bytes, [this](std::string_view line) { handlers_.on_error_line(readable(line)); });
    }
}

void ChildProcess::show_lines(std::string_view bytes) {
    output_lines_.append(bytes, [this](std::string_view line) {
        // An observer may add another one.
        auto observers = std::move(observers_);
        observers_.clear();
        std::erase_if(observers, [text = readable(line)](const auto& observer) { return observer(text); });
        observers_.insert(observers_.begin(), std::make_move_iterator(observers.begin()),
                          std::make_move_iterator(observers.end()));
    });
}

void ChildProcess::observe_output_lines(std::function<bool(std::string_view line)> observer) {
    const auto supervisor = supervisor_.lock();
    if (!supervisor) return;
    supervisor->post([self = shared_from_this(), observer = std::move(observer)]() mutable {
        std::string seen;
        {
            const std::lock_guard lock(self->mutex_);
            seen = self->output_tail_.lines();
        }
        for (std::string_view rest = seen; !rest.empty();) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            if (observer(rest.substr(0, end))) return;
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        self->observers_.push_back(std::move(observer));
    });
}

void ChildProcess::end_of(Stream& stream) {
    stream.is_at_end = true;
    stream.descriptor.reset();
    if (&stream == &errors_ && handlers_.on_error_line)
        error_lines_.finish([this](std::string_view line) { handlers_.on_error_line(readable(line)); });
    finish_if_ready();
}

void ChildProcess::pause_output() { is_paused_ = true; }

void ChildProcess::resume_output() {
    if (is_paused_.exchange(false)) on_io(&ChildProcess::finish_if_ready);
}

void ChildProcess::stop() { request_end(spec_.stop_grace_ms); }

void ChildProcess::kill() { request_end(0); }

void ChildProcess::request_end(std::int64_t grace_ms) {
    if (is_running()) was_requested_ = true;
    const auto supervisor = supervisor_.lock();
    if (!supervisor) return;
    supervisor->post([self = shared_from_this(), grace_ms] {
        self->is_paused_ = false;
        const auto owner = self->supervisor_.lock();
        if (owner && !self->tree_gone_) owner->end_tree(*self, grace_ms);
        self->finish_if_ready();
    });
}

void ChildProcess::notice_exit() {
    if (exit_) return;
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    ProcessExit exit;
    if (ended.si_code == CLD_EXITED)
        exit.code = ended.si_status;
    else
        exit.signal = ended.si_status;
    exit.was_requested = was_requested_;
    exit.ran_ms = (clock_.now_ns() - started_ns_) / 1'000'000;
    exit_ = std::move(exit);
    is_running_.store(false, std::memory_order_release);
    end_.reset();
    close_input_now();
    drain_timer_ = io_.after_ms(drain_ms_max, [self = shared_from_this()] {
        self->drain_is_over_ = true;
        self->finish_if_ready();
    });
    if (const auto supervisor = supervisor_.lock(); supervisor && !tree_gone_)
        supervisor->end_tree(*this, spec_.stop_grace_ms);
}

void ChildProcess::tree_is_gone() {
    tree_gone_ = true;
    notice_exit();
    finish_if_ready();
}

void ChildProcess::finish_if_ready() {
    if (!is_paused_ && !is_finished_) wait_for(output_);
    if (!exit_ || is_finished_ || (is_paused_ && !output_.is_at_end)) return;
    const bool has_ended = output_.is_at_end && errors_.is_at_end && tree_gone_;
    if (has_ended || drain_is_over_) finish();
}

void ChildProcess::finish() {
    is_finished_ = true;
    io_.cancel(drain_timer_);
    for (Stream* const stream : {&output_, &errors_}) {
        for (int reads = 0; reads < last_reads_max && !stream->is_at_end && read_some(*stream); ++reads) {
        }
        if (!stream->is_at_end) end_of(*stream);
    }
    if (!observers_.empty()) {
        output_lines_.finish([this](std::string_view line) {
            for (const auto& observer : observers_) observer(line);
        });
        observers_.clear();
    }
    exit_->last_lines = last_lines();
    const ProcessHandlers handlers = std::move(handlers_);
    handlers_ = {};
    if (handlers.on_exit) handlers.on_exit(*exit_);
    if (const auto supervisor = supervisor_.lock()) supervisor->forget_if_done(*this);
}

void ChildProcess::abandon() {
    io_.cancel(drain_timer_);
    is_finished_ = true;
    is_running_ = false;
    close_input_now();
    for (Stream* const stream : {&output_, &errors_}) {
        stream->is_at_end = true;
        stream->descriptor.reset();
    }
    end_.reset();
    observers_.clear();
    handlers_ = {};
}

std::string ChildProcess::last_lines() const {
    const std::lock_guard lock(mutex_);
    return (error_tail_.empty() ? output_tail_ : error_tail_).lines();
}

} // namespace pillion
