// Feeds a Framer a stream cut at given places and writes down what comes out.
#pragma once

#include "ipc/framing.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::test {

// One frame as a line to compare: its text, or what was wrong with it.
inline std::string described(const Frame& frame) {
    if (!frame.fault) return "text " + std::string(frame.text);
    return (frame.fatal ? "fatal " : "fault ") + std::to_string(static_cast<int>(frame.fault->code)) + " " +
           frame.fault->message;
}

// All frames of `stream`; `chunk_bytes(offset)` says how many bytes the next read gives at most. `after_read` sees the
// framer after each.
template <class ChunkBytes, class AfterRead>
std::vector<std::string> feed(Framer& framer, std::string_view stream, ChunkBytes chunk_bytes, AfterRead after_read) {
    std::vector<std::string> frames;
    std::size_t offset = 0;
    while (offset < stream.size()) {
        const auto space = framer.space();
        const std::size_t bytes = std::min({chunk_bytes(offset), space.size(), stream.size() - offset});
        std::memcpy(space.data(), stream.data() + offset, bytes);
        framer.commit(bytes);
        offset += bytes;
        while (const auto frame = framer.next()) frames.push_back(described(*frame));
        after_read(framer);
    }
    if (const auto frame = framer.finish()) frames.push_back("end: " + described(*frame));
    return frames;
}

template <class ChunkBytes>
std::vector<std::string> feed(Framer& framer, std::string_view stream, ChunkBytes chunk_bytes) {
    return feed(framer, stream, chunk_bytes, [](const Framer&) {});
}

} // namespace pillion::test
