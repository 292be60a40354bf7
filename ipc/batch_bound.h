// How much a batch may be answered with. Its members are bounded each by itself, but a thousand of them in one answer
// would not be. Any thread.
#pragma once

#include "ipc/base/error.h"
#include "ipc/base/limits.h"
#include "ipc/json_scanner.h"

#include <string>
#include <string_view>

namespace pillion {

// As much as a message that comes.
inline constexpr std::size_t batch_answer_bytes_max = limits::message_bytes;

// Whether an answer finds no room beside what the batch was answered with so far.
inline bool is_batch_full(std::size_t bytes_so_far, std::size_t answer_bytes) {
    return bytes_so_far + answer_bytes > batch_answer_bytes_max;
}

inline Error batch_is_full() {
    return {ErrorCode::exhausted,
            "the answers of this batch are larger than " + std::to_string(batch_answer_bytes_max) +
                " bytes together; send this request by itself",
            {},
            {}};
}

// The id of an answer of our own, as text.
inline std::string_view id_of(std::string_view answer) {
    JsonScanner scanner(answer);
    std::string_view key, id = "null";
    scanner.enter('{');
    while (scanner.next_member(key)) {
        if (key == "id" && scanner.read_value(id)) break;
        scanner.skip_value();
    }
    return id;
}

} // namespace pillion
