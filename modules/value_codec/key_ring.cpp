#include "modules/value_codec/key_ring.h"

#include "ipc/base/log.h"
#include "modules/value_codec/encryption.h"
#include "modules/value_codec/key_source.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <sys/mman.h>

namespace pillion {

namespace {

// Each key has a page to itself, so that locking and leaving out of dumps concern nothing else.
constexpr std::size_t page_bytes = 4096;

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

// Digits of `bits` bits each into the key; false if one is none, or bits are left over that are not zero.
template <class Digit>
bool read_digits(std::string_view text, unsigned bits, Digit digit, SecretKey::Bytes& key) {
    std::uint32_t gathered = 0;
    unsigned held = 0;
    std::size_t filled = 0;
    for (const char c : text) {
        const int value = digit(c);
        if (value < 0) return false;
        gathered = (gathered << bits | static_cast<std::uint32_t>(value)) & 0xffff;
        held += bits;
        if (held < 8) continue;
        held -= 8;
        if (filled == key.size()) return false;
        key[filled++] = static_cast<unsigned char>(gathered >> held);
    }
    return filled == key.size() && (gathered & ((1U << held) - 1)) == 0;
}

bool read_key(std::string_view text, SecretKey::Bytes& key) {
    if (text.size() == 2 * key_bytes) return read_digits(text, 4, hex_digit, key);
    if (text.size() == 44 && text.back() == '=') text.remove_suffix(1);
    return text.size() == 43 && read_digits(text, 6, base64_digit, key);
}

Result<SecretKey> make_key() {
    SecretKey key;
    PILLION_TRY(fill_random(key.bytes()));
    return key;
}

} // namespace

SecretKey::SecretKey() {
    void* const page = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::bad_alloc();
    static_cast<void>(mlock(page, page_bytes)); // refused past RLIMIT_MEMLOCK: then it may be swapped out
    static_cast<void>(madvise(page, page_bytes, MADV_DONTDUMP));
    bytes_.reset(new (page) Bytes{});
}

void SecretKey::Wipe::operator()(Bytes* bytes) const {
    explicit_bzero(bytes->data(), bytes->size());
    munmap(bytes, page_bytes);
}

Result<KeyRing> KeyRing::open(const KeyRingOptions& options) {
    const auto text = PILLION_TRY(read_key_text(options));
    if (text) return parse(text->view(), source_name(options));
    if (options.source != KeySource::environment && options.when_absent == WhenAbsent::make) return make(options);
    return fail(ErrorCode::not_found, source_name(options) + " holds no key", {},
                "put 32 random bytes there as hex or base64, such as openssl rand -base64 32 prints");
}

// What was written is read again: another sidecar may have been quicker.
Result<KeyRing> KeyRing::make(const KeyRingOptions& options) {
    KeyRing ring;
    SecretKey key = PILLION_TRY(make_key());
    PILLION_TRY(ring.add(std::move(key)));
    PILLION_TRY(write_key_text(options, SecretText(ring.text()), Overwrite::no));
    log(LogLevel::info, "cache", "made an encryption key in " + source_name(options));
    const auto text = PILLION_TRY(read_key_text(options));
    if (!text) return fail(ErrorCode::unavailable, source_name(options) + " did not keep the key it was given");
    return parse(text->view(), source_name(options));
}

Result<KeyRing> KeyRing::rotated(const KeyRingOptions& options) const {
    KeyRing ring;
    SecretKey key = PILLION_TRY(make_key());
    PILLION_TRY(ring.add(std::move(key)));
    for (const SecretKey& old : keys_) {
        if (ring.keys_.size() == keys_max) break;
        SecretKey copy;
        copy.bytes() = old.bytes();
        PILLION_TRY(ring.add(std::move(copy)));
    }
    PILLION_TRY(write_key_text(options, SecretText(ring.text()), Overwrite::yes));
    return ring;
}

const SecretKey* KeyRing::find(std::uint32_t id) const {
    const auto found = std::ranges::find(keys_, id, &SecretKey::id);
    return found == keys_.end() ? nullptr : &*found;
}

Result<KeyRing> KeyRing::parse(std::string_view text, const std::string& source) {
    KeyRing ring;
    constexpr std::string_view between = " \t\r\n,";
    while (true) {
        const std::size_t begin = std::min(text.find_first_not_of(between), text.size());
        text.remove_prefix(begin);
        if (text.empty()) break;
        const std::string_view word = text.substr(0, std::min(text.find_first_of(between), text.size()));
        text.remove_prefix(word.size());
        SecretKey key;
        if (!read_key(word, key.bytes()))
            return fail(ErrorCode::invalid_params, source + ": key " + std::to_string(ring.keys_.size() + 1) + ", of " +
                                                       std::to_string(word.size()) +
                                                       " characters, is not 32 bytes as hex (64 digits) or base64 "
                                                       "(44 characters)");
        if (ring.keys_.size() < keys_max) PILLION_TRY(ring.add(std::move(key)));
    }
    if (ring.keys_.empty()) return fail(ErrorCode::not_found, source + " is empty: it should hold a key");
    return ring;
}

Result<void> KeyRing::add(SecretKey key) {
    key.set_id(PILLION_TRY(key_id(key.bytes())));
    keys_.push_back(std::move(key));
    return {};
}

std::string KeyRing::text() const {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(keys_.size() * (2 * key_bytes + 1)); // never moved, so nothing is left behind
    for (const SecretKey& key : keys_) {
        for (const unsigned char byte : key.bytes()) {
            text.push_back(digits[byte >> 4]);
            text.push_back(digits[byte & 0xf]);
        }
        text.push_back('\n');
    }
    return text;
}

} // namespace pillion
