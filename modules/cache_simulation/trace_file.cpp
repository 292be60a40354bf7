// Files are read whole into memory a piece at a time, and every line becomes a hash at once, so that a trace takes 16
// bytes a request however long its keys are. zlib's gzip reader is used for what begins as gzip does.
#include "ipc/base/shared_library.h"
#include "modules/cache_simulation/cache_simulation.h"
#include "modules/memory_store/memory_store.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_map>
#include <zlib.h>

namespace pillion {

namespace {

#define PILLION_ZLIB(X) X(gzdopen) X(gzread) X(gzclose) X(gzerror)
struct Zlib {
    PILLION_ZLIB(PILLION_LIBRARY_MEMBER)
};

Result<const Zlib*> zlib() {
    static const Result<Zlib> opened = []() -> Result<Zlib> {
        const auto library = PILLION_TRY(SharedLibrary::open({"libz.so.1"}, "zlib1g"));
        Zlib functions;
        PILLION_ZLIB(PILLION_LIBRARY_BIND)
        return functions;
    }();
    if (!opened) return std::unexpected(opened.error());
    return &*opened;
}

std::unexpected<Error> bad_line(std::uint64_t line, const std::string& what, std::string hint) {
    return fail(ErrorCode::invalid_params, "line " + std::to_string(line) + " of the trace " + what, {},
                std::move(hint));
}

std::string quoted(std::string_view text) {
    constexpr std::size_t shown = 40;
    return '"' + std::string(text.substr(0, shown)) + (text.size() > shown ? "..." : "") + '"';
}

// Takes a trace in pieces.
class TraceReader {
  public:
    explicit TraceReader(TraceLines lines) : lines_(lines) {}

    Result<void> take(std::string_view text) {
        while (!text.empty()) {
            const std::size_t end = text.find('\n');
            if (end == std::string_view::npos) {
                rest_ += text;
                return rest_.size() <= trace_key_bytes_max + size_bytes_max ? Result<void>{} : too_long();
            }
            if (rest_.empty()) {
                PILLION_TRY(take_line(text.substr(0, end)));
            } else {
                rest_ += text.substr(0, end);
                const std::string line = std::exchange(rest_, {});
                PILLION_TRY(take_line(line));
            }
            text.remove_prefix(end + 1);
        }
        return {};
    }

    Result<Trace> finish() {
        if (!rest_.empty()) PILLION_TRY(take_line(std::exchange(rest_, {})));
        if (trace_.requests.empty()) {
            return fail(ErrorCode::invalid_params, "the trace has no requests", {},
                        "write one key a line, or a key and a size in bytes");
        }
        trace_.hasSizes = has_sizes_.value_or(false);
        trace_.distinctKeys = weights_.size();
        for (const auto& [key, weight] : weights_) trace_.distinctBytes += weight;
        return std::move(trace_);
    }

  private:
    static constexpr std::size_t size_bytes_max = 32;

    std::unexpected<Error> too_long() const {
        return bad_line(line_ + 1, "is longer than a key may be, " + std::to_string(trace_key_bytes_max) + " bytes",
                        "write one request a line");
    }

    Result<void> take_line(std::string_view line) {
        const auto is_blank = [](char character) { return character == ' ' || character == '\t' || character == '\r'; };
        while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
        while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
        if (line.size() > trace_key_bytes_max + size_bytes_max) return too_long();
        ++line_;
        if (line.empty()) return {};
        if (line.find('\0') != std::string_view::npos) {
            return bad_line(line_, "holds a NUL byte; it is no text", "write one key a line, or a key and a size");
        }
        const std::size_t key_end = lines_ == TraceLines::keys             ? std::string_view::npos
                                    : lines_ == TraceLines::keys_and_sizes ? line.find_last_of(" \t")
                                                                           : line.find_first_of(" \t");
        std::string_view key = line.substr(0, key_end);
        while (!key.empty() && is_blank(key.back())) key.remove_suffix(1);
        if (key.size() > trace_key_bytes_max) {
            --line_;
            return too_long();
        }
        const bool has_size = key_end != std::string_view::npos;
        if (lines_ == TraceLines::keys_and_sizes && !has_size)
            return bad_line(line_, "has no size", "write a key and a size in bytes on every line");
        if (!has_sizes_) has_sizes_ = has_size;
        if (*has_sizes_ != has_size) {
            return bad_line(line_, has_size ? "has a size and the first has none" : "has no size and the first has one",
                            "give every line a size, or none");
        }
        std::uint32_t weight = 1;
        if (has_size) weight = PILLION_TRY(size_of(line.substr(line.find_first_not_of(" \t", key_end))));
        return add(MemoryStore::hash_of(key), weight);
    }

