#include "ipc/base/shared_library.h"

#include <dlfcn.h>

namespace pillion {

Result<SharedLibrary> SharedLibrary::open(std::initializer_list<const char*> names, std::string package) {
    std::string reason;
    for (const char* const name : names) {
        SharedLibrary library;
        library.handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        library.name_ = name;
        if (library.handle_ != nullptr) return library;
        if (const char* const said = dlerror(); reason.empty() && said != nullptr) reason = said;
    }
    return fail(ErrorCode::unavailable, std::string("the library ") + *names.begin() + " cannot be opened: " + reason,
                {}, "install the package " + package);
}

Result<void*> SharedLibrary::find(const char* name) const {
    if (void* const symbol = dlsym(handle_, name)) return symbol;
    return fail(ErrorCode::unavailable, "the library " + name_ + " has no function " + name, {},
                "install a newer version of it");
}

} // namespace pillion
