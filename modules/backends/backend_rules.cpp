// Built-in rules for MCP: its capability lists hold until the notification of the specification's table voids them
// (https://modelcontextprotocol.io/seps/2549-TTL-for-list-results).
#include "modules/backends/backend_rules.h"

#include "ipc/json_text.h"
#include "modules/backends/backend_json.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::size_t key_bytes_max = 64 * 1024;
constexpr std::string_view tools_call = "tools/call";

struct CapabilityList {
    const char* method;
    const char* changed;
};
constexpr CapabilityList capability_lists[] = {
    {"tools/list", "notifications/tools/list_changed"},
    {"prompts/list", "notifications/prompts/list_changed"},
    {"resources/list", "notifications/resources/list_changed"},
    {"resources/templates/list", "notifications/resources/list_changed"},
};

bool matches_any(const std::vector<std::string>& globs, std::string_view text) {
    return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) { return glob_matches(glob, text); });
}

// What must not tell two equal calls apart: tokens that only name the call.
bool has_call_tokens(std::string_view params) {
    return params.find("workDoneToken") != std::string_view::npos ||
           params.find("partialResultToken") != std::string_view::npos;
}

} // namespace

// Greedy with one step back to the last star: linear in practice, quadratic at worst, never exponential.
bool glob_matches(std::string_view pattern, std::string_view text) {
    std::size_t p = 0, t = 0, star = std::string_view::npos, after_star = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            after_star = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++after_star;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

BackendRules::BackendRules(const BackendSpec& spec) : spec_(spec), shared_(spec.singleFlight) {
    if (spec.kind == BackendKind::lsp)
        for (const char* const glob : {"textDocument/*", "workspace/symbol", "*/resolve", "*Hierarchy/*"})
            shared_.emplace_back(glob);
    if (spec.kind != BackendKind::mcp) return;
    for (const char* const name : {"resources/read", "prompts/get", "completion/complete"}) shared_.emplace_back(name);
    if (spec.cacheLists) { // kept only for as long as the answer itself says
        BackendCacheRule& rule = built_in_.emplace_back();
        rule.methods.emplace_back("resources/read");
        rule.ttlMs = 0;
        rule.invalidatedBy.emplace_back("notifications/resources/updated");
    }
    for (const CapabilityList& list : capability_lists) {
        shared_.emplace_back(list.method);
        if (!spec.cacheLists) continue;
        BackendCacheRule& rule = built_in_.emplace_back();
        rule.methods.emplace_back(list.method);
        rule.tags.emplace_back("lists");
        rule.invalidatedBy.emplace_back(list.changed);
    }
}

const BackendCacheRule* BackendRules::find(std::string_view method, std::string_view params) const {
    for (const BackendCacheRule& rule : spec_.cache) {
        if (!matches_any(rule.methods, method)) continue;
        if (spec_.kind != BackendKind::mcp || method != tools_call) return &rule;
        const auto tool = backend_json::find_text(params, "name");
        if (tool && std::find(rule.tools.begin(), rule.tools.end(), *tool) != rule.tools.end()) return &rule;
    }
    for (const BackendCacheRule& rule : built_in_)
        if (rule.methods.front() == method) return &rule;
    return nullptr;
}

bool BackendRules::is_shared(std::string_view method) const { return matches_any(shared_, method); }

bool BackendRules::is_capability_list(std::string_view method) const {
    return spec_.kind == BackendKind::mcp &&
           std::any_of(std::begin(capability_lists), std::end(capability_lists),
                       [method](const CapabilityList& list) { return method == list.method; });
}

bool BackendRules::make_key(std::string& key, std::string_view method, std::string_view params,
                            const BackendCacheRule* rule) {
    if (params.size() > key_bytes_max) return false;
    key.assign(method).push_back('\n');
    if (rule != nullptr && !rule->keyFields.empty()) {
        for (const std::string& field : rule->keyFields) {
            const auto value = backend_json::find_path(params, field);
            if (!append_canonical(key, value.value_or("null"))) return false;
            key.push_back(value ? '\n' : '-');
        }
        return true;
    }
    if (params.empty()) params = "{}";
    if (!has_call_tokens(params)) return append_canonical(key, params, "_meta");
    return append_canonical(
        key, backend_json::with_members(params, {{"_meta", {}}, {"workDoneToken", {}}, {"partialResultToken", {}}}));
}

bool BackendRules::invalidates(std::string_view notification) const {
    const auto names_it = [notification](const BackendCacheRule& rule) { return is_invalidated(rule, notification); };
    return std::any_of(spec_.cache.begin(), spec_.cache.end(), names_it) ||
           std::any_of(built_in_.begin(), built_in_.end(), names_it);
}

bool BackendRules::is_invalidated(const BackendCacheRule& rule, std::string_view notification) {
    return matches_any(rule.invalidatedBy, notification);
}

} // namespace pillion
