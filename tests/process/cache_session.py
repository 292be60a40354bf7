"""A Pillion that is asked about values and origins: keeps the events that come between answers, knows errors, and starts again on the same data."""
import json
import os
import tempfile

from pillion_process import Pillion, PillionTest, request

# A busy machine is slow, which is not what these tests are about: no tier is given up because of it.
PATIENCE_MS = 15_000


class Refused(Exception):
    """An error that a method answered."""

    def __init__(self, error: dict):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data", {})


class CacheSession(Pillion):
    def __init__(self, *arguments: str, **options):
        super().__init__(*arguments, **options)
        self.events: list[dict] = []
        self.answers: dict[object, dict] = {}
        self.last_id = 0

    def message(self) -> dict:
        message = super().message()
        if "method" in message:
            self.events.append(message)
        else:
            self.answers[message.get("id")] = message
        return message

    def start_call(self, method: str, **params) -> int:
        self.last_id += 1
        self.send(request(method, self.last_id, **params))
        return self.last_id

    def result(self, request_id: int) -> dict:
        while request_id not in self.answers:
            self.message()
        message = self.answers.pop(request_id)
        if "error" in message:
            raise Refused(message["error"])
        return message["result"]

    def ask(self, method: str, **params) -> dict:
        return self.result(self.start_call(method, **params))

    def refusal(self, method: str, **params) -> Refused:
        try:
            result = self.ask(method, **params)
        except Refused as refused:
            return refused
        raise AssertionError(f"{method} was not refused: {json.dumps(result)[:300]}")

    def listen(self) -> None:
        self.ask("events.subscribe", topics=["cache"])

    def event(self, name: str, **expected) -> dict:
        """The params of the next event of that name whose data has these members; it may have come already."""
        def matches(event: dict) -> bool:
            told = event["params"].get("data", event["params"])
            return event["method"] == name and all(told.get(member) == value for member, value in expected.items())
        while not (found := next((event for event in self.events if matches(event)), None)):
            self.message()
        self.events.remove(found)
        return found["params"].get("data", found["params"])

    def put(self, key, value, **more) -> dict:
        return self.ask("cache.put", key=key, value=value, **more)

    def get(self, key, **more) -> dict:
        return self.ask("cache.get", key=key, **more)

    def end(self) -> str:
        """Ends it well; what it logged."""
        self.end_input()
        self.rest()
        if self.exit_status() != 0:
            raise AssertionError(f"ended with {self.process.returncode}: {self.stderr()}")
        return self.stderr()


class CacheTest(PillionTest):
    """Each test has a folder; sessions on one data directory of it are runs of one app, or its windows."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pillion-cache-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def session(self, configuration: str = "", data: str = "data", arguments: tuple[str, ...] = (), **environment) -> CacheSession:
        path = os.path.join(self.folder, f"{data}.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(configuration)
        directory = os.path.join(self.folder, data)
        os.makedirs(directory, exist_ok=True)
        session = CacheSession("serve", "--config", path, *arguments, environment={"PILLION_DATA_DIR": directory} | environment)
        self.addCleanup(session.close)
        return session

    def patient(self, namespace: str = "default", tiers: tuple[str, ...] = ("disk",), more: str = "") -> str:
        """Configuration of a namespace whose tiers may take their time."""
        tables = [f"[cache.namespaces.{namespace}]\n{more}"]
        tables += [f"[cache.namespaces.{namespace}.tiers.{tier}]\nsoftTimeoutMs = {PATIENCE_MS}\nhardTimeoutMs = {PATIENCE_MS}" for tier in tiers]
        return "\n".join(tables) + "\n"
