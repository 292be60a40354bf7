#include "ipc/base/output_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace pillion {

namespace {

// 0, or what went wrong.
int write_whole(const std::string& path, std::string_view text) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return errno;
    int trouble = 0;
    while (!text.empty() && trouble == 0) {
        const ssize_t n = ::write(file, text.data(), text.size());
        if (n >= 0)
            text.remove_prefix(static_cast<std::size_t>(n));
        else if (errno != EINTR)
            trouble = errno;
    }
    if (close(file) != 0 && trouble == 0) trouble = errno;
    return trouble;
}

} // namespace

Result<std::string> OutputFiles::write(const std::string& name, std::string_view text) const {
    std::error_code ignored; // opening the file says what is wrong
    std::filesystem::create_directories(folder_, ignored);
    chmod(folder_.c_str(), 0700);
    const std::string path = folder_ + "/" + prefix_ + name, draft = path + ".part";
    int trouble = write_whole(draft, text);
    if (trouble == 0 && std::rename(draft.c_str(), path.c_str()) != 0) trouble = errno;
    if (trouble != 0) {
        std::remove(draft.c_str());
        const bool is_full = trouble == ENOSPC || trouble == EDQUOT;
        return fail(is_full ? ErrorCode::exhausted : ErrorCode::unavailable,
                    "cannot write \"" + path + "\": " + std::strerror(trouble));
    }
    remove_oldest();
    return path;
}

void OutputFiles::remove_oldest() const {
    std::error_code ignored;
    std::vector<std::pair<std::filesystem::file_time_type, std::string>> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
        const std::string path = entry.path().string();
        if (entry.path().filename().string().starts_with(prefix_))
            files.emplace_back(entry.last_write_time(ignored), path);
    }
    if (files.size() <= files_max) return;
    std::sort(files.begin(), files.end());
    for (std::size_t i = 0; i + files_max < files.size(); ++i) std::filesystem::remove(files[i].second, ignored);
}

} // namespace pillion
