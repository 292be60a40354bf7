#include "modules/process/process.h"

#include "modules/process/supervisor.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::int64_t leftover_grace_ms = 2000;

std::string command_name(pid_t pid) {
    const std::string path = executable_of(pid);
    return path.substr(path.rfind('/') + 1);
}

std::string signal_name(int signal) {
    const char* const name = ::sigabbrev_np(signal);
    return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

} // namespace

std::string ProcessExit::describe() const {
    std::string text =
        signal ? "was killed by " + signal_name(*signal) : "exited with status " + std::to_string(code.value_or(0));
    text += " after " + std::to_string(ran_ms) + " ms";
    const std::size_t begin = last_lines.rfind('\n');
    const std::string last = begin == std::string::npos ? last_lines : last_lines.substr(begin + 1);
    return last.empty() ? text : text + ": " + last.substr(0, 300);
}

struct ProcessHost::State {
    std::shared_ptr<Supervisor> supervisor;
    ProcessHostOptions options;
};

ProcessHost::ProcessHost(Io& io, const Clock& clock, ProcessHostOptions options)
    : state_(std::make_shared<State>(State{std::make_shared<Supervisor>(io, clock, options), options})) {}

ProcessHost::~ProcessHost() { state_->supervisor->close(); }

Result<std::shared_ptr<Process>> ProcessHost::spawn(ProcessSpec spec, ProcessHandlers handlers) {
    return state_->supervisor->spawn(std::move(spec), std::move(handlers));
}

void ProcessHost::stop_all(std::int64_t wait_ms_max) { state_->supervisor->stop_all(wait_ms_max); }

std::size_t ProcessHost::running() const { return state_->supervisor->running(); }

std::vector<Leftover> ProcessHost::end_leftovers() {
    std::vector<Leftover> found;
    if (state_->options.data_directory.empty()) return found;
    for (const DeadLedger& ledger : dead_ledgers(state_->options.data_directory)) {
        if (!ledger.run_id.empty()) {
            // A script started through env has become its interpreter since: such a one is known by the mark alone.
            TreeRoots roots{.mark = run_mark(ledger.run_id), .search = TreeRoots::Search::everywhere};
            for (const LedgerEntry& entry : ledger.entries)
                if (process_table::is_alive(entry.pid, entry.start_ticks) &&
                    executable_of(entry.pid) == entry.executable)
                    roots.processes[entry.pid] = entry.start_ticks;
            ProcessTree tree(std::move(roots));
            tree.look(all_processes());
            for (const pid_t pid : tree.living()) {
                const auto entry = std::ranges::find_if(ledger.entries, [pid](const LedgerEntry& child) {
                    return child.pid == pid && process_table::is_alive(pid, child.start_ticks);
                });
                found.push_back({entry != ledger.entries.end() ? entry->name : command_name(pid), pid});
            }
            end_tree_now(tree, leftover_grace_ms);
        }
        ::unlink(ledger.path.c_str());
    }
    return found;
}

} // namespace pillion
