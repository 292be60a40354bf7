// Libraries that are opened at first need instead of with the program, so that what nobody uses costs a start nothing
// and may be missing on the machine. Their functions are declared by their own headers and gathered in a struct:
//
//     #define PILLION_ZSTD(X) X(ZSTD_compress) X(ZSTD_isError)
//     struct Zstd { PILLION_ZSTD(PILLION_LIBRARY_MEMBER) };
//
//     Result<const Zstd*> zstd() {
//         static const Result<Zstd> opened = [] -> Result<Zstd> {
//             const auto library = PILLION_TRY(SharedLibrary::open({"libzstd.so.1"}, "libzstd1"));
//             Zstd functions;
//             PILLION_ZSTD(PILLION_LIBRARY_BIND)
//             return functions;
//         }();
//         if (!opened) return std::unexpected(opened.error());
//         return &*opened;
//     }
//
// Any thread. An opened library is never closed: threads of its own may run in it.
#pragma once

#include "ipc/base/error.h"

#include <initializer_list>
#include <string>

namespace pillion {

class SharedLibrary {
  public:
    // Opens the first of these that the system has. Otherwise -32005, which names the first, the loader's reason and
    // the package (Debian's name) that would bring it.
    static Result<SharedLibrary> open(std::initializer_list<const char*> names, std::string package);

    // Points `function` at the symbol; -32005 if the library has none of that name.
    template <class Function>
    Result<void> bind(const char* name, Function*& function) const {
        void* const symbol = PILLION_TRY(find(name));
        function = reinterpret_cast<Function*>(symbol);
        return {};
    }
    Result<void*> find(const char* name) const;

  private:
    void* handle_ = nullptr;
    std::string name_{};
};

} // namespace pillion

// NOLINTNEXTLINE(bugprone-macro-parentheses): names of functions
#define PILLION_LIBRARY_MEMBER(function) decltype(&::function) function = nullptr;
#define PILLION_LIBRARY_BIND(function) PILLION_TRY(library.bind(#function, functions.function));
