#include "ipc/base/error.h"

namespace pillion {

std::string_view error_kind(ErrorCode code) {
    switch (code) {
    case ErrorCode::parse_error:
        return "parse_error";
    case ErrorCode::invalid_request:
        return "invalid_request";
    case ErrorCode::method_not_found:
        return "method_not_found";
    case ErrorCode::invalid_params:
        return "invalid_params";
    case ErrorCode::internal_error:
        return "internal_error";
    case ErrorCode::cancelled:
        return "cancelled";
    case ErrorCode::timeout:
        return "timeout";
    case ErrorCode::not_found:
        return "not_found";
    case ErrorCode::conflict:
        return "conflict";
    case ErrorCode::exhausted:
        return "exhausted";
    case ErrorCode::unavailable:
        return "unavailable";
    case ErrorCode::denied:
        return "denied";
    case ErrorCode::failed_precondition:
        return "failed_precondition";
    case ErrorCode::corrupt:
        return "corrupt";
    }
    return "internal_error";
}

bool error_is_retryable(ErrorCode code) {
    return code == ErrorCode::timeout || code == ErrorCode::exhausted || code == ErrorCode::unavailable;
}

} // namespace pillion
