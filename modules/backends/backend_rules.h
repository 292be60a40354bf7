// What a spec says about a call: which of its rules covers it, under which key its answer is kept and its run shared.
// Constant after construction; any thread. The spec must outlive it.
#pragma once

#include "modules/backends/backend_spec.h"

#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// * stands for any characters, ? for one.
bool glob_matches(std::string_view pattern, std::string_view text);

class BackendRules {
  public:
    explicit BackendRules(const BackendSpec& spec);

    // The rule under which this call's answer may be kept; null if it may not.
    const BackendCacheRule* find(std::string_view method, std::string_view params) const;
    // Whether equal calls of this method may share one run although nothing is kept: it only reads.
    bool is_shared(std::string_view method) const;
    // Whether the answer outlives the process: a capability list, which says what the backend can do.
    bool is_capability_list(std::string_view method) const;
    // The key of a call under a rule (or none): method and canonical params, or those of the rule's fields. False if
    // the params have no canonical form or are too long to be worth a key.
    static bool make_key(std::string& key, std::string_view method, std::string_view params,
                         const BackendCacheRule* rule);
    // Whether a notification makes any answers void; and those of this rule.
    bool invalidates(std::string_view notification) const;
    static bool is_invalidated(const BackendCacheRule& rule, std::string_view notification);

  private:
    const BackendSpec& spec_;
    std::vector<BackendCacheRule> built_in_;
    std::vector<std::string> shared_;
};

} // namespace pillion
