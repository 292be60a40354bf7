// When to end. SIGTERM, SIGINT, SIGHUP, the death of the parent, a closed stdout and the shutdown method all do the
// same: the descriptor that the reader reads from is replaced by an empty one, so a read that is under way is
// interrupted and every later one finds the end of input. No polling, no extra system call per read, no race between a
// check and a read.
//
// One per process, made before any other thread; request_end() from any thread.
#pragma once

#include <cstdint>

namespace pillion {

enum class EndReason : std::uint8_t { none, end_of_input, signal, parent_died, stdout_closed, shutdown };

class Lifetime {
  public:
    // Takes over the signals. `input` is the reader's descriptor; the calling thread is the reader.
    static void install(int input);
    // The same, for a reader that is not reading at the moment. Async-signal-safe.
    static void request_end(EndReason reason);
    static EndReason reason();
    static bool is_ending() { return reason() != EndReason::none; }
};

} // namespace pillion
