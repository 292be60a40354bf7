// The loader lists what is mapped (dl_iterate_phdr); a module's tables are read when the first of its addresses is
// asked for. An address that no symbol covers, in a stripped file or between symbols, is named by its module and by the
// offset at which its function begins in that file: what addr2line and a debug file take.
#include "modules/profiler/symbols.h"

#include "modules/profiler/elf_symbols.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cxxabi.h>
#include <link.h>
#include <utility>

namespace pillion {

struct Symbols::Module {
    std::string name;
    std::string path;
    std::uint64_t base = 0;
    std::uint64_t code_begin = 0, code_end = 0;
    const unsigned char* unwind_table = nullptr;
    std::uint64_t unwind_bytes = 0;
    bool is_read = false;
    std::vector<ElfFunction> functions;
    std::vector<std::uint64_t> starts;

    void read() {
        if (std::exchange(is_read, true)) return;
        if (!path.empty()) functions = read_elf_functions(path);
        if (unwind_table != nullptr) starts = read_function_starts(unwind_table, unwind_bytes);
    }
};

namespace {

std::string hexadecimal(std::uint64_t number) {
    char text[20];
    const auto end = std::to_chars(text, text + sizeof text, number, 16).ptr;
    return "0x" + std::string(text, end);
}

// The length of a group that begins here with a parenthesis and is no parameter list; 0 if it is one.
std::size_t kept_group(std::string_view rest) {
    constexpr std::string_view kept[] = {"(anonymous namespace)", "()#"};
    for (const std::string_view group : kept)
        if (rest.starts_with(group)) return group.size();
    return 0;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
}

// Takes parameter lists out, but for those inside template arguments and braces (lambdas).
std::string without_parameters(std::string_view name) {
    std::string result;
    int angles = 0, braces = 0, parentheses = 0;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const bool names_operator = std::string_view(result).ends_with("operator");
        const char c = name[i];
        if (parentheses == 0 && names_operator && name.substr(i).starts_with("()")) {
            result += "()";
            ++i;
            continue;
        }
        if (parentheses == 0 && (c == '<' || c == '>') &&
            (names_operator || std::string_view(result).ends_with("operator<") ||
             std::string_view(result).ends_with("operator>") || std::string_view(result).ends_with("operator-") ||
             std::string_view(result).ends_with("operator<=") || std::string_view(result).ends_with('-'))) {
            result += c;
            continue;
        }
        if (angles == 0 && braces == 0 && c == '(') {
            const std::size_t kept = parentheses == 0 ? kept_group(name.substr(i)) : 0;
            if (kept > 0) {
                result += name.substr(i, kept);
                i += kept - 1;
                continue;
            }
            ++parentheses;
            continue;
        }
        if (parentheses > 0) {
            if (c == '(') ++parentheses;
            if (c == ')') --parentheses;
            continue;
        }
        angles += c == '<' ? 1 : c == '>' ? -1 : 0;
        braces += c == '{' ? 1 : c == '}' ? -1 : 0;
        result += c;
    }
    return angles == 0 && braces == 0 && parentheses == 0 ? result : std::string(name);
}

// Takes the return type off, which demangled names of templates begin with.
void drop_return_type(std::string& name) {
    int depth = 0;
    for (std::size_t i = name.size(); i-- > 0;) {
        const char c = name[i];
        depth += c == '>' || c == '}' || c == ')' ? 1 : c == '<' || c == '{' || c == '(' ? -1 : 0;
        if (c != ' ' || depth != 0) continue;
        if (std::string_view(name).substr(0, i).ends_with("operator")) continue;
        if (name.find("operator") != std::string::npos && name.find("operator") < i) continue;
        name.erase(0, i + 1);
        return;
    }
}

} // namespace

