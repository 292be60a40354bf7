"""Standard streams that are not what they should be: closed, full, files, sockets."""
import fcntl
import json
import os
import pathlib
import select
import socket
import subprocess
import tempfile
import unittest

from pillion_process import MIB, WAIT_S_MAX, PillionTest, request


def without(*descriptors: int):
    """Closes them in the new process, before it becomes Pillion."""
    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)
    return close


class StandardError(PillionTest):
    def full_pipe(self) -> int:
        """The end to write to of a pipe that takes nothing more and that nobody reads."""
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        os.set_blocking(write_end, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(write_end, b"x" * 65536)
        os.set_blocking(write_end, True)  # as Pillion gets it
        return write_end

    def test_a_full_stderr_that_nobody_reads_holds_nothing_up(self):
        pillion = self.start(environment={"PILLION_LOG_LEVEL": "trace"}, stderr=self.full_pipe())
        # Each of these is logged: notifications that fail, and responses to nothing. So many that waiting 10 ms at each would
        # be seen, and not so many that a sanitizer's build, which takes 0.6 ms for each, needs the whole time allowed.
        pillion.send(b'{"jsonrpc":"2.0","method":"no.such"}\n{"jsonrpc":"2.0","id":5,"result":1}\n' * 1000)
        self.assertEqual(pillion.call("rpc.ping"), {})
        self.assertEqual(pillion.call("rpc.delay", durationMs=1).keys(), {"delayedMs"})
        pillion.end_input()
        self.assert_ends_well(pillion)

    def test_a_stderr_without_a_reader_is_no_fault(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        self.addCleanup(os.close, write_end)
        pillion = self.start(environment={"PILLION_LOG_LEVEL": "trace"}, stderr=write_end)
        pillion.send(b'{"jsonrpc":"2.0","method":"no.such"}\n' * 100)
        self.assertEqual(pillion.call("rpc.ping"), {})
        pillion.end_input()
        self.assert_ends_well(pillion)

    def test_logs_go_to_stderr_and_nowhere_else(self):
        pillion = self.start(environment={"PILLION_LOG_LEVEL": "trace"})
        pillion.send(b'{"jsonrpc":"2.0","method":"no.such.method"}\n')
        pillion.call("rpc.ping")
        pillion.end_input()
        self.assertEqual(pillion.rest(), b"")
        self.assert_ends_well(pillion)
        self.assertIn("no.such.method", pillion.stderr())


class ClosedAtStart(PillionTest):
    def test_stdin(self):
        pillion = self.start(stdin=subprocess.DEVNULL, preexec_fn=without(0))
        self.assertEqual(pillion.rest(), b"")
        self.assert_ends_well(pillion)

    def test_stdout(self):
        pillion = self.start(stdout=subprocess.DEVNULL, preexec_fn=without(1))
        pillion.send(request("rpc.ping") + request("rpc.delay", 2, durationMs=10))
        pillion.end_input()
        self.assert_ends_well(pillion)
        self.assertEqual(pillion.stderr(), "")

    def test_stderr(self):
        pillion = self.start(environment={"PILLION_LOG_LEVEL": "trace"}, stderr=subprocess.DEVNULL, preexec_fn=without(2))
        pillion.send(b'{"jsonrpc":"2.0","method":"no.such"}\n')
        self.assertEqual(pillion.call("rpc.ping"), {})
        pillion.end_input()
        self.assertEqual(pillion.rest(), b"", "no log in the protocol")
        self.assert_ends_well(pillion)

    def test_all_three(self):
        pillion = self.start(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=without(0, 1, 2))
        self.assert_ends_well(pillion)


class Files(PillionTest):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="pillion-files-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def test_stdin_is_a_file_and_so_is_stdout(self):
        (self.directory / "in").write_bytes(b"".join(request("rpc.echo", number, text="x" * 100) for number in range(20000)) + request("status.get", "end"))
        with open(self.directory / "in", "rb") as source, open(self.directory / "out", "wb") as target:
            pillion = self.start(stdin=source, stdout=target)
            self.assert_ends_well(pillion)
        answers = [json.loads(line) for line in (self.directory / "out").read_bytes().splitlines()]
        self.assertEqual([answer["id"] for answer in answers if answer["id"] != "end"], list(range(20000)))
        self.assertEqual(len(answers), 20001)

    def test_a_file_that_is_appended_to_keeps_what_was_in_it(self):
        (self.directory / "out").write_bytes(b"before\n")
        with open(self.directory / "out", "ab") as target:
            pillion = self.start(stdout=target)
            pillion.send(request("rpc.ping"))
            pillion.end_input()
            self.assert_ends_well(pillion)
        self.assertEqual((self.directory / "out").read_bytes(), b'before\n{"jsonrpc":"2.0","id":1,"result":{}}\n')

    def test_a_full_disk_ends_the_process(self):
        with open("/dev/full", "wb", buffering=0) as full:
            pillion = self.start(stdout=full)
            pillion.send(request("rpc.ping"))
            self.assert_ends_well(pillion)


class Sockets(PillionTest):
    """Node gives its children the ends of socket pairs."""

    def on_sockets(self) -> tuple["Pillion", socket.socket, socket.socket]:
        ours_in, theirs_in = socket.socketpair()
        ours_out, theirs_out = socket.socketpair()
        pillion = self.start(stdin=theirs_in, stdout=theirs_out)
        theirs_in.close()
        theirs_out.close()
        for end in (ours_in, ours_out):
            end.settimeout(WAIT_S_MAX)
            self.addCleanup(end.close)
        return pillion, ours_in, ours_out

    def read_all(self, end: socket.socket) -> bytes:
        chunks = []
        while chunk := end.recv(MIB):
            chunks.append(chunk)
        return b"".join(chunks)

    def test_a_session(self):
        pillion, to, back = self.on_sockets()
        to.sendall(request("rpc.ping"))
        self.assertEqual(json.loads(back.recv(4096)), {"jsonrpc": "2.0", "id": 1, "result": {}})
        to.sendall(request("rpc.delay", 2, durationMs=50))
        to.shutdown(socket.SHUT_WR)
        self.assertEqual(json.loads(self.read_all(back))["id"], 2)
        self.assert_ends_well(pillion)

    def test_one_socket_for_both_directions(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        pillion = self.start(stdin=theirs, stdout=theirs)
        theirs.close()
        ours.settimeout(WAIT_S_MAX)
        ours.sendall(request("rpc.ping"))
        ours.shutdown(socket.SHUT_WR)
        self.assertEqual(json.loads(self.read_all(ours)), {"jsonrpc": "2.0", "id": 1, "result": {}})
        self.assert_ends_well(pillion)

    def test_an_answer_larger_than_the_socket_holds(self):
        pillion, to, back = self.on_sockets()
        text = "x" * 3 * MIB
        to.settimeout(WAIT_S_MAX)
        to.sendall(request("rpc.echo", 1, text=text))
        to.shutdown(socket.SHUT_WR)
        self.assertEqual(json.loads(self.read_all(back))["result"]["text"], text)
        self.assert_ends_well(pillion)

    def test_a_peer_that_leaves_ends_the_process_without_noise(self):
        pillion, to, back = self.on_sockets()
        to.sendall(request("rpc.ping"))
        back.recv(4096)
        back.close()
        to.sendall(request("rpc.ping"))
        self.assert_ends_well(pillion)
        self.assertEqual(pillion.stderr(), "")

    def test_the_peers_sockets_stay_as_they_were(self):
        """Non-blocking mode belongs to the socket, not to the descriptor: whoever shares it would be surprised."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        pillion = self.start(stdin=subprocess.PIPE, stdout=theirs)
        pillion.send(request("rpc.ping"))
        self.assertTrue(select.select([ours], [], [], WAIT_S_MAX)[0])
        self.assertFalse(fcntl.fcntl(theirs.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK)
        pillion.end_input()
        self.assert_ends_well(pillion)

    def test_the_peers_pipes_stay_as_they_were(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        pillion = self.start(stdout=write_end, stderr=write_end)
        pillion.send(request("rpc.ping"))
        self.assertTrue(select.select([read_end], [], [], WAIT_S_MAX)[0])
        self.assertFalse(fcntl.fcntl(write_end, fcntl.F_GETFL) & os.O_NONBLOCK)
        pillion.end_input()
        self.assert_ends_well(pillion)


if __name__ == "__main__":
    unittest.main()
