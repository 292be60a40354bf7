#include "modules/profiler/elf_symbols.h"
#include "modules/profiler/symbols.h"
#include "tests/support/temporary_folder.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <unistd.h>

using namespace pillion;

namespace pillion::test {
template <class T>
[[gnu::noinline]] T a_template_with_a_result(T value) {
    asm volatile("" ::: "memory");
    return value;
}
namespace {
[[gnu::noinline]] int a_function_of_this_file(int value) {
    asm volatile("" ::: "memory");
    return value + 1;
}
} // namespace
} // namespace pillion::test

TEST_CASE("a function that only this file knows is found by an address within it", "[profiler]") {
    Symbols symbols;
    const auto address = reinterpret_cast<std::uint64_t>(&test::a_function_of_this_file);
    REQUIRE(symbols.is_code(address));
    const ResolvedAddress at_start = symbols.resolve(address), inside = symbols.resolve(address + 2);
    CHECK(at_start.name == "pillion::test::(anonymous namespace)::a_function_of_this_file");
    CHECK(at_start.has_symbol);
    CHECK(at_start.module == "pillion_profiler_tests");
    CHECK(inside.function == at_start.function);
    CHECK(symbols.resolve(reinterpret_cast<std::uint64_t>(&test::a_template_with_a_result<long>)).name ==
          "pillion::test::a_template_with_a_result<long>");
}

TEST_CASE("a function of a library is found by the library's public symbols", "[profiler]") {
    Symbols symbols;
    const ResolvedAddress found = symbols.resolve(reinterpret_cast<std::uint64_t>(&::getppid) + 1);
    CHECK(found.has_symbol);
    CHECK(found.name.find("getppid") != std::string::npos);
    CHECK(found.module.find(".so") != std::string::npos);
}

TEST_CASE("an address outside of all code is no function", "[profiler]") {
    Symbols symbols;
    const int here = 0;
    CHECK(!symbols.is_code(0));
    CHECK(!symbols.is_code(8));
    CHECK(!symbols.is_code(~std::uint64_t{0}));
    CHECK(!symbols.is_code(reinterpret_cast<std::uint64_t>(&here)));
    CHECK(symbols.resolve(0x10).name == "[0x10]");
    CHECK(!symbols.resolve(0x10).has_symbol);
}

TEST_CASE("symbols are made readable", "[profiler]") {
    const std::vector<std::pair<const char*, const char*>> known{
        {"main", "main"},
        {"memcpy@@GLIBC_2.14", "memcpy"},
        {"_ZN7pillion6Outbox4sendENS_6BufferE", "pillion::Outbox::send"},
        {"_ZN7pillion6Outbox4sendENS_6BufferE.cold", "pillion::Outbox::send"},
        {"_ZNK7pillion7Metrics8snapshotEv", "pillion::Metrics::snapshot"},
        {"_ZN7pillion12_GLOBAL__N_14stepEi", "pillion::(anonymous namespace)::step"},
        {"_Znwm", "operator new"},
        {"_ZN3foocvbEv", "foo::operator bool"},
        {"_ZN3fooclEi", "foo::operator()"},
        {"_ZlsRN3fooEi", "operator<<"},
        {"_ZN3fooltERKS_", "foo::operator<"},
        {"_ZN3fooptEv", "foo::operator->"},
        {"_Z3barIiEvT_", "bar<int>"},
        {"_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()"},
        {"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int>>::push_back"},
        {"_ZNK3foo3barB5cxx11Ev", "foo::bar"},
        {"_Zbroken", "_Zbroken"},
        {"", ""},
    };
    for (const auto& [symbol, name] : known) CHECK(readable_symbol(symbol) == name);
}

TEST_CASE("a file that is no program has no functions", "[profiler]") {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/file";
    CHECK(read_elf_functions(path).empty());
    std::ofstream(path) << "";
    CHECK(read_elf_functions(path).empty());
    std::ofstream(path) << "\x7f"
                        << "ELF and then nothing that would make a header of sixty-four bytes, but for this";
    CHECK(read_elf_functions(path).empty());
}

TEST_CASE("a program cut or damaged anywhere is read as far as it goes", "[profiler]") {
    const TemporaryFolder folder;
    std::ifstream self("/proc/self/exe", std::ios::binary);
    std::string head(64, '\0');
    self.read(head.data(), 64);
    const std::string path = folder.path() + "/program";
    // The section table is said to lie behind the end; then to be as large as can be.
    std::ofstream(path, std::ios::binary) << head;
    CHECK(read_elf_functions(path).empty());
    for (std::size_t byte = 16; byte < 64; ++byte) {
        std::string damaged = head;
        damaged[byte] = '\xff';
        std::ofstream(path, std::ios::binary) << damaged << std::string(4096, '\x02');
        CHECK(read_elf_functions(path).empty());
    }
}

TEST_CASE("an unwind table of another make is left alone", "[profiler]") {
    const unsigned char version_two[16] = {2, 0x1b, 0x03, 0x3b};
    const unsigned char other_encoding[16] = {1, 0x00, 0x03, 0x3b};
    unsigned char too_many[16] = {1, 0x1b, 0x03, 0x3b};
    std::memset(too_many + 8, 0xff, 4);
    CHECK(read_function_starts(version_two, sizeof version_two).empty());
    CHECK(read_function_starts(other_encoding, sizeof other_encoding).empty());
    CHECK(read_function_starts(too_many, sizeof too_many).empty());
    CHECK(read_function_starts(too_many, 4).empty());
    unsigned char two[28] = {1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0, 2, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 32};
    const auto starts = read_function_starts(two, sizeof two);
    REQUIRE(starts.size() == 2);
    CHECK(starts[0] == reinterpret_cast<std::uint64_t>(two) + 32);
    CHECK(starts[1] == reinterpret_cast<std::uint64_t>(two) + 64);
}
