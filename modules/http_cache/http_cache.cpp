// The cache's own times do the work: fresh_ms becomes the time to live, what stale-while-revalidate and stale-if-error
// allow becomes the grace, groups become tags. Two things it does not know are kept here.
//
// Which fields a URL's answers vary by is known after the first answer. Until then all fields of a request count, so
// that requests which differ share neither an answer nor a wait for one; the answer is then stored under the key that
// counts only what matters. What is known of a URL is stored in the cache beside, for the next start.
//
// And answers whose time is over, or that never had any (no-cache, max-age=0), are of use all the same, since a 304
// saves sending them again. Where the cache may not serve them for a while more, they are kept here.
#include "modules/http_cache/http_cache.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::int64_t known_ttl_ms = 30LL * 86'400'000;

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20)
            out += c == '\n' ? "\\n" : " ";
        else
            out += c;
    }
    return out;
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    return out;
}

std::string url_part(std::string_view url) { return "{\"url\":\"" + escaped(url) + "\""; }

// Whether get() reads this URL by such a key.
bool is_key_of(std::string_view url, const CacheKey& key) {
    const std::string part = url_part(url);
    return key.parts == part + "}" || key.parts.starts_with(part + ",\"vary\":");
}

CacheKey known_key(std::string_view url) { return composite_key("{\"varyOf\":\"" + escaped(url) + "\"}"); }

// Keys are listed and stand in databases, so tokens and cookies show as a digest.
HttpHeaders without_secrets(const HttpHeaders& headers) {
    HttpHeaders shown = headers;
    for (auto& [name, value] : shown)
        if (!lower_case(name).starts_with("accept")) value = composite_key(value).name;
    return shown;
}

ErrorCode code_of(int status) {
    if (status == 404 || status == 410) return ErrorCode::not_found;
    if (status == 401 || status == 403) return ErrorCode::denied;
    return ErrorCode::unavailable;
}

std::vector<std::string> split_names(std::string_view text) {
    std::vector<std::string> names;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        names.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return names;
}

std::string join_names(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
    return text;
}

} // namespace

// Canonical JSON: members in order.
CacheKey http_key(std::string_view url, const std::vector<std::string>& vary, const HttpHeaders& headers) {
    std::vector<std::string> names = vary;
    names.insert(names.end(), {"authorization", "cookie"});
    const auto fields = vary_key(names, without_secrets(headers));
    if (!fields) return http_key(url, headers);
    std::string parts = url_part(url);
    if (!fields->empty()) parts += ",\"vary\":\"" + escaped(*fields) + "\"";
    return composite_key(parts + "}");
}

CacheKey http_key(std::string_view url, const HttpHeaders& headers) {
    std::vector<std::string> names;
    for (const auto& [name, value] : headers) names.push_back(lower_case(name));
    return http_key(url, names, headers);
}

CacheKey HttpCache::key_of(const HttpGet& wanted) {
    const auto known = find_known(wanted.url);
    return known ? http_key(wanted.url, known->vary, wanted.headers) : http_key(wanted.url, wanted.headers);
}

void HttpCache::get(const HttpGet& wanted, std::string params, CacheGet request, CacheReadDone done) {
    request.load = CacheLoad{"http.get", std::move(params)};
    if (wanted.headers.empty() || find_known(wanted.url)) return read(wanted, std::move(request), std::move(done));
    CacheGet known{.space = request.space, .key = known_key(wanted.url)};
    cache_.get(std::move(known), [this, wanted, request = std::move(request),
                                  done = std::move(done)](const Result<CacheRead>& found) mutable {
        if (found && found->value) remember(wanted.url, {.vary = split_names(found->value->bytes), .is_written = true});
        read(wanted, std::move(request), std::move(done));
    });
}

void HttpCache::read(const HttpGet& wanted, CacheGet request, CacheReadDone done) {
    request.key = key_of(wanted);
    if (const auto known = find_known(wanted.url)) request.stale_ok_ms = known->stale_ok_ms;
    cache_.get(std::move(request), std::move(done));
}

void HttpCache::load(const HttpGet& wanted, const CacheLoadRequest& request, CacheLoadDone done) {
    const CacheKey key = key_of(wanted);
    if (key != request.key && is_key_of(wanted.url, request.key)) return load_known(request, key, std::move(done));
    HttpRequest ask{.url = wanted.url, .headers = wanted.headers, .timeout_ms = wanted.timeout_ms};
    KeptPointer kept;
    std::string etag = request.etag, last_modified = request.last_modified;
    if (etag.empty() && last_modified.empty()) {
        kept = find_kept(key.name);
        if (kept) etag = kept->etag, last_modified = kept->last_modified;
    }
    if (!etag.empty()) ask.headers.emplace_back("If-None-Match", etag);
    if (!last_modified.empty()) ask.headers.emplace_back("If-Modified-Since", last_modified);
    client_.send(std::move(ask), [this, wanted, request, kept, done = std::move(done)](Result<HttpResponse> response) {
        if (!response) return done(std::unexpected(std::move(response).error()));
        answered(wanted, request, kept, *response, done);
    });
}

// Since this was asked for, another answer said what matters: it may be there already, or is waited for.
void HttpCache::load_known(const CacheLoadRequest& request, const CacheKey& key, CacheLoadDone done) {
    cache_.get({.space = request.space, .key = key, .load = request.load},
               [done = std::move(done)](const Result<CacheRead>& read) {
                   if (!read) return done(std::unexpected(read.error()));
                   if (!read->value) return done(fail(ErrorCode::not_found, "the origin has no such thing"));
                   done(CacheLoaded{.bytes = read->value->bytes,
                                    .content_type = read->value->meta.content_type,
                                    .ttl_ms = 0,
                                    .etag = read->value->meta.etag});
               });
}

