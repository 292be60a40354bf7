// After the generations of the multi-generational LRU of Linux (Zhao, 2022), with a place kept for each generation in
// one list in place of a list for each, so that an entry need not know which one it is in.
#include "modules/memory_store/recency_list.h"

namespace pillion {

void RecencyList::advance() {
    now_ = (now_ + 1) % Use::stamps;
    last_of_[now_] = list_.newest();
}

void RecencyList::push_newest(MemoryEntry* entry) {
    list_.push_newest(entry);
    last_of_[now_] = entry;
}

void RecencyList::put_back(MemoryEntry* entry, unsigned stamp) {
    MemoryEntry* const older = last_of_[stamp];
    list_.push_before(entry, older);
    for (unsigned at = stamp;; at = (at + 1) % Use::stamps) {
        // Stretches in which nothing else was used share their place.
        if (last_of_[at] != older) return;
        last_of_[at] = entry;
        if (at == now_) return;
    }
}

void RecencyList::unlink(MemoryEntry* entry) {
    MemoryEntry* const older = entry->older;
    for (MemoryEntry*& last : last_of_) {
        last = last == entry ? older : last;
    }
    list_.unlink(entry);
}

} // namespace pillion
