// flock(2) on a file that holds the owner's pid and is removed before it is let go. Whoever got the lock of a file that
// was removed meanwhile tries again with the one that is there now. The system lets go of a lock whose process dies.
#include "modules/benchmarks/benchmark_lock.h"

#include "ipc/base/platform.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace pillion {

namespace {

constexpr int tries_max = 100;

bool is_there(int descriptor, const std::string& path) {
    struct stat ours {};
    struct stat named {};
    return fstat(descriptor, &ours) == 0 && stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

// "process 1234 (pillion bench)": no further words of its command line, which may hold secrets.
std::string owner_of(int descriptor) {
    std::array<char, 24> text{};
    const ssize_t got = pread(descriptor, text.data(), text.size(), 0);
    std::int64_t pid = 0;
    if (got <= 0 || std::from_chars(text.data(), text.data() + got, pid).ec != std::errc{} || pid <= 0)
        return "another process";
    const std::string words = platform::find_system_text("/proc/" + std::to_string(pid) + "/cmdline").value_or("");
    std::string name = words.substr(0, words.find('\0'));
    name.erase(0, name.rfind('/') + 1);
    if (const std::size_t at = words.find('\0'); at != std::string::npos) {
        const std::string second = words.substr(at + 1, words.find('\0', at + 1) - at - 1);
        if (second == "bench" || second == "serve" || second == "call") name += " " + second;
    }
    return "process " + std::to_string(pid) + (name.empty() ? "" : " (" + name + ")");
}

} // namespace

Result<BenchmarkLock> BenchmarkLock::take(const std::string& data_directory) {
    std::error_code failed;
    std::filesystem::create_directories(data_directory, failed);
    if (failed)
        return fail(ErrorCode::unavailable, data_directory + " cannot be made: " + failed.message(), {},
                    "results and what is measured need a data directory that can be written to");
    const std::string path = data_directory + "/benchmark-lock";
    for (int tries = 0; tries < tries_max; ++tries) {
        const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (descriptor < 0)
            return fail(ErrorCode::unavailable, path + " cannot be opened: " + std::strerror(errno), {},
                        "results and what is measured need a data directory that can be written to");
        BenchmarkLock lock(descriptor, {});
        // A file system that knows no locks keeps nobody from measuring.
        if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            return fail(ErrorCode::conflict,
                        owner_of(descriptor) + " is measuring in " + data_directory +
                            "; two at once would measure each other",
                        {}, "wait for its end");
        if (!is_there(descriptor, path)) continue;
        lock.path_ = path;
        const std::string pid = std::to_string(getpid()) + "\n";
        // Where the disk is full, the owner has no name and still has the lock.
        if (ftruncate(descriptor, 0) == 0) std::ignore = write(descriptor, pid.data(), pid.size());
        return lock;
    }
    return fail(ErrorCode::conflict, "other processes keep taking " + path, {}, "try again");
}

BenchmarkLock::BenchmarkLock(BenchmarkLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::exchange(other.path_, {})) {}

BenchmarkLock::~BenchmarkLock() {
    if (descriptor_ < 0) return;
    if (!path_.empty()) unlink(path_.c_str());
    close(descriptor_);
}

} // namespace pillion
