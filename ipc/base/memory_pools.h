// All pools of the hot path together: what the reader, the dispatcher and the decoders take their memory from. Owned by
// the composition root, handed down by reference; class Memory (modules/memory) presents, configures and trims them.
// Outlives everything that was taken from it. Any thread.
#pragma once

#include "ipc/base/pool.h"

#include <boost/unordered/unordered_flat_map.hpp>
#include <string>
#include <string_view>

namespace pillion {

// Names and values of a message while it is looked at; the views point into the message.
using FieldMap = boost::unordered_flat_map<std::string_view, std::string_view>;

struct MemoryPools {
    static constexpr std::size_t default_strings = 100;
    static constexpr std::size_t default_maps = 50;

    BufferPool buffers;
    ObjectPool<std::string> strings{"strings", default_strings};
    ObjectPool<FieldMap> maps{"maps", default_maps};
};

} // namespace pillion
