// The files in which Linux describes itself, below a root that tests may choose, and what is read out of their text.
// One buffer is used again and again, since a sample reads hundreds of them. Private to the module's Linux part; one
// thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

class SystemFiles {
  public:
    explicit SystemFiles(std::string root) : root_(std::move(root)) {}

    // The content of a file, valid until the next call. Absent if it cannot be read: then error() and why() tell.
    std::optional<std::string_view> find(std::string_view path);
    std::optional<std::string> find_link(std::string_view path);
    // The names in a folder, in no order; empty if it cannot be read.
    std::vector<std::string> names(std::string_view path);
    bool exists(std::string_view path);
    const char* path(std::string_view path);

    int error() const { return error_; }
    bool is_absent() const;
    // The error for people.
    std::string why() const;

  private:
    const std::string root_;
    std::string path_;
    std::vector<char> buffer_ = std::vector<char>(16 * 1024);
    int error_ = 0;
};

namespace text {

// The next word of `rest`, which moves behind it; empty at the end.
std::string_view take_word(std::string_view& rest);
// The next line of `rest` without its end, which moves behind it.
std::string_view take_line(std::string_view& rest);
// The number that a text begins with; absent if there is none or it does not fit.
std::optional<std::uint64_t> number(std::string_view text);
std::optional<double> decimal(std::string_view text);
// The number behind a label that begins a line.
std::optional<std::uint64_t> labelled(std::string_view text, std::string_view label);

} // namespace text

} // namespace pillion
