// `_meta.fields`: only the members a client wants. Paths are names joined by dots, "id,title,owner.name" or a list of
// such; arrays on the way are looked into. Any thread.
#pragma once

#include "ipc/base/error.h"
#include "ipc/base/memory_pools.h"
#include "ipc/wire_type.h"

#include <string_view>

namespace pillion {

class FieldSelection {
  public:
    // Reads `spec` (the JSON of `_meta.fields`). `type` is the result's, to refuse names it does not have; null where
    // the result is free-form. For a list, paths are those of an item ("items.id" means the same as "id").
    static Result<FieldSelection> create(std::string_view spec, const wire::Type* type, bool is_list,
                                         MemoryPools& pools);

    // Appends `json`, a result, with nothing but the wanted members. `_meta` always stays, and a list's `page` unless
    // paths name members of it.
    void apply(std::string_view json, Buffer& out);

  private:
    explicit FieldSelection(MemoryPools& pools)
        : paths_(pools.maps.acquire()), text_(pools.strings.acquire()), path_(pools.strings.acquire()) {}
    Result<void> add(std::string_view path, const wire::Type* type, bool is_list);
    void select(class JsonScanner& scanner, Buffer& out);
    void select_object(JsonScanner& scanner, Buffer& out);

    ObjectPool<FieldMap>::Handle paths_;   // each wanted path, and each path that leads to one ("...")
    ObjectPool<std::string>::Handle text_; // owns the paths
    ObjectPool<std::string>::Handle path_; // where apply() is
};

} // namespace pillion
