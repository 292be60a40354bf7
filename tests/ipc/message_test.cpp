#include "ipc/message.h"
#include "tests/support/tight_text.h"

#include <catch2/catch.hpp>
#include <string>

using namespace pillion;
using Kind = Message::Kind;

namespace {

// The one message of a text that is no batch.
Message single(MessageReader& reader, std::string_view text) {
    const auto read = reader.read(text);
    INFO(text);
    INFO((read ? std::string() : read.error().message));
    REQUIRE(read);
    REQUIRE_FALSE(reader.is_batch());
    REQUIRE(reader.messages().size() == 1);
    return reader.messages().front();
}

// The code for which nothing of the text is dispatched.
int refusal(std::string_view text) {
    MessageReader reader;
    const test::TightText tight(text);
    const auto read = reader.read(tight.view());
    INFO(text);
    REQUIRE_FALSE(read);
    return static_cast<int>(read.error().code);
}

// "pointer: message" of a message that is no valid request.
std::string fault(std::string_view text) {
    MessageReader reader;
    const Message message = single(reader, text);
    CHECK(message.kind == Kind::invalid);
    REQUIRE(message.fault);
    CHECK(message.fault->code == ErrorCode::invalid_request);
    return message.fault->field + ": " + message.fault->message;
}

std::string request_with_id(std::string_view id) {
    return R"({"jsonrpc":"2.0","method":"m","id":)" + std::string(id) + "}";
}

std::string batch_of(std::size_t members) {
    std::string text = "[";
    for (std::size_t i = 0; i < members; ++i) text += (i == 0 ? "" : ",") + request_with_id(std::to_string(i));
    return text + "]";
}

} // namespace

