#include "ipc/framing.h"
#include "tests/support/framer_feed.h"

#include <catch2/catch.hpp>
#include <random>

using namespace pillion;
using Frames = std::vector<std::string>;

namespace {

Frames frames_of(std::string_view stream, Framing framing, std::size_t limit, std::size_t chunk) {
    BufferPool pool;
    Framer framer(pool, framing, limit);
    return test::feed(framer, stream, [chunk](std::size_t) { return chunk; });
}

// The frames of a stream, which must be the same however it is cut into reads.
Frames frames(std::string_view stream, Framing framing = Framing::automatic, std::size_t limit = 1000) {
    const Frames whole = frames_of(stream, framing, limit, stream.size());
    for (const std::size_t chunk : {1, 2, 3, 5, 7, 16}) {
        INFO("in reads of " << chunk);
        CHECK(frames_of(stream, framing, limit, chunk) == whole);
    }
    return whole;
}

std::string block(std::string_view body) {
    return "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string line_over(std::size_t limit) {
    return "fault -32600 the message is larger than the limit of " + std::to_string(limit) +
           " bytes (ipc.messageBytesMax)";
}

} // namespace

TEST_CASE("each line is a message", "[framing]") {
    CHECK(frames("{\"a\":1}\n[2]\n") == Frames{"text {\"a\":1}", "text [2]"});
    CHECK(frames("{}\r\n[]\r\n") == Frames{"text {}", "text []"});
    CHECK(frames("{}\r\n[]\n{}\r\n") == Frames{"text {}", "text []", "text {}"});
}

TEST_CASE("blank lines, white space around a line and a byte order mark are passed over", "[framing]") {
    CHECK(frames("\n\n{}\n\r\n \t\n[]\n\n") == Frames{"text {}", "text []"});
    CHECK(frames("  {}\t \n\t[] \r\n") == Frames{"text {}", "text []"});
    CHECK(frames("\xEF\xBB\xBF{}\n[]\n") == Frames{"text {}", "text []"});
    CHECK(frames("\r\n \xEF\xBB\xBF\n {}\n") == Frames{"text {}"});
    CHECK(frames("").empty());
    CHECK(frames("\n").empty());
    CHECK(frames("\xEF\xBB\xBF").empty());
    CHECK(frames("\xEF\xBB\xBF\r\n").empty());
}

TEST_CASE("a byte order mark in the middle of a line is the message's own fault", "[framing]") {
    CHECK(frames("{}\n\xEF\xBB\xBF{}\n") == Frames{"text {}", "text \xEF\xBB\xBF{}"});
}

TEST_CASE("a last line without its newline is a message too", "[framing]") {
    CHECK(frames("{}\n[1]") == Frames{"text {}", "end: text [1]"});
    CHECK(frames("{\"a\":") == Frames{"end: text {\"a\":"});
    CHECK(frames("{}\n  ") == Frames{"text {}"});
}

TEST_CASE("what is no JSON is a line all the same", "[framing]") {
    CHECK(frames("hello\n\xFF\xFE\n") == Frames{"text hello", "text \xFF\xFE"});
}

TEST_CASE("header blocks frame messages of any content", "[framing]") {
    CHECK(frames(block("{}") + block("[1,\n2]") + block("{\"a\":\"\r\n\r\n\"}")) ==
          Frames{"text {}", "text [1,\n2]", "text {\"a\":\"\r\n\r\n\"}"});
    CHECK(frames("content-length:2\r\n\r\n{}") == Frames{"text {}"});
    CHECK(frames("CONTENT-LENGTH \t:\t 2 \r\n\r\n{}") == Frames{"text {}"});
    CHECK(frames("Content-Length: 2\n\n{}Content-Length: 2\r\n\r\n[]") == Frames{"text {}", "text []"});
}

