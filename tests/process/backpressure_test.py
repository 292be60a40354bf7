"""Clients that write and do not read. Pillion stops reading then: its memory stays bounded, and every answer comes.

The bounds: a queue of answers (8 MiB) with what one read adds, requests in flight (4,096), pipes of 1 MiB that are the
kernel's, the program itself with its libraries (about 10 MiB)."""
import json
import select
import unittest

from pillion_process import MIB, PillionTest, is_at_rest, request, wait_until


def ping(number: int) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"method":"rpc.ping"}\n' % number


class NobodyReads(PillionTest):
    def test_a_million_requests(self):
        count = 1_000_000
        data = b"".join(map(ping, range(count)))
        pillion = self.start()
        sent = pillion.send_until_full(data)
        self.assertLess(sent, len(data), "Pillion stops reading")
        self.assert_below_mib(pillion, 64)
        writing = pillion.in_background(data[sent:])
        expected = (b'{"jsonrpc":"2.0","id":%d,"result":{}}\n' % number for number in range(count))
        answers = pillion.rest()
        self.assertTrue(answers == b"".join(expected), "all are answered, in order")
        writing.join(1)
        self.assert_ends_well(pillion)

    def test_memory_stays_bounded_with_a_slow_reader(self):
        data = b"".join(map(ping, range(200_000)))
        pillion = self.start()
        writing = pillion.in_background(data)
        answers = 0
        while chunk := pillion.read_some(4096):
            answers += chunk.count(b"\n")
            if answers < 150_000:  # it may end once all it has to say is in the pipe
                peak_kib = pillion.peak_kib()
        self.assertEqual(answers, 200_000)
        self.assertLess(peak_kib / 1024, 64)
        writing.join(1)
        self.assert_ends_well(pillion)

    def test_requests_to_workers(self):
        count = 70_000
        data = b"".join(request("status.get", number) for number in range(count))
        pillion = self.start()
        sent = pillion.send_until_full(data)
        self.assertLess(sent, len(data), "Pillion stops reading")
        self.assert_below_mib(pillion, 64)
        writing = pillion.in_background(data[sent:])
        answers = pillion.rest().splitlines()
        self.assertEqual({int(answer[22:answer.index(b",", 22)]) for answer in answers}, set(range(count)))
        self.assertEqual(len(answers), count)
        writing.join(1)
        self.assert_ends_well(pillion)

    def test_small_answers_that_come_one_by_one(self):
        """Each came in a block of 1 KiB of its own: a queue of 8 MiB held 174 MiB."""
        pillion = self.start()
        data = b"".join(request("rpc.delay", number, durationMs=0) for number in range(400_000))
        sent = pillion.send_until_full(data)
        self.assertLess(sent, len(data), "Pillion stops reading")
        self.assert_below_mib(pillion, 64)

    def test_requests_that_wait_for_a_timer(self):
        """4,096 may be in flight; the others wait in the pipe."""
        data = b"".join(request("rpc.delay", number, durationMs=600_000) for number in range(40_000))
        pillion = self.start(environment={"PILLION_IPC_SHUTDOWN_MS": "0"})
        sent = pillion.send_until_full(data)
        self.assertLess(sent, len(data), "Pillion stops reading")
        self.assert_below_mib(pillion, 64)

    def test_answers_much_larger_than_their_requests(self):
        """Kept answers of some hundred KiB: the queue of answers, and one more."""
        count = 3000
        pillion = self.start()
        pillion.call("rpc.discover")
        data = b"".join(request("rpc.discover", number) for number in range(count))
        sent = pillion.send_until_full(data)
        self.assert_below_mib(pillion, 128)
        writing = pillion.in_background(data[sent:])
        answers = pillion.rest().splitlines()
        self.assertEqual([json.loads(answer[:40].partition(b',"result"')[0] + b"}")["id"] for answer in answers], list(range(count)))
        writing.join(1)
        self.assert_ends_well(pillion)

    def test_one_byte_at_a_time(self):
        pillion = self.start()
        pillion.send(b"".join(map(ping, range(500))))
        pillion.end_input()
        read = bytearray()
        while byte := pillion.read_some(1):
            read += byte
        self.assertEqual([json.loads(line)["id"] for line in read.splitlines()], list(range(500)))
        self.assert_ends_well(pillion)

    def test_a_slow_reader_of_a_large_answer(self):
        pillion = self.start()
        writing = pillion.in_background(request("rpc.echo", 1, text="x" * 20 * MIB) + request("rpc.ping", 2))
        read = bytearray(pillion.read_some(1))
        for _ in range(1000):
            read += pillion.read_some(7)
        wait_until(lambda: pillion.process.poll() is None, "Pillion waits for its reader")
        read += pillion.rest()
        first, second = read.splitlines()
        self.assertEqual(len(first), 20 * MIB + len('{"jsonrpc":"2.0","id":1,"result":{"text":""}}') + 1)
        self.assertEqual(json.loads(second)["id"], 2)
        writing.join(1)
        self.assert_ends_well(pillion)


