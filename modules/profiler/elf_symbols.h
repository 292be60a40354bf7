// Where functions begin in an ELF file or image. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pillion {

struct ElfFunction {
    std::uint64_t begin = 0; // as in the file: without the address that it is loaded at
    std::uint64_t size = 0;  // 0 where unknown
    std::string name{};      // mangled
};

// The functions of `.symtab`, or of `.dynsym` where a file has been stripped; by address. Empty if it cannot be read.
std::vector<ElfFunction> read_elf_functions(const std::string& path);

// The beginnings of functions that the unwind table at `header` (a loaded .eh_frame_hdr of `bytes`) lists, as addresses
// in memory, sorted.
std::vector<std::uint64_t> read_function_starts(const unsigned char* header, std::uint64_t bytes);

} // namespace pillion
