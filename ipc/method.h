// A method, declared once: from this one value come its dispatch, decoding, validation and encoding, the OpenRPC
// document, the TypeScript types and the reference page.
//
//     std::vector<Method> delay_methods(Io& io) {
//         return {
//             method("rpc.ping", "Answers at once.", Lane::direct, [](const NoParams&) -> Result<PingResult> { ... }),
//             list_method("components.list", "All components.", Lane::direct, [&](const Filter&) ->
//             Result<std::vector<Component>> { ... }), async_method<DelayParams, DelayResult>("rpc.delay", "...",
//             [&](const DelayParams&, Reply<DelayResult>) { ... }),
//         };
//     }
//
// A handler takes its params, and after them a `Call&` if it wants to report progress or see that it was cancelled.
#pragma once

#include "ipc/base/metric.h"
#include "ipc/call.h"
#include "ipc/wire_decode.h"
#include "ipc/wire_encode.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace pillion {

enum class Lane : std::uint8_t {
    direct, // on the reader thread: never blocks and takes under about 20 us
    pooled, // on a worker
    async,  // starts on the reader thread without blocking, answers later from any thread
    hybrid, // as direct when it has the answer at hand, otherwise as async
};

// What a deterministic method's answers are worth keeping for.
struct Cacheable {
    std::int64_t ttl_ms = 0;                        // 0: not cached at all
    std::vector<std::string_view> invalidated_by{}; // events that make all its cached answers void
};

struct MethodStats {
    Histogram latency_ns;
    std::atomic<std::uint64_t> errors{0};
    std::atomic<std::uint64_t> cache_hits{0};
    std::atomic<std::uint64_t> cache_misses{0};
    std::atomic<std::uint64_t> coalesced{0}; // answered by a run that another request had started
};

struct Method {
    std::string_view name;
    std::string_view summary;
    Lane lane = Lane::direct;
    const wire::Type* params = nullptr; // null: free-form, passed on as they came
    const wire::Type* result = nullptr; // null: free-form
    bool is_list = false;               // `result` is then the item
    Cacheable cacheable{};
    // direct and pooled: appends the result to `out`.
    std::function<Result<void>(Call&, Buffer& out)> run{};
    // hybrid: as run, or false if the answer is not at hand; then start() is called.
    std::function<Result<bool>(Call&, Buffer& out)> attempt{};
    // async and hybrid: keeps the call and answers it later.
    std::function<void(CallPtr)> start{};
    std::vector<std::string_view> aliases{};
    std::shared_ptr<MethodStats> stats = std::make_shared<MethodStats>();

    // Declares the method deterministic: equal params give equal answers until the time or one of the events passes.
    Method&& cached(std::int64_t ttl_ms, std::vector<std::string_view> invalidated_by = {}) && {
        cacheable = {ttl_ms, std::move(invalidated_by)};
        return std::move(*this);
    }
    // Another name for the same method, same params, same results.
    Method&& alias(std::string_view other) && {
        aliases.push_back(other);
        return std::move(*this);
    }
};

// The promise of an answer: exactly one. A reply that is dropped answers -32603 and logs which method forgot it.
template <class T>
class Reply {
  public:
    explicit Reply(CallPtr call) : call_(std::move(call)) {}
    Reply(Reply&&) noexcept = default;
    Reply& operator=(Reply&&) noexcept = default;
    ~Reply() {
        if (call_) call_->answer_dropped();
    }
    void operator()(Result<T> result) {
        const CallPtr call = std::move(call_);
        if (!result) return call->answer(std::move(result).error());
        Buffer json(call->pool());
        wire::encode(*result, json);
        call->answer(json.view());
    }
    Call& call() { return *call_; }

  private:
    CallPtr call_;
};

namespace detail {

template <class Function>
struct HandlerTraits : HandlerTraits<decltype(&Function::operator())> {};
template <class Class, class R, class P, class... Rest>
struct HandlerTraits<Result<R> (Class::*)(const P&, Rest...) const> {
    using Params = P;
    using Value = R;
    static constexpr bool wants_call = sizeof...(Rest) == 1;
};

// Calls a handler with decoded params.
template <class Handler>
auto invoke(const Handler& handler, Call& call) -> Result<typename HandlerTraits<Handler>::Value> {
    using Traits = HandlerTraits<Handler>;
    typename Traits::Params params{};
    PILLION_TRY(wire::decode_params(call.params(), params, call.scratch()));
    if constexpr (Traits::wants_call)
        return handler(params, call);
    else
        return handler(params);
}

} // namespace detail

template <class Handler>
Method method(std::string_view name, std::string_view summary, Lane lane, Handler handler) {
    using Traits = detail::HandlerTraits<Handler>;
    return {.name = name,
            .summary = summary,
            .lane = lane,
            .params = &wire::type_of<typename Traits::Params>,
            .result = &wire::type_of<typename Traits::Value>,
            .run = [handler = std::move(handler)](Call& call, Buffer& out) -> Result<void> {
                const auto value = PILLION_TRY(detail::invoke(handler, call));
                wire::encode(value, out);
                return {};
            }};
}

