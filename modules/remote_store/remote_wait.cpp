#include "modules/remote_store/remote_wait.h"

#include "modules/remote_store/remote_link.h"

#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace pillion {

SocketWait wait_for_socket(int socket, SocketWish wish, int left_ms, int wake) {
    const auto events =
        static_cast<short>((wish == SocketWish::write ? 0 : POLLIN) | (wish == SocketWish::read ? 0 : POLLOUT));
    std::array<pollfd, 2> descriptors{pollfd{socket, events, 0}, pollfd{wake, POLLIN, 0}};
    const std::int64_t end_ns = system_clock().now_ns() + std::int64_t{left_ms} * 1'000'000;
    while (true) {
        const int found = poll(descriptors.data(), wake < 0 ? 1 : 2, left_ms);
        if (found < 0 && errno == EINTR) {
            left_ms = static_cast<int>(std::max<std::int64_t>(0, (end_ns - system_clock().now_ns()) / 1'000'000));
            continue;
        }
        if (found <= 0) return SocketWait::timed_out;
        return descriptors[0].revents != 0 ? SocketWait::ready : SocketWait::woken;
    }
}

WakeDescriptor::WakeDescriptor() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
WakeDescriptor::~WakeDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
}
void WakeDescriptor::ring() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(descriptor_, &one, sizeof one);
}
void WakeDescriptor::silence() const {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = read(descriptor_, &count, sizeof count);
}

} // namespace pillion
