// One curl_multi handle on one thread; other threads hand requests over under a mutex and wake it
// (curl.se/libcurl/c/libcurl-multi.html).
#include "modules/http_origin/http_client.h"

#include "ipc/base/platform.h"
#include "modules/http_origin/curl_library.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace pillion {

namespace {

Error stopped() { return {ErrorCode::unavailable, "HTTP: Pillion is ending", {}, {}}; }

ErrorCode code_of(CURLcode status) {
    switch (status) {
    case CURLE_URL_MALFORMAT:
        return ErrorCode::invalid_params;
    case CURLE_OPERATION_TIMEDOUT:
        return ErrorCode::timeout;
    case CURLE_OUT_OF_MEMORY:
        return ErrorCode::exhausted;
    default:
        return ErrorCode::unavailable;
    }
}

} // namespace

std::string printable_url(std::string_view url) {
    const std::size_t scheme = url.find("://");
    const std::size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
    const std::size_t path = std::min(url.find_first_of("/?#", host), url.size());
    const std::size_t at = url.substr(0, path).rfind('@');
    std::string out(url.substr(0, host));
    out += url.substr(at == std::string_view::npos || at < host ? host : at + 1);
    out.resize(std::min(out.find_first_of("?#"), out.size()));
    return out.substr(0, 300);
}

struct HttpClient::Engine {
    struct Transfer {
        Ticket ticket = 0;
        HttpRequest request;
        Done done;
        HttpResponse response{};
        const Curl* library = nullptr;
        CURL* easy = nullptr;
        curl_slist* fields = nullptr;
        char reason[CURL_ERROR_SIZE] = {};
        bool is_too_large = false;
        ~Transfer() {
            if (fields != nullptr) library->curl_slist_free_all(fields);
            if (easy != nullptr) library->curl_easy_cleanup(easy);
        }
    };

    Engine(const Clock& its_clock, const HttpOptions& its_options) : clock(its_clock), options(its_options) {}

    const Clock& clock;
    const HttpOptions& options;

    std::mutex mutex; // guards what follows
    const Curl* library = nullptr;
    CURLM* multi = nullptr;
    std::thread thread;
    std::vector<std::unique_ptr<Transfer>> arrived;
    std::vector<Ticket> cancelled;
    std::vector<std::function<void()>> tasks;
    Ticket last_ticket = 0;
    std::size_t count = 0; // arrived and under way
    bool is_stopping = false;

    std::map<CURL*, std::unique_ptr<Transfer>> running; // the thread's

    Result<void> start(); // mutex is held
    void run();
    void begin(std::unique_ptr<Transfer> transfer);
    void set_options(Transfer& transfer) const;
    void collect();
    void finish(std::unique_ptr<Transfer> transfer, Result<void> outcome);
    Result<void> outcome_of(const Transfer& transfer, CURLcode status) const;
    void cancel_running(const std::vector<Ticket>& tickets);

    static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* context);
    static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* context);
};

HttpClient::HttpClient(const Clock& clock, HttpOptions options)
    : clock_(clock), options_(std::move(options)), engine_(std::make_shared<Engine>(clock_, options_)) {}

HttpClient::~HttpClient() { stop(); }

Result<void> HttpClient::Engine::start() {
    if (multi != nullptr) return {};
    library = PILLION_TRY(curl());
    multi = library->curl_multi_init();
    if (multi == nullptr) return fail(ErrorCode::exhausted, "HTTP: not enough memory");
    library->curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(options.connections_max));
    thread = std::thread([this] {
        platform::name_thread("pillion-http");
        run();
    });
    return {};
}

