// After the generations of the multi-generational LRU of Linux (Zhao, 2022), with a place kept for each generation in
// one list in place of a list for each, so that a slot need not know which one it is in.
#include "modules/memory_store/recency_list.h"

namespace pillion {

void RecencyList::advance() {
    now_ = (now_ + 1) % Use::stamps;
    last_of_[now_] = list_.newest();
}

void RecencyList::push_newest(SlotTable& slots, SlotId slot) {
    list_.push_newest(slots, slot);
    last_of_[now_] = slot;
}

void RecencyList::put_back(SlotTable& slots, SlotId slot, unsigned stamp) {
    const SlotId older = last_of_[stamp];
    list_.push_before(slots, slot, older);
    for (unsigned at = stamp;; at = (at + 1) % Use::stamps) {
        // Stretches in which nothing else was used share their place.
        if (last_of_[at] != older) return;
        last_of_[at] = slot;
        if (at == now_) return;
    }
}

void RecencyList::unlink(SlotTable& slots, SlotId slot) {
    const SlotId older = slots.links(slot).next;
    for (SlotId& last : last_of_) {
        last = last == slot ? older : last;
    }
    list_.unlink(slots, slot);
}

} // namespace pillion