TEST_CASE("the examples of the JSON-RPC 2.0 specification are read as it says", "[message]") {
    MessageReader reader;
    SECTION("positional parameters") {
        const Message message =
            single(reader, R"({"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1})");
        CHECK(message.kind == Kind::request);
        CHECK(message.method == "subtract");
        CHECK(message.params == "[42, 23]");
        CHECK(message.id == "1");
        CHECK(message.meta.empty());
    }
    SECTION("named parameters") {
        const Message message =
            single(reader,
                   R"({"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4})");
        CHECK(message.kind == Kind::request);
        CHECK(message.params == R"({"minuend": 42, "subtrahend": 23})");
    }
    SECTION("a notification") {
        CHECK(single(reader, R"({"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]})").kind ==
              Kind::notification);
        CHECK(single(reader, R"({"jsonrpc": "2.0", "method": "foobar"})").kind == Kind::notification);
    }
    SECTION("invalid JSON") {
        CHECK(refusal(R"({"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz])") == -32700);
    }
    SECTION("an invalid request") {
        CHECK(fault(R"({"jsonrpc": "2.0", "method": 1, "params": "bar"})") == R"(/method: "method" must be a string)");
    }
    SECTION("a batch of invalid JSON") {
        CHECK(
            refusal(
                R"([{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"])") ==
            -32700);
    }
    SECTION("an empty array") { CHECK(refusal("[]") == -32600); }
    SECTION("an invalid batch that is not empty") {
        REQUIRE(reader.read("[1]"));
        CHECK(reader.is_batch());
        REQUIRE(reader.messages().size() == 1);
        CHECK(reader.messages()[0].kind == Kind::invalid);
        REQUIRE(reader.read("[1,2,3]"));
        REQUIRE(reader.messages().size() == 3);
        for (const Message& message : reader.messages()) {
            CHECK(message.kind == Kind::invalid);
            CHECK(message.fault->code == ErrorCode::invalid_request);
        }
    }
    SECTION("a batch") {
        REQUIRE(reader.read(R"([
            {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
            {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
            {"foo": "boo"},
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
            {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ])"));
        REQUIRE(reader.messages().size() == 6);
        const Kind kinds[] = {Kind::request, Kind::notification, Kind::request,
                              Kind::invalid, Kind::request,      Kind::request};
        for (std::size_t i = 0; i < 6; ++i) CHECK(reader.messages()[i].kind == kinds[i]);
        CHECK(reader.messages()[5].id == "\"9\"");
        CHECK(reader.messages()[5].params.empty());
    }
    SECTION("a batch of notifications") {
        REQUIRE(reader.read(
            R"([{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}])"));
        for (const Message& message : reader.messages()) CHECK(message.kind == Kind::notification);
    }
}

TEST_CASE("an id comes back as it was sent", "[message]") {
    MessageReader reader;
    for (const std::string_view id :
         {"0", "-0", "1.0", "1e2", "1E+2", "1234567890123456789012345678901234567890", "-1.50", "1e999", R"("")",
          R"("a")", R"("\u0041\n")", R"("\ud800")", "\"\xE2\x82\xAC\"", "null"}) {
        const std::string text = request_with_id(id);
        const Message message = single(reader, text);
        CHECK(message.kind == Kind::request);
        CHECK(message.id == id);
    }
}

TEST_CASE("a 40-digit number id comes back as it was sent", "[message]") {
    MessageReader reader;
    CHECK(single(reader, R"({"id": 1234567890123456789012345678901234567890 ,"jsonrpc":"2.0","method":"m"})").id ==
          "1234567890123456789012345678901234567890");
}

TEST_CASE("an id that is no string, number or null is refused and not kept", "[message]") {
    MessageReader reader;
    for (const std::string_view id : {"true", "false", "{}", "[]", "[1]", R"({"a":1})"}) {
        const std::string text = request_with_id(id);
        CHECK(fault(text) == R"(/id: "id" must be a string, a number or null)");
        CHECK(single(reader, text).id.empty());
    }
}

TEST_CASE("an id is kept up to its limit and refused over it", "[message]") {
    MessageReader reader;
    const std::string longest = "\"" + std::string(limits::id_bytes - 2, 'x') + "\"";
    const std::string text = request_with_id(longest);
    CHECK(single(reader, text).id == longest);
    CHECK(fault(request_with_id("1" + std::string(limits::id_bytes, '0'))) == R"(/id: "id" is longer than 4096 bytes)");
}

TEST_CASE("a message that begins with the version is read as any other", "[message]") {
    MessageReader reader;
    CHECK(single(reader, R"({"jsonrpc":"2.0","id":1,"method":"m"})").method == "m");
    CHECK(single(reader, R"({"jsonrpc":"2.0" , "id":1,"method":"m"})").id == "1");
    CHECK(fault(R"({"jsonrpc":"2.0","jsonrpc":"2.0","method":"m"})") == R"(/jsonrpc: "jsonrpc" stands twice)");
    CHECK(fault(R"({"jsonrpc":"2.0"})") == R"(/method: "method" is missing; it must be a string)");
    CHECK(refusal(R"({"jsonrpc":"2.0")") == -32700);
    CHECK(refusal(R"({"jsonrpc":"2.0",})") == -32700);
    CHECK(refusal(R"({"jsonrpc":"2.0""id":1})") == -32700);
    CHECK(refusal(R"({"jsonrpc":"2.0"x})") == -32700);
    CHECK(refusal(R"({"jsonrpc":"2.0)") == -32700);
}

TEST_CASE("an envelope's fault is named by pointer", "[message]") {
    CHECK(fault("{}") == R"(/jsonrpc: "jsonrpc" is missing; it must be "2.0")");
    CHECK(fault(R"({"method":"m","id":1})") == R"(/jsonrpc: "jsonrpc" is missing; it must be "2.0")");
    CHECK(fault(R"({"jsonrpc":"1.0","method":"m"})") == R"(/jsonrpc: "jsonrpc" must be "2.0")");
    CHECK(fault(R"({"jsonrpc":2.0,"method":"m"})") == R"(/jsonrpc: "jsonrpc" must be "2.0")");
    CHECK(fault(R"({"jsonrpc":null,"method":"m"})") == R"(/jsonrpc: "jsonrpc" must be "2.0")");
    CHECK(fault(R"({"jsonrpc":"2.0","id":1})") == R"(/method: "method" is missing; it must be a string)");
    CHECK(fault(R"({"jsonrpc":"2.0","method":null,"id":1})") == R"(/method: "method" must be a string)");
    CHECK(fault(R"({"jsonrpc":"2.0","method":["m"],"id":1})") == R"(/method: "method" must be a string)");
    CHECK(fault(R"({"jsonrpc":"2.0","method":"m","params":1})") ==
          R"(/params: "params" must be an object or an array)");
    CHECK(fault(R"({"jsonrpc":"2.0","method":"m","params":"p"})") ==
          R"(/params: "params" must be an object or an array)");
    CHECK(fault(R"({"jsonrpc":"2.0","method":"m","params":true})") ==
          R"(/params: "params" must be an object or an array)");
    CHECK(fault(R"({"JSONRPC":"2.0","method":"m"})") == R"(/jsonrpc: "jsonrpc" is missing; it must be "2.0")");
}

TEST_CASE("an invalid message keeps the id it had", "[message]") {
    MessageReader reader;
    CHECK(single(reader, R"({"jsonrpc":"1.0","method":"m","id":7})").id == "7");
    CHECK(single(reader, R"({"jsonrpc":"2.0","method":1,"id":"x"})").id == "\"x\"");
}

TEST_CASE("a member of the envelope that stands twice is refused by name", "[message]") {
    CHECK(fault(R"({"jsonrpc":"2.0","jsonrpc":"2.0","method":"m"})") == R"(/jsonrpc: "jsonrpc" stands twice)");
    CHECK(fault(R"({"jsonrpc":"2.0","id":1,"id":1,"method":"m"})") == R"(/id: "id" stands twice)");
    CHECK(fault(R"({"jsonrpc":"2.0","id":1,"method":"m","method":"n"})") == R"(/method: "method" stands twice)");
    CHECK(fault(R"({"jsonrpc":"2.0","id":1,"method":"m","params":{},"params":[]})") ==
          R"(/params: "params" stands twice)");
    CHECK(fault(R"({"jsonrpc":"2.0","id":1,"result":1,"result":2})") == R"(/result: "result" stands twice)");
    CHECK(fault(R"({"jsonrpc":"2.0","id":1,"error":{},"error":{}})") == R"(/error: "error" stands twice)");
}

TEST_CASE("members that JSON-RPC does not know are passed over, even twice", "[message]") {
    MessageReader reader;
    const Message message =
        single(reader, R"({"traceparent":"00-1","jsonrpc":"2.0","ID":5,"method":"m","traceparent":{"a":[1]}})");
    CHECK(message.kind == Kind::notification);
}

TEST_CASE("members may come in any order, with any white space", "[message]") {
    MessageReader reader;
    const Message message =
        single(reader, " \t{ \"params\" : [ 1 ] ,\r\n \"method\":\"m\" , \"id\" : 1 , \"jsonrpc\" : \"2.0\" } \r\n");
    CHECK(message.kind == Kind::request);
    CHECK(message.params == "[ 1 ]");
}

TEST_CASE("params of null are absent params", "[message]") {
    MessageReader reader;
    const Message message = single(reader, R"({"jsonrpc":"2.0","method":"m","params":null,"id":1})");
    CHECK(message.kind == Kind::request);
    CHECK(message.params.empty());
}

TEST_CASE("`_meta` is found in params by name and only at their top", "[message]") {
    MessageReader reader;
    const Message message =
        single(reader, R"({"jsonrpc":"2.0","method":"m","params":{"a":1,"_meta":{"page":2},"b":{"_meta":3}},"id":1})");
    CHECK(message.meta == R"({"page":2})");
    CHECK(message.params == R"({"a":1,"_meta":{"page":2},"b":{"_meta":3}})");
    CHECK(single(reader, R"({"jsonrpc":"2.0","method":"m","params":[{"_meta":{}}],"id":1})").meta.empty());
    CHECK(single(reader, R"({"jsonrpc":"2.0","method":"m","params":{ },"id":1})").params == "{ }");
}

TEST_CASE("`_meta` that stands twice makes the params invalid", "[message]") {
    MessageReader reader;
    const Message message = single(reader, R"({"jsonrpc":"2.0","method":"m","params":{"_meta":{},"_meta":{}},"id":1})");
    CHECK(message.kind == Kind::invalid);
    REQUIRE(message.fault);
    CHECK(message.fault->code == ErrorCode::invalid_params);
    CHECK(message.fault->field == "/_meta");
    CHECK(message.id == "1");
}

TEST_CASE("a response carries its result or its error", "[message]") {
    MessageReader reader;
    const Message result = single(reader, R"({"jsonrpc":"2.0","id":"p1","result":{"a": 1}})");
    CHECK(result.kind == Kind::response);
    CHECK(result.id == "\"p1\"");
    CHECK(result.result == R"({"a": 1})");
    CHECK(single(reader, R"({"jsonrpc":"2.0","id":1,"result":null})").result == "null");
    const Message error = single(reader, R"({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}})");
    CHECK(error.kind == Kind::response);
    CHECK(error.error == R"({"code":-32000,"message":"no"})");
    CHECK(error.result.empty());
}

TEST_CASE("half a response is refused", "[message]") {
    CHECK(fault(R"({"jsonrpc":"2.0","result":1})") == R"(/id: a response must have an "id")");
    CHECK(fault(R"({"jsonrpc":"2.0","id":1,"result":1,"error":{}})") ==
          R"(: a response has either "result" or "error", not both)");
    CHECK(fault(R"({"id":1,"result":1})") == R"(/jsonrpc: "jsonrpc" is missing; it must be "2.0")");
}

TEST_CASE("a text that is no message at all is refused whole", "[message]") {
    for (const std::string_view text : {"1", "\"a\"", "null", "true", "-1.5"}) CHECK(refusal(text) == -32600);
    for (const std::string_view text :
         {"", "   ", "nul", "{", "[", "}", "{\"a\"", "hello", "\xFF", "\xEF\xBB\xBF{}", "{\"a\":\"\xC3\"}", "'{}'"})
        CHECK(refusal(text) == -32700);
}

TEST_CASE("a message with something after its end is refused whole", "[message]") {
    const std::string message = request_with_id("1");
    for (const std::string_view tail : {"x", "{}", "]", "}", ",", "1", "\"\"", " null"})
        CHECK(refusal(message + std::string(tail)) == -32700);
    CHECK(refusal("[" + message + "]]") == -32700);
    CHECK(refusal("[]x") == -32700);
    CHECK(refusal("1 2") == -32700);
}

TEST_CASE("a truncated message is refused at every length", "[message]") {
    const std::string text =
        R"([{"jsonrpc":"2.0","method":"m\u0041","params":{"a":[1,2.5,null],"_meta":{"page":1}},"id":"x"},{"jsonrpc":"2.0","id":1,"error":{"code":-1}}])";
    MessageReader reader;
    REQUIRE(reader.read(text));
    for (std::size_t bytes = 0; bytes < text.size(); ++bytes) CHECK(refusal(text.substr(0, bytes)) == -32700);
}

TEST_CASE("a syntax error says at which byte", "[message]") {
    MessageReader reader;
    const auto read = reader.read(R"({"jsonrpc":"2.0",})");
    REQUIRE_FALSE(read);
    CHECK(read.error().message == "invalid JSON at byte 17: expected a member name in quotes");
}

TEST_CASE("a batch in a batch is one invalid member", "[message]") {
    MessageReader reader;
    REQUIRE(reader.read("[[" + request_with_id("1") + "]," + request_with_id("2") + "]"));
    REQUIRE(reader.messages().size() == 2);
    CHECK(reader.messages()[0].kind == Kind::invalid);
    CHECK(reader.messages()[0].id.empty());
    CHECK(reader.messages()[1].kind == Kind::request);
}

TEST_CASE("a batch of one is still a batch", "[message]") {
    MessageReader reader;
    REQUIRE(reader.read(batch_of(1)));
    CHECK(reader.is_batch());
    CHECK(reader.messages().size() == 1);
}

TEST_CASE("a batch is read up to its limit and refused whole over it", "[message]") {
    MessageReader reader(MessageLimits{.nesting = 8, .batch = 3});
    REQUIRE(reader.read(batch_of(3)));
    CHECK(reader.messages().size() == 3);
    for (const std::size_t members : {4, 5, 50}) {
        const auto read = reader.read(batch_of(members));
        REQUIRE_FALSE(read);
        CHECK(read.error().code == ErrorCode::invalid_request);
        CHECK(read.error().message == "a batch has at most 3 members");
    }
    CHECK_FALSE(reader.read("[1,2,3,4,5,6]"));
    // What is wrong behind the limit is still seen: it is no JSON, whatever its length.
    const auto broken = reader.read(batch_of(9) + "x");
    REQUIRE_FALSE(broken);
    CHECK(broken.error().code == ErrorCode::parse_error);
}

TEST_CASE("the default batch limit is a thousand", "[message]") {
    MessageReader reader;
    CHECK(reader.read(batch_of(1000)));
    CHECK_FALSE(reader.read(batch_of(1001)));
}

TEST_CASE("a message nested deeper than the limit is an invalid request", "[message]") {
    MessageReader reader(MessageLimits{.nesting = 4, .batch = 10});
    CHECK(reader.read(R"({"jsonrpc":"2.0","method":"m","params":[[[]]]})"));
    const auto deep = reader.read(R"({"jsonrpc":"2.0","method":"m","params":[[[[]]]]})");
    REQUIRE_FALSE(deep);
    CHECK(deep.error().code == ErrorCode::invalid_request);
    CHECK(deep.error().message == "the message is nested deeper than 4 levels");
    MessageReader shallow(MessageLimits{.nesting = 1, .batch = 10});
    CHECK(shallow.read(request_with_id("1")));
    CHECK_FALSE(shallow.read(R"({"jsonrpc":"2.0","method":"m","params":{"a":1}})"));
    CHECK_FALSE(shallow.read(batch_of(1)));
}

TEST_CASE("a reader can be used again and keeps nothing of the message before", "[message]") {
    MessageReader reader;
    REQUIRE(reader.read(R"([{"jsonrpc":"2.0","method":"m","params":{"_meta":{}},"id":1},1])"));
    CHECK_FALSE(reader.read("{"));
    const Message message = single(reader, R"({"jsonrpc":"2.0","method":"n"})");
    CHECK(message.id.empty());
    CHECK(message.params.empty());
    CHECK(message.meta.empty());
    CHECK_FALSE(message.fault);
    CHECK_FALSE(reader.read("[]"));
    CHECK(reader.messages().empty());
}

TEST_CASE("a method's name is given as it was sent", "[message]") {
    MessageReader reader;
    CHECK(single(reader, R"({"jsonrpc":"2.0","method":"","id":1})").kind == Kind::request);
    CHECK(single(reader, R"({"jsonrpc":"2.0","method":"$/cancelRequest"})").method == "$/cancelRequest");
    CHECK(single(reader, R"({"jsonrpc":"2.0","method":"a\u002fb"})").method == R"(a\u002fb)");
}
