// The suites that measure within this process: memory, filesystem, database, and the cache's store in memory.
#include "ipc/base/pool.h"
#include "modules/benchmarks/benchmark_case.h"
#include "modules/memory_store/memory_store.h"
#include "modules/storage/storage.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::size_t mebibyte = 1024 * 1024;
constexpr std::size_t block_bytes = 64 * 1024;
constexpr int small_files = 32;
constexpr int rows = 1000;

Result<void> file_error(const std::string& path, std::string_view what) {
    const int error = errno;
    return fail(error == ENOSPC || error == EDQUOT ? ErrorCode::exhausted : ErrorCode::unavailable,
                path + " cannot be " + std::string(what) + ": " + std::strerror(error));
}

// Closes what it opened.
class File {
  public:
    File(const std::string& path, int flags) : path_(path), descriptor_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
    ~File() {
        if (descriptor_ >= 0) close(descriptor_);
    }
    File(const File&) = delete;

    Result<void> write_all(std::string_view bytes) const {
        if (descriptor_ < 0) return file_error(path_, "opened");
        while (!bytes.empty()) {
            const ssize_t wrote = write(descriptor_, bytes.data(), std::min(bytes.size(), block_bytes));
            if (wrote < 0) return file_error(path_, "written");
            bytes.remove_prefix(static_cast<std::size_t>(wrote));
        }
        return {};
    }
    Result<void> read_all(std::string& block) const {
        if (descriptor_ < 0) return file_error(path_, "opened");
        ssize_t got = 0;
        while ((got = read(descriptor_, block.data(), block.size())) > 0) {
        }
        return got < 0 ? file_error(path_, "read") : Result<void>{};
    }
    Result<void> synchronise() const {
        return fsync(descriptor_) == 0 ? Result<void>{} : file_error(path_, "synchronised");
    }

  private:
    const std::string& path_;
    const int descriptor_;
};

std::unique_ptr<BenchmarkCase> timed(const BenchmarkSurroundings& around, std::function<Result<void>()> prepare,
                                     std::function<Result<void>()> operate) {
    return std::make_unique<TimedCase>(around.host.clock, std::move(prepare), std::move(operate));
}

// Blocks of the sizes that a program asks for, given back in another order.
std::unique_ptr<BenchmarkCase> allocation(const BenchmarkSurroundings& around) {
    return timed(around, {}, []() -> Result<void> {
        std::array<void*, 1000> blocks{};
        for (std::size_t index = 0; index < blocks.size(); ++index) {
            const std::size_t bytes = 16 + index * 7919 % 2048;
            blocks[index] = std::malloc(bytes);
            if (blocks[index] == nullptr) return fail(ErrorCode::exhausted, "no memory is left");
            *static_cast<volatile char*>(blocks[index]) = 1; // so that it is really had
        }
        for (std::size_t index = 0; index < blocks.size(); ++index) std::free(blocks[index * 389 % blocks.size()]);
        return {};
    });
}

std::unique_ptr<BenchmarkCase> pooled_buffers(const BenchmarkSurroundings& around) {
    const auto pool = std::make_shared<BufferPool>();
    return timed(around, {}, [pool]() -> Result<void> {
        for (int count = 0; count < 1000; ++count) {
            Buffer buffer(*pool);
            buffer.prepare(BufferPool::class_bytes[static_cast<std::size_t>(count % 3)]);
        }
        return {};
    });
}

std::unique_ptr<BenchmarkCase> copying(const BenchmarkSurroundings& around) {
    const auto from = std::make_shared<std::string>(8 * mebibyte, 'x');
    const auto to = std::make_shared<std::string>(8 * mebibyte, 'y');
    return timed(around, {}, [from, to]() -> Result<void> {
        (*from)[0] = static_cast<char>((*to)[1] + 1); // so that no copy can be left out
        std::memcpy(to->data(), from->data(), from->size());
        return {};
    });
}

