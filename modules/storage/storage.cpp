// Group commit: the writer thread takes all that is queued, runs it inside one transaction with a savepoint around each
// write, commits, and then tells everyone. While it waits for the disk the next group gathers, so that the more is
// written the fewer commits there are per write, without any delay added.
#include "modules/storage/storage.h"

#include "ipc/base/log.h"
#include "ipc/base/platform.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <future>

namespace pillion {

namespace {

constexpr std::size_t group_max = 1024; // writes of one commit: bounds how long a reader of another process may wait

std::string stamp(std::int64_t wall_ms) {
    const std::time_t seconds = wall_ms / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &parts);
    return text;
}

std::unexpected<Error> ended(const std::string& path) {
    return fail(ErrorCode::unavailable, path + ": the store has been closed, Pillion is ending");
}

} // namespace

Store::Store(StoreOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

Store::~Store() { stop(); }

void Store::add_schema(std::string module, std::vector<const char*> migrations) {
    {
        const std::lock_guard lock(mutex_);
        schemas_.emplace_back(module, migrations);
        if (!writer_) return;
    }
    const auto migrated = write_and_wait([&](Database& database) { return database.migrate(module, migrations); });
    if (!migrated) log(LogLevel::error, "storage", options_.path + ": " + migrated.error().message);
}

void Store::on_damaged(std::function<void(const StoreDamage&)> listener) { damaged_ = std::move(listener); }

Result<Database> Store::open_database(OpenMode mode) {
    return Database::open({.path = options_.path,
                           .mode = mode,
                           .durability = options_.durability,
                           .busy_wait_ms = options_.busy_wait_ms,
                           .mmap_bytes = options_.mmap_bytes,
                           .checkpoint_pages = options_.checkpoint_pages,
                           .vacuum = options_.vacuum});
}

// Everything that must work before the file may be used.
Result<Database> Store::open_checked() {
    Database database = PILLION_TRY(open_database(OpenMode::read_write));
    if (options_.check == OpenCheck::whole_file) PILLION_TRY(database.check());
    for (const auto& [module, migrations] : schemas_) PILLION_TRY(database.migrate(module, migrations));
    return database;
}

// mutex_ is held.
Result<void> Store::open_locked() {
    if (writer_) return {};
    if (stopped_) return ended(options_.path);
    auto opened = open_checked();
    if (!opened && opened.error().code == ErrorCode::corrupt) {
        PILLION_TRY(set_aside(opened.error().message));
        opened = open_checked();
    }
    if (!opened) return std::unexpected(std::move(opened).error());
    writer_ = std::make_unique<Database>(std::move(*opened));
    thread_ = std::thread([this] {
        platform::name_thread("pillion-storage");
        run();
    });
    stats_.is_open = true;
    return {};
}

// The journal belongs to the file it was written for and goes with it.
Result<void> Store::set_aside(const std::string& reason) {
    const std::string there = options_.path + ".damaged-" + stamp(clock_.wall_ms());
    std::string free = there;
    for (int count = 2; std::filesystem::exists(free); ++count) free = there + "-" + std::to_string(count);
    std::error_code trouble;
    std::filesystem::rename(options_.path, free, trouble);
    if (trouble)
        return fail(ErrorCode::corrupt,
                    options_.path + " is damaged (" + reason + ") and cannot be set aside: " + trouble.message());
    for (const char* const part : {"-wal", "-shm"}) {
        std::error_code ignored; // there may be none
        std::filesystem::rename(options_.path + part, free + part, ignored);
    }
    log(LogLevel::error, "storage", options_.path + " is damaged (" + reason + "); it is now " + free);
    if (damaged_) damaged_({options_.path, free, reason});
    return {};
}

Result<void> Store::open() {
    const std::lock_guard lock(mutex_);
    return open_locked();
}

void Store::write(Work work, Done done) {
    Result<void> opened{};
    {
        std::unique_lock lock(mutex_);
        opened = open_locked();
        if (opened) {
            const bool is_writer = std::this_thread::get_id() == thread_.get_id(); // it would wait for itself
            changed_.wait(lock, [&] { return queue_.size() < options_.queued_writes_max || stopped_ || is_writer; });
            if (!stopped_) {
                queue_.push_back({std::move(work), std::move(done)});
                ++stats_.writes;
                changed_.notify_all();
                return;
            }
            opened = ended(options_.path);
        }
        ++stats_.failed_writes;
    }
    if (done) done(std::move(opened));
}

Result<void> Store::write_and_wait(Work work) {
    std::promise<Result<void>> promise;
    auto result = promise.get_future();
    write(std::move(work), [&promise](Result<void> done) { promise.set_value(std::move(done)); });
    return result.get();
}

Result<void> Store::read(const Work& work) {
    std::unique_ptr<Database> reader;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !recovering_; });
        PILLION_TRY(open_locked());
        if (!readers_.empty()) {
            reader = std::move(readers_.back());
            readers_.pop_back();
        }
        ++readers_out_;
    }
    auto result = read_with(reader, work);
    const std::lock_guard lock(mutex_);
    const bool met_damage = !result && result.error().code == ErrorCode::corrupt;
    suspect_ = suspect_ || met_damage;
    if (reader && readers_.size() < options_.readers_max && !stopped_ && !suspect_)
        readers_.push_back(std::move(reader));
    reader.reset(); // before its file may be moved
    --readers_out_;
    if (suspect_ || recovering_) changed_.notify_all();
    return result;
}

