// One attempt to reach a port: a connection, and for HTTP a request and the status line of its answer (RFC 9112, 4).
// Private to the module; io thread only.
#pragma once

#include "ipc/base/error.h"

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>

namespace pillion {

class ReadinessConnection : public std::enable_shared_from_this<ReadinessConnection> {
  public:
    ReadinessConnection(boost::asio::io_context& context, boost::asio::ip::tcp::endpoint endpoint);

    // With an empty request a connection is all that is wanted. Calls `done` once, later, unless cancelled.
    void start(std::string request, std::function<void(Result<void>)> done);
    void cancel();

  private:
    void read_status();
    void finish(Result<void> result);
    void finish(const boost::system::error_code& error);

    boost::asio::ip::tcp::socket socket_;
    const boost::asio::ip::tcp::endpoint endpoint_;
    std::string request_;
    std::function<void(Result<void>)> done_;
    std::array<char, 512> answer_{};
    std::size_t answered_ = 0;
};

} // namespace pillion