class LargeMessages(PillionTest):
    LIMIT = 64 * MIB

    def message_of(self, size: int) -> bytes:
        head, tail = b'{"jsonrpc":"2.0","id":1,"method":"rpc.echo","params":{"t":"', b'"}}'
        return head + b"x" * (size - len(head) - len(tail)) + tail + b"\n"

    def test_one_at_the_limit_is_answered_whole(self):
        """The message, its answer, and each while it grows: four times the limit at most, and the program."""
        message = self.message_of(self.LIMIT)
        pillion = self.start()
        pillion.send(message)
        answer = pillion.line()
        self.assertTrue(answer == b'{"jsonrpc":"2.0","id":1,"result":' + message[message.index(b'{"t"'):-2] + b"}")
        self.assert_below_mib(pillion, 4 * 64 + 64)
        self.assertEqual(pillion.call("rpc.ping"), {})
        wait_until(lambda: pillion.call("status.get")["residentBytes"] < 64 * MIB, "the memory is given back")

    def test_one_over_the_limit_is_refused_and_the_next_one_answered(self):
        pillion = self.start()
        pillion.send(self.message_of(self.LIMIT + 1))
        refused = pillion.message()
        self.assertEqual((refused["id"], refused["error"]["code"]), (None, -32600))
        self.assertIn(str(self.LIMIT), refused["error"]["message"])
        self.assertEqual(pillion.call("rpc.ping"), {})
        self.assert_below_mib(pillion, 2 * 64 + 64)


class Events(PillionTest):
    def test_none_comes_before_the_answer_that_names_its_subscription(self):
        """The answer waited with those of all messages of the same read; a worker's event overtook it."""
        pillion = self.start()
        filler = request("rpc.echo", "filler", numbers=list(range(300))) * 40
        for number in range(20):
            pillion.call("status.get")  # the workers are awake
            pillion.send(request("events.subscribe", "subscribed", topics=["config"])
                         + request("config.set", "set", values={"log.level": ("error", "info")[number % 2]}) + filler)
            messages = [pillion.message() for _ in range(43)]
            kinds = [message.get("id") or message["method"] for message in messages]
            self.assertLess(kinds.index("subscribed"), kinds.index("config.changed"))
            pillion.call("events.unsubscribe", subscription=messages[kinds.index("subscribed")]["result"]["subscription"])


class EventsToAReaderThatStopped(PillionTest):
    def test_samples_are_replaced_by_newer_ones_and_answers_come(self):
        pillion = self.start()
        subscription = pillion.call("events.subscribe", topics=["metrics"], intervalMs=50)["subscription"]
        blocked = pillion.send_until_full(request("rpc.echo", "filler", text="x" * 50_000) * 400)
        select.select([], [], [], 0.5)  # the time of ten samples, which cannot be sent
        self.assert_below_mib(pillion, 64)
        writing = pillion.in_background((request("rpc.echo", "filler", text="x" * 50_000) * 400)[blocked:] + request("rpc.ping", "last"))
        messages = pillion.messages()
        writing.join(1)
        self.assertEqual(sum(message.get("id") == "filler" for message in messages), 400)
        self.assertEqual(sum(message.get("id") == "last" for message in messages), 1)
        samples = [message["params"] for message in messages if message.get("method") == "metrics.sample"]
        self.assertTrue(all(sample["subscription"] == subscription and sample["dropped"] == 0 for sample in samples))
        numbers = [sample["seq"] for sample in samples]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assert_ends_well(pillion)

    def test_changes_are_kept_up_to_a_bound_and_the_lost_ones_counted(self):
        """Each of 1,000 changes is an event; 256 wait, the oldest go, and `dropped` and `seq` tell."""
        pillion = self.start(environment={"PILLION_IPC_WORKERS": "1", "PILLION_IPC_PIPE_BYTES": "0"})
        pillion.call("events.subscribe", topics=["config"])
        pillion.send(request("rpc.echo", "filler", text="x" * 1_000_000))  # fills the pipe and the part of the queue that events may use
        changes = [request("config.set", number, values={"log.level": ("error", "info")[number % 2]}) for number in range(1000)]
        pillion.send(b"".join(changes))
        wait_until(lambda: is_at_rest(pillion.pid), "all changes are made")
        self.assert_below_mib(pillion, 64)
        pillion.send(request("rpc.delay", "last", durationMs=300))
        messages = []
        while not messages or messages[-1].get("id") != "last":
            messages.append(pillion.message())
        answered = [message["id"] for message in messages if isinstance(message.get("id"), int)]
        self.assertEqual(sorted(answered), list(range(1000)), "answers are never dropped")
        events = [message["params"] for message in messages if message.get("method") == "config.changed"]
        self.assertEqual(len(events), 256)
        self.assertEqual({event["dropped"] for event in events}, {1000 - 256})
        self.assertEqual([event["seq"] for event in events], list(range(1000 - 256 + 1, 1001)))


if __name__ == "__main__":
    unittest.main()
