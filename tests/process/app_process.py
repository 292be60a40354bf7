"""An app of parts as the process tests see it: Pillion with a configuration in a folder that outlives one run, and a mark
in the environment by which everything that a test has started is found, whoever its parent is by now."""
import json
import os
import signal
import socket
import tempfile
import uuid

from pillion_process import Pillion, PillionTest, binary, is_running, wait_until

MARK = "PROCESS_TEST_MARK"
STOP_S_MAX = 15.0


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def environment_of(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as environment:
            return environment.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def command_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            return command.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def marked(mark: str) -> list[int]:
    """Everything alive that has inherited the mark, or one that begins with it."""
    entry = f"{MARK}={mark}".encode()
    return [pid for pid in pids() if pid != os.getpid() and entry in environment_of(pid) and is_running(pid)]


def mark_of(pid: int) -> str:
    """The whole mark, whose end may say which part of a test it was."""
    entries = environment_of(pid).decode(errors="replace").split("\0")
    return next((entry.partition("=")[2] for entry in entries if entry.startswith(MARK + "=")), "")


def children_of(pid: int) -> list[int]:
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as children:
                found += [int(child) for child in children.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def guards_of(pid: int) -> list[int]:
    return [child for child in children_of(pid) if "--guard" in command_of(child)]


def toml(value) -> str:
    """A value as TOML has it, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def python(code: str, *arguments: str) -> list[str]:
    """A quick Python: without site packages, as a command."""
    return ["python3", "-S", "-E", "-c", code, *arguments]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class App(Pillion):
    """Pillion with this app's configuration. What it answers and what it tells is kept until somebody asks for it."""

    def __init__(self, configuration: str, data_directory: str, mark: str, *arguments: str, **options):
        environment = {"PILLION_DATA_DIR": data_directory, MARK: mark} | options.pop("environment", {})
        super().__init__("serve", "--config", configuration, *arguments, environment=environment, **options)
        self.kept: list[dict] = []
        self.last_id = 0

    def ask(self, method: str, /, **params) -> int:
        """Sends a request and answers its id."""
        self.last_id += 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}).encode() + b"\n")
        return self.last_id

    def message_where(self, fits) -> dict:
        """The first message that fits; the others stay for later."""
        for at, message in enumerate(self.kept):
            if fits(message):
                return self.kept.pop(at)
        while not fits(message := self.message()):
            self.kept.append(message)
        return message

    def answer(self, request_id) -> dict:
        return self.message_where(lambda message: message.get("id") == request_id and "method" not in message)

    def event(self, method: str, **members) -> dict:
        """The next such event whose data has these members; its data."""
        def fits(message: dict) -> bool:
            data = message.get("params", {}).get("data", {}) if message.get("method") == method else None
            return data is not None and all(data.get(name) == value for name, value in members.items())
        return self.message_where(fits)["params"]["data"]

    def subscribe(self, *topics: str) -> None:
        self.result("events.subscribe", topics=list(topics))

    def result(self, method: str, /, **params):
        answer = self.answer(self.ask(method, **params))
        if "result" not in answer:
            raise AssertionError(f"{method} failed: {answer['error']}")
        return answer["result"]

    def error(self, method: str, /, **params) -> dict:
        answer = self.answer(self.ask(method, **params))
        if "error" not in answer:
            raise AssertionError(f"{method} succeeded: {answer['result']}")
        return answer["error"]

    def components(self) -> dict[str, dict]:
        return {item["name"]: item for item in self.result("components.list")["items"]}

    def state_of(self, name: str) -> str:
        return self.result("components.get", name=name)["info"]["state"]


class AppTest(PillionTest):
    """A folder `self.folder` for the app's files, a data directory, and the certainty that nothing is left."""

    def setUp(self):
        self.mark = uuid.uuid4().hex
        temporary = tempfile.TemporaryDirectory(prefix="pillion-app-")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.data_directory = os.path.join(self.folder, "data")
        self.addCleanup(self.assert_nothing_left)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def write(self, name: str, text: str) -> str:
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def read(self, name: str) -> str:
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def configuration(self, automatic: bool = False, **sections) -> str:
        """Writes the configuration: sections of tables by name, `components={"a": {...}}`, and of plain members, `log={"level": "debug"}`."""
        lines = ["[startup]", f"automatic = {toml(automatic)}"]
        lines += [f"{key} = {toml(value)}" for key, value in sections.pop("startup", {}).items()]
        for section, tables in sections.items():
            plain = {name: value for name, value in tables.items() if not isinstance(value, dict)}
            lines += [f"[{section}]"] * bool(plain) + [f"{name} = {toml(value)}" for name, value in plain.items()]
            for name, members in ((name, members) for name, members in tables.items() if name not in plain):
                lines += [f"[{section}.{name}]"] + [f"{key} = {toml(value)}" for key, value in members.items()]
        return self.write("app.toml", "\n".join(lines) + "\n")

    def app(self, automatic: bool = False, data_directory: str | None = None, **sections) -> App:
        """Starts Pillion in the app's folder; without sections with the configuration that is there."""
        if sections or not os.path.exists(self.path("app.toml")):
            self.configuration(automatic, **sections)
        app = App(self.path("app.toml"), data_directory or self.data_directory, self.mark, cwd=self.folder)
        self.addCleanup(self.end, app)
        return app

    def end(self, app: App) -> None:
        """Ends it as an app does, by the end of its stdin, and waits until it is gone."""
        try:
            if app.process.poll() is None:
                if not app.process.stdin.closed:
                    app.end_input()
                app.rest()
                app.process.wait(STOP_S_MAX)
        finally:
            app.close()

    def assert_nothing_left(self) -> None:
        try:
            wait_until(lambda: not marked(self.mark), "everything that was started ends")
        except AssertionError:
            left = {pid: f"{mark_of(pid)}: {command_of(pid)}" for pid in marked(self.mark)}
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            raise AssertionError(f"these are left running: {left}") from None
