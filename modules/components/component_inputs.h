// What a task's result depends on, as one fingerprint: its command, variables and folder, declared values, and the
// content of its input files. Functions without state that read files: they block. Private to the module.
#pragma once

#include "ipc/base/error.h"
#include "modules/components/component_spec.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

// By which a file is taken to be unchanged without reading it.
struct FileStamp {
    std::int64_t modified_ns = 0;
    std::int64_t bytes = 0;
    std::int64_t inode = 0;
    bool operator==(const FileStamp&) const = default;
};

struct FileHash {
    FileStamp stamp{};
    std::string hash{}; // 32 hexadecimal digits
};

// Hashes of files as they were: looked up before a file is read, and what had to be read is added to `fresh`.
struct FileHashes {
    std::function<std::optional<FileHash>(const std::string& path)> find{};
    std::map<std::string, FileHash> fresh{};
};

// Files that match, sorted: `*`, `?` and `[...]` within a name, `**` for any folders between. Relative to `folder`.
// -32004 if there are more than a hundred thousand.
Result<std::vector<std::string>> expand_glob(const std::string& folder, const std::string& pattern);

// 32 hexadecimal digits. A file that is not there counts as absent; one that cannot be read is -32005.
Result<std::string> task_fingerprint(const ComponentSpec& spec, FileHashes& hashes);

} // namespace pillion