std::unique_ptr<BenchmarkCase> writing(const BenchmarkSurroundings& around) {
    const std::string bytes(mebibyte, 'x');
    return timed(around, {}, [path = around.folder + "/written", bytes] {
        return File(path, O_WRONLY | O_CREAT | O_TRUNC).write_all(bytes);
    });
}

std::unique_ptr<BenchmarkCase> reading(const BenchmarkSurroundings& around) {
    const std::string path = around.folder + "/read";
    const auto block = std::make_shared<std::string>(block_bytes, '\0');
    return timed(
        around, [path] { return File(path, O_WRONLY | O_CREAT).write_all(std::string(mebibyte, 'x')); },
        [path, block] { return File(path, O_RDONLY).read_all(*block); });
}

std::unique_ptr<BenchmarkCase> synchronising(const BenchmarkSurroundings& around) {
    const std::string bytes(4096, 'x');
    return timed(around, {}, [path = around.folder + "/synchronised", bytes]() -> Result<void> {
        const File file(path, O_WRONLY | O_CREAT);
        PILLION_TRY(file.write_all(bytes));
        return file.synchronise();
    });
}

std::unique_ptr<BenchmarkCase> handling_small_files(const BenchmarkSurroundings& around) {
    const std::string bytes(1024, 'x');
    const auto block = std::make_shared<std::string>(block_bytes, '\0');
    return timed(around, {}, [folder = around.folder, bytes, block]() -> Result<void> {
        for (int file = 0; file < small_files; ++file) {
            const std::string path = folder + "/small" + std::to_string(file);
            PILLION_TRY(File(path, O_WRONLY | O_CREAT | O_TRUNC).write_all(bytes));
            PILLION_TRY(File(path, O_RDONLY).read_all(*block));
            if (unlink(path.c_str()) != 0) return file_error(path, "removed");
        }
        return {};
    });
}

// A table of its own in a file of its own, with the durability of state.db.
class DatabaseCase final : public BenchmarkCase {
  public:
    using Operate = std::function<Result<void>(Database&, std::int64_t count)>;
    DatabaseCase(const BenchmarkSurroundings& around, std::string name, Operate operate)
        : clock_(around.host.clock), path_(around.folder + "/" + name + ".db"), operate_(std::move(operate)) {}

    Result<void> prepare() override {
        database_.emplace(PILLION_TRY(Database::open({.path = path_})));
        PILLION_TRY(database_->execute("CREATE TABLE items (id INTEGER PRIMARY KEY, text TEXT)"));
        return fill(*database_, 0);
    }
    Result<double> operate() override {
        const std::int64_t began_ns = clock_.now_ns();
        PILLION_TRY(operate_(*database_, count_++));
        return static_cast<double>(clock_.now_ns() - began_ns);
    }
    static Result<void> fill(Database& database, std::int64_t count) {
        auto transaction = PILLION_TRY(Transaction::begin(database));
        Statement& insert = *PILLION_TRY(database.prepared("INSERT OR REPLACE INTO items VALUES (?1, ?2)"));
        const std::string text(100, static_cast<char>('a' + count % 26));
        for (int row = 0; row < rows; ++row) PILLION_TRY(insert.with(row, std::string_view(text)).run());
        return transaction.commit();
    }

  private:
    const Clock& clock_;
    const std::string path_;
    const Operate operate_;
    std::optional<Database> database_{};
    std::int64_t count_ = 0;
};

auto on_database(std::string name, DatabaseCase::Operate operate) {
    return [=](const BenchmarkSurroundings& around) -> std::unique_ptr<BenchmarkCase> {
        return std::make_unique<DatabaseCase>(around, name, operate);
    };
}

Result<void> commit_one(Database& database, std::int64_t count) {
    auto transaction = PILLION_TRY(Transaction::begin(database));
    Statement& insert = *PILLION_TRY(database.prepared("INSERT OR REPLACE INTO items VALUES (?1, 'one')"));
    PILLION_TRY(insert.with(count % rows).run());
    return transaction.commit();
}

