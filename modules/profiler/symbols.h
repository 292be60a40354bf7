// Names for addresses of this process: from the symbol tables of the program and its libraries, and where a file has
// been stripped from its unwind table, which still says where each function begins. Reads files; not for a signal
// handler. Made for one profile and gone with it. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

struct ResolvedAddress {
    std::uint64_t function = 0; // where it begins; the same for all addresses in it
    std::string name;
    std::string module;
    bool has_symbol = false;
};

class Symbols {
  public:
    Symbols();
    ~Symbols();
    Symbols(const Symbols&) = delete;

    // Whether code lies there.
    bool is_code(std::uint64_t address) const;
    // The function around the address; what is known of an address outside of all modules is its number.
    ResolvedAddress resolve(std::uint64_t address);

  private:
    struct Module;
    Module* find_module(std::uint64_t address) const;

    std::vector<std::unique_ptr<Module>> modules_; // by address
};

// A symbol as people read it: demangled, without parameters, return type and the compiler's suffixes.
std::string readable_symbol(std::string_view symbol);

} // namespace pillion
