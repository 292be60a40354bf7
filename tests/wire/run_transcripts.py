"""Plays the transcripts beside this file to Pillion and compares what it answers.

    # prose
    # env: NAME=VALUE          variables and options for this transcript; before the first step
    # args: serve --framing=headers
    --> {"jsonrpc":"2.0",...}  sends a line; with headers framing, a block
    --> raw: bytes\\n          sends these bytes and no line end; \\n \\r \\t \\0 \\\\ and \\xHH are escapes
    --> end                    closes stdin
    <-- {"jsonrpc":...}        the next message matches this pattern: see json_pattern.py
    <-- any order              the messages of the lines that follow may come in any order
    <-- eventually {...}       this message comes; others may come before it
    <-- end                    stdout has ended

@repeat(N,TEXT)@ stands for N copies of TEXT, @join(N,TEXT)@ for the same with commas between, ${NAME} for a string that a
pattern has kept. After the last step stdin is closed; then no further message may come, and the exit status must be 0.

Usage: run_transcripts.py [FILE...]; the program is the variable PILLION_BINARY.
"""
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time

import json_pattern

WAIT_S_MAX = 15
HERE = pathlib.Path(__file__).resolve().parent
REPEAT = re.compile(r"@(repeat|join)\((\d+),(.*?)\)@", re.S)
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[nrt0\\])")


class Failure(Exception):
    def __init__(self, line: int, expected: str, got: str):
        super().__init__(expected)
        self.line, self.expected, self.got = line, expected, got


def expand(text: str, kept: dict[str, str]) -> str:
    text = REPEAT.sub(lambda match: ("," if match[1] == "join" else "").join([match[3]] * int(match[2])), text)
    return re.sub(r"\$\{(\w+)\}", lambda match: kept[match[1]], text)


def unescape(text: str) -> bytes:
    plain = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
    return ESCAPE.sub(lambda match: plain.get(match[1]) or bytes([int(match[1][1:], 16)]), text.encode())


