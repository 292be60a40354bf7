// Takes stdin and stdout away from everything that is not the protocol: whatever a library prints goes to stderr, and
// whatever it reads is empty. Called once, first thing, on the main thread.
#pragma once

namespace pillion {

struct StandardStreams {
    int input = -1;  // what was descriptor 0
    int output = -1; // what was descriptor 1
};

StandardStreams claim_standard_streams();

} // namespace pillion
