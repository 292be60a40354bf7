// A frame is: 4 bytes length of what follows the checksum, 4 bytes checksum (XXH3, cut), kind, 8 bytes version, 2 bytes
// length of the namespace, the namespace, the text. Appenders hold an advisory lock of the open file description
// (F_OFD_SETLKW), so that nobody appends while the file is written anew.
#include "modules/cache/invalidation_journal.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

constexpr std::uint64_t magic = 0x31'4a'43'4e'4c'49'50'00; // "\0PILNCJ1"
constexpr std::int64_t page_bytes = 4096;
constexpr std::size_t head_bytes = 8;
constexpr std::size_t frame_bytes_max = 256 * 1024;

Error unusable(const char* what) {
    return {ErrorCode::unavailable,
            "cannot " + std::string(what) + " the journal of invalidations: " + std::strerror(errno),
            {},
            {}};
}

// The lock that appenders take, for the time of an append.
class FileLock {
  public:
    explicit FileLock(int file) : file_(file) { set(F_WRLCK); }
    ~FileLock() { set(F_UNLCK); }
    FileLock(const FileLock&) = delete;

  private:
    void set(short type) const {
        struct flock lock {};
        lock.l_type = type;
        lock.l_whence = SEEK_SET;
        lock.l_len = 1;
        while (fcntl(file_, F_OFD_SETLKW, &lock) != 0 && errno == EINTR) {
        }
    }
    const int file_;
};

std::uint32_t checksum(std::string_view body) {
    return static_cast<std::uint32_t>(XXH3_64bits(body.data(), body.size()));
}

template <class T>
void append_raw(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}
template <class T>
T take_raw(std::string_view& from) {
    T value;
    std::memcpy(&value, from.data(), sizeof value);
    from.remove_prefix(sizeof value);
    return value;
}

std::string encode(const JournalFrame& frame) {
    std::string body;
    body.push_back(static_cast<char>(frame.kind));
    append_raw(body, frame.version);
    append_raw(body, static_cast<std::uint16_t>(frame.space.size()));
    body += frame.space;
    body += frame.text;
    std::string whole;
    append_raw(whole, static_cast<std::uint32_t>(body.size()));
    append_raw(whole, checksum(body));
    return whole + body;
}

bool decode(std::string_view body, JournalFrame& frame) {
    if (body.size() < 11) return false;
    const auto kind = take_raw<std::uint8_t>(body);
    if (kind < 1 || kind > 4) return false;
    frame.kind = static_cast<FrameKind>(kind);
    frame.version = take_raw<std::int64_t>(body);
    const auto space_bytes = take_raw<std::uint16_t>(body);
    if (body.size() < space_bytes) return false;
    frame.space = body.substr(0, space_bytes);
    frame.text = body.substr(space_bytes);
    return true;
}

} // namespace

Result<std::unique_ptr<InvalidationJournal>> InvalidationJournal::open(const std::string& path, Apply apply,
                                                                       Snapshot snapshot,
                                                                       const std::function<void()>& was_damaged) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return std::unexpected(unusable("open"));
    struct stat status {};
    const bool is_known = fstat(file, &status) == 0;
    // A page without a place on the disk would be the end of the process that writes to it while the disk is full.
    constexpr std::int64_t block_bytes = 512;
    const bool has_page = is_known && status.st_size >= page_bytes && status.st_blocks * block_bytes >= page_bytes;
    if (!is_known || (!has_page && (errno = posix_fallocate(file, 0, page_bytes)) != 0)) {
        const Error error = unusable("make");
        close(file);
        return std::unexpected(error);
    }
    void* const mapped = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
        const Error error = unusable("map");
        close(file);
        return std::unexpected(error);
    }
    std::unique_ptr<InvalidationJournal> journal(
        new InvalidationJournal(file, static_cast<Page*>(mapped), std::move(apply), std::move(snapshot)));
    PILLION_TRY(journal->begin(was_damaged));
    return journal;
}

Result<void> InvalidationJournal::begin(const std::function<void()>& was_damaged) {
    const std::lock_guard lock(mutex_);
    const bool is_alone = flock(file_, LOCK_EX | LOCK_NB) == 0;
    const bool is_fresh = page_->magic.load() == 0 && lseek(file_, 0, SEEK_END) == page_bytes;
    bool is_damaged = !is_fresh && page_->magic.load() != magic;
    if (is_fresh) page_->magic = magic;
    offset_ = page_bytes;
    epoch_ = page_->epoch;
    if (!is_damaged) is_damaged = !read_frames();
    if (is_damaged) was_damaged();
    if (is_alone) {
        page_->magic = magic;
        page_->attached = 0;
        const FileLock appending(file_);
        PILLION_TRY(rewrite());
    }
    flock(file_, LOCK_SH);
    page_->attached.fetch_add(1);
    return {};
}