class Connection:
    """Pillion on two pipes."""

    def __init__(self, arguments: list[str], environment: dict[str, str]):
        self.data_directory = tempfile.TemporaryDirectory(prefix="pillion-wire-")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PILLION_")}
        self.process = subprocess.Popen([os.environ["PILLION_BINARY"], *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=0,
                                        env=inherited | {"PILLION_DATA_DIR": self.data_directory.name} | environment)
        os.set_blocking(self.process.stdin.fileno(), False)
        self.has_headers = "--framing=headers" in arguments
        self.received = b""
        self.unread: list[str] = []

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.end_input()
        self.data_directory.cleanup()

    def end_input(self) -> None:
        if not self.process.stdin.closed:
            self.process.stdin.close()

    def send(self, data: bytes) -> None:
        """Reads along, so that two full pipes do not wait for each other."""
        limit = time.monotonic() + WAIT_S_MAX
        while data:
            readable, writable, _ = select.select([self.process.stdout], [self.process.stdin], [], max(0, limit - time.monotonic()))
            if readable and not self.read_some():
                return
            if writable:
                try:
                    data = data[os.write(self.process.stdin.fileno(), data[:65536]):]
                except BrokenPipeError:
                    return
            if not readable and not writable:
                raise TimeoutError("stdin took nothing")

    def read_some(self) -> bool:
        data = os.read(self.process.stdout.fileno(), 1 << 20)
        self.received += data
        while (message := self.cut()) is not None:
            self.unread.append(message)
        return bool(data)

    def cut(self) -> str | None:
        """One message off what was received."""
        if not self.has_headers:
            line, newline, rest = self.received.partition(b"\n")
            if not newline:
                return None
            self.received = rest
            return line.decode("utf-8")
        header, blank, rest = self.received.partition(b"\r\n\r\n")
        if not blank:
            return None
        length = int(re.fullmatch(rb"Content-Length: +(\d+)", header)[1])
        if len(rest) < length:
            return None
        self.received = rest[length:]
        return rest[:length].decode("utf-8")

    def receive(self) -> str | None:
        """The next message; None at the end of stdout."""
        limit = time.monotonic() + WAIT_S_MAX
        while not self.unread:
            if not select.select([self.process.stdout], [], [], max(0, limit - time.monotonic()))[0]:
                raise TimeoutError(f"nothing within {WAIT_S_MAX} s")
            if not self.read_some():
                return None
        return self.unread.pop(0)


class Transcript:
    def __init__(self, path: pathlib.Path):
        self.path = path
        self.arguments: list[str] = []
        self.environment: dict[str, str] = {}
        self.kept: dict[str, str] = {}
        self.steps: list[tuple[int, str, str]] = []  # line number, arrow, text
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("# env: "):
                name, _, value = line.removeprefix("# env: ").partition("=")
                self.environment[name] = value
            elif line.startswith("# args: "):
                self.arguments = line.removeprefix("# args: ").split()
            elif line.startswith(("-->", "<--")):
                self.steps.append((number, line[:3], line[3:].strip()))
            elif line.strip() and not line.startswith("#"):
                raise SystemExit(f"{path.name}:{number}: neither prose nor a step: {line}")

    def play(self) -> None:
        connection = Connection(self.arguments, self.environment)
        try:
            at = 0
            while at < len(self.steps):
                at = self.play_step(connection, at)
            self.check_end(connection)
        finally:
            connection.close()

    def play_step(self, connection: Connection, at: int) -> int:
        """Plays one step; the index of the next."""
        line, arrow, text = self.steps[at]
        if arrow == "-->":
            try:
                self.send(connection, text)
            except TimeoutError as late:
                raise Failure(line, "stdin is read", str(late)) from None
        elif text == "any order":
            return self.receive_in_any_order(connection, at + 1)
        elif text == "end":
            if (message := self.receive(connection, line, "the end of stdout")) is not None:
                raise Failure(line, "the end of stdout", message)
        elif text.startswith("eventually "):
            self.receive_eventually(connection, line, expand(text.removeprefix("eventually "), self.kept))
        else:
            self.receive_matching(connection, line, expand(text, self.kept))
        return at + 1

    def send(self, connection: Connection, text: str) -> None:
        if text == "end":
            return connection.end_input()
        if text.startswith("raw: "):
            return connection.send(unescape(expand(text.removeprefix("raw: "), self.kept)))
        body = expand(text, self.kept).encode()
        connection.send(b"Content-Length: %d\r\n\r\n%s" % (len(body), body) if connection.has_headers else body + b"\n")

    def receive(self, connection: Connection, line: int, expected: str) -> str | None:
        try:
            return connection.receive()
        except TimeoutError as late:
            raise Failure(line, expected, str(late)) from None

    def receive_matching(self, connection: Connection, line: int, expected: str) -> None:
        message = self.receive(connection, line, expected)
        if message is None:
            raise Failure(line, expected, "the end of stdout")
        if difference := self.difference(expected, message):
            raise Failure(line, expected, f"{message}\n    {difference}")

    def receive_eventually(self, connection: Connection, line: int, expected: str) -> None:
        limit = time.monotonic() + WAIT_S_MAX
        last = None
        while time.monotonic() < limit:
            message = self.receive(connection, line, expected)
            if message is None:
                break
            last = message
            if self.difference(expected, message) is None:
                return
        raise Failure(line, expected, f"not that; the last message was {last}")

    def receive_in_any_order(self, connection: Connection, at: int) -> int:
        expected = []
        while at < len(self.steps) and self.steps[at][1] == "<--" and self.steps[at][2].startswith(("{", "[", '"')):
            expected.append((self.steps[at][0], expand(self.steps[at][2], self.kept)))
            at += 1
        while expected:
            line, pattern = expected[0]
            message = self.receive(connection, line, pattern)
            if message is None:
                raise Failure(line, pattern, "the end of stdout")
            match = next((i for i, (_, wanted) in enumerate(expected) if self.difference(wanted, message) is None), None)
            if match is None:
                raise Failure(line, "any of\n    " + "\n    ".join(wanted for _, wanted in expected), message)
            del expected[match]
        return at

    def difference(self, expected: str, message: str) -> str | None:
        try:
            return json_pattern.mismatch(json_pattern.parse(expected), json_pattern.parse(message), self.kept)
        except json_pattern.NotJson as error:
            return str(error)

    def check_end(self, connection: Connection) -> None:
        last_line = self.steps[-1][0]
        connection.end_input()
        if (message := self.receive(connection, last_line, "the end of stdout")) is not None:
            raise Failure(last_line, "nothing more", message)
        if connection.received:
            raise Failure(last_line, "whole messages", repr(connection.received))
        try:
            status = connection.process.wait(WAIT_S_MAX)
        except subprocess.TimeoutExpired:
            raise Failure(last_line, "exit status 0", "still running") from None
        if status != 0:
            raise Failure(last_line, "exit status 0", f"exit status {status}")


def main(names: list[str]) -> int:
    sys.setrecursionlimit(20000)
    if not os.access(os.environ.get("PILLION_BINARY", ""), os.X_OK):
        print("PILLION_BINARY names no program\n0 passed, 1 failed")
        return 1
    paths = [pathlib.Path(name) for name in names] or sorted(HERE.glob("*.transcript"))
    passed = failed = 0
    for path in paths:
        try:
            Transcript(path).play()
            passed += 1
        except Failure as failure:
            failed += 1
            print(f"{path}:{failure.line}: failed\n  expected: {failure.expected[:2000]}\n  got:      {failure.got[:2000]}")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
