"""Advice in the real program: it is called for by a workload, tried while the workload goes on, kept or taken back by what was
measured, and recorded when Pillion ends in the midst of it."""
import random
import time
import unittest

from app_process import App, AppTest

WINDOW_MS = 15_000
TRIAL_S_MAX = 90.0
STEP_S = 0.005
KEYS = 500
VALUE = "x" * 900
SMALL = {"maxBytes": 300_000, "eviction": "random"}


class Advice(AppTest):
    """Reads of 500 keys of some 900 bytes, of which a namespace of 300 kB holds part; what is missing is put."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(1)
        self.began = time.monotonic()
        self.steps = 0
        self.spoiled: set[str] = set()

    def served(self, *namespaces: str) -> App:
        """Works until it is advised to tune all of them."""
        self.namespaces = namespaces
        app = self.app(cache={f"namespaces.{name}": SMALL for name in namespaces}, suggestions={"settleMs": 500}, monitoring={"enabled": True})
        app.subscribe("suggestions")
        self.works_until(app, lambda: all(self.suggestion(app, f"cache.tune:{name}") for name in namespaces), "the workload calls for it")
        return app

    def work(self, app: App) -> None:
        """A read in each namespace; of one that is spoiled never the same again."""
        self.steps += 1
        early_s = self.began + self.steps * STEP_S - time.monotonic()
        time.sleep(max(0.0, early_s))  # paces the workload; nothing is waited for
        self.began -= min(0.0, early_s)  # what a busy machine has missed is not caught up with
        for name in self.namespaces:
            key = f"k{self.steps}" if name in self.spoiled else f"k{self.random.randrange(KEYS)}"
            if not app.result("cache.get", namespace=name, key=key, memoryOnly=True).get("found") and name not in self.spoiled:
                app.result("cache.put", namespace=name, key=key, value=VALUE)

    def works_until(self, app: App, condition, what: str, wait_s_max: float = TRIAL_S_MAX):
        limit = time.monotonic() + wait_s_max
        while not (met := condition()):
            if time.monotonic() > limit:
                raise AssertionError(f"{what}: not within {wait_s_max} s")
            for _ in range(100):
                self.work(app)
        return met

    def suggestion(self, app: App, suggestion: str) -> dict | None:
        return next((item for item in app.result("suggestions.list")["items"] if item["id"] == suggestion), None)

    def tuning(self, app: App, name: str) -> dict:
        policy = app.result("cache.policy", namespace=name)["policy"]
        return {member: policy[member] for member in SMALL}

    def trial_of(self, app: App, request: int) -> dict:
        """Works on until the trial is judged."""
        def answer() -> dict | None:
            return next((message for message in app.kept if message.get("id") == request and "method" not in message), None)
        answered = self.works_until(app, answer, "the trial ends")
        self.assertIn("result", answered)
        return answered["result"]["trials"][0]

    def test_what_proves_itself_is_kept_what_does_not_is_taken_back_and_what_the_end_interrupts_is_recorded_so(self):
        app = self.served("voices", "images", "sounds")
        advice = self.suggestion(app, "cache.tune:voices")
        self.assertTrue(advice["appliesItself"])
        self.assertTrue(advice["evidence"])
        self.assertLess(advice["improvement"]["now"], advice["improvement"]["modest"])
        self.assertLessEqual(advice["improvement"]["modest"], advice["improvement"]["best"])
        kept = self.trial_of(app, app.ask("suggestions.apply", id=advice["id"], windowMs=WINDOW_MS))
        self.assertEqual((kept["verdict"], kept["inForce"]), ("kept", True), kept["reason"])
        measured = kept["measured"]
        for side in ("before", "after"):
            self.assertGreaterEqual(measured[side]["samples"], 8)
            self.assertTrue(measured[side]["low"] <= measured[side]["median"] <= measured[side]["high"])
        self.assertGreaterEqual(measured["shift"], measured["effectMin"])
        self.assertLess(measured["probability"], 0.05)
        self.assertTrue(kept["configuration"])
        for verdict in ("running", "kept"):
            self.assertEqual(app.event("suggestions.changed", verdict=verdict)["id"], "cache.tune:voices")
        self.assertNotEqual(self.tuning(app, "voices"), SMALL)

        request = app.ask("suggestions.apply", id="cache.tune:images", windowMs=WINDOW_MS)
        self.works_until(app, lambda: self.tuning(app, "images") != SMALL, "the other is tuned too")
        self.spoiled = {"images"}
        undone = self.trial_of(app, request)
        self.assertEqual((undone["verdict"], undone["inForce"]), ("undone", False), undone["reason"])
        self.assertLess(undone["measured"]["after"]["median"], undone["measured"]["before"]["median"])
        self.assertEqual(self.tuning(app, "images"), SMALL)

        app.ask("suggestions.apply", id="cache.tune:sounds", windowMs=WINDOW_MS)
        app.event("suggestions.changed", id="cache.tune:sounds")
        self.end(app)
        history = self.app().result("suggestions.history")["items"]
        self.assertEqual([(trial["id"], trial["verdict"], trial["inForce"]) for trial in history],
                         [("cache.tune:sounds", "interrupted", False), ("cache.tune:images", "undone", False), ("cache.tune:voices", "kept", False)])
        self.assertEqual(history[2]["measured"]["after"]["median"], measured["after"]["median"])

    def test_what_is_not_called_for_or_makes_no_sense_is_refused(self):
        app = self.app(cache={"namespaces.voices": {"maxBytes": 300_000}})
        self.assertEqual(app.error("suggestions.apply", id="cache.tune:voices")["code"], -32002)
        self.assertEqual(app.error("suggestions.apply")["message"], "there is neither an id nor all")
        self.assertEqual(app.error("suggestions.apply", id="a", all=True)["message"], "either id or all, not both")
        self.assertEqual(app.error("suggestions.apply", id="a", windowMs=1000)["data"]["field"], "/windowMs")
        self.assertEqual(app.result("suggestions.history")["items"], [])


if __name__ == "__main__":
    unittest.main()
