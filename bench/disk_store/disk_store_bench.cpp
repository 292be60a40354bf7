// The disk tier against SQLite used plainly, in the same run: 100,000 rows of 4 KiB, keys as caches have them (hashes)
// and in order, every put with a value of its own, since SQLite skips pages that stay the same.
//
// Batching of puts: the reference commits after every 100; the tier is kept at 200 puts in flight, of which about 100
// wait while 100 are committed, and says how many puts a commit had. Durability of both: survives kill -9 once
// answered, not the loss of power (synchronous=NORMAL).
#include "modules/disk_store/disk_store.h"
#include "plain_sqlite.h"
#include "report.h"

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <random>
#include <unistd.h>

namespace pillion::bench {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t value_bytes = 4096;
constexpr std::size_t in_flight_max = 200;
constexpr std::size_t reference_batch = 100;

struct Effort {
    std::uint64_t rows = 100'000;
    std::uint64_t replacements = 30'000;
    std::uint64_t gets = 200'000;
    int rounds = 3;
};

std::uint64_t mix(std::uint64_t x) { // splitmix64
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

enum class Keys { hashed, in_order };

std::string key_of(std::uint64_t number, Keys keys) {
    char text[40];
    if (keys == Keys::hashed)
        std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(mix(number)),
                      static_cast<unsigned long long>(mix(~number)));
    else
        std::snprintf(text, sizeof text, "page:%010llu", static_cast<unsigned long long>(number));
    return text;
}

// Another value at every call, cheaply.
const std::string& next_value() {
    static std::string value(value_bytes, '\0');
    static std::uint64_t state = 1;
    for (std::size_t at = 0; at < value_bytes; at += sizeof state) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        std::memcpy(value.data() + at, &state, sizeof state);
    }
    return value;
}

class Stopwatch {
  public:
    double microseconds_each(std::uint64_t count) const {
        const std::chrono::duration<double, std::micro> passed = std::chrono::steady_clock::now() - began_;
        return passed.count() / static_cast<double>(count);
    }

  private:
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

class Folder {
  public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "disk_store_bench_XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot create " + pattern);
        path_ = pattern;
    }
    Folder(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    std::string file(const char* name) const { return (path_ / name).string(); }

  private:
    fs::path path_;
};

// What a contender is asked, the same of both.
class Contender {
  public:
    virtual ~Contender() = default;
    virtual void put(std::string key, const std::string& value) = 0;
    virtual void finish_puts() = 0; // all are committed
    virtual std::size_t get(const std::string& key) = 0;
    virtual void settle() = 0; // the journal is in the file, so that reading is measured, not what writing left
};

class Reference final : public Contender {
  public:
    explicit Reference(const Folder& folder) : database_(folder.file("plain.db")) {}
    void put(std::string key, const std::string& value) override {
        if (count_++ % reference_batch == 0) database_.begin();
        database_.put(key, value);
        if (count_ % reference_batch == 0) database_.commit();
    }
    void finish_puts() override {
        if (count_ % reference_batch != 0) database_.commit();
        count_ = 0;
    }
    std::size_t get(const std::string& key) override { return database_.get(key, value_) ? value_.size() : 0; }
    void settle() override { database_.execute("PRAGMA wal_checkpoint(TRUNCATE)"); }

  private:
    PlainSqlite database_;
    std::uint64_t count_ = 0;
    std::string value_;
};

class Subject final : public Contender {
  public:
    explicit Subject(const Folder& folder)
        : store_(DiskStore::store_options(folder.file("cache.db")), system_clock()), disk_(store_, system_clock()) {}
    ~Subject() override { disk_.stop(); }

    void put(std::string key, const std::string& value) override {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return in_flight_ < in_flight_max; });
            ++in_flight_;
        }
        RecordMeta meta{.created_ms = system_clock().wall_ms()};
        meta.gone_at_ms = meta.created_ms + 3'600'000;
        disk_.put({.space = "bench", .name = std::move(key)}, {encode_record(meta, value), meta.gone_at_ms},
                  [this](const Result<void>& done) {
                      const std::lock_guard lock(mutex_);
                      if (!done) failure_ = done.error().message;
                      if (--in_flight_ == in_flight_max / 2 || in_flight_ == 0) changed_.notify_one();
                  });
        ++puts_;
    }
    void finish_puts() override {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return in_flight_ == 0; });
        if (!failure_.empty()) throw std::runtime_error(failure_);
    }
    std::size_t get(const std::string& key) override {
        const auto found = disk_.find({.space = "bench", .name = key});
        return found && *found ? decode_record((*found)->record)->payload.size() : 0;
    }
    void settle() override {
        auto database = Database::open({.path = store_.path()});
        if (!database || !database->execute("PRAGMA wal_checkpoint(TRUNCATE)"))
            throw std::runtime_error("no checkpoint");
    }
    double get_many_rate(const std::vector<std::string>& keys) {
        std::vector<TierKey> tier_keys;
        for (const std::string& key : keys) tier_keys.push_back({.space = "bench", .name = key});
        const Stopwatch watch;
        for (std::size_t at = 0; at + 64 <= tier_keys.size(); at += 64)
            for (const auto& found : disk_.find_many(std::span(tier_keys).subspan(at, 64)))
                if (!found || !*found) throw std::runtime_error("a key is missing");
        return 1e6 / watch.microseconds_each(tier_keys.size() / 64 * 64);
    }
    double puts_of_a_commit() const {
        return static_cast<double>(puts_) / static_cast<double>(std::max<std::uint64_t>(store_.stats().commits, 1));
    }

  private:
    Store store_;
    DiskStore disk_;
    std::mutex mutex_; // guards the next two
    std::size_t in_flight_ = 0;
    std::string failure_;
    std::condition_variable changed_;
    std::uint64_t puts_ = 0;
};

