// Entries in an order of their last use that is kept up when they come up to go, not when they are used. Private to
// memory_store; everything is called under the store's mutex.
//
// Readers stamp an entry with the stretch of time they used it in (Use). Who looks at the oldest entry and finds that
// it was used puts it back by its stamp: behind the last one of that stretch. So the order is that of LRU to within a
// stretch, and a hit moves nothing.
#pragma once

#include "modules/memory_store/memory_entry.h"

#include <array>
#include <cstdint>

namespace pillion {

class RecencyList {
  public:
    // Now; stamps of now are the newest.
    std::uint8_t stamp() const { return static_cast<std::uint8_t>(now_); }
    // Begins the next stretch. Stamps must not be older than Use::stamps stretches when they are put back.
    void advance();
    void push_newest(MemoryEntry* entry);
    void put_back(MemoryEntry* entry, unsigned stamp);
    void unlink(MemoryEntry* entry);
    const EntryList& list() const { return list_; }

  private:
    EntryList list_;
    unsigned now_ = 0;
    // By stamp: the newest entry of this stretch or of one before; null: there is none so old.
    std::array<MemoryEntry*, Use::stamps> last_of_{};
};

} // namespace pillion
