// Where the text of a key ring is kept: read and written, not understood. Private to the module; any thread.
#pragma once

#include "modules/value_codec/key_ring.h"

#include <optional>

namespace pillion {

// A text that is wiped when it goes.
class SecretText {
  public:
    SecretText() = default;
    explicit SecretText(std::string text) : text_(std::move(text)) {}
    SecretText(SecretText&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
    SecretText& operator=(SecretText&& other) noexcept;
    ~SecretText() { wipe(); }
    const std::string& view() const { return text_; }

  private:
    void wipe();
    std::string text_;
};

enum class Overwrite : std::uint8_t { no, yes };

// For messages: the source as a person knows it.
std::string source_name(const KeyRingOptions& options);
// Nothing where the source has no keys.
Result<std::optional<SecretText>> read_key_text(const KeyRingOptions& options);
// Overwrite::no leaves a text that somebody else was quicker to write.
Result<void> write_key_text(const KeyRingOptions& options, const SecretText& text, Overwrite overwrite);

} // namespace pillion
