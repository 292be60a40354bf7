"""Tests whose time goes by while windows are measured: they run side by side, each with an instance, folder and Pillion of its own,
and are reported one by one."""
import concurrent.futures
import time
import unittest

from app_process import App, AppTest

STEP_S = 0.005
WAIT_S_MAX = 90.0
READINGS_MIN = 9  # of a second each, so that the window before is there already


class SideBySide(AppTest):
    """Each method `scenario_NAME` becomes a test `test_NAME`; all of a class begin when the first is asked for."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.scenarios = [name for name in vars(cls) if name.startswith("scenario_")]
        for name in cls.scenarios:
            setattr(cls, name.replace("scenario_", "test_", 1), lambda self, name=name: self.report(name))

    @classmethod
    def setUpClass(cls):
        cls.pool = concurrent.futures.ThreadPoolExecutor(len(cls.scenarios))
        cls.runs = {name: cls.pool.submit(cls.played, name) for name in cls.scenarios}

    @classmethod
    def tearDownClass(cls):
        cls.pool.shutdown()

    @classmethod
    def played(cls, name: str) -> list[str]:
        result = unittest.TestResult()
        cls(name).run(result)
        return [text for _, text in result.errors + result.failures]

    def report(self, name: str) -> None:
        if troubles := self.runs[name].result():
            self.fail("\n".join(troubles))


class Busy:
    """An app with a workload that goes on, step by step at an even pace, whatever is waited for."""

    def __init__(self, app: App, step):
        self.app, self.step = app, step
        self.steps = 0
        self.began = self.due = time.monotonic()

    def go_on(self, steps: int = 20) -> None:
        for _ in range(steps):
            self.steps += 1
            self.due += STEP_S
            time.sleep(max(0.0, self.due - time.monotonic()))  # paces the workload; nothing is waited for
            self.due = max(self.due, time.monotonic() - STEP_S)  # what a busy machine has missed is not caught up with
            self.step()

    def begin_anew(self) -> None:
        """What was recorded so far is not to be compared with."""
        self.began = time.monotonic()

    def until(self, condition, what: str):
        limit = time.monotonic() + WAIT_S_MAX
        while not (met := condition()):
            if time.monotonic() > limit:
                raise AssertionError(f"{what}: not within {WAIT_S_MAX} s")
            self.go_on()
        return met

    def advice(self, suggestion: str) -> dict:
        """Once it is called for and enough was recorded to compare with."""
        def called_for() -> dict | None:
            offered = self.app.result("suggestions.list")["items"]
            found = next((item for item in offered if item["id"] == suggestion), None)
            return found if found and time.monotonic() - self.began > READINGS_MIN else None
        return self.until(called_for, f"{suggestion} is called for")

    def answer(self, request: int) -> dict:
        def answered() -> dict | None:
            self.app.result("rpc.ping")  # reads what has come
            return next((message for message in self.app.kept if message.get("id") == request and "method" not in message), None)
        message = self.until(answered, "an answer comes")
        if "result" not in message:
            raise AssertionError(f"refused: {message['error']}")
        return message["result"]

    def apply(self, **params) -> dict:
        """The one trial that comes of it."""
        outcome = self.answer(self.app.ask("suggestions.apply", windowMs=10_000, **params))
        if len(outcome["trials"]) != 1:
            raise AssertionError(f"not one trial: {outcome}")
        return outcome["trials"][0]