HttpClient::Ticket HttpClient::send(HttpRequest request, Done done) {
    Result<void> started{};
    {
        const std::lock_guard lock(engine_->mutex);
        if (!request.url.starts_with("http://") && !request.url.starts_with("https://"))
            started =
                fail(ErrorCode::invalid_params,
                     "url must begin with http:// or https://, got \"" + printable_url(request.url) + "\"", "/url");
        else if (engine_->is_stopping)
            started = std::unexpected(stopped());
        else if (engine_->count >= options_.requests_max)
            started = fail(ErrorCode::exhausted,
                           "HTTP: " + std::to_string(options_.requests_max) + " requests are under way already");
        else
            started = engine_->start();
        if (started) {
            auto transfer = std::make_unique<Engine::Transfer>();
            transfer->ticket = ++engine_->last_ticket;
            transfer->request = std::move(request);
            transfer->done = std::move(done);
            ++engine_->count;
            engine_->arrived.push_back(std::move(transfer));
            engine_->library->curl_multi_wakeup(engine_->multi);
            return engine_->last_ticket;
        }
    }
    done(std::unexpected(std::move(started).error()));
    return 0;
}

void HttpClient::post(std::function<void()> task) {
    {
        const std::lock_guard lock(engine_->mutex);
        if (!engine_->is_stopping && engine_->start()) {
            engine_->tasks.push_back(std::move(task));
            engine_->library->curl_multi_wakeup(engine_->multi);
            return;
        }
    }
    task(); // what it sends is refused with the reason
}

void HttpClient::cancel(Ticket ticket) {
    const std::lock_guard lock(engine_->mutex);
    if (engine_->multi == nullptr || engine_->is_stopping) return; // curl's handle goes with the thread
    engine_->cancelled.push_back(ticket);
    engine_->library->curl_multi_wakeup(engine_->multi);
}

void HttpClient::stop() {
    {
        const std::lock_guard lock(engine_->mutex);
        engine_->is_stopping = true;
        if (engine_->multi == nullptr) return;
        engine_->library->curl_multi_wakeup(engine_->multi);
    }
    if (engine_->thread.joinable()) engine_->thread.join();
}

