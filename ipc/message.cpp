#include "ipc/message.h"

#include "ipc/json_scanner.h"
#include "ipc/json_text.h"

namespace pillion {

namespace {

Error invalid(std::string message, std::string_view field = {}) {
    return {ErrorCode::invalid_request, std::move(message), std::string(field), {}};
}

// The envelope's members; anything else is passed over, as JSON-RPC allows extensions.
enum Member : unsigned { none = 0, version = 1, id = 2, method = 4, params = 8, result = 16, error = 32 };

Member member_of(std::string_view key) {
    switch (key.size()) {
    case 2:
        return key == "id" ? Member::id : Member::none;
    case 5:
        return key == "error" ? Member::error : Member::none;
    case 6:
        return key == "method"   ? Member::method
               : key == "params" ? Member::params
               : key == "result" ? Member::result
                                 : Member::none;
    case 7:
        return key == "jsonrpc" ? Member::version : Member::none;
    default:
        return Member::none;
    }
}

std::string_view member_name(Member member) {
    switch (member) {
    case Member::version:
        return "jsonrpc";
    case Member::id:
        return "id";
    case Member::method:
        return "method";
    case Member::params:
        return "params";
    case Member::result:
        return "result";
    default:
        return "error";
    }
}

void set_fault(Message& message, Error fault) {
    if (!message.fault) message.fault = std::move(fault);
}

// What kind of message its members make it, or what is wrong with them.
void classify(Message& message, unsigned seen) {
    if (message.fault) return;
    if ((seen & Member::version) == 0)
        return set_fault(message, invalid("\"jsonrpc\" is missing; it must be \"2.0\"", "/jsonrpc"));
    if (seen & Member::method) {
        message.kind = seen & Member::id ? Message::Kind::request : Message::Kind::notification;
    } else if (seen & (Member::result | Member::error)) {
        if ((seen & Member::id) == 0) return set_fault(message, invalid("a response must have an \"id\"", "/id"));
        if ((seen & Member::result) && (seen & Member::error))
            return set_fault(message, invalid("a response has either \"result\" or \"error\", not both"));
        message.kind = Message::Kind::response;
    } else {
        set_fault(message, invalid("\"method\" is missing; it must be a string", "/method"));
    }
}

} // namespace

Error MessageReader::syntax_error(const JsonScanner& scanner) const {
    if (scanner.too_deep())
        return invalid("the message is nested deeper than " + std::to_string(limits_.nesting) + " levels");
    return {ErrorCode::parse_error,
            "invalid JSON at byte " + std::to_string(scanner.offset()) + ": " + std::string(scanner.reason()),
            {},
            {}};
}

bool MessageReader::read_params(JsonScanner& scanner, Message& message) {
    const JsonKind kind = scanner.peek();
    if (kind != JsonKind::object) {
        if (!scanner.read_value(message.params)) return false;
        // Serialisers write an absent value as null so often that it is taken for absent.
        if (kind == JsonKind::null)
            message.params = {};
        else if (kind != JsonKind::array)
            set_fault(message, invalid("\"params\" must be an object or an array", "/params"));
        return true;
    }
    scanner.enter('{');
    const char* const start = scanner.position() - 1;
    std::string_view key;
    while (scanner.next_member(key)) {
        std::string_view value;
        if (!scanner.read_value(value)) return false;
        if (key == "_meta" || (key.find('\\') != std::string_view::npos && unescaped(key) == "_meta")) {
            if (!message.meta.empty())
                set_fault(message, Error{ErrorCode::invalid_params, "_meta stands twice", "/_meta", {}});
            message.meta = value;
        }
    }
    message.params = {start, static_cast<std::size_t>(scanner.position() - start)};
    return !scanner.failed();
}

bool MessageReader::read_envelope(JsonScanner& scanner, Message& message) {
    unsigned seen = 0;
    std::string_view key;
    if (!scanner.enter('{')) return false;
    // What nearly every client begins with.
    if (scanner.skip_first_member(R"("jsonrpc":"2.0")")) seen = Member::version;
    while (scanner.next_member(key)) {
        Member member = member_of(key);
        if (member == Member::none && key.find('\\') != std::string_view::npos)
            if (const auto name = unescaped(key)) member = member_of(*name);
        if (member & seen)
            set_fault(message, invalid("\"" + std::string(member_name(member)) + "\" stands twice",
                                       "/" + std::string(member_name(member))));
        seen |= member;
        const JsonKind kind = scanner.peek();
        std::string_view value;
        switch (member) {
        case Member::version:
            if (!scanner.read_value(value)) return false;
            if (value != "\"2.0\"") set_fault(message, invalid("\"jsonrpc\" must be \"2.0\"", "/jsonrpc"));
            break;
        case Member::id:
            if (!scanner.read_value(value)) return false;
            if (kind == JsonKind::object || kind == JsonKind::array || kind == JsonKind::boolean)
                set_fault(message, invalid("\"id\" must be a string, a number or null", "/id"));
            else if (value.size() > limits::id_bytes)
                set_fault(message,
                          invalid("\"id\" is longer than " + std::to_string(limits::id_bytes) + " bytes", "/id"));
            else
                message.id = value;
            break;
        case Member::method:
            if (kind == JsonKind::string) {
                if (!scanner.read_string(message.method)) return false;
            } else {
                if (!scanner.skip_value()) return false;
                set_fault(message, invalid("\"method\" must be a string", "/method"));
            }
            break;
        case Member::params:
            if (!read_params(scanner, message)) return false;
            break;
        case Member::result:
            if (!scanner.read_value(message.result)) return false;
            break;
        case Member::error:
            if (!scanner.read_value(message.error)) return false;
            break;
        default:
            if (!scanner.skip_value()) return false;
        }
    }
    if (scanner.failed()) return false;
    classify(message, seen);
    return true;
}

Result<void> MessageReader::read(std::string_view text) {
    messages_.clear();
    JsonScanner scanner(text, limits_.nesting);
    const JsonKind kind = scanner.peek();
    is_batch_ = kind == JsonKind::array && !scanner.at_end();
    if (kind == JsonKind::object) {
        if (!read_envelope(scanner, messages_.emplace_back())) return std::unexpected(syntax_error(scanner));
    } else if (is_batch_) {
        scanner.enter('[');
        while (scanner.next_element()) {
            Message& message = messages_.size() <= limits_.batch ? messages_.emplace_back() : messages_.back();
            if (scanner.peek() == JsonKind::object) {
                if (messages_.size() > limits_.batch) message = {};
                if (!read_envelope(scanner, message)) break;
            } else {
                if (!scanner.skip_value()) break;
                set_fault(message, invalid("a member of a batch must be an object"));
            }
        }
        if (scanner.failed()) return std::unexpected(syntax_error(scanner));
    } else if (!scanner.skip_value()) {
        return std::unexpected(syntax_error(scanner));
    }
    if (!scanner.at_end())
        return fail(ErrorCode::parse_error, "invalid JSON at byte " + std::to_string(scanner.offset()) +
                                                ": something follows the end of the message");
    if (messages_.empty())
        return std::unexpected(
            invalid(is_batch_ ? "a batch must not be empty" : "a message must be an object or an array of objects"));
    if (messages_.size() > limits_.batch)
        return std::unexpected(invalid("a batch has at most " + std::to_string(limits_.batch) + " members"));
    return {};
}

} // namespace pillion
