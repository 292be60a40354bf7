#include "modules/memory_store/recency_list.h"

#include <catch2/catch.hpp>

namespace pillion {

namespace {

struct Slots {
    SlotTable slots;
    RecencyList list;
    SlotId push() {
        const SlotId slot = slots.take();
        list.push_newest(slots, slot);
        return slot;
    }
    void put_back(SlotId slot, unsigned stamp) {
        list.unlink(slots, slot);
        list.put_back(slots, slot, stamp);
    }
    std::vector<SlotId> order() const {
        std::vector<SlotId> order;
        list.list().append_to(slots, order);
        return order;
    }
};

using Order = std::vector<SlotId>;

} // namespace

TEST_CASE("an entry is put back behind the last one of the time it was used in", "[memory_store]") {
    Slots slots;
    const SlotId a = slots.push();
    const SlotId b = slots.push();
    slots.list.advance();
    const SlotId c = slots.push();
    slots.list.advance();
    const SlotId d = slots.push();
    slots.put_back(a, 1);
    CHECK(slots.order() == Order{b, c, a, d});
    slots.put_back(b, 2);
    CHECK(slots.order() == Order{c, a, d, b});
    slots.put_back(d, 0);
    CHECK(slots.order() == Order{d, c, a, b});
    slots.put_back(c, 0);
    CHECK(slots.order() == Order{d, c, a, b});
}

TEST_CASE("times in which nothing was used have a place all the same", "[memory_store]") {
    Slots slots;
    const SlotId a = slots.push();
    for (int i = 0; i < 5; ++i) slots.list.advance();
    const SlotId b = slots.push();
    slots.put_back(a, 3);
    CHECK(slots.order() == Order{a, b});
    const SlotId c = slots.push();
    slots.put_back(c, 2);
    CHECK(slots.order() == Order{c, a, b});
    slots.put_back(b, 3);
    CHECK(slots.order() == Order{c, a, b});
    for (const SlotId slot : {a, b, c}) slots.list.unlink(slots.slots, slot);
    CHECK(slots.list.list().is_empty());
    const SlotId d = slots.push();
    slots.put_back(d, 1);
    CHECK(slots.order() == Order{d});
}

TEST_CASE("a use counts to three and keeps its last time", "[memory_store]") {
    std::uint8_t use = 0;
    for (unsigned i = 1; i <= 5; ++i) {
        use = Use::raised(use, static_cast<std::uint8_t>(50 + i));
        CHECK(Use::count(use) == std::min(i, 3U));
        CHECK(Use::stamp(use) == 50 + i);
    }
    CHECK(Use::raised(use, 55) == use);
}

} // namespace pillion
