// The naive peer: what one would write in an afternoon. getline, parse, dump, flush. One thread.

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

namespace {

using nlohmann::json;

json answer(const json& request) {
    json response = {{"jsonrpc", "2.0"}, {"id", request.at("id")}};
    const std::string method = request.at("method");
    if (method == "rpc.echo") {
        response["result"] = request.value("params", json::object());
    } else if (method == "rpc.ping") {
        response["result"] = json::object();
    } else {
        response["error"] = {{"code", -32601}, {"message", "Method not found"}};
    }
    return response;
}

} // namespace

int main() {
    std::ios::sync_with_stdio(false);
    std::cin.tie(nullptr);
    std::string line;
    while (std::getline(std::cin, line)) {
        json response;
        try {
            const json message = json::parse(line);
            if (message.is_array()) {
                response = json::array();
                for (const json& request : message) {
                    response.push_back(answer(request));
                }
            } else {
                response = answer(message);
            }
        } catch (const json::exception&) {
            response = {{"jsonrpc", "2.0"}, {"id", nullptr}, {"error", {{"code", -32700}, {"message", "Parse error"}}}};
        }
        std::cout << response.dump() << '\n' << std::flush;
    }
}
