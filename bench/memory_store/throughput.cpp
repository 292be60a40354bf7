// Hits in process: 1 M entries of 100 B, keys of 16 B, zipf 0.99, each hit copied to the caller's buffer; against a
// bare hash table (open addressing over 16-byte slots, one block for each entry, nothing else), CLOCK on it behind a
// lock, and LRU of the standard library behind a mutex. Rounds go by turns, so that all see the same machine.
#include "modules/memory_store/memory_store.h"
#include "requests.h"
#include "rows.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <list>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace pillion::bench {

namespace {

constexpr std::size_t key_bytes = 16;
constexpr std::size_t record_bytes = 100;

// Entries as a bare table or CLOCK would keep them.
class BareTable {
  public:
    explicit BareTable(std::size_t entries) {
        std::size_t slots = 1;
        while (slots < entries * 2) slots *= 2;
        slots_.resize(slots);
    }
    void put(std::string_view key, std::uint64_t hash, std::string_view record) {
        std::size_t at = hash & (slots_.size() - 1);
        while (slots_[at].block) at = (at + 1) & (slots_.size() - 1);
        slots_[at].hash = hash;
        slots_[at].block = std::make_unique<char[]>(key.size() + record.size() + 1);
        std::memcpy(slots_[at].block.get() + 1, key.data(), key.size());
        std::memcpy(slots_[at].block.get() + 1 + key.size(), record.data(), record.size());
    }
    // The entry: its mark, then key and record.
    char* find(std::string_view key, std::uint64_t hash) const {
        for (std::size_t at = hash & (slots_.size() - 1); slots_[at].block; at = (at + 1) & (slots_.size() - 1)) {
            char* const block = slots_[at].block.get();
            if (slots_[at].hash == hash && std::memcmp(block + 1, key.data(), key.size()) == 0) return block;
        }
        return nullptr;
    }

  private:
    struct Slot {
        std::uint64_t hash = 0;
        std::unique_ptr<char[]> block;
    };
    std::vector<Slot> slots_;
};

class LruTable {
  public:
    void put(std::string_view key, std::string_view record) {
        entries_.emplace_front(key, record);
        index_[entries_.front().first] = entries_.begin();
    }
    bool read(std::string_view key, char* out) {
        const std::lock_guard guard(mutex_);
        const auto found = index_.find(key);
        if (found == index_.end()) return false;
        entries_.splice(entries_.begin(), entries_, found->second);
        std::memcpy(out, found->second->second.data(), record_bytes);
        return true;
    }

