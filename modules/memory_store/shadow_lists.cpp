#include "modules/memory_store/shadow_lists.h"

namespace pillion {

ShadowLists::NodeId ShadowLists::add(std::uint64_t hash, std::uint32_t weight, std::uint8_t list) {
    if ((used_ + 1) * 4 > index_.size() * 3) grow();
    NodeId node = free_;
    if (node != none) {
        free_ = nodes_[node].next;
    } else {
        node = static_cast<NodeId>(nodes_.size());
        // Not twice as many: they are most of what a shadow takes.
        if (nodes_.size() == nodes_.capacity()) nodes_.reserve(nodes_.size() + nodes_.size() / 8 + 16);
        nodes_.emplace_back();
    }
    nodes_[node] = Node{.hash = hash, .weight = weight};
    ++used_;
    place(node);
    link(node, list);
    return node;
}

void ShadowLists::erase(NodeId node) {
    unlink(node);
    std::size_t hole = home(nodes_[node].hash);
    while (index_[hole] != node) hole = (hole + 1) & mask_;
    for (std::size_t at = (hole + 1) & mask_; index_[at] != none; at = (at + 1) & mask_) {
        const std::size_t wanted = home(nodes_[index_[at]].hash);
        if (((at - wanted) & mask_) < ((at - hole) & mask_)) continue;
        index_[hole] = index_[at];
        hole = at;
    }
    index_[hole] = none;
    nodes_[node].next = free_;
    free_ = node;
    --used_;
}

void ShadowLists::link(NodeId node, std::uint8_t list) {
    List& target = lists_[list];
    Node& linked = nodes_[node];
    linked.list = list;
    linked.previous = none;
    linked.next = target.newest;
    (target.newest != none ? nodes_[target.newest].previous : target.oldest) = node;
    target.newest = node;
    target.weight += linked.weight;
    ++target.entries;
}

void ShadowLists::unlink(NodeId node) {
    const Node& linked = nodes_[node];
    List& source = lists_[linked.list];
    (linked.previous != none ? nodes_[linked.previous].next : source.newest) = linked.next;
    (linked.next != none ? nodes_[linked.next].previous : source.oldest) = linked.previous;
    source.weight -= linked.weight;
    --source.entries;
}

void ShadowLists::place(NodeId node) {
    std::size_t at = home(nodes_[node].hash);
    while (index_[at] != none) at = (at + 1) & mask_;
    index_[at] = node;
}

void ShadowLists::grow() {
    std::vector<NodeId> old(index_.size() * 2, none);
    old.swap(index_);
    mask_ = index_.size() - 1;
    for (const NodeId node : old) {
        if (node != none) place(node);
    }
}

} // namespace pillion
