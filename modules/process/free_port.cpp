// The kernel picks an unused port from its range for a socket bound to port 0. Two calls in a row may get the same one,
// since the first service has not bound it yet; so those of the last minutes are remembered and not given again.
#include "modules/process/descriptor.h"
#include "modules/process/process.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <netinet/in.h>
#include <sys/socket.h>

namespace pillion {

namespace {

constexpr std::int64_t kept_ns = 120'000'000'000;
constexpr std::size_t kept_max = 1024;
constexpr int attempts_max = 64;

struct RecentPorts {
    std::mutex mutex;
    std::deque<std::pair<std::uint16_t, std::int64_t>> ports; // with when they were given; oldest first

    // False if it was given to somebody lately.
    bool take(std::uint16_t port, std::int64_t now_ns) {
        const std::lock_guard lock(mutex);
        while (!ports.empty() && (now_ns - ports.front().second > kept_ns || ports.size() > kept_max))
            ports.pop_front();
        if (std::ranges::any_of(ports, [port](const auto& given) { return given.first == port; })) return false;
        ports.emplace_back(port, now_ns);
        return true;
    }
};

Result<std::uint16_t> unused_port(Descriptor& socket) {
    socket.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    if (!socket.is_open() || ::bind(socket.number(), plain, length) != 0 ||
        ::getsockname(socket.number(), plain, &length) != 0)
        return fail(ErrorCode::unavailable,
                    std::string("no free port on 127.0.0.1 could be found: ") + std::strerror(errno));
    return ntohs(address.sin_port);
}

} // namespace

Result<std::uint16_t> find_free_port() {
    static RecentPorts recent;
    // A refused port stays bound while the search goes on, so that the kernel does not offer it again.
    std::vector<Descriptor> refused;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        Descriptor socket;
        const std::uint16_t port = PILLION_TRY(unused_port(socket));
        if (recent.take(port, system_clock().now_ns())) return port;
        refused.push_back(std::move(socket));
    }
    return fail(ErrorCode::exhausted, "every port that 127.0.0.1 offers was handed out within the last two minutes");
}

} // namespace pillion
