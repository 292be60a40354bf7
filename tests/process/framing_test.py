"""Bytes as they may come: one by one, with other line ends, without sense. What is no message is answered, what stands
beside it is not touched."""
import json
import random
import unittest

from pillion_process import MIB, PillionTest, request

# Without methods that answer later: they may overtake each other.
SESSION = (request("rpc.ping", 1) + request("rpc.echo", "zw\u00f6lf \u20ac", text="\U0001F600") + b"not json\n" + b"[]\n"
           + b'[{"jsonrpc":"2.0","id":2,"method":"rpc.ping"},{"jsonrpc":"2.0","method":"rpc.ping"},7]\n'
           + b'{"jsonrpc":"2.0","method":"rpc.ping"}\n' + request("no.such", 3) + request("rpc.ping", 4, x=1))


def blocks(lines: bytes) -> bytes:
    return b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(line), line) for line in lines.splitlines())


class Framing(PillionTest):
    def answers(self, data: bytes, *arguments: str, **options) -> bytes:
        pillion = self.start(*arguments, **options)
        writing = pillion.in_background(data)
        answers = pillion.rest()
        writing.join(1)
        self.assert_ends_well(pillion)
        return answers

    def assert_lives(self, pillion) -> None:
        self.assertEqual(pillion.call("rpc.ping", "alive"), {})
        pillion.end_input()
        self.assert_ends_well(pillion)

    def test_byte_by_byte(self):
        for name, session in (("lines", SESSION), ("headers", blocks(SESSION))):
            with self.subTest(name):
                pillion = self.start()
                for byte in session:
                    pillion.send(bytes([byte]))
                pillion.end_input()
                self.assertEqual(pillion.rest(), self.answers(session))
                self.assert_ends_well(pillion)

    def test_line_ends_blank_lines_and_a_mark_change_nothing(self):
        expected = self.answers(SESSION)
        self.assertEqual(expected.count(b"\n"), 7)
        self.assertEqual(self.answers(SESSION.replace(b"\n", b"\r\n")), expected)
        self.assertEqual(self.answers(b"\xef\xbb\xbf" + SESSION), expected)
        self.assertEqual(self.answers(b"\n\r\n \t\n" + SESSION.replace(b"\n", b"\n\n\r\n  \n")), expected)
        self.assertEqual(self.answers(SESSION, "serve", "--framing=lines"), expected)
        self.assertEqual(self.answers(b"\n \n" + SESSION.rstrip(b"\n")), expected)

    def test_headers_answer_the_same(self):
        answered = self.answers(blocks(SESSION))
        for body in self.answers(SESSION).splitlines():
            header, _, rest = answered.partition(b"\r\n\r\n")
            name, _, length = header.partition(b":")
            self.assertEqual(name, b"Content-Length")
            self.assertEqual(rest[:int(length)], body)
            answered = rest[int(length):]
        self.assertEqual(answered, b"")

    def test_a_wrong_length_is_answered_and_the_connection_closed_cleanly(self):
        body = request("rpc.ping").rstrip()
        for difference in (-1, 1, -10, 10):
            with self.subTest(difference):
                answers = self.answers(b"Content-Length: %d\r\n\r\n%s%s" % (len(body) + difference, body, blocks(body) * 2))
                self.assertIn(b"-32700", answers)

    def test_a_header_block_that_is_none_is_answered_and_the_connection_closed(self):
        for block in (b"Content-Length\r\n\r\n", b"Content-Type: text/plain\r\n\r\n{}", b"Content-Length: -1\r\n\r\n{}", b"Content-Length: 2x\r\n\r\n{}",
                      b"Content-Length: 99999999999999999999999\r\n\r\n{}", b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"Content-Length: \r\n\r\n",
                      b"C" * 5000, b"Content-Length: 44\r\n" + b"X-Filler: 12345\r\n" * 300 + b"\r\n"):
            with self.subTest(block[:40]):
                pillion = self.start()
                pillion.send(block)  # and stdin stays open
                answers = pillion.rest()
                self.assertEqual(answers.count(b"-32700"), 1)
                self.assert_ends_well(pillion)

    def test_a_length_beyond_all_bounds_holds_no_memory(self):
        pillion = self.start()
        pillion.send(b"Content-Length: 9223372036854775807\r\n\r\n" + b"x" * MIB)
        pillion.end_input()
        self.assertIn(b"-32600", pillion.rest())
        self.assert_ends_well(pillion)

    def test_garbage_is_answered_line_by_line(self):
        garbage = b"\x01" + random.Random(1).randbytes(MIB)
        lines = [line for line in garbage.split(b"\n") if line.strip(b" \t\r\xef\xbb\xbf")]
        pillion = self.start()
        writing = pillion.in_background(garbage + b"\n" + request("rpc.ping", "alive"))
        answers = pillion.messages()
        writing.join(1)
        self.assertEqual(answers.pop()["id"], "alive")
        # A line of one digit is JSON and no message.
        self.assertTrue(all(answer["id"] is None and answer["error"]["code"] in (-32700, -32600) for answer in answers))
        self.assertEqual(len(answers), len(lines))
        self.assert_ends_well(pillion)

    def test_garbage_that_begins_like_a_header_closes_the_connection(self):
        pillion = self.start()
        writing = pillion.in_background(b"C" + random.Random(2).randbytes(MIB))
        self.assertEqual(pillion.rest().count(b"-32700"), 1)
        self.assert_ends_well(pillion)
        writing.join(1)

    def test_zero_bytes(self):
        pillion = self.start()
        pillion.send(b"\0\n\0\0\0\n" + request("rpc.ping").replace(b"ping", b"p\0ng") + b"\0" + request("rpc.ping"))
        for _ in range(4):
            self.assertEqual(pillion.message()["error"]["code"], -32700)
        self.assert_lives(pillion)

    def test_a_line_over_the_limit_does_not_harm_its_neighbours(self):
        pillion = self.start(environment={"PILLION_IPC_MESSAGE_BYTES_MAX": "4096"})
        pillion.call("rpc.ping")
        before = pillion.peak_kib()
        pillion.send(request("rpc.ping", 1) + b'{"x":"' + b"y" * 30 * MIB + b'"}\n' + request("rpc.ping", 2))
        self.assertEqual(pillion.message()["id"], 1)
        refused = pillion.message()
        self.assertEqual((refused["id"], refused["error"]["code"]), (None, -32600))
        self.assertIn("4096", refused["error"]["message"])
        self.assertEqual(pillion.message()["id"], 2)
        self.assertLess(pillion.peak_kib() - before, 4 * 1024, "it streams by")
        self.assert_lives(pillion)

    def test_random_messages_with_one_byte_changed_never_break_the_connection(self):
        choose = random.Random(3)
        data = bytearray()
        for number in range(3000):
            line = bytearray(choose.choice(SESSION.splitlines()))
            line[choose.randrange(len(line))] = choose.choice(b'{}[]",:\\ 0eu\x7f\x80\xff')
            data += line + b"\n"
        pillion = self.start()
        writing = pillion.in_background(bytes(data) + request("rpc.ping", "alive"))
        answers = pillion.messages()
        writing.join(1)
        self.assertIn({"jsonrpc": "2.0", "id": "alive", "result": {}}, answers)
        self.assert_ends_well(pillion)


class Coalescing(PillionTest):
    def test_equal_calls_of_one_batch_run_once(self):
        pillion = self.start()
        batch = [{"jsonrpc": "2.0", "id": number, "method": "rpc.discover"} for number in range(100)]
        pillion.send(json.dumps(batch).encode() + b"\n")
        answers = pillion.message()
        self.assertEqual({answer["id"] for answer in answers}, set(range(100)))
        self.assertEqual(len({json.dumps(answer["result"]) for answer in answers}), 1)
        [discover] = [item for item in pillion.call("metrics.methods", _meta={"limit": 100})["items"] if item["name"] == "rpc.discover"]
        self.assertEqual(discover["cacheHits"] + discover["coalesced"], 99)


if __name__ == "__main__":
    unittest.main()
