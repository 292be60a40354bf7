// What a run writes down about its children, so that a later run can end those that a crash left alive. Private to the
// module; one thread at a time.
//
// DATA_DIR/run/<pid>-<start ticks>-<n>.children, held with flock() while its run lives:
//     pillion-children 1 <boot id> <run id>
//     + <pid> <start ticks> <executable> <name>
//     - <pid> <start ticks>
#pragma once

#include "modules/process/descriptor.h"

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace pillion {

struct LedgerEntry {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;
    std::string executable{};
    std::string name{};
};

class Ledger {
  public:
    // A ledger that cannot be written is reported in the log, and the children run all the same.
    Ledger(const std::string& data_directory, const std::string& run_id);
    ~Ledger();
    Ledger(const Ledger&) = delete;

    void add(LedgerEntry entry);
    void remove(pid_t pid);

  private:
    void append(const std::string& line);
    void rewrite();

    std::string path_;
    std::string header_;
    Descriptor file_;
    std::size_t bytes_ = 0;
    std::vector<LedgerEntry> entries_; // who lives now
    bool has_complained_ = false;
};

// The ledger of a run that has ended without removing it. Holding it keeps others from working on it.
struct DeadLedger {
    std::string path;
    Descriptor file;
    std::string run_id; // empty if the file is not of this boot or is no ledger
    std::vector<LedgerEntry> entries;
};

std::vector<DeadLedger> dead_ledgers(const std::string& data_directory);

// The executable that the process runs now; empty if it has ended or is not ours.
std::string executable_of(pid_t pid);

} // namespace pillion
