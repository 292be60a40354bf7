// One JSON text of the wire taken apart: JSON-RPC 2.0 requests, notifications, responses, and batches of them. The
// whole text is validated before any of it is handed on. Everything points into the text; nothing is copied. Any
// thread.
#pragma once

#include "ipc/base/error.h"
#include "ipc/base/limits.h"

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace pillion {

struct Message {
    enum class Kind : unsigned char { request, notification, response, invalid };

    Kind kind = Kind::invalid;
    std::string_view id{};        // as sent: a string with its quotes, a number, or null; empty for a notification
    std::string_view method{};    // between the quotes, escapes as sent
    std::string_view params{};    // an object or array; empty where there are none
    std::string_view meta{};      // the value of the `_meta` member of params; empty where there is none
    std::string_view result{};    // responses: the result, or
    std::string_view error{};     // the error object
    std::optional<Error> fault{}; // invalid: why
};

struct MessageLimits {
    std::size_t nesting = limits::nesting;
    std::size_t batch = limits::batch;
};

// Reused from text to text, so that reading a message allocates nothing once warm.
class MessageReader {
  public:
    explicit MessageReader(const MessageLimits& bounds = {}) : limits_(bounds) {}

    // Takes one JSON text apart. An error means that nothing of it may be dispatched: -32700 where it is no JSON,
    // -32600 where it breaks a limit, is an empty batch or neither object nor array.
    Result<void> read(std::string_view text);

    bool is_batch() const { return is_batch_; }
    // In the order sent. A member that is no valid message has kind `invalid` and its fault.
    const std::vector<Message>& messages() const { return messages_; }

  private:
    Error syntax_error(const class JsonScanner& scanner) const;
    bool read_envelope(JsonScanner& scanner, Message& message);
    bool read_params(JsonScanner& scanner, Message& message);

    const MessageLimits limits_;
    std::vector<Message> messages_;
    bool is_batch_ = false;
};

} // namespace pillion
