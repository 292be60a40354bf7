// The end of what a program printed, for error messages, and its cutting into lines. Both hold a bounded number of
// bytes whatever comes. Not thread-safe. Private to the module.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace pillion {

// Text that may stand in a message: valid UTF-8 without control characters but tabs and line ends.
std::string readable(std::string_view bytes);

class OutputTail {
  public:
    static constexpr std::size_t bytes_max = 8 * 1024;
    static constexpr std::size_t lines_max = 20;

    void append(std::string_view bytes);
    bool empty() const { return text_.empty(); }
    // At most 20 lines and 8 KiB, readable, without a line end at the end.
    std::string lines() const;

  private:
    std::string text_;
    bool was_cut_ = false;
};

class LineCutter {
  public:
    static constexpr std::size_t line_bytes_max = 8 * 1024;

    // Calls on_line for each line without its end. A longer line is given once, cut; the rest of it is skipped.
    void append(std::string_view bytes, const std::function<void(std::string_view line)>& on_line);
    // What came after the last line end.
    void finish(const std::function<void(std::string_view line)>& on_line);

  private:
    std::string line_;
    bool is_skipping_ = false;
};

} // namespace pillion
