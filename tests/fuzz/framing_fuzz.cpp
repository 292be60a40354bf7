// However a stream is cut into reads, the same frames come out, none is over the limit, and the buffer stays small. The
// first four bytes of the input choose the framing and the cuts.
#include "tests/support/framer_feed.h"

#include <cstdint>
#include <cstdlib>

namespace {

constexpr std::size_t message_bytes_max = 64;

std::vector<std::string> frames_of(pillion::Framing framing, std::string_view stream, unsigned step) {
    pillion::BufferPool pool;
    pillion::Framer framer(pool, framing, message_bytes_max);
    unsigned state = step;
    const auto chunk_bytes = [&](std::size_t) -> std::size_t {
        if (step == 0) return stream.size();
        state = state * 1664525u + 1013904223u;
        return 1 + (state >> 16) % (step % 17 + 1);
    };
    auto frames = pillion::test::feed(framer, stream, chunk_bytes, [&](const pillion::Framer&) {
        if (pool.oversize_bytes() != 0) std::abort();
    });
    for (const std::string& frame : frames)
        if (frame.starts_with("text ") && frame.size() > message_bytes_max + 5) std::abort();
    return frames;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4) return 0;
    const std::string_view stream(reinterpret_cast<const char*>(data) + 4, size - 4);
    const auto framing = static_cast<pillion::Framing>(data[0] % 3);
    const auto whole = frames_of(framing, stream, 0);
    for (const unsigned step : {1u, unsigned{data[1]} + 1, unsigned{data[2]} * 256 + data[3] + 1})
        if (frames_of(framing, stream, step) != whole) std::abort();
    return 0;
}
