// The fast and honest peer: simdjson On-Demand over the whole message, as its manual shows it, with raw
// reads and one write for all that was read. It validates what simdjson validates (UTF-8, structure,
// nothing after the message) and knows two methods. One thread. No limits, metrics, lanes or cancellation.

#include <cstring>
#include <simdjson.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace {

using namespace simdjson;

constexpr std::size_t input_bytes_initial = 64 * 1024;
constexpr std::string_view parse_error =
    R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}})";

std::string_view trimmed(std::string_view token) {
    while (!token.empty() && (token.back() == ' ' || token.back() == '\t' || token.back() == '\r')) {
        token.remove_suffix(1);
    }
    return token;
}

error_code raw_text_of(ondemand::value value, std::string_view& text) {
    ondemand::json_type type;
    if (auto error = value.type().get(type)) {
        return error;
    }
    if (type == ondemand::json_type::object) {
        ondemand::object object;
        if (auto error = value.get_object().get(object)) {
            return error;
        }
        return object.raw_json().get(text);
    }
    if (type == ondemand::json_type::array) {
        ondemand::array array;
        if (auto error = value.get_array().get(array)) {
            return error;
        }
        return array.raw_json().get(text);
    }
    text = trimmed(value.raw_json_token());
    return SUCCESS;
}

error_code append_answer(ondemand::object request, std::string& output) {
    std::string_view id = "null";
    std::string_view params = "{}";
    std::string_view method;
    for (auto item : request) {
        ondemand::field field;
        if (auto error = std::move(item).get(field)) {
            return error;
        }
        const ondemand::raw_json_string key = field.key();
        error_code error = SUCCESS;
        if (key == "id") {
            error = raw_text_of(field.value(), id);
        } else if (key == "method") {
            error = field.value().get_string().get(method);
        } else if (key == "params") {
            error = raw_text_of(field.value(), params);
        }
        if (error) {
            return error;
        }
    }
    output += R"({"jsonrpc":"2.0","id":)";
    output += id;
    if (method == "rpc.echo") {
        output += R"(,"result":)";
        output += params;
        output += '}';
    } else if (method == "rpc.ping") {
        output += R"(,"result":{}})";
    } else {
        output += R"(,"error":{"code":-32601,"message":"Method not found"}})";
    }
    return SUCCESS;
}

error_code append_batch(ondemand::document& document, std::string& output) {
    ondemand::array members;
    if (auto error = document.get_array().get(members)) {
        return error;
    }
    output += '[';
    for (auto item : members) {
        ondemand::object request;
        if (auto error = item.get_object().get(request)) {
            return error;
        }
        if (output.back() != '[') {
            output += ',';
        }
        if (auto error = append_answer(request, output)) {
            return error;
        }
    }
    output += ']';
    return SUCCESS;
}

error_code append_message(ondemand::parser& parser, padded_string_view line, std::string& output) {
    ondemand::document document;
    if (auto error = parser.iterate(line).get(document)) {
        return error;
    }
    if (line.front() == '[') {
        if (auto error = append_batch(document, output)) {
            return error;
        }
    } else {
        ondemand::object request;
        if (auto error = document.get_object().get(request)) {
            return error;
        }
        if (auto error = append_answer(request, output)) {
            return error;
        }
    }
    // This version has no at_end(): past the last token the location is out of bounds.
    return document.current_location().error() == OUT_OF_BOUNDS ? SUCCESS : TAPE_ERROR;
}

void answer_line(ondemand::parser& parser, padded_string_view line, std::string& output) {
    const std::size_t start = output.size();
    if (append_message(parser, line, output)) {
        output.resize(start);
        output += parse_error;
    }
    output += '\n';
}

bool write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (written <= 0) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

} // namespace

int main() {
    ondemand::parser parser;
    std::vector<char> input(input_bytes_initial + SIMDJSON_PADDING);
    std::string output;
    std::size_t used = 0;
    std::size_t searched = 0;
    for (;;) {
        if (used + SIMDJSON_PADDING == input.size()) {
            input.resize(2 * input.size());
        }
        const ssize_t got = ::read(STDIN_FILENO, input.data() + used, input.size() - SIMDJSON_PADDING - used);
        if (got <= 0) {
            return 0;
        }
        used += static_cast<std::size_t>(got);
        std::size_t line = 0;
        while (const void* found = std::memchr(input.data() + searched, '\n', used - searched)) {
            const auto newline = static_cast<std::size_t>(static_cast<const char*>(found) - input.data());
            if (newline > line) {
                answer_line(parser, padded_string_view(input.data() + line, newline - line, input.size() - line),
                            output);
            }
            line = newline + 1;
            searched = line;
        }
        if (!output.empty() && !write_all(output)) {
            return 0;
        }
        output.clear();
        used -= line;
        std::memmove(input.data(), input.data() + line, used);
        searched = used;
    }
}
