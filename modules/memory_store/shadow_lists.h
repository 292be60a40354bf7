// What shadow caches are made of: hashes of keys in a few doubly linked lists, found by open addressing (linear
// probing, deletion by shifting back). Private to memory_store; one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pillion {

class ShadowLists {
  public:
    using NodeId = std::uint32_t;
    static constexpr NodeId none = 0xFFFFFFFF;

    struct Node {
        std::uint64_t hash = 0;
        std::uint32_t weight = 0;
        NodeId previous = none;
        NodeId next = none;
        std::uint8_t list = 0;
        std::uint8_t count = 0;
    };
    struct List {
        NodeId newest = none;
        NodeId oldest = none;
        std::uint64_t weight = 0;
        std::uint64_t entries = 0;
    };

    ShadowLists() : index_(64, none), mask_(index_.size() - 1) {}

    NodeId find(std::uint64_t hash) const {
        for (std::size_t at = home(hash);; at = (at + 1) & mask_) {
            const NodeId node = index_[at];
            if (node == none || nodes_[node].hash == hash) return node;
        }
    }
    NodeId add(std::uint64_t hash, std::uint32_t weight, std::uint8_t list);
    void erase(NodeId node);
    // Makes it the newest of the list.
    void move(NodeId node, std::uint8_t list) {
        unlink(node);
        link(node, list);
    }
    void set_weight(NodeId node, std::uint32_t weight) {
        List& list = lists_[nodes_[node].list];
        list.weight += weight;
        list.weight -= nodes_[node].weight;
        nodes_[node].weight = weight;
    }
    Node& operator[](NodeId node) { return nodes_[node]; }
    const Node& operator[](NodeId node) const { return nodes_[node]; }
    const List& list(std::size_t index) const { return lists_[index]; }
    std::size_t size() const { return used_; }
    std::size_t bytes() const { return nodes_.capacity() * sizeof(Node) + index_.capacity() * sizeof(NodeId); }

  private:
    std::size_t home(std::uint64_t hash) const {
        return static_cast<std::size_t>(hash * 0x9E3779B97F4A7C15ULL >> 20) & mask_;
    }
    void link(NodeId node, std::uint8_t list);
    void unlink(NodeId node);
    void place(NodeId node);
    void grow();

    std::vector<Node> nodes_;
    std::vector<NodeId> index_;
    std::size_t mask_;
    std::size_t used_ = 0;
    NodeId free_ = none;
    std::array<List, 4> lists_;
};

} // namespace pillion
