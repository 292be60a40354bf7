#include "sidecar/application.h"
#include "sidecar/standard_streams.h"

#include <cstdio>
#include <unistd.h>

int main(int, char**) {
    const pillion::StandardStreams streams = pillion::claim_standard_streams();
    auto application = pillion::Application::create({.config = {.environment = environ}}, streams.output);
    if (!application) {
        std::fprintf(stderr, "pillion: %s\n", application.error().message.c_str());
        return 2;
    }
    return (*application)->serve(streams.input);
}
