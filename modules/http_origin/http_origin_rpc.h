// How origins look on the wire: `cdn.publish` and `cdn.list`, and the section `cdn`. Constants; any thread.
#pragma once

#include "ipc/method.h"
#include "modules/http_origin/http_origin.h"

#include <functional>
#include <vector>

namespace pillion {

PILLION_ENUM(AssetServer, "webdav", "s3")
PILLION_ENUM(AssetLifetime, "immutable", "generated")

PILLION_WIRE(
    CdnConfig, PILLION_FIELD(server, "What the endpoint speaks.", defaulted),
    PILLION_FIELD(endpoint, "Where assets are sent: https://host/folder. Empty: nowhere.", at_most(2048), defaulted),
    PILLION_FIELD(bucket, "The bucket, where server is s3.", at_most(255), defaulted),
    PILLION_FIELD(region, "The bucket's region.", at_most(64), defaulted),
    PILLION_FIELD(prefix, "Stands before every published name, like app/.", at_most(255), defaulted),
    PILLION_FIELD(publicUrl,
                  "Where browsers find what stands at the endpoint (in the bucket); empty: at the endpoint itself.",
                  at_most(2048), defaulted),
    PILLION_FIELD(credentialsFile,
                  "A file with one line NAME:SECRET, readable by its owner only. Empty: AWS_ACCESS_KEY_ID and "
                  "AWS_SECRET_ACCESS_KEY for s3, none for webdav.",
                  at_most(4096), defaulted),
    PILLION_FIELD(caFile, "Certificates to trust instead of the system's.", at_most(4096), defaulted),
    PILLION_FIELD(timeoutMs, "How long one upload may take, in milliseconds.", between(100, 600'000), defaulted),
    PILLION_FIELD(attempts, "How often an upload is tried where the server fails or does not answer.", between(1, 10),
                  defaulted))

struct CdnPublishParams {
    std::string_view name;
    std::optional<std::string_view> file;
    std::optional<std::string_view> text;
    std::optional<std::string_view> contentType;
    AssetLifetime lifetime = AssetLifetime::immutable;
};
PILLION_WIRE(CdnPublishParams,
             PILLION_FIELD(name, "The asset's path within the app, like assets/app.js.", between(1, 512)),
             PILLION_FIELD(file, "Path of the file to publish; this or `text`.", at_most(4096)),
             PILLION_FIELD(text, "The content itself, where it is text."),
             PILLION_FIELD(contentType, "Its media type; by the name's ending if left out.", at_most(255)),
             PILLION_FIELD(lifetime,
                           "`immutable` for the app's own files: caches keep them a year; `generated` for what is made "
                           "at run time: 30 days.",
                           defaulted))

PILLION_WIRE(PublishedAsset, PILLION_FIELD(name, "The asset's path within the app.", sortable),
             PILLION_FIELD(publishedName, "Its name at the server, which holds a digest of the content."),
             PILLION_FIELD(url, "Where to load it from."),
             PILLION_FIELD(digest, "SHA-256 of the content, hexadecimal."), PILLION_FIELD(bytes, "Its size.", sortable),
             PILLION_FIELD(contentType, "Its media type."),
             PILLION_FIELD(cacheControl, "The Cache-Control field it was published with."),
             PILLION_FIELD(publishedAt, "When this content became the newest, in milliseconds since the Unix epoch.",
                           sortable),
             PILLION_FIELD(wasThere, "Whether this content was there already, so that nothing had to be sent."))

// `publisher` gives the publisher, made at the first use; it outlives the methods.
std::vector<Method> http_origin_methods(std::function<AssetPublisher&()> publisher);

} // namespace pillion
