// A strict JSON reader over bytes in memory: it validates (RFC 8259, UTF-8 included) and steps over values in one pass,
// and hands out their exact text. It builds nothing, allocates nothing and copies nothing, which is what the wire
// needs: ids and free-form values go back byte for byte as they came. Any thread; the text must outlive the scanner.
//
// Why not a library: see "The JSON reader" in ARCHITECTURE.md.
#pragma once

#include "ipc/base/limits.h"

#include <cstddef>
#include <cstring>
#include <string_view>

namespace pillion {

enum class JsonKind : unsigned char { object, array, string, number, boolean, null };

class JsonScanner {
  public:
    explicit JsonScanner(std::string_view text, std::size_t nesting_max = limits::nesting_ceiling)
        : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()), nesting_max_(nesting_max) {}

    // Steps over one value of any kind, with the white space before it. False at the first error.
    bool skip_value();
    // As skip_value(), and gives the value's text without the white space around it.
    bool read_value(std::string_view& text);
    // Steps over a string and gives the text between its quotes, escapes as written. False if what follows is none.
    bool read_string(std::string_view& raw);
    // The kind of the value that follows, by its first byte; null where nothing valid follows (then skip_value fails).
    JsonKind peek();

    // Reading an object or array by hand:
    //     if (!scanner.enter('{')) ...;
    //     while (scanner.next_member(key)) { ... step over the value ... }
    //     if (scanner.failed()) ...;
    // and the same with next_element() for '['.
    bool enter(char bracket);
    bool next_member(std::string_view& key_raw);
    // Right after enter('{'): steps over the first member if it is written exactly like `text`, a whole valid member.
    bool skip_first_member(std::string_view text);
    bool next_element();

    // True if only white space is left.
    bool at_end();
    bool failed() const { return reason_ != nullptr; }
    // Whether the failure is one of nesting, not of grammar.
    bool too_deep() const { return too_deep_; }
    // What was wrong, in words; null while nothing is.
    const char* reason() const { return reason_; }
    // Bytes from the start of the text to where reading stands, or failed.
    std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }
    const char* position() const { return at_; }

  private:
    void skip_space() {
        // Mostly there is none, and one comparison says so.
        while (at_ != end_ && static_cast<unsigned char>(*at_) <= ' ' &&
               (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r'))
            ++at_;
    }
    bool fail(const char* reason) {
        if (reason_ == nullptr) reason_ = reason;
        return false;
    }
    bool value();
    bool object();
    bool array();
    bool string();
    bool escape();
    bool non_ascii();
    bool number();
    bool literal(std::string_view word);

    const char* begin_;
    const char* at_;
    const char* end_;
    std::size_t nesting_max_;
    std::size_t nesting_ = 0;
    const char* reason_ = nullptr;
    bool too_deep_ = false;
    bool first_ = false; // just inside a bracket: no comma is due
};

// The steps of reading by hand are on the way of every message: inline.

inline JsonKind JsonScanner::peek() {
    skip_space();
    if (at_ == end_) return JsonKind::null;
    switch (*at_) {
    case '{':
        return JsonKind::object;
    case '[':
        return JsonKind::array;
    case '"':
        return JsonKind::string;
    case 't':
    case 'f':
        return JsonKind::boolean;
    case 'n':
        return JsonKind::null;
    default:
        return JsonKind::number;
    }
}

inline bool JsonScanner::enter(char bracket) {
    skip_space();
    if (failed() || at_ == end_ || *at_ != bracket)
        return fail(bracket == '{' ? "expected an object" : "expected an array");
    if (nesting_ == nesting_max_) {
        too_deep_ = true;
        return fail("nested too deeply");
    }
    ++nesting_;
    ++at_;
    first_ = true;
    return true;
}

inline bool JsonScanner::next_member(std::string_view& key_raw) {
    if (failed()) return false;
    skip_space();
    if (at_ == end_) return fail("object without its closing brace");
    if (*at_ == '}') {
        if (first_) first_ = false;
        ++at_;
        --nesting_;
        return false;
    }
    if (!first_) {
        if (*at_ != ',') return fail("expected a comma or a closing brace");
        ++at_;
    }
    first_ = false;
    skip_space();
    if (at_ == end_ || *at_ != '"') return fail("expected a member name in quotes");
    const char* const start = at_ + 1;
    if (!string()) return false;
    key_raw = {start, static_cast<std::size_t>(at_ - start - 1)};
    skip_space();
    if (at_ == end_ || *at_ != ':') return fail("expected a colon after the member name");
    ++at_;
    return true;
}

inline bool JsonScanner::skip_first_member(std::string_view text) {
    if (static_cast<std::size_t>(end_ - at_) < text.size() || std::memcmp(at_, text.data(), text.size()) != 0)
        return false;
    at_ += text.size();
    first_ = false;
    return true;
}

inline bool JsonScanner::next_element() {
    if (failed()) return false;
    skip_space();
    if (at_ == end_) return fail("array without its closing bracket");
    if (*at_ == ']') {
        first_ = false;
        ++at_;
        --nesting_;
        return false;
    }
    if (first_) {
        first_ = false;
        return true;
    }
    if (*at_ != ',') return fail("expected a comma or a closing bracket");
    ++at_;
    skip_space();
    if (at_ != end_ && *at_ == ']') return fail("comma before a closing bracket");
    return true;
}

} // namespace pillion
