// What is too large for an answer: files in the folder `profiles` of the data directory, of which the newest stay. Any
// thread.
#pragma once

#include "ipc/base/error.h"

#include <string>
#include <string_view>

namespace pillion {

class ProfileFiles {
  public:
    static constexpr std::size_t files_max = 16;

    explicit ProfileFiles(const std::string& data_directory) : folder_(data_directory + "/profiles") {}

    // Writes `name` (again, if it is there), whole or not at all, for this user alone; then the oldest over the bound
    // go. The path. -32004 on a full disk, -32005 otherwise.
    Result<std::string> write(const std::string& name, std::string_view text) const;

  private:
    void remove_oldest() const;

    const std::string folder_;
};

} // namespace pillion