void HttpCache::answered(const HttpGet& wanted, const CacheLoadRequest& request, const KeptPointer& kept,
                         const HttpResponse& response, const CacheLoadDone& done) {
    const bool is_same = response.status == 304;
    if (!is_same && (response.status < 200 || response.status > 299 || response.status == 206))
        return done(
            fail(code_of(response.status), printable_url(wanted.url) + " answered " + std::to_string(response.status)));
    // A 304 has the fields a 200 would have had (RFC 9110, 15.4.5); what it leaves out is as it was.
    const Freshness fresh = judge_freshness(200, response.headers, response.asked_ms, response.answered_ms);
    const std::int64_t grace_ms = std::max(fresh.stale_revalidate_ms, fresh.stale_error_ms);
    CacheLoaded loaded{.content_type =
                           find_header(response.headers, "content-type").value_or("application/octet-stream"),
                       .not_modified = is_same && !kept,
                       // What is never fresh and may be served late is kept as late.
                       .ttl_ms = fresh.may_store ? std::max<std::int64_t>(fresh.fresh_ms, grace_ms > 0 ? 1 : 0) : 0,
                       .grace_ms = grace_ms,
                       .etag = fresh.etag,
                       .last_modified = fresh.last_modified,
                       .tags = fresh.groups};
    if (is_same && kept) {
        loaded.bytes = kept->body;
        loaded.content_type = kept->content_type;
        if (loaded.etag.empty()) loaded.etag = kept->etag;
        if (loaded.last_modified.empty()) loaded.last_modified = kept->last_modified;
        if (loaded.tags.empty()) loaded.tags = kept->tags;
    } else if (!is_same) {
        loaded.bytes = response.body;
    }
    Known known{.vary = fresh.vary,
                .stale_ok_ms = fresh.stale_revalidate_ms,
                .is_written = !wanted.headers.empty() && fresh.may_store};
    if (const auto old = find_known(wanted.url); old && is_same && fresh.vary.empty()) known.vary = old->vary;
    const CacheKey key = http_key(wanted.url, known.vary, wanted.headers);
    const auto put = [&](const CacheKey& under, std::string bytes, std::string content_type, CacheLoaded with) {
        cache_.put({.space = request.space,
                    .key = under,
                    .bytes = std::move(bytes),
                    .content_type = std::move(content_type),
                    .ttl_ms = with.ttl_ms,
                    .grace_ms = with.grace_ms,
                    .tags = with.tags,
                    .etag = with.etag,
                    .last_modified = with.last_modified},
                   [](const Result<CachePutOutcome>&) {});
    };
    if (fresh.may_store && grace_ms == 0 && !loaded.not_modified && !(loaded.etag + loaded.last_modified).empty())
        keep_for_asking(key.name, {.body = loaded.bytes,
                                   .content_type = loaded.content_type,
                                   .etag = loaded.etag,
                                   .last_modified = loaded.last_modified,
                                   .tags = loaded.tags});
    if (key != request.key && is_key_of(wanted.url, request.key)) { // asked before it was known what it varies by
        if (loaded.ttl_ms > 0 && !loaded.not_modified) put(key, loaded.bytes, loaded.content_type, loaded);
        loaded.ttl_ms = 0;
    }
    if (remember(wanted.url, known))
        put(known_key(wanted.url), join_names(known.vary), "text/plain", {.ttl_ms = known_ttl_ms, .grace_ms = 0});
    done(std::move(loaded));
}

std::optional<HttpCache::Known> HttpCache::find_known(const std::string& url) {
    const std::lock_guard lock(mutex_);
    const auto at = known_.find(url);
    if (at == known_.end()) return {};
    return at->second;
}

// Whether it is to be written and is not yet.
bool HttpCache::remember(const std::string& url, Known known) {
    const std::lock_guard lock(mutex_);
    const auto old = known_.find(url);
    const bool was_written = old != known_.end() && old->second.is_written && old->second.vary == known.vary;
    const bool is_new = known.is_written && !was_written;
    if (old == known_.end() && known_.size() >= urls_max) known_.erase(known_.begin());
    known.is_written = known.is_written || was_written;
    known_[url] = std::move(known);
    return is_new;
}

void HttpCache::keep_for_asking(const std::string& id, Kept kept) {
    if (kept.body.size() > validator_bytes_max / 4) return;
    const std::lock_guard lock(mutex_);
    const auto forget = [this](auto at) {
        kept_bytes_ -= at->second->body.size();
        kept_.erase(at);
    };
    if (const auto old = kept_.find(id); old != kept_.end()) forget(old);
    while (!kept_.empty() && (kept_.size() >= validators_max || kept_bytes_ + kept.body.size() > validator_bytes_max))
        forget(std::ranges::min_element(kept_, {}, [](const auto& entry) { return entry.second->used; }));
    kept_bytes_ += kept.body.size();
    kept.used = ++uses_;
    kept_[id] = std::make_shared<Kept>(std::move(kept));
}

HttpCache::KeptPointer HttpCache::find_kept(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto at = kept_.find(id);
    if (at == kept_.end()) return nullptr;
    at->second->used = ++uses_;
    return at->second;
}

} // namespace pillion
