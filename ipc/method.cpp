#include "ipc/method.h"

#include "ipc/nearest.h"

#include <algorithm>
#include <cstring>
#include <numeric>
// Header only: a shared library more is a slower start.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

using wire::Field;
using wire::Kind;

// Order of two values of a described scalar type; absent ones come first.
int compare_values(const wire::Type& type, const void* a, const void* b) {
    if (a == nullptr || b == nullptr) return (a != nullptr) - (b != nullptr);
    const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
    switch (type.kind) {
    case Kind::boolean:
        return order(*static_cast<const bool*>(a), *static_cast<const bool*>(b));
    case Kind::number:
        return order(*static_cast<const double*>(a), *static_cast<const double*>(b));
    case Kind::integer:
    case Kind::enumeration: {
        const auto read = [&type](const void* value) {
            std::int64_t number = 0;
            std::memcpy(&number, value, type.bytes);
            return type.is_signed && type.bytes == 4 ? static_cast<std::int32_t>(number) : number;
        };
        return order(read(a), read(b));
    }
    case Kind::string:
        if (type.storage == wire::Storage::view)
            return order(*static_cast<const std::string_view*>(a), *static_cast<const std::string_view*>(b));
        return order(*static_cast<const std::string*>(a), *static_cast<const std::string*>(b));
    default:
        return 0;
    }
}

Result<const Field*> find_sort_field(const wire::Type& item, std::string_view name) {
    NearestName nearest(name);
    std::string all;
    for (const Field& field : item.fields) {
        if (!field.is_sortable) continue;
        if (field.name == name) return &field;
        nearest.consider(field.name);
        all += (all.empty() ? "" : ", ") + std::string(field.name);
    }
    return fail(ErrorCode::invalid_params,
                "sortBy must be one of " + (all.empty() ? "(this list cannot be sorted)" : all) + ", got \"" +
                    std::string(name) + "\"",
                "/_meta/sortBy", std::string(nearest.best()));
}

} // namespace

Result<void> encode_page(const wire::Type& list, void* items, const RequestMeta& meta, Buffer& out) {
    const std::size_t total = list.list->size(items);
    std::vector<std::uint32_t> order(total);
    std::iota(order.begin(), order.end(), 0u);
    const bool descending = meta.sortOrder == SortOrder::desc;
    if (meta.sortBy) {
        const Field* const field = PILLION_TRY(find_sort_field(*list.element, *meta.sortBy));
        std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
            const int compared = compare_values(*field->type, field->value_in(list.list->element(items, a)),
                                                field->value_in(list.list->element(items, b)));
            return descending ? compared > 0 : compared < 0;
        });
    } else if (descending) {
        std::reverse(order.begin(), order.end());
    }
    Page page{
        .page = meta.page.value_or(1), .limit = meta.limit.value_or(20), .total = static_cast<std::int64_t>(total)};
    page.pages = (page.total + page.limit - 1) / page.limit;
    const auto last =
        static_cast<std::size_t>(std::min(page.total, page.page > page.pages ? 0 : page.page * page.limit));
    const auto first = page.page > page.pages ? last : static_cast<std::size_t>((page.page - 1) * page.limit);
    out.append("{\"items\":[");
    for (std::size_t i = first; i < last; ++i) {
        if (i != first) out.append(',');
        wire::encode(*list.element, list.list->element(items, order[i]), out);
    }
    out.append("],\"page\":");
    wire::encode(page, out);
    out.append('}');
    return {};
}

void MethodTable::Index::insert(std::string_view name, const Method& method) {
    if (slots_.empty() || ++count_ * 2 > slots_.size()) {
        const std::vector<Slot> old =
            std::exchange(slots_, std::vector<Slot>(std::max<std::size_t>(512, slots_.size() * 2)));
        count_ = 1;
        for (const Slot& slot : old)
            if (slot.method != nullptr) insert(slot.name, *slot.method);
    }
    std::size_t at = XXH3_64bits(name.data(), name.size());
    while (slots_[at & (slots_.size() - 1)].method != nullptr) ++at;
    slots_[at & (slots_.size() - 1)] = {name, &method};
}

const Method* MethodTable::Index::find(std::string_view name, std::uint64_t hash) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t at = hash;; ++at) {
        const Slot& slot = slots_[at & (slots_.size() - 1)];
        if (slot.method == nullptr || slot.name == name) return slot.method;
    }
}

void MethodTable::Index::consider_all(NearestName& nearest) const {
    for (const Slot& slot : slots_)
        if (slot.method != nullptr) nearest.consider(slot.name);
}

void MethodTable::add(std::vector<Method> methods) { keep(std::move(methods), at_once_); }

void MethodTable::keep(std::vector<Method> methods, Index& index) const {
    const auto enter = [&](std::string_view name, const Method& method) {
        const std::uint64_t hash = XXH3_64bits(name.data(), name.size());
        // Two declarations of one name.
        if (at_once_.find(name, hash) != nullptr || later_index_.find(name, hash) != nullptr) std::abort();
        index.insert(name, method);
    };
    for (Method& method : methods) {
        const Method& kept = *methods_.emplace_back(std::make_unique<Method>(std::move(method)));
        enter(kept.name, kept);
        for (const std::string_view alias : kept.aliases) enter(alias, kept);
    }
}

void MethodTable::declare_later_ones() const {
    if (is_complete_.load(std::memory_order_acquire)) return;
    std::call_once(declared_, [this] {
        for (const auto& declare : later_) keep(declare(), later_index_);
        if (declare_fallback_) fallback_ = std::make_unique<Method>(declare_fallback_());
        is_complete_.store(true, std::memory_order_release);
    });
}

const Method* MethodTable::find(std::string_view name) const {
    const std::uint64_t hash = XXH3_64bits(name.data(), name.size());
    if (const Method* const found = at_once_.find(name, hash)) return found;
    declare_later_ones();
    return later_index_.find(name, hash);
}

void MethodTable::set_fallback(std::function<Method()> declare, std::function<bool(std::string_view name)> takes) {
    declare_fallback_ = std::move(declare);
    takes_ = std::move(takes);
}

std::string_view MethodTable::nearest(std::string_view name) const {
    declare_later_ones();
    NearestName nearest(name);
    at_once_.consider_all(nearest);
    later_index_.consider_all(nearest);
    return nearest.best();
}

const std::vector<std::unique_ptr<Method>>& MethodTable::all() const {
    declare_later_ones();
    return methods_;
}

std::size_t MethodTable::names() const {
    declare_later_ones();
    return at_once_.count() + later_index_.count();
}

} // namespace pillion
