// The cache's own times do the work: fresh_ms becomes the time to live, what stale-while-revalidate and stale-if-error
// allow becomes the grace, groups become tags. Two things it does not know are kept here. Which fields a URL's answers
// vary by is known after the first answer: that one is stored under its full key beside. And answers that are never
// fresh (no-cache, max-age=0) are of use all the same, since a 304 saves sending them again.
#include "modules/http_cache/http_cache.h"

namespace pillion {

namespace {

std::string id_of(std::string_view url, std::string_view vary) {
    std::string id(url);
    id += '\n';
    id += vary;
    return id;
}

void append_escaped(std::string& out, std::string_view text) {
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20)
            out += c == '\n' ? "\\n" : " ";
        else
            out += c;
    }
}

ErrorCode code_of(int status) {
    if (status == 404 || status == 410) return ErrorCode::not_found;
    if (status == 401 || status == 403) return ErrorCode::denied;
    return ErrorCode::unavailable;
}

} // namespace

// Canonical JSON: members in order.
CacheKey http_key(std::string_view url, std::string_view vary) {
    std::string parts = "{\"url\":\"";
    append_escaped(parts, url);
    if (!vary.empty()) {
        parts += "\",\"vary\":\"";
        append_escaped(parts, vary);
    }
    return composite_key(parts + "\"}");
}

std::string HttpCache::vary_of(const HttpGet& wanted) {
    const std::lock_guard lock(mutex_);
    const auto known = vary_.find(wanted.url);
    return known == vary_.end() ? std::string() : vary_key(known->second, wanted.headers).value_or("");
}

void HttpCache::get(const HttpGet& wanted, std::string params, CacheGet request, CacheReadDone done) {
    request.key = http_key(wanted.url, vary_of(wanted));
    request.load = CacheLoad{"http.get", std::move(params)};
    cache_.get(std::move(request), std::move(done));
}

void HttpCache::load(const HttpGet& wanted, const CacheLoadRequest& request, CacheLoadDone done) {
    HttpRequest ask{.url = wanted.url, .headers = wanted.headers, .timeout_ms = wanted.timeout_ms};
    KeptPointer kept;
    std::string etag = request.etag, last_modified = request.last_modified;
    if (etag.empty() && last_modified.empty()) {
        kept = find_kept(id_of(wanted.url, vary_of(wanted)));
        if (kept) etag = kept->etag, last_modified = kept->last_modified;
    }
    if (!etag.empty()) ask.headers.emplace_back("If-None-Match", etag);
    if (!last_modified.empty()) ask.headers.emplace_back("If-Modified-Since", last_modified);
    client_.send(std::move(ask), [this, wanted, request, kept, done = std::move(done)](Result<HttpResponse> response) {
        if (!response) return done(std::unexpected(std::move(response).error()));
        answered(wanted, request, kept, *response, done);
    });
}

void HttpCache::answered(const HttpGet& wanted, const CacheLoadRequest& request, const KeptPointer& kept,
                         const HttpResponse& response, const CacheLoadDone& done) {
    const bool is_same = response.status == 304;
    if (!is_same && (response.status < 200 || response.status > 299 || response.status == 206))
        return done(
            fail(code_of(response.status), printable_url(wanted.url) + " answered " + std::to_string(response.status)));
    // A 304 has the fields a 200 would have had (RFC 9110, 15.4.5).
    const Freshness fresh = judge_freshness(200, response.headers, response.asked_ms, response.answered_ms);
    CacheLoaded loaded{.content_type =
                           find_header(response.headers, "content-type").value_or("application/octet-stream"),
                       .not_modified = is_same && !kept,
                       .ttl_ms = fresh.may_store ? fresh.fresh_ms : 0,
                       .grace_ms = std::max(fresh.stale_revalidate_ms, fresh.stale_error_ms),
                       .etag = fresh.etag,
                       .last_modified = fresh.last_modified,
                       .tags = fresh.groups};
    if (is_same && kept) {
        loaded.bytes = kept->body;
        loaded.content_type = kept->content_type;
    } else {
        loaded.bytes = response.body;
    }
    const std::string vary = vary_key(fresh.vary, wanted.headers).value_or("");
    if (!fresh.vary.empty()) {
        const std::lock_guard lock(mutex_);
        if (vary_.size() >= urls_max) vary_.erase(vary_.begin());
        vary_[wanted.url] = fresh.vary;
    }
    if (fresh.may_store && fresh.fresh_ms == 0 && fresh.has_validator() && !loaded.not_modified)
        keep_for_asking(id_of(wanted.url, vary), {loaded.bytes, loaded.content_type, fresh.etag, fresh.last_modified});
    const CacheKey key = http_key(wanted.url, vary);
    if (key != request.key) { // asked for before it was known what it varies by
        if (loaded.ttl_ms > 0)
            cache_.put({.space = request.space,
                        .key = key,
                        .bytes = loaded.bytes,
                        .content_type = loaded.content_type,
                        .ttl_ms = loaded.ttl_ms,
                        .grace_ms = loaded.grace_ms,
                        .tags = loaded.tags,
                        .etag = loaded.etag,
                        .last_modified = loaded.last_modified},
                       [](const Result<CachePutOutcome>&) {});
        loaded.ttl_ms = 0;
    }
    done(std::move(loaded));
}

void HttpCache::keep_for_asking(const std::string& id, Kept kept) {
    if (kept.body.size() > validator_bytes_max / 4) return;
    const std::lock_guard lock(mutex_);
    if (const auto old = kept_.find(id); old != kept_.end()) {
        kept_bytes_ -= old->second->body.size();
        kept_.erase(old);
    }
    while (!kept_.empty() && (kept_.size() >= validators_max || kept_bytes_ + kept.body.size() > validator_bytes_max)) {
        kept_bytes_ -= kept_.begin()->second->body.size();
        kept_.erase(kept_.begin());
    }
    kept_bytes_ += kept.body.size();
    kept_[id] = std::make_shared<const Kept>(std::move(kept));
}

HttpCache::KeptPointer HttpCache::find_kept(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto at = kept_.find(id);
    return at == kept_.end() ? nullptr : at->second;
}

} // namespace pillion
