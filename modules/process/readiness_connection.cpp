#include "modules/process/readiness_connection.h"

#include "modules/process/output_tail.h"

#include <boost/asio/write.hpp>
#include <cstring>
#include <sstream>

namespace pillion {

namespace asio = boost::asio;

ReadinessConnection::ReadinessConnection(asio::io_context& context, asio::ip::tcp::endpoint endpoint)
    : socket_(context), endpoint_(std::move(endpoint)) {}

void ReadinessConnection::cancel() {
    done_ = nullptr;
    boost::system::error_code ignored;
    socket_.close(ignored);
}

void ReadinessConnection::finish(Result<void> result) {
    const auto done = std::move(done_);
    cancel();
    if (done) done(std::move(result));
}

void ReadinessConnection::finish(const boost::system::error_code& error) {
    std::ostringstream where;
    where << endpoint_;
    const std::string what =
        error == asio::error::connection_refused ? "connection refused" : std::strerror(error.value());
    finish(fail(ErrorCode::unavailable,
                (error == asio::error::eof ? "connection closed without an answer" : what) + " on " + where.str()));
}

void ReadinessConnection::start(std::string request, std::function<void(Result<void>)> done) {
    request_ = std::move(request);
    done_ = std::move(done);
    socket_.async_connect(endpoint_, [self = shared_from_this()](const boost::system::error_code& error) {
        if (error) return self->finish(error);
        // A port of the range for outgoing connections may connect to itself while nobody listens (RFC 9293, 3.5).
        boost::system::error_code unknown;
        if (self->socket_.local_endpoint(unknown) == self->endpoint_)
            return self->finish(boost::system::error_code(asio::error::connection_refused));
        if (self->request_.empty()) return self->finish(Result<void>());
        asio::async_write(self->socket_, asio::buffer(self->request_),
                          [self](const boost::system::error_code& write_error, std::size_t) {
                              if (write_error) return self->finish(write_error);
                              self->read_status();
                          });
    });
}

void ReadinessConnection::read_status() {
    socket_.async_read_some(asio::buffer(answer_.data() + answered_, answer_.size() - answered_),
                            [self = shared_from_this()](const boost::system::error_code& error, std::size_t got) {
                                if (error) return self->finish(error);
                                self->answered_ += got;
                                const std::string_view text(self->answer_.data(), self->answered_);
                                // "HTTP/1.1 200"
                                if (text.size() < 12 && text.find('\n') == std::string_view::npos)
                                    return self->read_status();
                                if (!text.starts_with("HTTP/1.") || text.size() < 12 || text[8] != ' ')
                                    return self->finish(fail(ErrorCode::unavailable, "an answer that is not HTTP: " +
                                                                                         readable(text.substr(0, 40))));
                                const std::string_view status = text.substr(9, 3);
                                if (status[0] == '2') return self->finish(Result<void>());
                                self->finish(fail(ErrorCode::unavailable, "HTTP status " + readable(status)));
                            });
}

} // namespace pillion