std::string readable_symbol(std::string_view symbol) {
    // What follows a dot is the compiler's: .cold, .part.0, .constprop.1, .isra.0.
    const std::string plain(symbol.substr(0, symbol.starts_with("_Z") ? symbol.find('.') : std::string_view::npos));
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> demangled(
        abi::__cxa_demangle(plain.c_str(), nullptr, nullptr, &status), &std::free);
    if (status != 0 || !demangled) return plain.substr(0, plain.find('@'));
    std::string name(demangled.get());
    if (const std::size_t abi_tag = name.find("[abi:cxx11]"); abi_tag != std::string::npos)
        replace_all(name, "[abi:cxx11]", "");
    replace_all(name, "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string");
    replace_all(name, "std::basic_string_view<char, std::char_traits<char> >", "std::string_view");
    replace_all(name, " >", ">");
    name = without_parameters(name);
    for (const std::string_view suffix : {" &&", " &", " const"})
        if (std::string_view(name).ends_with(suffix)) name.erase(name.size() - suffix.size());
    replace_all(name, " const::", "::");
    drop_return_type(name);
    return name;
}

Symbols::Symbols() {
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* data) {
            auto& modules = *static_cast<std::vector<std::unique_ptr<Module>>*>(data);
            auto module = std::make_unique<Module>();
            const std::string_view path = info->dlpi_name == nullptr ? "" : info->dlpi_name;
            module->base = info->dlpi_addr;
            module->path = modules.empty() ? "/proc/self/exe" : path; // the program is the first
            module->name = path.substr(path.rfind('/') + 1);
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const ElfW(Phdr)& segment = info->dlpi_phdr[i];
                const std::uint64_t begin = info->dlpi_addr + segment.p_vaddr;
                if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 && module->code_end == 0) {
                    module->code_begin = begin;
                    module->code_end = begin + segment.p_memsz;
                } else if (segment.p_type == PT_GNU_EH_FRAME) {
                    module->unwind_table = reinterpret_cast<const unsigned char*>(begin);
                    module->unwind_bytes = segment.p_memsz;
                }
            }
            modules.push_back(std::move(module));
            return 0;
        },
        &modules_);
    if (!modules_.empty()) modules_.front()->name = program_invocation_short_name;
    std::sort(modules_.begin(), modules_.end(),
              [](const auto& a, const auto& b) { return a->code_begin < b->code_begin; });
}

Symbols::~Symbols() = default;

Symbols::Module* Symbols::find_module(std::uint64_t address) const {
    const auto after = std::upper_bound(modules_.begin(), modules_.end(), address,
                                        [](std::uint64_t a, const auto& module) { return a < module->code_begin; });
    if (after == modules_.begin()) return nullptr;
    Module& module = **std::prev(after);
    return address < module.code_end ? &module : nullptr;
}

bool Symbols::is_code(std::uint64_t address) const { return find_module(address) != nullptr; }

ResolvedAddress Symbols::resolve(std::uint64_t address) {
    Module* const module = find_module(address);
    if (module == nullptr) return {.function = address, .name = "[" + hexadecimal(address) + "]", .module = {}};
    module->read();
    const std::uint64_t offset = address - module->base;
    const auto after =
        std::upper_bound(module->functions.begin(), module->functions.end(), offset,
                         [](std::uint64_t a, const ElfFunction& function) { return a < function.begin; });
    std::uint64_t begin = 0;
    if (const auto start = std::upper_bound(module->starts.begin(), module->starts.end(), address);
        start != module->starts.begin())
        begin = *std::prev(start) - module->base;
    if (after != module->functions.begin()) {
        const ElfFunction& function = *std::prev(after);
        // One without a size reaches as far as nothing else is known to begin.
        if (function.size > 0 ? offset - function.begin < function.size : begin <= function.begin)
            return {.function = module->base + function.begin,
                    .name = readable_symbol(function.name),
                    .module = module->name,
                    .has_symbol = true};
    }
    if (begin == 0) begin = offset;
    return {.function = module->base + begin, .name = module->name + "+" + hexadecimal(begin), .module = module->name};
}

} // namespace pillion
