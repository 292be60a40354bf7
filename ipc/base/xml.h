// Text inside XML and HTML. Pure function; any thread.
#pragma once

#include <string>
#include <string_view>

namespace pillion {

// Any bytes as the text of an element or of a quoted attribute: markup becomes references, and so do newlines; a tab is
// a space; what XML cannot hold (control characters, what is no UTF-8) becomes U+FFFD.
std::string xml_escaped(std::string_view text);

} // namespace pillion
