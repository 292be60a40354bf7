// Each address is resolved once. Return addresses point behind the call, which may be the last instruction of its
// function: they are looked up one byte earlier. A stack ends where an address lies in no code: what a wrong frame
// pointer led to. Equal stacks of a thread are added up.
#include "modules/profiler/profile_builder.h"

#include "modules/profiler/stack_walk.h"
#include "modules/profiler/symbols.h"

#include <algorithm>
#include <unordered_map>

namespace pillion {

namespace {

class Builder {
  public:
    explicit Builder(const std::map<std::int32_t, std::string>& names) : names_(names) {}

    void add(const RawSample& sample) {
        if (sample.addresses.empty()) return;
        std::vector<std::uint32_t> frames{frame_of(sample.addresses.front())};
        bool is_whole = !sample.is_cut;
        for (std::size_t i = 1; i < sample.addresses.size(); ++i) {
            std::uint64_t address = sample.addresses[i];
            if ((address & leaf_candidate_bit) != 0) {
                address &= ~leaf_candidate_bit;
                if (frames.size() != 1 || !symbols_.is_code(address - 8) ||
                    !is_call_to(address, function_at(sample.addresses.front())))
                    continue;
            }
            const std::uint64_t call = address - 1;
            if (!symbols_.is_code(call)) {
                is_whole = true;
                break;
            }
            frames.push_back(frame_of(call));
        }
        if (!is_whole) frames.push_back(named_frame("[outer frames cut]"));
        std::reverse(frames.begin(), frames.end());
        const std::uint32_t thread = thread_of(sample.thread);
        profile_.threads[thread].samples += sample.weight;
        profile_.threads[thread].allocated += sample.allocated;
        profile_.allocated += sample.allocated;
        profile_.samples += sample.weight;
        Sum& sum = stacks_[{thread, std::move(frames)}];
        sum.samples += sample.weight;
        sum.allocated += sample.allocated;
    }

    StackProfile finish() {
        for (auto& [key, sum] : stacks_) profile_.stacks.push_back({key.first, key.second, sum.samples, sum.allocated});
        return std::move(profile_);
    }

  private:
    struct Sum {
        std::uint64_t samples = 0;
        Allocated allocated{};
    };

    std::uint32_t frame_of(std::uint64_t address) {
        const auto [at, is_new] = by_address_.try_emplace(address, 0);
        if (!is_new) return at->second;
        ResolvedAddress resolved = symbols_.resolve(address);
        const auto [function, is_first] =
            by_function_.try_emplace(resolved.function, static_cast<std::uint32_t>(profile_.functions.size()));
        if (is_first)
            add_function(resolved.function,
                         {std::move(resolved.name), std::move(resolved.module), resolved.has_symbol});
        return at->second = function->second;
    }

    // Where the function around an address begins that frame_of() has seen.
    std::uint64_t function_at(std::uint64_t address) const { return begins_.at(by_address_.at(address)); }

    // A frame that stands for no address.
    std::uint32_t named_frame(const char* name) {
        const auto [at, is_new] = by_function_.try_emplace(0, static_cast<std::uint32_t>(profile_.functions.size()));
        if (is_new) add_function(0, {.name = name, .module = {}});
        return at->second;
    }

    void add_function(std::uint64_t begin, ProfiledFunction function) {
        profile_.functions.push_back(std::move(function));
        begins_.push_back(begin);
    }

    std::uint32_t thread_of(std::int32_t id) {
        const auto [at, is_new] = threads_.try_emplace(id, static_cast<std::uint32_t>(profile_.threads.size()));
        if (is_new) {
            const auto name = names_.find(id);
            const bool is_named = name != names_.end() && !name->second.empty();
            profile_.threads.push_back({.id = id, .name = is_named ? name->second : "thread " + std::to_string(id)});
        }
        return at->second;
    }

    const std::map<std::int32_t, std::string>& names_;
    Symbols symbols_;
    StackProfile profile_;
    std::vector<std::uint64_t> begins_; // of each function
    std::unordered_map<std::uint64_t, std::uint32_t> by_address_, by_function_;
    std::unordered_map<std::int32_t, std::uint32_t> threads_;
    std::map<std::pair<std::uint32_t, std::vector<std::uint32_t>>, Sum> stacks_;
};

} // namespace

StackProfile build_profile(const std::vector<RawSample>& samples, const std::map<std::int32_t, std::string>& threads) {
    Builder builder(threads);
    for (const RawSample& sample : samples) builder.add(sample);
    return builder.finish();
}

} // namespace pillion
