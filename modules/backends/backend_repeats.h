// Whether a method's answers could have been kept: how many calls repeat an earlier one, and whether they got the same
// answer. Watches methods that no cache rule covers, by hashes of params and results alone. Bounded: the first methods,
// and of all calls the latest that fall on each place. One thread at a time; the backend locks.
#pragma once

#include "modules/backends/backends.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

class BackendRepeats {
  public:
    static constexpr std::size_t methods_max = 64;
    static constexpr std::size_t places = 1024; // 16 KiB, from the first answer on

    static std::uint64_t hash(std::string_view method, std::string_view params);
    // A call was answered with a result; `call` is its hash.
    void saw(std::string_view method, std::uint64_t call, std::string_view result, std::int64_t took_ns);
    std::vector<BackendRepeated> read() const;

  private:
    struct Place {
        std::uint64_t call = 0;
        std::uint64_t result = 0;
    };
    struct Count {
        std::uint64_t calls = 0, repeats = 0, contradictions = 0;
        std::int64_t took_ns = 0;
    };
    std::unique_ptr<Place[]> places_{};
    std::map<std::string, Count, std::less<>> methods_{};
};

} // namespace pillion
