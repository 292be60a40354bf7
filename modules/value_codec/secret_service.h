// The desktop's keyring: passwords by application, through libsecret (opened at the first use). Private to the module.
// Any thread; waits for the user where the keyring is locked.
#pragma once

#include "modules/value_codec/key_source.h"

namespace pillion {

// -32005 where there is no session bus, no library or no service.
Result<std::optional<SecretText>> find_in_keyring(const std::string& app);
Result<void> store_in_keyring(const std::string& app, const SecretText& text);

} // namespace pillion
