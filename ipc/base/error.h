// Errors as values. Every fallible function returns Result<T>; the dispatcher turns the Error into the wire's error
// object. Standard library only; any thread.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace pillion {

// The codes of the wire protocol. JSON-RPC 2.0 reserves -32768..-32000; -32800 is LSP's RequestCancelled.
enum class ErrorCode : int {
    parse_error = -32700,
    invalid_request = -32600,
    method_not_found = -32601,
    invalid_params = -32602,
    internal_error = -32603,
    cancelled = -32800,
    timeout = -32001,
    not_found = -32002,
    conflict = -32003,
    exhausted = -32004,
    unavailable = -32005,
    denied = -32006,
    failed_precondition = -32007,
    corrupt = -32008,
};

// The code's name on the wire (`error.data.kind`).
std::string_view error_kind(ErrorCode code);

// Whether the same request may succeed later without being changed.
bool error_is_retryable(ErrorCode code);

struct Error {
    ErrorCode code = ErrorCode::internal_error;
    std::string message; // what was wrong, with the value, and what would be right
    std::string field{}; // JSON pointer to the offending param; empty where none applies
    std::string hint{};  // what to do or write instead; empty where none applies
    std::string raw{}; // somebody else's error object as JSON, passed on as it came in place of the above; mostly empty
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message, std::string field = {}, std::string hint = {}) {
    return std::unexpected(Error{code, std::move(message), std::move(field), std::move(hint)});
}

namespace detail {
template <class T>
T take(Result<T>& result) {
    return std::move(*result);
}
inline void take(Result<void>&) {}
} // namespace detail

} // namespace pillion

// Evaluates to the value of a Result, or returns its error from the enclosing function.
#define PILLION_TRY(expression)                                                                                        \
    __extension__({                                                                                                    \
        auto pillion_try_result = (expression);                                                                        \
        if (!pillion_try_result) return std::unexpected(std::move(pillion_try_result).error());                        \
        ::pillion::detail::take(pillion_try_result);                                                                   \
    })
