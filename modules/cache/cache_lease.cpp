#include "modules/cache/cache_lease.h"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace pillion {

struct CacheLeases::State {
    std::mutex mutex; // guards what follows
    std::set<std::string> paths;
    bool is_prepared = false;
    bool is_stopped = false;
    std::uint64_t count = 0;
};

namespace {

namespace fs = std::filesystem;

std::string_view extension_of(std::string_view content_type) {
    struct Known {
        std::string_view type, extension;
    };
    static constexpr Known known[] = {
        {"application/json", ".json"}, {"audio/wav", ".wav"},      {"audio/mpeg", ".mp3"},  {"audio/ogg", ".ogg"},
        {"image/png", ".png"},         {"image/jpeg", ".jpg"},     {"image/webp", ".webp"}, {"image/svg+xml", ".svg"},
        {"text/plain", ".txt"},        {"text/html", ".html"},     {"text/css", ".css"},    {"text/javascript", ".js"},
        {"video/mp4", ".mp4"},         {"application/pdf", ".pdf"}};
    content_type = content_type.substr(0, content_type.find(';'));
    for (const Known& one : known)
        if (one.type == content_type) return one.extension;
    return ".bin";
}

Result<void> write_whole(const std::string& path, std::string_view bytes) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return fail(ErrorCode::unavailable, "cannot make a file for the value: " + std::string(std::strerror(errno)));
    while (!bytes.empty()) {
        const ssize_t written = write(file, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            const int reason = errno;
            close(file);
            unlink(path.c_str());
            return fail(reason == ENOSPC || reason == EDQUOT ? ErrorCode::exhausted : ErrorCode::unavailable,
                        "cannot write a file for the value: " + std::string(std::strerror(reason)));
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    close(file);
    return {};
}

} // namespace

CacheLeases::CacheLeases(std::string data_directory, Timers& timers, const Clock& clock)
    : folder_(data_directory.empty() ? "" : std::move(data_directory) + "/leases"), timers_(timers), clock_(clock),
      state_(std::make_shared<State>()) {}

void CacheLeases::remove_leftovers(const std::string& folder, std::int64_t wall_ms) {
    std::error_code ignored;
    std::vector<fs::path> ended;
    for (fs::directory_iterator at(folder, ignored), last; !ignored && at != last; at.increment(ignored)) {
        const std::string name = at->path().filename().string();
        std::int64_t until = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), until);
        if (error != std::errc{} || until <= wall_ms || until > wall_ms + lease_ms_max) ended.push_back(at->path());
    }
    for (const fs::path& path : ended) fs::remove(path, ignored);
}

Result<CacheLease> CacheLeases::grant(std::string_view bytes, std::string_view content_type, std::int64_t lease_ms) {
    if (folder_.empty())
        return fail(ErrorCode::failed_precondition, "there is no data directory to give a file in", {},
                    "start Pillion with --data-dir");
    CacheLease lease;
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->is_stopped) return fail(ErrorCode::unavailable, "Pillion is ending");
        if (state_->paths.size() >= leases_max)
            return fail(ErrorCode::exhausted,
                        std::to_string(leases_max) + " values are leased as files; no more are possible");
        if (!state_->is_prepared) {
            std::error_code ignored;
            fs::create_directories(folder_, ignored);
            fs::permissions(folder_, fs::perms::owner_all, ignored);
            remove_leftovers(folder_, clock_.wall_ms());
            state_->is_prepared = true;
        }
        lease.until_ms = clock_.wall_ms() + lease_ms;
        lease.path = folder_ + "/" + std::to_string(lease.until_ms) + "-" + std::to_string(getpid()) + "-" +
                     std::to_string(++state_->count);
        lease.path += extension_of(content_type);
        state_->paths.insert(lease.path);
    }
    if (auto written = write_whole(lease.path, bytes); !written) {
        const std::lock_guard lock(state_->mutex);
        state_->paths.erase(lease.path);
        return std::unexpected(std::move(written).error());
    }
    timers_.after_ms(lease_ms, [weak = std::weak_ptr(state_), path = lease.path] { end(weak, path); });
    return lease;
}

void CacheLeases::end(const std::weak_ptr<State>& weak, const std::string& path) {
    const auto state = weak.lock();
    if (!state) return;
    const std::lock_guard lock(state->mutex);
    if (state->paths.erase(path) == 1) unlink(path.c_str());
}

void CacheLeases::stop() {
    const std::lock_guard lock(state_->mutex);
    state_->is_stopped = true;
    for (const std::string& path : state_->paths) unlink(path.c_str());
    state_->paths.clear();
}

Result<std::string> read_file_value(const std::string& path, std::int64_t bytes_max) {
    const auto refuse = [&path](ErrorCode code, const std::string& why) {
        return fail(code, "cannot take the file \"" + path.substr(0, 200) + "\": " + why, "/file");
    };
    if (path.empty() || path.front() != '/') return refuse(ErrorCode::invalid_params, "its path is not absolute");
    if (path.find('\0') != std::string::npos) return refuse(ErrorCode::invalid_params, "its path holds a NUL");
    // Non-blocking: a FIFO must not hold the thread.
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return refuse(errno == ENOENT ? ErrorCode::not_found : ErrorCode::invalid_params, std::strerror(errno));
    struct stat status {};
    std::string bytes;
    Result<void> fits{};
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        fits = refuse(ErrorCode::invalid_params, "it is no regular file");
    else if (status.st_size > bytes_max)
        fits = refuse(ErrorCode::exhausted, "it has " + std::to_string(status.st_size) + " bytes, at most " +
                                                std::to_string(bytes_max) + " are allowed (cache.fileBytesMax)");
    if (fits) {
        bytes.resize(static_cast<std::size_t>(status.st_size));
        std::size_t have = 0;
        while (have < bytes.size()) {
            const ssize_t n = read(file, bytes.data() + have, bytes.size() - have);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            have += static_cast<std::size_t>(n);
        }
        if (have != bytes.size()) fits = refuse(ErrorCode::failed_precondition, "it changed while it was read");
    }
    close(file);
    if (!fits) return std::unexpected(fits.error());
    return bytes;
}

} // namespace pillion
