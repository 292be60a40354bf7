// How readers and writers of a memory store keep out of each other's way, and how the policy hears of reads. Private to
// memory_store.
//
// The lock is a "big reader" lock: a reader marks the line of its own thread's stripe, which no other processor writes,
// so that readers on several processors do not slow each other down; a writer, of which there is one at a time by the
// store's mutex, goes through all stripes. The buffers are those of BP-Wrapper (Ding, Jiang, Zhang, ICDE 2009) and
// Caffeine: reads are noted and applied in batches; what finds its buffer full while the policy is busy is lost.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

namespace pillion {

// A small number for each thread, the same for its whole life.
inline unsigned thread_number() {
    static std::atomic<unsigned> threads{0};
    thread_local const unsigned number = threads.fetch_add(1, std::memory_order_relaxed);
    return number;
}

class ReaderLock {
  public:
    struct alignas(128) Stripe {
        std::atomic<std::uint32_t> readers{0};
        std::atomic<std::uint64_t> hits{0};
        std::atomic<std::uint64_t> misses{0};
    };
    static constexpr unsigned stripes_max = 16;

    // A reader within the lock, until leave() or its end.
    class Read {
      public:
        explicit Read(ReaderLock& lock) : is_alone_(thread_number() < stripes_max - 1) {
            stripe_ = &lock.stripes_[is_alone_ ? thread_number() : stripes_max - 1];
            mark();
            while (lock.is_written_.load(std::memory_order_seq_cst)) {
                unmark();
                wait_while([&lock] { return lock.is_written_.load(std::memory_order_relaxed); });
                mark();
            }
        }
        ~Read() { leave(); }
        Read(const Read&) = delete;

        void leave() {
            if (is_inside_) unmark();
        }
        // How many hits there were before.
        std::uint64_t count_hit() { return count(stripe_->hits); }
        void count_miss() { count(stripe_->misses); }

      private:
        void mark() {
            if (is_alone_) {
                stripe_->readers.store(1, std::memory_order_seq_cst);
            } else {
                stripe_->readers.fetch_add(1, std::memory_order_seq_cst);
            }
            is_inside_ = true;
        }
        void unmark() {
            if (is_alone_) {
                stripe_->readers.store(0, std::memory_order_release);
            } else {
                stripe_->readers.fetch_sub(1, std::memory_order_release);
            }
            is_inside_ = false;
        }
        std::uint64_t count(std::atomic<std::uint64_t>& counter) const {
            if (!is_alone_) return counter.fetch_add(1, std::memory_order_relaxed);
            const std::uint64_t before = counter.load(std::memory_order_relaxed);
            counter.store(before + 1, std::memory_order_relaxed);
            return before;
        }

        const bool is_alone_; // no other thread has this stripe
        bool is_inside_ = false;
        Stripe* stripe_;
    };

    // Under the store's mutex. No reader is inside until it goes.
    class Write {
      public:
        explicit Write(ReaderLock& lock) : lock_(lock) {
            lock_.is_written_.store(true, std::memory_order_seq_cst);
            for (const Stripe& stripe : lock_.stripes_) {
                wait_while([&stripe] { return stripe.readers.load(std::memory_order_seq_cst) != 0; });
            }
        }
        ~Write() { lock_.is_written_.store(false, std::memory_order_release); }
        Write(const Write&) = delete;

      private:
        ReaderLock& lock_;
    };

    const std::array<Stripe, stripes_max>& stripes() const { return stripes_; }

  private:
    template <class Condition>
    static void wait_while(const Condition& condition) {
        for (unsigned turn = 0; condition(); ++turn) {
            // What is waited for takes less than a microsecond unless its thread was put aside.
            if (turn > 64) std::this_thread::yield();
        }
    }

    std::array<Stripe, stripes_max> stripes_;
    alignas(128) std::atomic<bool> is_written_{false};
};

class ReadBuffers {
  public:
    enum class Note : std::uint8_t { taken, last, lost };

    // `last`: taken, and the buffer is full now; `lost`: it was full. After prepare().
    Note add(std::uint64_t hash) {
        Buffer* const buffers = buffers_.load(std::memory_order_acquire);
        if (buffers == nullptr) return Note::lost;
        Buffer& buffer = buffers[thread_number() % buffer_count];
        const std::uint32_t at = buffer.used.load(std::memory_order_relaxed) < reads_max
                                     ? buffer.used.fetch_add(1, std::memory_order_relaxed)
                                     : reads_max;
        if (at >= reads_max) return Note::lost;
        buffer.reads[at].store(hash, std::memory_order_relaxed);
        return at + 1 == reads_max ? Note::last : Note::taken;
    }

    // Both under the store's mutex.
    void prepare() {
        if (owned_ == nullptr) {
            owned_ = std::make_unique<Buffer[]>(buffer_count);
            buffers_.store(owned_.get(), std::memory_order_release);
        }
    }
    // Calls `apply(hash)` for what was noted. A note that is just being written is left out now or for good.
    template <class Apply>
    void drain(const Apply& apply) {
        if (owned_ == nullptr) return;
        for (std::size_t i = 0; i < buffer_count; ++i) {
            Buffer& buffer = owned_[i];
            const std::uint32_t used = std::min(buffer.used.load(std::memory_order_relaxed), reads_max);
            if (used == 0) continue;
            for (std::uint32_t at = 0; at < used; ++at) {
                const std::uint64_t hash = buffer.reads[at].exchange(none, std::memory_order_relaxed);
                if (hash != none) apply(hash);
            }
            buffer.used.fetch_sub(used, std::memory_order_relaxed);
        }
    }
    std::size_t bytes() const { return owned_ == nullptr ? 0 : buffer_count * sizeof(Buffer); }

  private:
    static constexpr std::uint32_t reads_max = 128;
    static constexpr std::size_t buffer_count = 4;
    static constexpr std::uint64_t none = 0; // also a hash, whose reads are lost
    struct alignas(128) Buffer {
        std::atomic<std::uint32_t> used{0};
        std::array<std::atomic<std::uint64_t>, reads_max> reads{};
    };

    std::unique_ptr<Buffer[]> owned_;
    std::atomic<Buffer*> buffers_{nullptr};
};

} // namespace pillion