InvalidationJournal::~InvalidationJournal() {
    page_->attached.fetch_sub(1);
    munmap(page_, page_bytes);
    close(file_);
}

// Applies the frames from offset_ on. An incomplete one at the end is somebody's killed append.
bool InvalidationJournal::read_frames() {
    const std::uint64_t appended = page_->appended.load(std::memory_order_acquire);
    std::string chunk(64 * 1024, '\0');
    std::string rest;
    for (;;) {
        const ssize_t n = pread(file_, chunk.data(), chunk.size(), offset_ + static_cast<std::int64_t>(rest.size()));
        if (n <= 0) break;
        rest.append(chunk.data(), static_cast<std::size_t>(n));
        std::string_view left = rest;
        while (left.size() >= head_bytes) {
            std::string_view head = left.substr(0, head_bytes);
            const auto length = take_raw<std::uint32_t>(head);
            const auto sum = take_raw<std::uint32_t>(head);
            if (length > frame_bytes_max) return false;
            if (left.size() < head_bytes + length) break;
            const std::string_view body = left.substr(head_bytes, length);
            JournalFrame frame;
            if (checksum(body) != sum || !decode(body, frame)) return false;
            apply_(frame);
            left.remove_prefix(head_bytes + length);
            offset_ += static_cast<std::int64_t>(head_bytes + length);
        }
        rest.erase(0, rest.size() - left.size());
    }
    seen_.store(appended, std::memory_order_relaxed);
    return true;
}

// Written anew by somebody else: what is kept stands at its start, what was not is lost.
void InvalidationJournal::follow_epoch() {
    if (epoch_ == page_->epoch.load()) return;
    epoch_ = page_->epoch;
    offset_ = page_bytes;
    apply_({FrameKind::lost, 0, {}, {}});
}

void InvalidationJournal::catch_up() {
    const std::lock_guard lock(mutex_);
    if (!is_behind()) return;
    follow_epoch();
    if (!read_frames()) seen_.store(page_->appended.load(), std::memory_order_relaxed);
}

Result<void> InvalidationJournal::write_frame(const JournalFrame& frame) {
    const std::string bytes = encode(frame);
    const ssize_t written = write(file_, bytes.data(), bytes.size());
    if (written == static_cast<ssize_t>(bytes.size())) return {};
    const Error error = unusable("write");
    if (written > 0) { // half a frame would spoil what follows
        const off_t end = lseek(file_, 0, SEEK_END);
        if (ftruncate(file_, end - written) != 0) return std::unexpected(unusable("repair"));
    }
    return std::unexpected(error);
}

// With the appenders' lock held.
Result<void> InvalidationJournal::rewrite() {
    if (ftruncate(file_, page_bytes) != 0) return std::unexpected(unusable("shorten"));
    page_->epoch.fetch_add(1);
    Result<void> written{};
    snapshot_([&](const JournalFrame& frame) {
        if (written) written = write_frame(frame);
    });
    page_->appended.fetch_add(1);
    epoch_ = page_->epoch;
    offset_ = lseek(file_, 0, SEEK_END);
    seen_.store(page_->appended.load(), std::memory_order_relaxed);
    return written;
}

Result<void> InvalidationJournal::append(const JournalFrame& frame) {
    if (frame.space.size() + frame.text.size() > frame_bytes_max / 2)
        return fail(ErrorCode::invalid_params, "too long to be kept in the journal of invalidations");
    const std::lock_guard lock(mutex_);
    const FileLock appending(file_);
    follow_epoch();
    if (is_behind()) read_frames();
    PILLION_TRY(write_frame(frame));
    offset_ = lseek(file_, 0, SEEK_END);
    seen_.store(page_->appended.fetch_add(1, std::memory_order_acq_rel) + 1, std::memory_order_relaxed);
    if (offset_ > file_bytes_max) return rewrite();
    return {};
}

void InvalidationJournal::note_version(std::int64_t version) {
    std::int64_t seen = page_->version.load(std::memory_order_relaxed);
    while (seen < version && !page_->version.compare_exchange_weak(seen, version, std::memory_order_relaxed)) {
    }
}

} // namespace pillion