Result<void> read_rows(Database& database, std::int64_t) {
    Statement& select = *PILLION_TRY(database.prepared("SELECT text FROM items WHERE id = ?1"));
    for (int row = 0; row < rows; ++row) {
        select.with(row);
        if (!PILLION_TRY(select.step())) return fail(ErrorCode::internal_error, "a row that was written is not there");
        select.reset();
    }
    return {};
}

// A store with a thousand values of 1 KiB.
struct FilledStore {
    FilledStore() {
        for (int key = 0; key < rows; ++key) {
            keys.push_back("key" + std::to_string(key));
            hashes.push_back(MemoryStore::hash_of(keys.back()));
        }
    }
    void put_all() {
        for (std::size_t key = 0; key < keys.size(); ++key) store.put(keys[key], hashes[key], record, 0);
    }
    MemoryStore store{};
    std::vector<std::string> keys{};
    std::vector<std::uint64_t> hashes{};
    std::string record = std::string(1024, 'v');
};

std::unique_ptr<BenchmarkCase> storing(const BenchmarkSurroundings& around) {
    const auto filled = std::make_shared<FilledStore>();
    return timed(around, {}, [filled]() -> Result<void> {
        filled->put_all();
        return {};
    });
}

std::unique_ptr<BenchmarkCase> looking_up(const BenchmarkSurroundings& around) {
    const auto filled = std::make_shared<FilledStore>();
    filled->put_all();
    return timed(around, {}, [filled]() -> Result<void> {
        std::size_t bytes = 0;
        for (std::size_t key = 0; key < filled->keys.size(); ++key)
            filled->store.read(filled->keys[key], filled->hashes[key], 0,
                               [&bytes](std::string_view record, const EntryInfo&) { bytes += record.size(); });
        if (bytes == filled->keys.size() * filled->record.size()) return {};
        return fail(ErrorCode::internal_error, "a value that was put is not there");
    });
}

} // namespace

std::vector<BenchmarkDeclaration> memory_benchmarks() {
    std::vector<BenchmarkDeclaration> all;
    all.push_back(
        {"memory.allocate", "memory", "1,000 allocations of 16 B to 2 KiB, given back in another order.", allocation});
    all.push_back({"memory.buffers", "memory", "1,000 buffers from the pools and back.", pooled_buffers});
    all.push_back({"memory.copy", "memory", "A copy of 8 MiB.", copying});
    return all;
}

std::vector<BenchmarkDeclaration> filesystem_benchmarks() {
    std::vector<BenchmarkDeclaration> all;
    all.push_back({"filesystem.write", "filesystem", "Writes a file of 1 MiB in the data directory.", writing});
    all.push_back({"filesystem.read", "filesystem", "Reads a file of 1 MiB that was read before.", reading});
    all.push_back(
        {"filesystem.sync", "filesystem", "Writes 4 KiB and waits until they are on the disk.", synchronising});
    all.push_back(
        {"filesystem.small_files", "filesystem", "Makes, reads and removes 32 files of 1 KiB.", handling_small_files});
    return all;
}

std::vector<BenchmarkDeclaration> database_benchmarks() {
    std::vector<BenchmarkDeclaration> all;
    all.push_back({"database.commit", "database", "Writes one row and waits until it is on the disk.",
                   on_database("commit", commit_one)});
    all.push_back({"database.write", "database", "Writes 1,000 rows in one transaction.",
                   on_database("write", DatabaseCase::fill)});
    all.push_back({"database.read", "database", "Reads 1,000 rows by key.", on_database("read", read_rows)});
    return all;
}

std::vector<BenchmarkDeclaration> memory_store_benchmarks() {
    std::vector<BenchmarkDeclaration> all;
    all.push_back({"cache.memory_put", "cache", "Puts 1,000 values of 1 KiB into the store in memory.", storing});
    all.push_back({"cache.memory_get", "cache", "Gets 1,000 values of 1 KiB from the store in memory.", looking_up});
    return all;
}

} // namespace pillion
