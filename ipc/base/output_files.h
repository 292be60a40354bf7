// What is too large for an answer, or is to be opened by a person: files in a folder of the data directory, of which
// the newest stay. Any thread.
#pragma once

#include "ipc/base/error.h"

#include <string>
#include <string_view>
#include <utility>

namespace pillion {

class OutputFiles {
  public:
    static constexpr std::size_t files_max = 16;

    // Files in the folder whose names begin with the prefix are taken to be ours.
    OutputFiles(std::string folder, std::string prefix) : folder_(std::move(folder)), prefix_(std::move(prefix)) {}

    // Writes the prefix and `name` (again, if it is there), whole or not at all, for this user alone; then the oldest
    // over the bound go. The path. -32004 on a full disk, -32005 otherwise.
    Result<std::string> write(const std::string& name, std::string_view text) const;

  private:
    void remove_oldest() const;

    const std::string folder_;
    const std::string prefix_;
};

} // namespace pillion
