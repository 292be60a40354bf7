// The cache's furthest tier: servers that speak HTTP. Fetches with libcurl, says how long an answer may be used (RFC
// 9111) and what it belongs to (cache groups, RFC 9875), asks again with validators; and publishes assets to a content
// delivery network's origin.
//
// Public face of the module: the freshness rules (freshness.h), the client (http_client.h) and the publisher
// (asset_publisher.h).
#pragma once

#include "modules/http_origin/asset_publisher.h" // IWYU pragma: export
#include "modules/http_origin/freshness.h"       // IWYU pragma: export
#include "modules/http_origin/http_client.h"     // IWYU pragma: export
