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
        : entries_(is_quick ? 200'000 : 1'000'000), round_(is_quick ? 100'000 : 400'000), bare_(entries_),
          clock_(entries_), store_({.bytes_max = std::uint64_t{1} << 32}) {
        keys_.resize(entries_ * key_bytes);
        const std::string record(record_bytes, 'r');
        for (std::size_t i = 0; i < entries_; ++i) {
            char name[32];
            std::snprintf(name, sizeof name, "key:%012zu", i * 7'919 % entries_);
            std::memcpy(&keys_[i * key_bytes], name, key_bytes);
        }
        for (std::size_t i = 0; i < entries_; ++i) {
            bare_.put(key(i), MemoryStore::hash_of(key(i)), record);
            clock_.put(key(i), MemoryStore::hash_of(key(i)), record);
            lru_.put(key(i), record);
        }
        const std::size_t before = allocated_bytes();
        for (std::size_t i = 0; i < entries_; ++i) store_.put(key(i), MemoryStore::hash_of(key(i)), record, 0);
        overhead_ = static_cast<double>(allocated_bytes() - before) / static_cast<double>(entries_) -
                    static_cast<double>(key_bytes + record_bytes);
        requests_ = zipf(4 * round_, entries_, 0.99, 42);
    }

    double overhead() const { return overhead_; }

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
    // Hits a second of two threads over those of one.
    double scaling(std::size_t round) {
        const double one = store_ns(round);
        double first = 0;
        double second = 0;
        std::thread a([&] { first = store_ns(round); });
        std::thread b([&] { second = store_ns(round + 1); });
        a.join();
        b.join();
        return one * (1 / first + 1 / second);
    }

  private:
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

    const std::size_t entries_;
    const std::size_t round_;
    std::vector<char> keys_;
    std::vector<std::uint32_t> requests_;
    BareTable bare_;
    BareTable clock_;
    std::atomic_flag clock_lock_;
    LruTable lru_;
    MemoryStore store_;
    double overhead_ = 0;
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
    const std::size_t rounds = is_quick ? 5 : 9;
    for (std::size_t round = 0; round < rounds; ++round) {
        bare.samples.push_back(bench->bare_ns(round));
        clock.samples.push_back(bench->clock_ns(round));
        lru.samples.push_back(bench->lru_ns(round));
        store.samples.push_back(bench->store_ns(round));
        scaling.samples.push_back(bench->scaling(round));
    }
    hit.figures = {bare, clock, lru, store};
    Row scale{.key = "scaling",
              .title = "hits of two threads over one",
              .unit = "x",
              .reference = "",
              .goal = {.figure_min = 1.7},
              .figures = {scaling}};
    Row memory{.key = "overhead",
               .title = "memory beyond key and value",
               .unit = "B",
               .reference = "",
               .goal = {.figure_max = 64},
               .figures = {{.peer = "pillion", .samples = {bench->overhead()}}},
               .note = "as the C library's allocator counts it, with its rounding"};
    return {std::move(hit), std::move(scale), std::move(memory)};
}

} // namespace pillion::bench
