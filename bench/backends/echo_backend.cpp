// The least that a JSON-RPC backend over lines can do: answers every request with an empty object under its id, and the
// method `count` with the number of requests so far, `kept/list` with 8 KiB, as a server's list of tools is;
// `read` takes 5 ms.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unistd.h>

int main() {
    static char input[1 << 20];
    std::size_t used = 0;
    unsigned long requests = 0;
    for (;;) {
        const ssize_t got = read(STDIN_FILENO, input + used, sizeof input - used);
        if (got <= 0) return 0;
        used += static_cast<std::size_t>(got);
        std::string out;
        std::string_view text(input, used);
        for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
            const std::string_view line = text.substr(0, end);
            text.remove_prefix(end + 1);
            const std::size_t at = line.find("\"id\":");
            if (at == std::string_view::npos) continue;
            ++requests;
            if (line.find("\"method\":\"read\"") != std::string_view::npos) usleep(5000);
            const std::size_t id_end = line.find_first_of(",}", at);
            const bool lists = line.find("\"method\":\"kept/list\"") != std::string_view::npos;
            const std::string list = lists ? "{\"tools\":\"" + std::string(8192, 'x') + "\"}" : "{}";
            out.append("{\"jsonrpc\":\"2.0\",").append(line.substr(at, id_end - at)).append(",\"result\":");
            const bool counts = line.find("\"method\":\"count\"") != std::string_view::npos;
            out.append(counts ? "{\"requests\":" + std::to_string(requests) + "}" : list).append("}\n");
        }
        std::memmove(input, text.data(), text.size());
        used = text.size();
        if (write(STDOUT_FILENO, out.data(), out.size()) != static_cast<ssize_t>(out.size())) return 1;
    }
}