void HttpClient::Engine::run() {
    while (true) {
        std::vector<std::unique_ptr<Transfer>> fresh;
        std::vector<Ticket> unwanted;
        std::vector<std::function<void()>> work;
        bool ending = false;
        {
            const std::lock_guard lock(mutex);
            fresh.swap(arrived);
            unwanted.swap(cancelled);
            work.swap(tasks);
            ending = is_stopping;
        }
        if (ending) {
            for (auto& transfer : fresh) finish(std::move(transfer), std::unexpected(stopped()));
            break;
        }
        for (const auto& task : work) task();
        for (auto& transfer : fresh) begin(std::move(transfer));
        cancel_running(unwanted);
        int still_running = 0;
        library->curl_multi_perform(multi, &still_running);
        collect();
        library->curl_multi_poll(multi, nullptr, 0, 60'000, nullptr);
    }
    while (!running.empty()) {
        auto transfer = std::move(running.begin()->second);
        running.erase(running.begin());
        finish(std::move(transfer), std::unexpected(stopped()));
    }
    library->curl_multi_cleanup(multi);
}

void HttpClient::Engine::cancel_running(const std::vector<Ticket>& tickets) {
    for (const Ticket ticket : tickets) {
        const auto found =
            std::ranges::find_if(running, [&](const auto& entry) { return entry.second->ticket == ticket; });
        if (found == running.end()) continue;
        auto transfer = std::move(found->second);
        running.erase(found);
        finish(std::move(transfer), fail(ErrorCode::cancelled, "the request was cancelled"));
    }
}

void HttpClient::Engine::begin(std::unique_ptr<Transfer> transfer) {
    transfer->library = library;
    transfer->easy = library->curl_easy_init();
    transfer->response.asked_ms = clock.wall_ms();
    set_options(*transfer);
    CURL* const easy = transfer->easy;
    running.emplace(easy, std::move(transfer));
    library->curl_multi_add_handle(multi, easy);
}

void HttpClient::Engine::set_options(Transfer& transfer) const {
    const HttpRequest& request = transfer.request;
    const auto set = [&](CURLoption option, auto value) { library->curl_easy_setopt(transfer.easy, option, value); };
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    // A redirect must not take a secure request out into the open.
    set(CURLOPT_REDIR_PROTOCOLS_STR, request.url.starts_with("https:") ? "https" : "http,https");
    set(CURLOPT_FOLLOWLOCATION, request.method == "GET" ? 1L : 0L);
    set(CURLOPT_MAXREDIRS, static_cast<long>(request.redirects_max));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_ERRORBUFFER, transfer.reason);
    set(CURLOPT_USERAGENT, options.user_agent.c_str());
    set(CURLOPT_ACCEPT_ENCODING, ""); // all that curl can undo
    if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());
    if (request.method == "HEAD") {
        set(CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET") {
        set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        set(CURLOPT_POSTFIELDS, request.body.data());
    }
    if (!request.sign_as.empty()) {
        set(CURLOPT_AWS_SIGV4, request.sign_as.c_str());
        set(CURLOPT_USERPWD, request.credentials.c_str());
    }
    bool names_type = false;
    for (const auto& [name, value] : request.headers) {
        names_type = names_type || name == "Content-Type";
        transfer.fields = library->curl_slist_append(transfer.fields, (name + ": " + value).c_str());
    }
    // curl would say that it is a form, and would wait for a 100.
    if (!request.body.empty() && !names_type)
        transfer.fields = library->curl_slist_append(transfer.fields, "Content-Type: application/octet-stream");
    transfer.fields = library->curl_slist_append(transfer.fields, "Expect:");
    set(CURLOPT_HTTPHEADER, transfer.fields);
    set(CURLOPT_WRITEFUNCTION, &Engine::on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(CURLOPT_HEADERFUNCTION, &Engine::on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
}

std::size_t HttpClient::Engine::on_body(char* bytes, std::size_t size, std::size_t count, void* context) {
    Transfer& transfer = *static_cast<Transfer*>(context);
    if (transfer.response.body.size() + size * count > transfer.request.body_bytes_max) {
        transfer.is_too_large = true;
        return 0; // ends the transfer
    }
    transfer.response.body.append(bytes, size * count);
    return size * count;
}

std::size_t HttpClient::Engine::on_header(char* bytes, std::size_t size, std::size_t count, void* context) {
    Transfer& transfer = *static_cast<Transfer*>(context);
    const std::string_view line(bytes, size * count);
    if (line.starts_with("HTTP/")) { // of a redirect's target, or after a 100
        transfer.response.headers.clear();
        transfer.response.body.clear();
    } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
        transfer.response.headers.emplace_back(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
    }
    return size * count;
}

void HttpClient::Engine::collect() {
    int left = 0;
    while (CURLMsg* const message = library->curl_multi_info_read(multi, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        const CURLcode status = message->data.result;
        const auto found = running.find(message->easy_handle);
        auto transfer = std::move(found->second);
        running.erase(found);
        auto outcome = outcome_of(*transfer, status);
        finish(std::move(transfer), std::move(outcome));
    }
}

Result<void> HttpClient::Engine::outcome_of(const Transfer& transfer, CURLcode status) const {
    if (status == CURLE_OK) return {};
    const std::string where = printable_url(transfer.request.url) + ": ";
    if (transfer.is_too_large)
        return fail(ErrorCode::exhausted,
                    where + "the answer is larger than " + std::to_string(transfer.request.body_bytes_max) + " bytes");
    if (status == CURLE_OPERATION_TIMEDOUT)
        return fail(ErrorCode::timeout,
                    where + "no whole answer within " + std::to_string(transfer.request.timeout_ms) + " ms");
    return fail(code_of(status),
                where + (transfer.reason[0] != '\0' ? transfer.reason : library->curl_easy_strerror(status)));
}

void HttpClient::Engine::finish(std::unique_ptr<Transfer> transfer, Result<void> outcome) {
    if (transfer->easy != nullptr) {
        long status = 0;
        library->curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        transfer->response.status = static_cast<int>(status);
        char* url = nullptr;
        library->curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
        if (url != nullptr) transfer->response.url = url;
        library->curl_multi_remove_handle(multi, transfer->easy);
    }
    transfer->response.answered_ms = clock.wall_ms();
    {
        const std::lock_guard lock(mutex);
        --count;
    }
    if (outcome)
        transfer->done(std::move(transfer->response));
    else
        transfer->done(std::unexpected(std::move(outcome).error()));
}

} // namespace pillion
