// Components in a shared object, by the C interface of pillion_component.h. Opening, making and ending one may block,
// so they run away from the strand.
#include "ipc/base/log.h"
#include "modules/components/component_runners.h"
#include "modules/components/pillion_component.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <dlfcn.h>
#include <filesystem>
#include <mutex>

namespace pillion {

namespace {

constexpr const char* symbol_name = "pillion_component";
constexpr std::size_t size_min = offsetof(pillion_component, memory_bytes);

void write_log(void* context, int level, const char* message) {
    constexpr std::array levels{LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error};
    if (message != nullptr && level >= 0 && level < 4)
        log(levels[static_cast<std::size_t>(level)], *static_cast<const std::string*>(context), message);
}

// Keeps the handle for ever: see pillion_component.h.
Result<const pillion_component*> open_library(const std::string& path) {
    dlerror();
    void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        const char* const why = dlerror();
        return fail(ErrorCode::unavailable,
                    "the library cannot be opened: " + std::string(why != nullptr ? why : path));
    }
    const auto* const found = static_cast<const pillion_component*>(dlsym(handle, symbol_name));
    if (found == nullptr)
        return fail(ErrorCode::failed_precondition, "the library " + path + " has no symbol `" + symbol_name + "`", {},
                    "export a constant of that name, as pillion_component.h shows");
    if (found->abi != PILLION_COMPONENT_ABI)
        return fail(ErrorCode::failed_precondition,
                    "the library " + path + " was made for version " + std::to_string(found->abi) +
                        " of the component interface; this Pillion speaks version " +
                        std::to_string(PILLION_COMPONENT_ABI),
                    {}, "compile it with this Pillion's pillion_component.h");
    if (found->size < size_min || found->create == nullptr || found->destroy == nullptr)
        return fail(ErrorCode::failed_precondition,
                    "the library " + path + ": `" + symbol_name + "` needs its size, create and destroy");
    return found;
}

template <class Function>
Function optional_member(const pillion_component& library, Function pillion_component::*member, std::size_t offset) {
    return library.size >= offset + sizeof(Function) ? library.*member : nullptr;
}

// One instance. Shared by the run and the work under way.
class LibraryRun final : public ComponentRun, public std::enable_shared_from_this<LibraryRun> {
  public:
    LibraryRun(RunnerHost host, const ComponentLaunch& launch)
        : host_(std::move(host)), name_(launch.name), path_(launch.spec.library.value_or("")),
          settings_(launch.spec.settings ? launch.spec.settings->text : "null") {
        if (launch.spec.workingDirectory && std::filesystem::path(path_).is_relative())
            path_ = std::filesystem::path(*launch.spec.workingDirectory) / path_;
        if (path_.find('/') != std::string::npos && host_.state != nullptr)
            data_directory_ = std::filesystem::path(host_.state->path()).parent_path();
    }

    void begin(ComponentEvents events) {
        host_.run_blocking([self = shared_from_this(), events = std::move(events)] {
            const Result<void> created = self->create();
            const std::uint64_t bytes = created ? self->memory_bytes() : 0;
            self->host_.post([self, events, created, bytes] {
                self->is_loading_ = false;
                if (created)
                    events.ready(ComponentReady{.memory_bytes = bytes});
                else
                    events.ready(std::unexpected(created.error()));
                if (self->stopped_) self->destroy(std::move(self->stopped_));
            });
        });
    }
    void stop(std::function<void()> done) override {
        if (is_loading_)
            stopped_ = std::move(done); // create() cannot be stopped in its middle
        else
            destroy(std::move(done));
    }
    std::string last_words() const override { return "its create() has not returned"; }
    void check(std::int64_t, std::function<void(Result<void>)> done) override {
        host_.run_blocking([self = shared_from_this(), done = std::move(done)] { done(self->check_now()); });
    }

  private:
    Result<void> create() {
        const std::lock_guard lock(mutex_);
        library_ = PILLION_TRY(open_library(path_));
        about_ = {.abi = PILLION_COMPONENT_ABI,
                  .size = sizeof about_,
                  .name = name_.c_str(),
                  .data_directory = data_directory_.c_str(),
                  .context = &name_,
                  .log = write_log};
        std::array<char, 512> error{};
        instance_ = library_->create(&about_, settings_.c_str(), error.data(), error.size());
        if (instance_ != nullptr) return {};
        error.back() = '\0';
        return fail(ErrorCode::unavailable, error[0] != '\0' ? std::string("its create() failed: ") + error.data()
                                                             : std::string("its create() failed and did not say why"));
    }
    std::uint64_t memory_bytes() {
        const std::lock_guard lock(mutex_);
        const auto read =
            optional_member(*library_, &pillion_component::memory_bytes, offsetof(pillion_component, memory_bytes));
        return read != nullptr && instance_ != nullptr ? read(instance_) : 0;
    }
    Result<void> check_now() {
        const std::lock_guard lock(mutex_);
        const auto ask = optional_member(*library_, &pillion_component::check, offsetof(pillion_component, check));
        std::array<char, 512> error{};
        if (ask == nullptr || instance_ == nullptr || ask(instance_, error.data(), error.size()) == 0) return {};
        error.back() = '\0';
        return fail(ErrorCode::unavailable, error[0] != '\0' ? error.data() : "it did not say why");
    }
    void destroy(std::function<void()> done) {
        host_.run_blocking([self = shared_from_this(), done = std::move(done)] {
            {
                const std::lock_guard lock(self->mutex_);
                if (self->instance_ != nullptr) self->library_->destroy(std::exchange(self->instance_, nullptr));
            }
            self->host_.post(done);
        });
    }

    const RunnerHost host_;
    std::string name_;
    std::string path_;
    const std::string settings_;
    std::string data_directory_{};
    bool is_loading_ = true; // the strand's
    std::function<void()> stopped_{};
    std::mutex mutex_; // guards what follows, and keeps the calls into the library apart
    const pillion_component* library_ = nullptr;
    pillion_component_host about_{};
    void* instance_ = nullptr;
};

class LibraryRunner final : public ComponentRunner {
  public:
    explicit LibraryRunner(RunnerHost host) : host_(std::move(host)) {}
    Result<std::shared_ptr<ComponentRun>> start(const ComponentLaunch& launch, ComponentEvents events) override {
        auto run = std::make_shared<LibraryRun>(host_, launch);
        run->begin(std::move(events));
        return run;
    }

  private:
    const RunnerHost host_;
};

} // namespace

std::shared_ptr<ComponentRunner> make_library_runner(RunnerHost host) {
    return std::make_shared<LibraryRunner>(std::move(host));
}

} // namespace pillion