// Sorts, cuts out the page that the request's `_meta` asks for and encodes it: {"items":[...],"page":{...}}.
Result<void> encode_page(const wire::Type& list, void* items, const RequestMeta& meta, Buffer& out);

// A method that lists: the handler gives all items (a std::vector) in their natural order, the pipeline sorts and
// pages.
template <class Handler>
Method list_method(std::string_view name, std::string_view summary, Lane lane, Handler handler) {
    using Traits = detail::HandlerTraits<Handler>;
    using Items = typename Traits::Value;
    return {.name = name,
            .summary = summary,
            .lane = lane,
            .params = &wire::type_of<typename Traits::Params>,
            .result = &wire::type_of<typename Items::value_type>,
            .is_list = true,
            .run = [handler = std::move(handler)](Call& call, Buffer& out) -> Result<void> {
                Items items = PILLION_TRY(detail::invoke(handler, call));
                return encode_page(wire::type_of<Items>, &items, call.meta(), out);
            }};
}

// A method whose answer comes later. The handler must not block; params are valid until the reply is used.
template <class Params, class Value, class Handler>
Method async_method(std::string_view name, std::string_view summary, Handler handler) {
    return {.name = name,
            .summary = summary,
            .lane = Lane::async,
            .params = &wire::type_of<Params>,
            .result = &wire::type_of<Value>,
            .start = [handler = std::move(handler)](CallPtr call) {
                Params params{};
                if (auto decoded = wire::decode_params(call->params(), params, call->scratch()); !decoded)
                    return call->answer(std::move(decoded).error());
                handler(params, Reply<Value>(std::move(call)));
            }};
}

// A method that mostly has its answer at hand, as a cache does. `attempt(const Params&, Call&, Buffer& out)` runs on
// the reader thread as a direct handler does: it encodes the result into `out` (wire::encode) and gives true, or gives
// false and has done nothing. Then `start` gets the request as that of an async method.
template <class Params, class Value, class Attempt, class Start>
Method hybrid_method(std::string_view name, std::string_view summary, Attempt attempt, Start start) {
    Method method = async_method<Params, Value>(name, summary, std::move(start));
    method.lane = Lane::hybrid;
    method.attempt = [attempt = std::move(attempt)](Call& call, Buffer& out) -> Result<bool> {
        Params params{};
        PILLION_TRY(wire::decode_params(call.params(), params, call.scratch()));
        return attempt(params, call, out);
    };
    return method;
}

// All methods of a program by name, aliases included. Composed at start, unchanged afterwards: any thread. Declaring a
// method costs some microseconds and touches its module's code, so most are declared when a name is first asked for
// that is not among those declared at once.
class MethodTable {
  public:
    void add(std::vector<Method> methods);
    // The same when they are needed. At composition; `declare` is called at most once, on any thread.
    void add_later(std::function<std::vector<Method>()> declare) { later_.push_back(std::move(declare)); }
    // Null if there is no such method.
    const Method* find(std::string_view name) const;
    // Serves the names that no method has and that `takes` accepts (as sent, escapes included); Call::name() tells
    // which it was. At composition.
    void set_fallback(std::function<Method()> declare, std::function<bool(std::string_view name)> takes);
    // As find(), then the fallback.
    const Method* resolve(std::string_view name) const {
        const Method* const found = find(name);
        return found == nullptr && takes_ && takes_(name) ? fallback_.get() : found;
    }
    // The nearest existing name; empty if none is near.
    std::string_view nearest(std::string_view name) const;
    // In the order they were declared.
    const std::vector<std::unique_ptr<Method>>& all() const;
    // Names and aliases together.
    std::size_t names() const;

  private:
    // Names of methods: open addressing, a power of two, at most half full.
    class Index {
      public:
        explicit Index(std::size_t slots) : slots_(slots) {}
        void insert(std::string_view name, const Method& method);
        const Method* find(std::string_view name, std::uint64_t hash) const;
        void consider_all(class NearestName& nearest) const;
        std::size_t count() const { return count_; }

      private:
        struct Slot {
            std::string_view name;
            const Method* method = nullptr;
        };
        std::vector<Slot> slots_;
        std::size_t count_ = 0;
    };
    void keep(std::vector<Method> methods, Index& index) const;
    void declare_later_ones() const;

    Index at_once_{128};
    std::vector<std::function<std::vector<Method>()>> later_;
    std::function<Method()> declare_fallback_;
    std::function<bool(std::string_view)> takes_;

    mutable std::once_flag declared_; // guards the making of what follows
    mutable std::atomic<bool> is_complete_{false};
    mutable Index later_index_{0};
    mutable std::vector<std::unique_ptr<Method>> methods_;
    mutable std::unique_ptr<Method> fallback_;
};

} // namespace pillion