    Result<std::uint32_t> size_of(std::string_view text) const {
        std::uint32_t size = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
        if (error != std::errc{} || end != text.data() + text.size()) {
            return bad_line(line_, "has the size " + quoted(text),
                            "a size is a whole number of bytes up to " + std::to_string(UINT32_MAX));
        }
        // Below this the store's own policies could not tell sizes apart.
        return std::max(size, static_cast<std::uint32_t>(MemoryStore::simulated_weight_min));
    }

    Result<void> add(std::uint64_t key, std::uint32_t weight) {
        if (trace_.requests.size() >= trace_requests_max) {
            return bad_line(line_, "is one request more than fit, " + std::to_string(trace_requests_max),
                            "take a part of the trace");
        }
        trace_.requests.push_back({.key = key, .weight = weight});
        weights_[key] = weight;
        return {};
    }

    const TraceLines lines_;
    Trace trace_;
    std::unordered_map<std::uint64_t, std::uint32_t> weights_;
    std::optional<bool> has_sizes_;
    std::string rest_;
    std::uint64_t line_ = 0;
};

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

Result<void> read_plain(std::FILE* file, TraceReader& reader) {
    std::array<char, 64 * 1024> piece;
    for (std::size_t got = 0; (got = std::fread(piece.data(), 1, piece.size(), file)) > 0;) {
        PILLION_TRY(reader.take({piece.data(), got}));
    }
    if (std::ferror(file) != 0) {
        return fail(ErrorCode::unavailable, std::string("the trace cannot be read: ") + std::strerror(errno));
    }
    return {};
}

Result<void> read_gzip(std::FILE* file, TraceReader& reader) {
    const Zlib& library = *PILLION_TRY(zlib());
    // gzclose closes what it was given. The position is shared, so that it reads from the start again.
    const int descriptor = dup(fileno(file));
    lseek(descriptor, 0, SEEK_SET);
    const auto close = [&library](gzFile stream) { library.gzclose(stream); };
    const std::unique_ptr<gzFile_s, decltype(close)> stream(library.gzdopen(descriptor, "rb"), close);
    if (!stream) return fail(ErrorCode::exhausted, "no memory to decompress the trace");
    std::array<char, 64 * 1024> piece;
    int got = 0;
    while ((got = library.gzread(stream.get(), piece.data(), piece.size())) > 0) {
        PILLION_TRY(reader.take({piece.data(), static_cast<std::size_t>(got)}));
    }
    int error = 0;
    const char* const said = library.gzerror(stream.get(), &error);
    if (got < 0 || error == Z_BUF_ERROR) {
        return fail(ErrorCode::invalid_params, std::string("the trace is damaged gzip: ") + said, {},
                    "compress it again, or give it as plain text");
    }
    return {};
}

} // namespace

Result<Trace> read_trace(const std::string& path, TraceLines lines) {
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
    if (!file) {
        return fail(errno == EACCES ? ErrorCode::denied : ErrorCode::not_found,
                    "the trace " + quoted(path) + " cannot be opened: " + std::strerror(errno));
    }
    struct stat status {};
    if (fstat(fileno(file.get()), &status) == 0 && S_ISDIR(status.st_mode)) {
        return fail(ErrorCode::invalid_params, "the trace " + quoted(path) + " is a directory; a file is needed");
    }
    TraceReader reader(lines);
    std::array<unsigned char, 2> magic{};
    const bool is_gzip =
        std::fread(magic.data(), 1, magic.size(), file.get()) == magic.size() && magic[0] == 0x1F && magic[1] == 0x8B;
    std::rewind(file.get());
    PILLION_TRY(is_gzip ? read_gzip(file.get(), reader) : read_plain(file.get(), reader));
    return reader.finish();
}

Result<Trace> parse_trace(std::string_view text, TraceLines lines) {
    TraceReader reader(lines);
    PILLION_TRY(reader.take(text));
    return reader.finish();
}

} // namespace pillion
