// The ELF-64 section table leads to the symbol table and its strings (System V ABI, chapters 4 and 5); the search table
// of .eh_frame_hdr is that of the Linux Standard Base, "Exception Frames".
#include "modules/profiler/elf_symbols.h"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace pillion {

namespace {

// A table larger than this is damage or an attack, not a program.
constexpr std::uint64_t table_bytes_max = std::uint64_t{256} << 20;

class File {
  public:
    explicit File(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        struct stat status {};
        if (descriptor_ >= 0 && fstat(descriptor_, &status) == 0) bytes_ = static_cast<std::uint64_t>(status.st_size);
    }
    ~File() {
        if (descriptor_ >= 0) close(descriptor_);
    }
    File(const File&) = delete;

    // Elements from `offset` on; absent if the file does not hold them all.
    template <class T>
    std::optional<std::vector<T>> read(std::uint64_t offset, std::uint64_t bytes) const {
        if (descriptor_ < 0 || bytes > table_bytes_max || offset > bytes_ || bytes > bytes_ - offset) return {};
        std::vector<T> elements(bytes / sizeof(T));
        std::uint64_t done = 0;
        const std::uint64_t wanted = elements.size() * sizeof(T);
        while (done < wanted) {
            const ssize_t n = pread(descriptor_, reinterpret_cast<char*>(elements.data()) + done, wanted - done,
                                    static_cast<off_t>(offset + done));
            if (n <= 0) return {};
            done += static_cast<std::uint64_t>(n);
        }
        return elements;
    }

  private:
    int descriptor_;
    std::uint64_t bytes_ = 0;
};

std::vector<ElfFunction> read_table(const File& file, const std::vector<Elf64_Shdr>& sections, unsigned type) {
    std::vector<ElfFunction> functions;
    for (const Elf64_Shdr& section : sections) {
        if (section.sh_type != type || section.sh_link >= sections.size()) continue;
        const Elf64_Shdr& strings = sections[section.sh_link];
        const auto symbols = file.read<Elf64_Sym>(section.sh_offset, section.sh_size);
        auto names = file.read<char>(strings.sh_offset, strings.sh_size);
        if (!symbols || !names || names->empty()) continue;
        names->back() = '\0';
        for (const Elf64_Sym& symbol : *symbols) {
            const unsigned kind = ELF64_ST_TYPE(symbol.st_info);
            if ((kind != STT_FUNC && kind != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF) continue;
            if (symbol.st_name >= names->size() || symbol.st_value == 0) continue;
            const char* const name = names->data() + symbol.st_name;
            if (*name != '\0') functions.push_back({symbol.st_value, symbol.st_size, name});
        }
    }
    // Of several names for one address the shortest, so that it is the same in every profile.
    std::sort(functions.begin(), functions.end(), [](const ElfFunction& a, const ElfFunction& b) {
        if (a.begin != b.begin) return a.begin < b.begin;
        return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
    });
    const auto same = [](const ElfFunction& a, const ElfFunction& b) { return a.begin == b.begin; };
    functions.erase(std::unique(functions.begin(), functions.end(), same), functions.end());
    return functions;
}

} // namespace

std::vector<ElfFunction> read_elf_functions(const std::string& path) {
    const File file(path);
    const auto header = file.read<Elf64_Ehdr>(0, sizeof(Elf64_Ehdr));
    if (!header || std::memcmp(header->front().e_ident, ELFMAG, SELFMAG) != 0 ||
        header->front().e_ident[EI_CLASS] != ELFCLASS64 || header->front().e_shentsize != sizeof(Elf64_Shdr))
        return {};
    const auto sections =
        file.read<Elf64_Shdr>(header->front().e_shoff, std::uint64_t{header->front().e_shnum} * sizeof(Elf64_Shdr));
    if (!sections) return {};
    auto functions = read_table(file, *sections, SHT_SYMTAB);
    return functions.empty() ? read_table(file, *sections, SHT_DYNSYM) : functions;
}

std::vector<std::uint64_t> read_function_starts(const unsigned char* header, std::uint64_t bytes) {
    // What every linker writes: version 1, a count of 4 bytes, a table of signed 4-byte offsets from the header.
    constexpr unsigned char pcrel_sdata4 = 0x1b, udata4 = 0x03, datarel_sdata4 = 0x3b;
    std::vector<std::uint64_t> starts;
    if (bytes < 12 || header[0] != 1 || header[1] != pcrel_sdata4 || header[2] != udata4 || header[3] != datarel_sdata4)
        return starts;
    std::uint32_t count = 0;
    std::memcpy(&count, header + 8, sizeof count);
    if (count > (bytes - 12) / 8) return starts;
    starts.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        std::int32_t offset = 0;
        std::memcpy(&offset, header + 12 + std::uint64_t{i} * 8, sizeof offset);
        starts.push_back(reinterpret_cast<std::uint64_t>(header) + static_cast<std::uint64_t>(std::int64_t{offset}));
    }
    std::sort(starts.begin(), starts.end());
    return starts;
}

} // namespace pillion
