#include "modules/http_origin/http_origin_rpc.h"

namespace pillion {

std::vector<Method> http_origin_methods(std::function<AssetPublisher&()> publisher) {
    std::vector<Method> methods;
    methods.push_back(async_method<CdnPublishParams, PublishedAsset>(
        "cdn.publish",
        "Sends an asset to the content delivery network's origin under a name that holds a digest of its content.",
        [publisher](const CdnPublishParams& params, Reply<PublishedAsset> reply) {
            if (params.file.has_value() == params.text.has_value())
                return reply(fail(ErrorCode::invalid_params, "give either file or text", "/file"));
            Asset asset{.name = std::string(params.name),
                        .bytes = std::string(params.text.value_or("")),
                        .content_type = std::string(params.contentType.value_or("")),
                        .lifetime = params.lifetime};
            const std::string file(params.file.value_or(""));
            const auto answer = std::make_shared<Reply<PublishedAsset>>(std::move(reply));
            const auto done = [answer](Result<PublishedAsset> published) { (*answer)(std::move(published)); };
            if (file.empty()) return publisher().publish(std::move(asset), done);
            publisher().publish_file(file, std::move(asset), done);
        }));
    methods.push_back(list_method(
        "cdn.list", "What was published, the newest of each name.", Lane::pooled,
        [publisher](const NoParams&) -> Result<std::vector<PublishedAsset>> { return publisher().list(); }));
    return methods;
}

} // namespace pillion