// Opens the reader where there is none.
Result<void> Store::read_with(std::unique_ptr<Database>& reader, const Work& work) {
    if (!reader) reader = std::make_unique<Database>(PILLION_TRY(open_database(OpenMode::read_only)));
    return work(*reader);
}

void Store::flush() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return (queue_.empty() && !writing_) || !writer_; });
}

void Store::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    const std::lock_guard lock(mutex_);
    readers_.clear();
    writer_.reset();
    stats_.is_open = false;
}

StoreStats Store::stats() const {
    const std::lock_guard lock(mutex_);
    StoreStats stats = stats_;
    stats.queued = queue_.size();
    std::error_code none; // not made yet
    if (const auto bytes = std::filesystem::file_size(options_.path, none); !none) stats.file_bytes = bytes;
    return stats;
}

// On the writer thread. Somebody met damage, or says so of a single record: a look at the whole file decides. Readers
// are waited for and kept out: one that opens the file by its name while it is moved would make a journal there for the
// old one.
void Store::recover(std::unique_lock<std::mutex>& lock) {
    suspect_ = false;
    recovering_ = true;
    changed_.wait(lock, [this] { return readers_out_ == 0; });
    const Result<void> done = replace_if_damaged();
    recovering_ = false;
    std::vector<Queued> lost;
    if (!done) {
        log(LogLevel::error, "storage", done.error().message);
        stopped_ = true; // nothing more can be kept; every later use is told so
        stats_.is_open = false;
        lost.swap(queue_);
    }
    changed_.notify_all();
    if (lost.empty()) return;
    lock.unlock(); // whoever is told may use the store
    for (Queued& write : lost)
        if (write.done) write.done(done);
    lock.lock();
}

// mutex_ is held and no reader is out.
Result<void> Store::replace_if_damaged() {
    const auto checked = writer_->check();
    if (checked || checked.error().code != ErrorCode::corrupt) return {};
    readers_.clear();
    writer_.reset();
    PILLION_TRY(set_aside(checked.error().message));
    writer_ = std::make_unique<Database>(PILLION_TRY(open_checked()));
    return {};
}

// The writer thread. What is queued when stop() comes is still written.
void Store::run() {
    std::vector<Queued> group;
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return !queue_.empty() || stopped_ || suspect_; });
        if (suspect_) recover(lock);
        if (queue_.empty() && !stopped_) continue;
        if (queue_.empty()) return;
        if (queue_.size() <= group_max) {
            group.swap(queue_);
        } else {
            const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(group_max);
            group.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
            queue_.erase(queue_.begin(), end);
        }
        writing_ = true;
        changed_.notify_all();
        lock.unlock();
        commit(group);
        lock.lock();
        writing_ = false;
        group.clear();
        changed_.notify_all();
    }
}

void Store::commit(std::vector<Queued>& group) {
    std::vector<Result<void>> results(group.size());
    const std::int64_t began_ns = clock_.now_ns();
    if (const auto done = run_group(group, results); !done)
        for (Result<void>& result : results)
            if (result) result = done;
    write_ns_.record_as_only_writer(static_cast<std::uint64_t>(std::max<std::int64_t>(0, clock_.now_ns() - began_ns)));
    std::size_t failed = 0;
    for (const Result<void>& result : results) failed += result ? 0 : 1;
    const bool met_damage = std::ranges::any_of(
        results, [](const auto& result) { return !result && result.error().code == ErrorCode::corrupt; });
    {
        const std::lock_guard lock(mutex_);
        ++stats_.commits;
        stats_.failed_writes += failed;
        suspect_ = suspect_ || met_damage;
    }
    for (std::size_t index = 0; index < group.size(); ++index)
        if (group[index].done)
            group[index].done(std::move(results[index]));
        else if (!results[index])
            log(LogLevel::error, "storage", options_.path + ": " + results[index].error().message);
}

Result<void> Store::run_group(std::vector<Queued>& group, std::vector<Result<void>>& results) {
    Transaction transaction = PILLION_TRY(Transaction::begin(*writer_));
    if (group.size() == 1) { // nobody to be kept apart from
        results.front() = group.front().work(*writer_);
        if (!results.front()) return {};
        return transaction.commit();
    }
    for (std::size_t index = 0; index < group.size(); ++index) {
        PILLION_TRY(writer_->execute("SAVEPOINT one"));
        results[index] = group[index].work(*writer_);
        // Some errors (a full disk) have rolled back everything already: then this fails too, and with it the group.
        if (!results[index]) PILLION_TRY(writer_->execute("ROLLBACK TO one"));
        PILLION_TRY(writer_->execute("RELEASE one"));
    }
    return transaction.commit();
}

} // namespace pillion
