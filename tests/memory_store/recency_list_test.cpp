#include "modules/memory_store/recency_list.h"

#include <catch2/catch.hpp>

namespace pillion {

namespace {

struct Entries {
    std::vector<MemoryEntry*> made;
    RecencyList list;
    Entries() = default;
    Entries(const Entries&) = delete;
    ~Entries() {
        for (MemoryEntry* const entry : made) MemoryEntry::unpin(entry);
    }
    MemoryEntry* push() {
        made.push_back(MemoryEntry::create("key", "record"));
        list.push_newest(made.back());
        return made.back();
    }
    void put_back(MemoryEntry* entry, unsigned stamp) {
        list.unlink(entry);
        list.put_back(entry, stamp);
    }
    std::vector<MemoryEntry*> order() const {
        std::vector<MemoryEntry*> order;
        list.list().append_to(order);
        return order;
    }
};

using Order = std::vector<MemoryEntry*>;

} // namespace

TEST_CASE("an entry is put back behind the last one of the time it was used in", "[memory_store]") {
    Entries entries;
    MemoryEntry* const a = entries.push();
    MemoryEntry* const b = entries.push();
    entries.list.advance();
    MemoryEntry* const c = entries.push();
    entries.list.advance();
    MemoryEntry* const d = entries.push();
    entries.put_back(a, 1);
    CHECK(entries.order() == Order{b, c, a, d});
    entries.put_back(b, 2);
    CHECK(entries.order() == Order{c, a, d, b});
    entries.put_back(d, 0);
    CHECK(entries.order() == Order{d, c, a, b});
    entries.put_back(c, 0);
    CHECK(entries.order() == Order{d, c, a, b});
}

TEST_CASE("times in which nothing was used have a place all the same", "[memory_store]") {
    Entries entries;
    MemoryEntry* const a = entries.push();
    for (int i = 0; i < 5; ++i) entries.list.advance();
    MemoryEntry* const b = entries.push();
    entries.put_back(a, 3);
    CHECK(entries.order() == Order{a, b});
    MemoryEntry* const c = entries.push();
    entries.put_back(c, 2);
    CHECK(entries.order() == Order{c, a, b});
    entries.put_back(b, 3);
    CHECK(entries.order() == Order{c, a, b});
    for (MemoryEntry* const entry : {a, b, c}) entries.list.unlink(entry);
    CHECK(entries.list.list().is_empty());
    MemoryEntry* const d = entries.push();
    entries.put_back(d, 1);
    CHECK(entries.order() == Order{d});
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
