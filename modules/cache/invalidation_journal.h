// What was invalidated, in a file of the data directory, for two readers: the next run, whose disk still holds what was
// void before, and the other sidecars on the same directory (two windows of one app), whose memory does. Owned by the
// cache; any thread.
//
// Frames are appended; a counter in the file's mapped first page tells the others that there are new ones, so that a
// read pays one load for being sure. Who finds itself alone at the start, or with a long file, writes it anew.
// Appending is a write() without synchronisation: a killed process loses nothing, a power failure perhaps the last
// second. A file that is damaged is replaced, and everything that was written before counts as void.
#pragma once

#include "ipc/base/error.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace pillion {

enum class FrameKind : std::uint8_t {
    cut = 1,     // everything of `space` (empty: of all), or with `text` everything tagged so
    key = 2,     // one key was written or removed: `text`
    pattern = 3, // keys that match were removed: `text`
    source = 4,  // entries elsewhere depend on entries of `space`
    lost = 5,    // never written: frames may have been missed, anything may have been written or removed by others
};

struct JournalFrame {
    FrameKind kind = FrameKind::cut;
    std::int64_t version = 0;
    std::string space{};
    std::string text{};
};

class InvalidationJournal {
  public:
    using Apply = std::function<void(const JournalFrame&)>;
    using Snapshot = std::function<void(const Apply&)>; // gives all that is to be kept of a long file
    static constexpr std::int64_t file_bytes_max = 4 * 1024 * 1024;

    // Opens or makes the file and gives its frames to `apply`. `was_damaged` is called where it could not be read.
    static Result<std::unique_ptr<InvalidationJournal>> open(const std::string& path, Apply apply, Snapshot snapshot,
                                                             const std::function<void()>& was_damaged);
    ~InvalidationJournal();
    InvalidationJournal(const InvalidationJournal&) = delete;

    // Whether others have appended what was not applied yet.
    bool is_behind() const {
        return page_->appended.load(std::memory_order_acquire) != seen_.load(std::memory_order_relaxed);
    }
    void catch_up();
    Result<void> append(const JournalFrame& frame);
    // Whether other processes may have it open. A killed one counts until the next that finds itself alone.
    bool is_shared() const { return page_->attached.load(std::memory_order_relaxed) > 1; }
    // The newest version that any process gave out: a clock that is set back between runs does not fall behind it.
    void note_version(std::int64_t version);
    std::int64_t noted_version() const { return page_->version.load(std::memory_order_relaxed); }

  private:
    struct Page { // the first of the file, shared by mapping
        std::atomic<std::uint64_t> magic;
        std::atomic<std::uint64_t> appended; // frames ever, by anybody
        std::atomic<std::uint64_t> epoch;    // grows when the file is written anew
        std::atomic<std::uint64_t> attached;
        std::atomic<std::int64_t> version;
    };
    InvalidationJournal(int file, Page* page, Apply apply, Snapshot snapshot)
        : file_(file), page_(page), apply_(std::move(apply)), snapshot_(std::move(snapshot)) {}
    Result<void> begin(const std::function<void()>& was_damaged);
    bool read_frames(); // with mutex_ held; false: damaged
    void follow_epoch();
    Result<void> rewrite();
    Result<void> write_frame(const JournalFrame& frame);

    const int file_;
    Page* const page_;
    const Apply apply_;
    const Snapshot snapshot_;
    std::atomic<std::uint64_t> seen_{0};
    std::mutex mutex_; // guards what follows, and the order of appending
    std::int64_t offset_ = 0;
    std::uint64_t epoch_ = 0;
};

} // namespace pillion