TEST_CASE("other headers are passed over in any order", "[framing]") {
    CHECK(frames("Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}") ==
          Frames{"text {}"});
    CHECK(frames("Content-Length: 2\r\nContent-Type: x\r\nX-Anything:\r\n\r\n{}") == Frames{"text {}"});
    CHECK(frames("\xEF\xBB\xBF\r\nContent-Length: 2\r\n\r\n{}\r\n\r\nContent-Length: 2\r\n\r\n[]") ==
          Frames{"text {}", "text []"});
}

TEST_CASE("a body of nothing is an empty message", "[framing]") {
    CHECK(frames(block("") + block("{}")) == Frames{"text ", "text {}"});
    CHECK(frames(block("  \n") + block("{}")) == Frames{"text ", "text {}"});
}

TEST_CASE("Content-Length may stand twice only with one value", "[framing]") {
    CHECK(frames("Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}") == Frames{"text {}"});
    CHECK(frames("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ") ==
          Frames{"fatal -32700 Content-Length stands twice with different values"});
}

TEST_CASE("a header block that cannot be followed ends the connection", "[framing]") {
    const auto fatal = [](std::string_view header) {
        return frames(std::string(header) + "\r\n\r\n{}", Framing::headers);
    };
    for (const std::string_view value : {"", "x", "-1", "+2", "2.0", "0x2", "2 3", "2,2", "99999999999999999999999"})
        CHECK(fatal("Content-Length: " + std::string(value)) ==
              Frames{"fatal -32700 Content-Length must be a number of bytes"});
    CHECK(fatal("Content-Type: x") == Frames{"fatal -32700 the header block has no Content-Length"});
    CHECK(fatal("Content Length 2") == Frames{"fatal -32700 a header line has no colon"});
    CHECK(fatal("Content-Length: 2\r\nnonsense") == Frames{"fatal -32700 a header line has no colon"});
}

TEST_CASE("a wrong Content-Length is found out at the next block", "[framing]") {
    CHECK(frames("Content-Length: 1\r\n\r\n{}" + block("[]")) ==
          Frames{"text {", "fatal -32700 the header block has no Content-Length"});
    CHECK(frames("Content-Length: 1\r\n\r\n{}\r\n\r\n") == Frames{"text {", "fatal -32700 a header line has no colon"});
}

TEST_CASE("after a fatal fault nothing more is read", "[framing]") {
    BufferPool pool;
    Framer framer(pool, Framing::headers);
    test::feed(framer, "Content-Length: x\r\n\r\n" + block("{}"), [](std::size_t) { return std::size_t{100}; });
    CHECK_FALSE(framer.next());
    CHECK_FALSE(framer.finish());
}

