// That only one process measures in a data directory at a time: two would measure each other. Private to the module;
// any thread.
#pragma once

#include "ipc/base/error.h"

#include <string>

namespace pillion {

class BenchmarkLock {
  public:
    // -32003 with the other process's name while another process has it.
    static Result<BenchmarkLock> take(const std::string& data_directory);
    BenchmarkLock(BenchmarkLock&& other) noexcept;
    ~BenchmarkLock();

  private:
    BenchmarkLock(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}

    int descriptor_;
    std::string path_;
};

} // namespace pillion
