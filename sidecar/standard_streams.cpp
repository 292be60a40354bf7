#include "sidecar/standard_streams.h"

#include "ipc/base/platform.h"

#include <fcntl.h>
#include <unistd.h>

namespace pillion {

StandardStreams claim_standard_streams() {
    // A descriptor that came closed is opened to nothing, so that no file opened later becomes stdin, stdout or stderr.
    for (int descriptor = 0; descriptor <= 2; ++descriptor)
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY) < 0) _exit(1);
    const StandardStreams streams{fcntl(0, F_DUPFD_CLOEXEC, 3), fcntl(1, F_DUPFD_CLOEXEC, 3)};
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, 0);
    close(nothing);
    // Where stderr is a pipe, what libraries print must not block either if nobody reads it.
    const int own_error = platform::reopen_nonblocking(2);
    if (own_error >= 0) {
        dup2(own_error, 2);
        close(own_error);
    }
    dup2(2, 1);
    return streams;
}

} // namespace pillion
