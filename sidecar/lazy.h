// Something that is made when it is first needed, by whichever thread needs it first. get() makes it, find() does not.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

namespace pillion {

template <class T>
class Lazy {
  public:
    // Before the first use.
    void set(std::function<std::unique_ptr<T>()> make) { make_ = std::move(make); }
    T& get() {
        std::call_once(once_, [this] {
            value_ = make_();
            made_.store(value_.get(), std::memory_order_release);
        });
        return *value_;
    }
    // Null while it was not needed.
    T* find() const { return made_.load(std::memory_order_acquire); }
    // At the end, when nobody asks any more.
    void reset() {
        made_.store(nullptr, std::memory_order_release);
        value_.reset();
    }

  private:
    std::function<std::unique_ptr<T>()> make_;
    std::once_flag once_;
    std::unique_ptr<T> value_;
    std::atomic<T*> made_{nullptr};
};

} // namespace pillion