// The end of the block was looked for in all that had been read, so that a block over the limit was refused or taken
// depending on how the stream was cut, and every pipelined message was searched to the end of the buffer.
TEST_CASE("a header block is taken up to its limit and refused over it, however it is cut", "[framing]") {
    const auto padded = [](std::size_t bytes) {
        const std::string head = "Content-Length: 2\r\nX: ";
        return head + std::string(bytes - head.size(), 'x') + "\r\n\r\n{}";
    };
    CHECK(frames(padded(4000)) == Frames{"text {}"});
    CHECK(frames(padded(limits::header_block_bytes - 4)) == Frames{"text {}"});
    for (const std::size_t bytes : {limits::header_block_bytes, limits::header_block_bytes + 1, std::size_t{20'000}})
        CHECK(frames(padded(bytes)) == Frames{"fatal -32700 the header block is longer than 4096 bytes"});
    CHECK(frames("Content-Length: 2\r\nX: " + std::string(100'000, 'x')) ==
          Frames{"fatal -32700 the header block is longer than 4096 bytes"});
}

TEST_CASE("the first byte that is not white space tells the framing, once", "[framing]") {
    const auto found = [](std::string_view stream) {
        BufferPool pool;
        Framer framer(pool, Framing::automatic);
        test::feed(framer, stream, [](std::size_t) { return std::size_t{1}; });
        return framer.framing();
    };
    CHECK(found("") == Framing::automatic);
    CHECK(found(" \r\n") == Framing::automatic);
    CHECK(found("\xEF\xBB") == Framing::automatic);
    CHECK(found("\n{") == Framing::lines);
    CHECK(found("[") == Framing::lines);
    CHECK(found("x") == Framing::lines);
    CHECK(found("\xEF\xBB\xBF C") == Framing::headers);
    CHECK(found("c") == Framing::headers);
    CHECK(frames("{}\nContent-Length: 2\n") == Frames{"text {}", "text Content-Length: 2"});
}

TEST_CASE("a framing that was set is not guessed", "[framing]") {
    CHECK(frames("Content-Length: 2\r\n", Framing::lines) == Frames{"text Content-Length: 2"});
    CHECK(frames("{}\r\n\r\n", Framing::headers) == Frames{"fatal -32700 a header line has no colon"});
    CHECK(frames("X: y\r\nContent-Length: 2\r\n\r\n{}", Framing::headers) == Frames{"text {}"});
}

TEST_CASE("a line is taken up to the limit, and one over it skipped between its neighbours", "[framing]") {
    const std::string fits(20, 'a');
    const std::string over(21, 'b');
    CHECK(frames(fits + "\n", Framing::lines, 20) == Frames{"text " + fits});
    CHECK(frames("1\n" + over + "\n2\n" + over + "\n" + over + "\n3\n", Framing::lines, 20) ==
          Frames{"text 1", line_over(20), "text 2", line_over(20), line_over(20), "text 3"});
    CHECK(frames(over, Framing::lines, 20) == Frames{"end: " + line_over(20)});
    CHECK(frames(fits, Framing::lines, 20) == Frames{"end: text " + fits});
}

TEST_CASE("a body over the limit is skipped between its neighbours", "[framing]") {
    const std::string over(21, 'b');
    CHECK(frames(block("1") + block(over) + block("2"), Framing::headers, 20) ==
          Frames{"text 1", line_over(20), "text 2"});
    CHECK(frames(block(over) + block(over), Framing::headers, 20) == Frames{line_over(20), line_over(20)});
    CHECK(frames(block(std::string(20, 'a')), Framing::headers, 20) == Frames{"text " + std::string(20, 'a')});
    CHECK(frames("Content-Length: 18446744073709551615\r\n\r\nabc", Framing::headers, 20) ==
          Frames{"end: " + line_over(20)});
}

TEST_CASE("input that ends inside of a block is a fault, between blocks none", "[framing]") {
    const std::string fault = "end: fault -32700 the input ends inside a message";
    CHECK(frames(block("{}") + "Content-Length: 5\r\n\r\n{}") == Frames{"text {}", fault});
    CHECK(frames(block("{}") + "Content-Len") == Frames{"text {}", fault});
    CHECK(frames(block("{}") + "\r\n") == Frames{"text {}"});
}

TEST_CASE("whether a message has begun can be asked", "[framing]") {
    BufferPool pool;
    Framer framer(pool, Framing::automatic, 10);
    const auto give = [&](std::string_view bytes) {
        std::copy(bytes.begin(), bytes.end(), framer.space().begin());
        framer.commit(bytes.size());
        while (framer.next()) {
        }
        return framer.inside_message();
    };
    CHECK_FALSE(framer.inside_message());
    CHECK_FALSE(give("{}\n"));
    CHECK(give("{"));
    CHECK_FALSE(give("}\n"));
    CHECK(give("{             "));
    CHECK(framer.space().size() >= 10);
    CHECK_FALSE(give("}\n"));
}

TEST_CASE("random streams give the same frames however they are cut", "[framing]") {
    std::mt19937 random(5);
    static constexpr std::string_view lines[] = {
        "{}", "\n", "\r\n", "[1]\n", "\n\n", " ", "abcdefghijklmnopqrstuvwxyz", "\xEF\xBB\xBF", "\xEF", "{\"a\":1}\n"};
    static constexpr std::string_view blocks[] = {
        "Content-Length: 2\r\n\r\n{}", "content-length:3\n\n[1]",        "\r\n",    "Content-Length: 30\r\n\r\n",
        "Content-Length: 0\r\n\r\n",   "123456789012345678901234567890", "X: y\r\n"};
    for (int round = 0; round < 500; ++round) {
        std::string stream;
        for (auto pieces = random() % 12; pieces != 0; --pieces)
            stream += round % 2 == 0 ? lines[random() % std::size(lines)] : blocks[random() % std::size(blocks)];
        const Frames whole = frames_of(stream, Framing::automatic, 20, stream.size());
        INFO(stream);
        for (int cut = 0; cut < 4; ++cut) {
            BufferPool pool;
            Framer framer(pool, Framing::automatic, 20);
            REQUIRE(test::feed(framer, stream, [&](std::size_t) { return std::size_t{1 + random() % 9}; }) == whole);
        }
    }
}

// The buffer grew fourfold: a line over a limit of 64 MiB took 256 MiB before it was given up.
TEST_CASE("the buffer grows to the limit and one read over it, no further, and is given back", "[framing]") {
    for (const std::size_t limit : {256 * limits::kKiB, limits::kMiB, 5 * limits::kMiB}) {
        BufferPool pool;
        Framer framer(pool, Framing::lines, limit);
        std::size_t most = 0;
        const std::string stream = "{}\n" + std::string(4 * limit, 'x') + "\n" + std::string(limit, 'y') + "\n[]\n";
        const auto frames = test::feed(
            framer, stream, [](std::size_t) { return 60 * limits::kKiB; },
            [&](const Framer&) { most = std::max(most, pool.oversize_bytes()); });
        CHECK(most > limit);
        CHECK(most <= limit + 64 * limits::kKiB);
        CHECK(frames == Frames{"text {}", line_over(limit), "text " + std::string(limit, 'y'), "text []"});
        if (limit > 4 * limits::kMiB) {
            framer.space();
            CHECK(pool.oversize_bytes() == 0);
        }
    }
}

TEST_CASE("a body over the limit streams by without being held", "[framing]") {
    BufferPool pool;
    Framer framer(pool, Framing::headers, limits::kMiB);
    std::size_t most = 0;
    test::feed(
        framer, block(std::string(8 * limits::kMiB, 'x')), [](std::size_t) { return 60 * limits::kKiB; },
        [&](const Framer&) { most = std::max(most, pool.oversize_bytes()); });
    CHECK(most == 0);
}

// White space before the first message was kept until something else came, without end.
TEST_CASE("endless white space before the first message takes no memory", "[framing]") {
    for (const char blank : {' ', '\n'}) {
        BufferPool pool;
        Framer framer(pool, Framing::automatic, 1000);
        const auto frames = test::feed(
            framer, std::string(limits::kMiB, blank) + "{}\n", [](std::size_t) { return std::size_t{10'000}; },
            [&](const Framer&) { REQUIRE(pool.oversize_bytes() == 0); });
        CHECK(frames == Frames{"text {}"});
    }
}

TEST_CASE("a buffer that grew once is kept for a while and then given back", "[framing]") {
    BufferPool pool;
    Framer framer(pool, Framing::lines, limits::kMiB);
    test::feed(framer, std::string(200 * limits::kKiB, 'x') + "\n", [](std::size_t) { return std::size_t{50'000}; });
    // feed() ended the stream, so this one starts anew with the same pool.
    Framer other(pool, Framing::lines, limits::kMiB);
    const auto give = [&](const std::string& bytes) {
        std::size_t given = 0;
        while (given != bytes.size()) {
            const auto space = other.space();
            const std::size_t part = std::min(space.size(), bytes.size() - given);
            std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(given), part, space.begin());
            other.commit(part);
            given += part;
            while (other.next()) {
            }
        }
    };
    const std::size_t before = pool.oversize_bytes();
    give(std::string(200 * limits::kKiB, 'x') + "\n");
    CHECK(pool.oversize_bytes() > before);
    for (int i = 0; i < 10; ++i) give("{}\n");
    CHECK(pool.oversize_bytes() > before);
    for (int i = 0; i < 100; ++i) give("{}\n");
    CHECK(pool.oversize_bytes() == before);
}
