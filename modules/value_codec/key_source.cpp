#include "modules/value_codec/key_source.h"

#include "modules/value_codec/secret_service.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::size_t file_bytes_max = 64 * 1024;

class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    File(const File&) = delete;
    ~File() {
        if (descriptor_ >= 0) close(descriptor_);
    }
    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

std::string reason() { return std::strerror(errno); }

Result<std::optional<SecretText>> read_file(const std::string& path) {
    const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0 && errno == ENOENT) return std::nullopt;
    if (file.get() < 0) return fail(ErrorCode::unavailable, "the key file " + path + " cannot be read: " + reason());
    struct stat facts {};
    if (fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode))
        return fail(ErrorCode::unavailable, "the key file " + path + " is no file");
    if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(ErrorCode::denied, "the key file " + path + " may be read or written by others than its owner", {},
                    "chmod 600 " + path);
    if (static_cast<std::size_t>(facts.st_size) > file_bytes_max)
        return fail(ErrorCode::invalid_params, "the key file " + path + " is over 64 KiB, which no key is");
    std::string text(static_cast<std::size_t>(facts.st_size), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t got = read(file.get(), text.data() + done, text.size() - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += static_cast<std::size_t>(got);
    }
    text.resize(done);
    return SecretText(std::move(text));
}

// A whole file under another name first: nobody ever reads half a key.
Result<void> write_file(const std::string& path, const SecretText& text, Overwrite overwrite) {
    const std::string draft = path + ".new-" + std::to_string(getpid());
    const auto failed = [&] {
        const std::string why = reason();
        unlink(draft.c_str());
        return fail(ErrorCode::unavailable, "the key file " + path + " cannot be written: " + why);
    };
    unlink(draft.c_str());
    const File file(open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (file.get() < 0) return failed();
    const std::string& bytes = text.view();
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t put = write(file.get(), bytes.data() + done, bytes.size() - done);
        if (put < 0 && errno != EINTR) return failed();
        if (put > 0) done += static_cast<std::size_t>(put);
    }
    if (fsync(file.get()) != 0) return failed();
    if (overwrite == Overwrite::yes) {
        if (rename(draft.c_str(), path.c_str()) != 0) return failed();
        return {};
    }
    if (link(draft.c_str(), path.c_str()) != 0 && errno != EEXIST) return failed();
    unlink(draft.c_str());
    return {};
}

} // namespace

SecretText& SecretText::operator=(SecretText&& other) noexcept {
    wipe();
    text_ = std::move(other.text_);
    other.wipe();
    return *this;
}

// Also what a move left in a short text's own bytes.
void SecretText::wipe() {
    text_.resize(text_.capacity());
    explicit_bzero(text_.data(), text_.size());
    text_.clear();
}

std::string source_name(const KeyRingOptions& options) {
    switch (options.source) {
    case KeySource::keyring:
        return "the OS keyring's item of " + options.app;
    case KeySource::file:
        return "the key file " + options.path;
    case KeySource::environment:
        break;
    }
    return "the environment variable " + options.variable;
}

Result<std::optional<SecretText>> read_key_text(const KeyRingOptions& options) {
    switch (options.source) {
    case KeySource::keyring:
        return find_in_keyring(options.app);
    case KeySource::file:
        return read_file(options.path);
    case KeySource::environment:
        break;
    }
    const char* const value = std::getenv(options.variable.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return SecretText(value);
}

Result<void> write_key_text(const KeyRingOptions& options, const SecretText& text, Overwrite overwrite) {
    switch (options.source) {
    case KeySource::keyring:
        return store_in_keyring(options.app, text);
    case KeySource::file:
        return write_file(options.path, text, overwrite);
    case KeySource::environment:
        break;
    }
    return fail(ErrorCode::failed_precondition,
                "keys that come from " + source_name(options) + " cannot be changed by Pillion", {},
                "set it to a new key followed by the old ones, and restart");
}

} // namespace pillion
