#include "modules/disk_store/disk_queue.h"

#include <algorithm>

namespace pillion {

namespace {

// Of one commit: bounds how long it holds the lock that other processes wait for.
constexpr std::size_t batch_operations_max = 1024;
constexpr std::size_t batch_bytes_max = 8 * 1024 * 1024;

bool is_change_of_key(const DiskOperation& operation) {
    return operation.kind == DiskOperation::Kind::put || operation.kind == DiskOperation::Kind::remove;
}

} // namespace

void DiskOperation::answer(const Result<void>& result) {
    if (counted)
        counted(result ? Result<std::uint64_t>(count) : std::unexpected(result.error()));
    else if (done)
        done(result);
}

bool DiskQueue::add(DiskOperation& operation, std::uint64_t bytes_max) {
    const std::lock_guard lock(mutex_);
    // One that is larger than the whole queue has to wait for nothing.
    const bool fits = bytes_ == 0 || bytes_ + operation.bytes() <= bytes_max;
    if (operation.kind == DiskOperation::Kind::put && !fits) return false;
    operation.sequence = ++sequence_;
    bytes_ += operation.bytes();
    waiting_.push_back(std::move(operation));
    const DiskOperation& added = waiting_.back();
    if (is_change_of_key(added)) newest_[added.hash] = &added;
    if (added.kind == DiskOperation::Kind::invalidate) invalidations_.push_back(&added);
    count_.fetch_add(1, std::memory_order_release);
    return true;
}

DiskQueue::Operations DiskQueue::take() {
    const std::lock_guard lock(mutex_);
    Operations batch;
    std::size_t bytes = 0;
    while (!waiting_.empty() && batch.size() < batch_operations_max && bytes < batch_bytes_max) {
        bytes += waiting_.front().bytes();
        batch.splice(batch.end(), waiting_, waiting_.begin());
        // What comes after one that may want another turn waits for it.
        if (batch.back().kind == DiskOperation::Kind::invalidate) break;
    }
    return batch;
}

void DiskQueue::finish(Operations& batch, const Result<void>& result) {
    const std::lock_guard lock(mutex_);
    for (auto operation = batch.begin(); operation != batch.end();) {
        const auto next = std::next(operation);
        if (result && !operation->is_finished) {
            operation->is_finished = true;
            const auto place = operation->kind == DiskOperation::Kind::invalidate ? waiting_.begin() : waiting_.end();
            waiting_.splice(place, batch, operation);
        } else {
            bytes_ -= operation->bytes();
            count_.fetch_sub(1, std::memory_order_release);
            if (const auto newest = newest_.find(operation->hash);
                is_change_of_key(*operation) && newest != newest_.end() && newest->second == &*operation)
                newest_.erase(newest);
            std::erase(invalidations_, &*operation);
        }
        operation = next;
    }
}

DiskQueue::Seen DiskQueue::look(const TierKey& key, std::int64_t hash, TierValue& value) const {
    const std::lock_guard lock(mutex_);
    const auto found = newest_.find(hash);
    const DiskOperation* const newest = found == newest_.end() ? nullptr : found->second;
    const std::uint64_t sequence = newest != nullptr ? newest->sequence : 0;
    for (const DiskOperation* const invalidation : invalidations_)
        if (invalidation->sequence > sequence && holds_back(invalidation->selection, key)) return Seen::absent;
    if (newest == nullptr) return Seen::nothing;
    // Another key's put takes this one's place; another key's removal leaves it.
    const bool is_same = newest->key.name == key.name && newest->key.space == key.space;
    if (newest->kind == DiskOperation::Kind::remove) return is_same ? Seen::absent : Seen::nothing;
    if (!is_same) return Seen::absent;
    value = newest->value;
    return Seen::value;
}

// A miss too many does no harm, so what only the disk knows (age) counts as matching.
bool DiskQueue::holds_back(const TierSelection& selection, const TierKey& key) {
    if (selection.expired) return false;
    const DiskRow row{.created_ms = std::numeric_limits<std::int64_t>::min(),
                      .space = key.space,
                      .name = key.name,
                      .parts = key.parts};
    return selection_matches(selection, row, 0);
}

} // namespace pillion