  private:
    using Entries = std::list<std::pair<std::string, std::string>>;
    std::mutex mutex_;
    Entries entries_;
    std::unordered_map<std::string_view, Entries::iterator> index_;
};

std::size_t allocated_bytes() {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

class Bench {
  public:
    explicit Bench(bool is_quick)
        : round_(is_quick ? 100'000 : 400'000), bare_(entries_), clock_(entries_),
          store_({.bytes_max = std::uint64_t{1} << 32}) {
        keys_.resize(entries_ * key_bytes);
        for (std::size_t i = 0; i < entries_; ++i) {
            char name[32];
            std::snprintf(name, sizeof name, "key:%012zu", i * 7'919 % entries_);
            std::memcpy(&keys_[i * key_bytes], name, key_bytes);
        }
        for (std::size_t i = 0; i < entries_; ++i) {
            bare_.put(key(i), MemoryStore::hash_of(key(i)), record_);
            clock_.put(key(i), MemoryStore::hash_of(key(i)), record_);
            lru_.put(key(i), record_);
        }
        for (std::size_t i = 0; i < entries_; ++i) put(store_, i);
        requests_ = zipf(4 * round_, entries_, 0.99, 42);
    }

    // Bytes an entry beyond key and record, of a store with all that belongs to it.
    double overhead(std::size_t entries_max, std::size_t puts) const {
        const std::size_t before = allocated_bytes();
        MemoryStore store({.bytes_max = std::uint64_t{1} << 32, .entries_max = entries_max});
        for (std::size_t i = 0; i < puts; ++i) put(store, i);
        return static_cast<double>(allocated_bytes() - before) / static_cast<double>(store.stats().entries) -
               static_cast<double>(key_bytes + record_bytes);
    }

    double bare_ns(std::size_t round) {
        return time(round, [this](std::string_view name, char* out) {
            const char* const found = bare_.find(name, MemoryStore::hash_of(name));
            std::memcpy(out, found + 1 + key_bytes, record_bytes);
        });
    }
    double clock_ns(std::size_t round) {
        return time(round, [this](std::string_view name, char* out) {
            while (clock_lock_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
            char* const found = clock_.find(name, MemoryStore::hash_of(name));
            *found = 1;
            std::memcpy(out, found + 1 + key_bytes, record_bytes);
            clock_lock_.clear(std::memory_order_release);
        });
    }
    double lru_ns(std::size_t round) {
        return time(round, [this](std::string_view name, char* out) { lru_.read(name, out); });
    }
    double store_ns(std::size_t round) {
        return time(round, [this](std::string_view name, char* out) {
            store_.read(name, MemoryStore::hash_of(name), 1'000, [out](std::string_view record, const EntryInfo&) {
                std::memcpy(out, record.data(), record.size());
            });
        });
    }
    // Hits a second of two threads over those of one; of the bare table it is what the machine allows.
    double scaling(std::size_t round) {
        return scaling_of([this](std::size_t each) { return store_ns(each); }, round);
    }
    double bare_scaling(std::size_t round) {
        return scaling_of([this](std::size_t each) { return bare_ns(each); }, round);
    }

  private:
    void put(MemoryStore& store, std::size_t index) const {
        store.put(key(index), MemoryStore::hash_of(key(index)), record_, 0);
    }

    template <class Measure>
    static double scaling_of(const Measure& measure, std::size_t round) {
        const double one = measure(round);
        double first = 0;
        double second = 0;
        std::thread a([&] { first = measure(round); });
        std::thread b([&] { second = measure(round + 1); });
        a.join();
        b.join();
        return one * (1 / first + 1 / second);
    }

    std::string_view key(std::size_t index) const { return {&keys_[index * key_bytes], key_bytes}; }

    template <class Read>
    double time(std::size_t round, const Read& read) {
        std::array<char, record_bytes> out{};
        unsigned sum = 0;
        const auto begin = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < round_; ++i) {
            read(key(requests_[(round * round_ + i) % requests_.size()]), out.data());
            sum += static_cast<unsigned char>(out[7]);
        }
        const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
        // Every record is of one letter: another sum means that something else was read.
        if (sum != round_ * 'r') std::abort();
        return took.count() / static_cast<double>(round_);
    }

    static constexpr std::size_t entries_ = 1'000'000;
    const std::size_t round_;
    const std::string record_ = std::string(record_bytes, 'r');
    std::vector<char> keys_;
    std::vector<std::uint32_t> requests_;
    BareTable bare_;
    BareTable clock_;
    std::atomic_flag clock_lock_;
    LruTable lru_;
    MemoryStore store_;
};

} // namespace

std::vector<Row> throughput_rows(bool is_quick) {
    const auto bench = std::make_unique<Bench>(is_quick);
    Row hit{.key = "hit",
            .title = "hit, 100 B, zipf 0.99",
            .unit = "ns",
            .reference = "bare hash table",
            .goal = {.figure_max = 150},
            .note = "keys are requested in random order without a pause, so that the bare table's misses overlap"};
    PeerFigure bare{.peer = "bare hash table"};
    PeerFigure clock{.peer = "CLOCK, spin lock"};
    PeerFigure lru{.peer = "LRU, mutex"};
    PeerFigure store{.peer = "pillion"};
    PeerFigure scaling{.peer = "pillion"};
    PeerFigure bare_scaling{.peer = "bare hash table"};
    const std::size_t rounds = is_quick ? 5 : 9;
    for (std::size_t round = 0; round < rounds; ++round) {
        bare.samples.push_back(bench->bare_ns(round));
        clock.samples.push_back(bench->clock_ns(round));
        lru.samples.push_back(bench->lru_ns(round));
        store.samples.push_back(bench->store_ns(round));
        scaling.samples.push_back(bench->scaling(round));
        bare_scaling.samples.push_back(bench->bare_scaling(round));
    }
    hit.figures = {bare, clock, lru, store};
    Row scale{.key = "scaling",
              .title = "hits of two threads over one",
              .unit = "x",
              .reference = "bare hash table",
              .goal = {.figure_min = 1.7},
              .figures = {bare_scaling, scaling}};
    std::vector<Row> rows{std::move(hit), std::move(scale)};
    struct Size {
        const char* key;
        const char* title;
        std::size_t entries_max;
        std::size_t puts;
    };
    for (const Size& size : {Size{"overhead", "memory an entry, 1 M", 0, 1'000'000},
                             Size{"overhead.small", "memory an entry, 10,000", 0, 10'000},
                             Size{"overhead.smallFull", "memory an entry, 10,000, full", 10'000, 20'000},
                             Size{"overhead.full", "memory an entry, 200,000, full", 200'000, 400'000}}) {
        rows.push_back({.key = size.key,
                        .title = size.title,
                        .unit = "B",
                        .reference = "",
                        .goal = {.figure_max = 64},
                        .figures = {{.peer = "pillion", .samples = {bench->overhead(size.entries_max, size.puts)}}},
                        .note = "beyond key and value, as the C library's allocator counts it, with its rounding"});
    }
    return rows;
}

} // namespace pillion::bench