double fill_rate(Contender& contender, const Effort& effort, Keys keys) {
    const Stopwatch watch;
    for (std::uint64_t number = 0; number < effort.rows; ++number) contender.put(key_of(number, keys), next_value());
    contender.finish_puts();
    return 1e6 / watch.microseconds_each(effort.rows);
}

double replace_rate(Contender& contender, const Effort& effort) {
    const Stopwatch watch;
    for (std::uint64_t count = 0; count < effort.replacements; ++count)
        contender.put(key_of(mix(count) % effort.rows, Keys::hashed), next_value());
    contender.finish_puts();
    return 1e6 / watch.microseconds_each(effort.replacements);
}

double get_rate(Contender& contender, const std::vector<std::string>& keys) {
    const Stopwatch watch;
    for (const std::string& key : keys)
        if (contender.get(key) != value_bytes) throw std::runtime_error("a value is missing or has another size");
    return 1e6 / watch.microseconds_each(keys.size());
}

struct Rows {
    Row get, replace, fill, fill_in_order, get_many;
};

Rows rows() {
    const auto row = [](const char* key, const char* title, Goal goal) {
        return Row{.key = key,
                   .title = title,
                   .unit = "1/s",
                   .reference = "sqlite",
                   .goal = goal,
                   .figures = {{.peer = "pillion"}, {.peer = "sqlite"}}};
    };
    Rows rows{.get = row("get", "get, hashed keys", {.ratio_min = 0.9}),
              .replace = row("put_replace", "put over an existing key, hashed keys", {.ratio_min = 0.8}),
              .fill = row("put_fill", "put of a new key, hashed keys", {.ratio_min = 0.8}),
              .fill_in_order = row("put_fill_in_order", "put of a new key, keys in order", {}),
              .get_many = row("get_many", "get, 64 keys in a look", {.ratio_min = 0.9})};
    rows.get.note = "both with the file mapped, one by one on one thread, the value copied out; ours with the "
                    "checksum verified and the expiry checked";
    rows.fill_in_order.note = "the best case of the reference, whose index is by key; ours is by the key's hash";
    return rows;
}

void add(Row& row, double ours, double theirs) {
    row.figures[0].samples.push_back(ours);
    row.figures[1].samples.push_back(theirs);
}

// Slices that alternate, each a sample of its own: whatever else the machine does falls on both.
void measure_gets(const Effort& effort, Reference& reference, Subject& subject, Rows& rows) {
    constexpr std::uint64_t slices = 10;
    for (std::uint64_t slice = 0; slice <= slices; ++slice) {
        std::vector<std::string> keys;
        for (std::uint64_t count = 0; count < effort.gets / slices; ++count)
            keys.push_back(key_of(mix(slice << 32 | count) % effort.rows, Keys::hashed));
        const double theirs = get_rate(reference, keys);
        const double ours = get_rate(subject, keys);
        const double many = subject.get_many_rate(keys);
        if (slice == 0) continue; // to warm up
        add(rows.get, ours, theirs);
        add(rows.get_many, many, theirs);
    }
}

void measure_round(const Effort& effort, Rows& rows, double& puts_of_a_commit) {
    {
        const Folder folder;
        Reference reference(folder);
        Subject subject(folder);
        const double theirs = fill_rate(reference, effort, Keys::hashed);
        add(rows.fill, fill_rate(subject, effort, Keys::hashed), theirs);
        const double their_replacing = replace_rate(reference, effort);
        add(rows.replace, replace_rate(subject, effort), their_replacing);
        puts_of_a_commit = subject.puts_of_a_commit();
        reference.settle();
        subject.settle();
        measure_gets(effort, reference, subject, rows);
    }
    const Folder folder;
    Reference reference(folder);
    Subject subject(folder);
    const double theirs = fill_rate(reference, effort, Keys::in_order);
    add(rows.fill_in_order, fill_rate(subject, effort, Keys::in_order), theirs);
}

int run(const std::vector<std::string>& arguments) {
    Effort effort;
    std::string json;
    for (std::size_t index = 0; index < arguments.size(); ++index) {
        if (arguments[index] == "--quick")
            effort = {.rows = 20'000, .replacements = 10'000, .gets = 50'000, .rounds = 1};
        else if (arguments[index] == "--json" && index + 1 < arguments.size())
            json = arguments[++index];
        else
            throw std::runtime_error("unknown option " + arguments[index] +
                                     "; usage: disk_store_bench [--json FILE] [--quick]");
    }
    Rows measured = rows();
    double puts_of_a_commit = 0;
    for (int round = 0; round < effort.rounds; ++round) measure_round(effort, measured, puts_of_a_commit);
    char note[160];
    std::snprintf(note, sizeof note,
                  "transactions of 100 in the reference; here %.0f puts a commit on average, 200 in flight; "
                  "synchronous=NORMAL in both",
                  puts_of_a_commit);
    measured.replace.note = note;

    Report report("Disk tier: " + std::to_string(effort.rows) + " rows of 4 KiB", "pillion", "in this program");
    for (Row* const row :
         {&measured.get, &measured.get_many, &measured.replace, &measured.fill, &measured.fill_in_order})
        report.add(std::move(*row));
    report.print(std::cout);
    return (json.empty() || report.write_json(json)) && !report.has_failures() ? 0 : 1;
}

} // namespace

} // namespace pillion::bench

int main(int argc, char** argv) {
    try {
        return pillion::bench::run(std::vector<std::string>(argv + 1, argv + argc));
    } catch (const std::exception& error) {
        std::cerr << "disk_store_bench: " << error.what() << '\n';
        return 1;
    }
}
