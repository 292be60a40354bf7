// Blocks wait in one stack per size class, so the warmest is reused first. A block counts against its class's capacity
// only while idle: a burst is served from the heap and shrinks back to the cap by itself.
#include "ipc/base/pool.h"

namespace pillion {

BufferPool::BufferPool() {
    for (std::size_t i = 0; i < classes; ++i) sizes_[i].capacity = default_capacity[i];
}

BufferPool::~BufferPool() { trim(); }

std::size_t BufferPool::class_of(std::size_t bytes) {
    std::size_t size_class = 0;
    while (size_class < classes && class_bytes[size_class] < bytes) ++size_class;
    return size_class;
}

char* BufferPool::acquire(std::size_t& bytes) {
    const std::size_t size_class = class_of(bytes);
    if (size_class == classes) {
        oversize_bytes_.fetch_add(bytes, std::memory_order_relaxed);
        return new char[bytes];
    }
    bytes = class_bytes[size_class];
    SizeClass& pool = sizes_[size_class];
    {
        const std::lock_guard lock(pool.mutex);
        pool.high_water = std::max(pool.high_water, ++pool.in_use);
        if (!pool.idle.empty()) {
            ++pool.hits;
            char* const block = pool.idle.back();
            pool.idle.pop_back();
            return block;
        }
        ++pool.misses;
    }
    return new char[bytes];
}

void BufferPool::release(char* block, std::size_t bytes) {
    const std::size_t size_class = class_of(bytes);
    if (size_class == classes) {
        oversize_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    } else {
        SizeClass& pool = sizes_[size_class];
        const std::lock_guard lock(pool.mutex);
        --pool.in_use;
        if (pool.idle.size() < pool.capacity) {
            pool.idle.push_back(block);
            return;
        }
    }
    delete[] block;
}

void BufferPool::set_capacity(std::size_t size_class, std::size_t items) {
    const std::lock_guard lock(sizes_[size_class].mutex);
    sizes_[size_class].capacity = items;
}

std::size_t BufferPool::trim(std::size_t keep) {
    std::size_t freed_bytes = 0;
    for (std::size_t i = 0; i < classes; ++i) {
        const std::lock_guard lock(sizes_[i].mutex);
        while (sizes_[i].idle.size() > keep) {
            delete[] sizes_[i].idle.back();
            sizes_[i].idle.pop_back();
            freed_bytes += class_bytes[i];
        }
    }
    return freed_bytes;
}

PoolStats BufferPool::stats(std::size_t size_class) const {
    const SizeClass& pool = sizes_[size_class];
    const std::lock_guard lock(pool.mutex);
    return {.name = class_names[size_class],
            .item_bytes = class_bytes[size_class],
            .capacity = pool.capacity,
            .in_use = pool.in_use,
            .idle = pool.idle.size(),
            .high_water = pool.high_water,
            .hits = pool.hits,
            .misses = pool.misses,
            .bytes = (pool.in_use + pool.idle.size()) * class_bytes[size_class]};
}

std::size_t BufferPool::oversize_bytes() const { return oversize_bytes_.load(std::memory_order_relaxed); }

void Buffer::grow(std::size_t bytes) {
    std::size_t wanted = std::max(size_ + bytes, capacity_ * 2);
    char* const larger = pool_->acquire(wanted);
    if (size_ != 0) std::memcpy(larger, data_, size_);
    if (data_ != nullptr) pool_->release(data_, capacity_);
    data_ = larger;
    capacity_ = wanted;
}

} // namespace pillion
