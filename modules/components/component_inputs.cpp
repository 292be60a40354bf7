// Fingerprints are XXH3-128 over fields with their lengths, so that no two lists of fields run into one another. A file
// whose time, size and inode are as they were is not read again, as git's index does it; and as there, a file that was
// changed so lately that it could change once more without its time showing it ("racily clean") is not remembered.
#include "modules/components/component_inputs.h"

#include "ipc/base/number_text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fnmatch.h>
#include <memory>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

constexpr std::size_t files_max = 100'000;
constexpr std::int64_t racy_ns = 2'000'000'000; // coarser than any file system's clock

class Hasher {
  public:
    Hasher() : state_(XXH3_createState()) { XXH3_128bits_reset(state_.get()); }
    void bytes(const void* data, std::size_t size) { XXH3_128bits_update(state_.get(), data, size); }
    void field(std::string_view text) {
        const std::uint64_t size = text.size();
        bytes(&size, sizeof size);
        bytes(text.data(), text.size());
    }
    std::string digits() const {
        const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
        return hex_digits(hash.high64) + hex_digits(hash.low64);
    }

  private:
    struct Free {
        void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
    };
    std::unique_ptr<XXH3_state_t, Free> state_;
};

std::unexpected<Error> unreadable(const std::string& path) {
    return fail(ErrorCode::unavailable, "its input " + path + " cannot be read: " + std::strerror(errno));
}

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    int number() const { return number_; }

  private:
    int number_;
};

FileStamp stamp_of(const struct stat& status) {
    return {.modified_ns = status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec,
            .bytes = status.st_size,
            .inode = static_cast<std::int64_t>(status.st_ino)};
}

bool is_racy(const FileStamp& stamp) {
    const auto now = std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
    return now - stamp.modified_ns < racy_ns;
}

// The hash of its content; empty if it is not there.
Result<std::string> hash_file(const std::string& path, FileHashes& hashes) {
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.number() < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return std::string();
        return unreadable(path);
    }
    struct stat status {};
    if (fstat(file.number(), &status) != 0) return unreadable(path);
    if (!S_ISREG(status.st_mode))
        return fail(ErrorCode::invalid_params, "its input " + path + " is no regular file", "/inputs/files",
                    "name the files of a folder by a glob, as in folder/**");
    const FileStamp stamp = stamp_of(status);
    if (hashes.find)
        if (const auto known = hashes.find(path); known && known->stamp == stamp) return known->hash;
    Hasher hasher;
    std::array<char, 65536> chunk;
    for (;;) {
        const ssize_t n = read(file.number(), chunk.data(), chunk.size());
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return unreadable(path);
        hasher.bytes(chunk.data(), static_cast<std::size_t>(n));
    }
    std::string hash = hasher.digits();
    if (!is_racy(stamp)) hashes.fresh[path] = {.stamp = stamp, .hash = hash};
    return hash;
}

// Walks the folders that a pattern's parts lead through.
class GlobWalk {
  public:
    explicit GlobWalk(std::vector<std::string> parts) : parts_(std::move(parts)) {}

    bool walk(const std::filesystem::path& folder, std::size_t part) {
        const std::string& wanted = parts_[part];
        const bool is_last = part + 1 == parts_.size();
        if (wanted == "**") {
            if (!is_last && !walk(folder, part + 1)) return false;
            return each(folder, [&](const std::filesystem::directory_entry& entry) {
                if (is_folder(entry)) return is_hidden(entry) || walk(entry.path(), part);
                return !is_last || add(entry);
            });
        }
        return each(folder, [&](const std::filesystem::directory_entry& entry) {
            const std::string name = entry.path().filename().string();
            if (fnmatch(wanted.c_str(), name.c_str(), FNM_PERIOD) != 0) return true;
            std::error_code error;
            return is_last ? add(entry) : !entry.is_directory(error) || walk(entry.path(), part + 1);
        });
    }
    std::set<std::string> found;

  private:
    // A link to a folder is not followed by `**`, so that no circle is walked.
    static bool is_folder(const std::filesystem::directory_entry& entry) {
        std::error_code error;
        return entry.is_directory(error) && !entry.is_symlink(error);
    }
    static bool is_hidden(const std::filesystem::directory_entry& entry) {
        return entry.path().filename().string().starts_with('.');
    }
    bool add(const std::filesystem::directory_entry& entry) {
        std::error_code error;
        if (entry.is_regular_file(error)) found.insert(entry.path().string());
        return found.size() <= files_max;
    }
    template <class Visit>
    bool each(const std::filesystem::path& folder, Visit visit) {
        std::error_code error;
        std::filesystem::directory_iterator at(folder, std::filesystem::directory_options::skip_permission_denied,
                                               error);
        for (; !error && at != std::filesystem::directory_iterator(); at.increment(error))
            if (!visit(*at)) return false;
        return true;
    }
    const std::vector<std::string> parts_;
};

} // namespace

Result<std::vector<std::string>> expand_glob(const std::string& folder, const std::string& pattern) {
    const std::filesystem::path whole = std::filesystem::path(folder) / pattern;
    std::filesystem::path root = whole.is_absolute() ? "/" : ".";
    std::vector<std::string> parts;
    for (const auto& part : whole.relative_path()) {
        const bool is_plain = part.string().find_first_of("*?[") == std::string::npos;
        if (is_plain && parts.empty())
            root /= part;
        else if (!part.empty())
            parts.push_back(part.string());
    }
    if (parts.empty()) return std::vector<std::string>{whole.string()};
    GlobWalk walk(std::move(parts));
    if (!walk.walk(root, 0))
        return fail(ErrorCode::exhausted,
                    "the glob \"" + pattern + "\" matches more than " + std::to_string(files_max) + " files",
                    "/inputs/globs", "name fewer, or one file that changes when they do");
    return std::vector<std::string>(walk.found.begin(), walk.found.end());
}

Result<std::string> task_fingerprint(const ComponentSpec& spec, FileHashes& hashes) {
    const std::string folder = spec.workingDirectory.value_or("");
    std::set<std::string> files;
    for (const std::string& file : spec.inputs.files) files.insert(std::filesystem::path(folder) / file);
    for (const std::string& glob : spec.inputs.globs) {
        const std::vector<std::string> matches = PILLION_TRY(expand_glob(folder, glob));
        files.insert(matches.begin(), matches.end());
    }
    Hasher hasher;
    const auto section = [&hasher](std::string_view name, std::size_t size) {
        hasher.field(name);
        hasher.field(std::to_string(size));
    };
    section("command", spec.command.size());
    for (const std::string& word : spec.command) hasher.field(word);
    section("environment", spec.environment.size());
    for (const auto& [name, value] : spec.environment) hasher.field(name), hasher.field(value);
    section("folder", 1);
    hasher.field(folder);
    section("values", spec.inputs.values.size());
    for (const auto& [name, value] : spec.inputs.values) hasher.field(name), hasher.field(value);
    section("files", files.size());
    for (const std::string& file : files) {
        hasher.field(file);
        hasher.field(PILLION_TRY(hash_file(file, hashes)));
    }
    return hasher.digits();
}

} // namespace pillion
