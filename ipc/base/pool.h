// Memory pools of the hot path: reader and outgoing buffers, decoded strings, maps. Grown on demand up to a cap per
// pool, trimmed when idle; beyond the cap the heap serves, so a pool never refuses. Any thread; a pool outlives what it
// handed out.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion {

struct PoolStats {
    std::string_view name;
    std::size_t item_bytes = 0; // size of one item; 0 where items vary
    std::size_t capacity = 0;   // most items kept for reuse or handed out by this pool at once
    std::size_t in_use = 0;     // items handed out now
    std::size_t idle = 0;       // items kept for reuse now
    std::size_t high_water = 0; // most items handed out at once
    std::uint64_t hits = 0;     // served by reuse
    std::uint64_t misses = 0;   // had to allocate
    std::size_t bytes = 0;      // memory held by idle and handed-out items
};

// Buffers of fixed size classes. Sizes over the largest class come from the heap and go back to it.
class BufferPool {
  public:
    static constexpr std::size_t classes = 3;
    static constexpr std::array<std::size_t, classes> class_bytes{1024, 8 * 1024, 64 * 1024};
    static constexpr std::array<std::string_view, classes> class_names{"small", "medium", "large"};
    static constexpr std::array<std::size_t, classes> default_capacity{1024, 256, 64};

    BufferPool();
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;

    // A block of at least `bytes`; the size it really has is written back.
    char* acquire(std::size_t& bytes);
    void release(char* block, std::size_t bytes);

    void set_capacity(std::size_t size_class, std::size_t items);
    // Gives idle blocks back to the heap, all but `keep` of each class; the bytes freed.
    std::size_t trim(std::size_t keep = 0);
    PoolStats stats(std::size_t size_class) const;
    // Blocks over the largest class that are handed out now, in bytes.
    std::size_t oversize_bytes() const;

  private:
    struct SizeClass {
        mutable std::mutex mutex;
        std::vector<char*> idle;
        std::size_t capacity = 0;
        std::size_t in_use = 0, high_water = 0;
        std::uint64_t hits = 0, misses = 0;
    };
    static std::size_t class_of(std::size_t bytes);

    std::array<SizeClass, classes> sizes_;
    std::atomic<std::size_t> oversize_bytes_{0};
};

// Reusable objects that keep their capacity: T must have clear().
template <class T>
class ObjectPool {
  public:
    ObjectPool(std::string_view name, std::size_t capacity) : name_(name), capacity_(capacity) {}
    ObjectPool(const ObjectPool&) = delete;

    // Returns its object to the pool when it goes out of scope.
    class Handle {
      public:
        Handle() = default;
        Handle(ObjectPool* pool, T object) : pool_(pool), object_(std::move(object)) {}
        Handle(Handle&& other) noexcept
            : pool_(std::exchange(other.pool_, nullptr)), object_(std::move(other.object_)) {}
        Handle& operator=(Handle&& other) noexcept {
            if (this != &other) {
                give_back();
                pool_ = std::exchange(other.pool_, nullptr);
                object_ = std::move(other.object_);
            }
            return *this;
        }
        ~Handle() { give_back(); }
        T& operator*() { return object_; }
        T* operator->() { return &object_; }
        explicit operator bool() const { return pool_ != nullptr; }

      private:
        void give_back() {
            if (pool_ != nullptr) std::exchange(pool_, nullptr)->release(std::move(object_));
        }
        ObjectPool* pool_ = nullptr;
        T object_{};
    };

    Handle acquire() {
        const std::lock_guard lock(mutex_);
        high_water_ = std::max(high_water_, ++in_use_);
        if (idle_.empty()) {
            ++misses_;
            return Handle(this, T{});
        }
        ++hits_;
        T object = std::move(idle_.back());
        idle_.pop_back();
        return Handle(this, std::move(object));
    }

    void set_capacity(std::size_t items) {
        const std::lock_guard lock(mutex_);
        capacity_ = items;
        if (idle_.size() > capacity_) idle_.resize(capacity_);
    }

    // Drops idle objects; how many.
    std::size_t trim() {
        const std::lock_guard lock(mutex_);
        const std::size_t dropped = idle_.size();
        idle_.clear();
        idle_.shrink_to_fit();
        return dropped;
    }

    // `bytes_of(object)` tells what an idle object holds beside itself.
    template <class BytesOf>
    PoolStats stats(BytesOf bytes_of) const {
        const std::lock_guard lock(mutex_);
        PoolStats stats{.name = name_,
                        .capacity = capacity_,
                        .in_use = in_use_,
                        .idle = idle_.size(),
                        .high_water = high_water_,
                        .hits = hits_,
                        .misses = misses_};
        for (const T& object : idle_) stats.bytes += sizeof(T) + bytes_of(object);
        return stats;
    }

  private:
    void release(T object) {
        object.clear();
        const std::lock_guard lock(mutex_);
        --in_use_;
        if (idle_.size() < capacity_) idle_.push_back(std::move(object));
    }

    const std::string_view name_;
    mutable std::mutex mutex_;
    std::vector<T> idle_;
    std::size_t capacity_;
    std::size_t in_use_ = 0, high_water_ = 0;
    std::uint64_t hits_ = 0, misses_ = 0;
};

// A growing run of bytes in pooled memory. Moved, not copied. One thread at a time.
class Buffer {
  public:
    // An empty buffer of this pool; holds no memory until the first byte.
    explicit Buffer(BufferPool& pool) : pool_(&pool) {}
    Buffer(Buffer&& other) noexcept
        : pool_(other.pool_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        if (this != &other) {
            reset();
            pool_ = other.pool_;
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
            capacity_ = std::exchange(other.capacity_, 0);
        }
        return *this;
    }
    ~Buffer() { reset(); }

    char* data() { return data_; }
    const char* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::size_t capacity() const { return capacity_; }
    bool empty() const { return size_ == 0; }
    std::string_view view() const { return {data_, size_}; }
    BufferPool& pool() const { return *pool_; }

    void append(std::string_view bytes) {
        if (bytes.size() > capacity_ - size_) [[unlikely]]
            grow(bytes.size());
        if (!bytes.empty()) std::memcpy(data_ + size_, bytes.data(), bytes.size());
        size_ += bytes.size();
    }
    void append(char byte) {
        if (size_ == capacity_) [[unlikely]]
            grow(1);
        data_[size_++] = byte;
    }
    // Room for `bytes` more at the returned place; commit what was written.
    char* prepare(std::size_t bytes) {
        if (bytes > capacity_ - size_) grow(bytes);
        return data_ + size_;
    }
    void commit(std::size_t bytes) { size_ += bytes; }
    // Cuts the end off; `size` is at most size().
    void truncate(std::size_t size) { size_ = size; }
    void clear() { size_ = 0; }
    // Gives the memory back to the pool.
    void reset() {
        if (data_ != nullptr) pool_->release(data_, capacity_);
        data_ = nullptr;
        size_ = capacity_ = 0;
    }

  private:
    void grow(std::size_t bytes);

    BufferPool* pool_;
    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

} // namespace pillion
