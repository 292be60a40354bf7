// The application writes to one end of a pipe as it would to a shell; a thread reads the other end, so that an answer
// may be larger than a pipe holds.
#include "sidecar/one_call.h"

#include "ipc/json_text.h"
#include "ipc/message.h"

#include <cstdio>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace pillion {

namespace {

std::string read_all(int descriptor) {
    std::string text;
    char chunk[16 * 1024];
    for (ssize_t n; (n = read(descriptor, chunk, sizeof chunk)) > 0;) text.append(chunk, static_cast<std::size_t>(n));
    return text;
}

// Shows one line of what the application wrote; the exit status if it was the response.
std::optional<int> show(std::string_view line) {
    MessageReader reader;
    if (!reader.read(line) || reader.is_batch()) return std::nullopt;
    const Message& message = reader.messages().front();
    if (message.kind != Message::Kind::response) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
        return std::nullopt;
    }
    const bool failed = message.result.empty();
    const std::string_view text = failed ? message.error : message.result;
    std::fprintf(failed ? stderr : stdout, "%.*s\n", static_cast<int>(text.size()), text.data());
    return failed ? 1 : 0;
}

} // namespace

int run_one_call(const ApplicationOptions& options, std::string_view method, const std::string& params) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        std::fprintf(stderr, "pillion: no pipe can be made\n");
        return 1;
    }
    std::string written;
    std::thread reading([&] { written = read_all(ends[0]); });
    std::optional<Error> unusable;
    {
        auto application = Application::create(options, ends[1]);
        if (application)
            (*application)->call(method, params);
        else
            unusable = application.error();
    }
    close(ends[1]);
    reading.join();
    close(ends[0]);
    if (unusable) {
        std::fprintf(stderr, "pillion: %s\n", unusable->message.c_str());
        return 2;
    }
    int status = 1;
    for (std::size_t start = 0; start < written.size();) {
        const std::size_t end = std::min(written.find('\n', start), written.size());
        if (const auto ended = show(std::string_view(written).substr(start, end - start))) status = *ended;
        start = end + 1;
    }
    return status;
}

} // namespace pillion
