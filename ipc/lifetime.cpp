#include "ipc/lifetime.h"

#include "ipc/base/platform.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace pillion {

namespace {

constinit std::atomic<EndReason> end_reason{EndReason::none};
constinit std::atomic<int> input_descriptor{-1};
constinit std::atomic<int> empty_input{-1};
pthread_t reader_thread;

// Handlers may run on any thread: request_end() wakes the reader whoever calls it.
// A second request to end, by signal, ends at once.
void on_end_signal(int) {
    if (end_reason.load() == EndReason::signal) _exit(1);
    Lifetime::request_end(EndReason::signal);
}

// Sent when the thread that spawned us ends; only the end of the whole process counts.
void on_parent_signal(int) {
    if (platform::parent_is_gone()) Lifetime::request_end(EndReason::parent_died);
}

void on_wake(int) {}

void handle(int signal, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    action.sa_flags = 0; // no SA_RESTART: a read under way must return
    sigaction(signal, &action, nullptr);
}

int parent_signal() { return SIGRTMIN + 1; }
constexpr int wake_signal = SIGUSR2;

} // namespace

void Lifetime::install(int input) {
    input_descriptor = input;
    empty_input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    reader_thread = pthread_self();
    handle(SIGTERM, on_end_signal);
    handle(SIGINT, on_end_signal);
    handle(SIGHUP, on_end_signal);
    handle(wake_signal, on_wake);
    handle(parent_signal(), on_parent_signal);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
    platform::signal_on_parent_death(parent_signal());
    if (platform::parent_changed_since_start()) request_end(EndReason::parent_died); // before it could be signalled
}

void Lifetime::request_end(EndReason reason) {
    const int error = errno;
    EndReason none = EndReason::none;
    if (end_reason.compare_exchange_strong(none, reason) && input_descriptor >= 0) {
        dup2(empty_input, input_descriptor);
        if (!pthread_equal(pthread_self(), reader_thread)) pthread_kill(reader_thread, wake_signal);
    } else if (reason == EndReason::signal) {
        end_reason = reason; // a later signal is a second one
    }
    errno = error;
}

EndReason Lifetime::reason() { return end_reason.load(std::memory_order_acquire); }

} // namespace pillion
