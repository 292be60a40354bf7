"""Pillion as the process tests see it: a program with two pipes. Nothing here waits without a limit."""
import functools
import json
import mmap
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
import unittest

WAIT_S_MAX = 20.0
MIB = 1024 * 1024


def binary() -> str:
    path = os.environ.get("PILLION_BINARY", "")
    if not os.access(path, os.X_OK):
        raise AssertionError("the variable PILLION_BINARY names no program")
    return path


@functools.cache
def is_sanitized() -> bool:
    with open(binary(), "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
        return any(program.find(mark) >= 0 for mark in (b"__asan_init", b"__tsan_init"))


def clean_environment(data_directory: str, more: dict[str, str] | None = None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PILLION_")}
    return inherited | {"PILLION_DATA_DIR": data_directory} | (more or {})


def request(method: str, request_id=1, **params) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode() + b"\n"


def wait_until(condition, what: str, wait_s_max: float = WAIT_S_MAX) -> None:
    """For states that the system does not tell of: looks again until the time is up."""
    limit = time.monotonic() + wait_s_max
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"{what}: not within {wait_s_max} s")
        time.sleep(0.002)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def status_kib(pid: int, label: str) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(label + ":"))


def is_at_rest(pid: int) -> bool:
    """Whether all threads sleep, and none has run between two looks: the process waits for somebody else. One that only gets no
    processor, on a busy machine, is ready to run and does not sleep."""
    def look() -> dict[str, str]:
        threads = {}
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii", errors="replace") as status:
                lines = dict(line.partition(":")[::2] for line in status)
            threads[thread] = "".join(lines[name] for name in ("State", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))
        return threads
    before = look()
    return all(state.lstrip().startswith("S") for state in before.values()) and look() == before


class Pillion:
    """The program; stdin and stdout are raw file descriptors here, `process` has the rest."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                 stderr=subprocess.PIPE, command: tuple[str, ...] = (), program: str | None = None, **options):
        self.data_directory = tempfile.TemporaryDirectory(prefix="pillion-process-")
        self.process = subprocess.Popen([*command, program or binary(), *arguments], stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0,
                                        env=clean_environment(self.data_directory.name, environment), **options)
        self.received = bytearray()

    @property
    def pid(self) -> int:
        return self.process.pid

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT_S_MAX)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None and not stream.closed:
                stream.close()
        self.data_directory.cleanup()

    def send(self, data: bytes) -> None:
        """Fails, rather than waits for ever, if stdin takes no more."""
        view = memoryview(data)
        descriptor = self.process.stdin.fileno()
        os.set_blocking(descriptor, False)
        while view:
            if not select.select([], [descriptor], [], WAIT_S_MAX)[1]:
                raise AssertionError(f"stdin took nothing for {WAIT_S_MAX} s")
            view = view[os.write(descriptor, view[:MIB]):]

    def send_until_full(self, data: bytes) -> int:
        """Writes until Pillion reads no more, reading nothing itself; how many bytes were taken."""
        view = memoryview(data)
        descriptor = self.process.stdin.fileno()
        os.set_blocking(descriptor, False)
        sent = 0
        limit = time.monotonic() + WAIT_S_MAX
        while time.monotonic() < limit:
            if sent < len(data) and select.select([], [descriptor], [], 0.05)[1]:
                sent += os.write(descriptor, view[sent:sent + MIB])
            elif is_at_rest(self.pid):
                return sent
        raise AssertionError(f"Pillion still reads after {WAIT_S_MAX} s")

    def in_background(self, data: bytes) -> threading.Thread:
        """Writes and then ends stdin while the caller reads."""
        def write() -> None:
            try:
                self.send(data)
                self.end_input()
            except (BrokenPipeError, ValueError, OSError):
                pass
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        return thread

    def end_input(self) -> None:
        self.process.stdin.close()

    def read_some(self, bytes_max: int = MIB) -> bytes:
        if not select.select([self.process.stdout], [], [], WAIT_S_MAX)[0]:
            raise AssertionError(f"stdout brought nothing for {WAIT_S_MAX} s")
        return os.read(self.process.stdout.fileno(), bytes_max)

    def line(self) -> bytes:
        while (end := self.received.find(b"\n")) < 0:
            data = self.read_some()
            if not data:
                raise AssertionError(f"stdout ended; before that {bytes(self.received)!r}")
            self.received += data
        line = bytes(self.received[:end])
        del self.received[:end + 1]
        return line

    def message(self) -> dict:
        return json.loads(self.line())

    def answer(self, request_id) -> dict:
        """The answer to this request; others before it are passed over."""
        while (message := self.message()).get("id") != request_id:
            pass
        return message

    def call(self, method: str, request_id="call", **params) -> dict:
        self.send(request(method, request_id, **params))
        message = self.answer(request_id)
        if "result" not in message:
            raise AssertionError(f"{method} failed: {message['error']}")
        return message["result"]

    def rest(self) -> bytes:
        """Everything until the end of stdout."""
        while data := self.read_some():
            self.received += data
        taken = bytes(self.received)
        self.received.clear()
        return taken

    def messages(self) -> list:
        return [json.loads(line) for line in self.rest().splitlines()]

    def exit_status(self) -> int:
        try:
            return self.process.wait(WAIT_S_MAX)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {WAIT_S_MAX} s") from None

    def stderr(self) -> str:
        return self.process.stderr.read().decode(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def peak_kib(self) -> int:
        return status_kib(self.pid, "VmHWM")


class PillionTest(unittest.TestCase):
    def start(self, *arguments: str, **options) -> Pillion:
        pillion = Pillion(*arguments, **options)
        self.addCleanup(pillion.close)
        return pillion

    def assert_ends_well(self, pillion: Pillion) -> None:
        self.assertEqual(pillion.exit_status(), 0)

    def assert_below_mib(self, pillion: Pillion, bound_mib: int) -> None:
        """The most memory that the program has ever held. A sanitizer's build holds more than any bound before it does a thing
        (its relocations and shadow are 240 MB), and keeps freed blocks: there this asserts nothing."""
        if is_sanitized():
            return
        self.assertLess(pillion.peak_kib() / 1024, bound_mib)
