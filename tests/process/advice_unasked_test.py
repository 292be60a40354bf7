"""Advice that nobody asks for one by one, in the real program: tried by itself as the configuration allows it, all at once by
force_optimization, and what becomes of it when Pillion is killed meanwhile."""
import os
import random
import signal
import unittest

from app_process import App, python
from side_by_side import Busy, SideBySide

KEYS = 500
VALUE = "x" * 900
SMALL = {"maxBytes": 300_000, "eviction": "random"}
ANY_LOAD = 1000  # tests run on busy machines
UNASKED = {"automatic": True, "automaticMs": 5000, "windowMs": 10_000, "settleMs": 500, "automaticLoadMax": ANY_LOAD}
SLOW_START = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.02)\nprint('ready', flush=True)\nwhile True: time.sleep(60)"


class AdviceUnasked(SideBySide):
    def busy(self, *namespaces: str, suggestions: dict, **sections) -> Busy:
        """Reads of 500 keys, of which a namespace holds part; what is missing is put. In one that is spoiled never the same again."""
        self.spoiled: set[str] = set()
        chance = random.Random(1)
        def step(busy: Busy) -> None:
            for name in namespaces:
                key = f"never {busy.steps}" if name in self.spoiled else f"k{chance.randrange(KEYS)}"
                found = busy.app.result("cache.get", namespace=name, key=key, memoryOnly=True).get("found")
                if not found and name not in self.spoiled:
                    busy.app.result("cache.put", namespace=name, key=key, value=VALUE)
        app = self.app(cache={f"namespaces.{name}": SMALL for name in namespaces}, suggestions=suggestions, monitoring={"enabled": True}, **sections)
        app.subscribe("suggestions")
        busy = Busy(app, lambda: step(busy))
        return busy

    def tuning(self, app: App, name: str) -> dict:
        policy = app.result("cache.policy", namespace=name)["policy"]
        return {member: policy[member] for member in SMALL}

    def history(self, app: App) -> list[dict]:
        return app.result("suggestions.history")["items"]

    def told(self, busy: Busy, **members) -> dict:
        def told() -> dict | None:
            busy.app.result("rpc.ping")  # reads what has come
            return next((message["params"]["data"] for message in busy.app.kept if message.get("method") == "suggestions.changed"
                         and all(message["params"]["data"].get(name) == value for name, value in members.items())), None)
        return busy.until(told, f"{members} is told")

    def scenario_an_improvement_is_kept_without_being_asked_for(self):
        busy = self.busy("voices", suggestions=UNASKED | {"automaticKinds": ["cache.tune"]})
        kept = self.told(busy, verdict="kept")
        self.assertEqual((kept["id"], kept["automatic"], kept["inForce"]), ("cache.tune:voices", True, True))
        self.assertGreater(kept["measured"]["shift"], 0)
        self.assertNotEqual(self.tuning(busy.app, "voices"), SMALL)
        self.assertTrue(all(trial["automatic"] and trial["kind"] == "cache.tune" for trial in self.history(busy.app)))

    def scenario_a_worsening_is_undone_without_being_asked_for(self):
        busy = self.busy("voices", suggestions=UNASKED)
        self.told(busy, id="cache.tune:voices", verdict="running")
        self.assertNotEqual(self.tuning(busy.app, "voices"), SMALL)
        self.spoiled = {"voices"}
        undone = self.told(busy, id="cache.tune:voices", verdict="undone")
        self.assertEqual((undone["automatic"], undone["inForce"]), (True, False))
        self.assertLess(undone["measured"]["after"]["median"], undone["measured"]["before"]["median"])
        self.assertEqual(self.tuning(busy.app, "voices"), SMALL)
        self.assertEqual([trial["verdict"] for trial in self.history(busy.app) if trial["id"] == "cache.tune:voices"], ["undone"])

    def scenario_nothing_is_tried_by_itself_that_the_configuration_does_not_allow(self):
        busy = self.busy("voices", suggestions=UNASKED | {"automaticKinds": ["component.unload"], "automaticMs": 5000})
        busy.advice("cache.tune:voices")
        began = busy.due
        busy.until(lambda: busy.due - began > 6, "a time at which it would have been tried goes by")
        self.assertEqual(self.history(busy.app), [])
        self.assertEqual(self.tuning(busy.app, "voices"), SMALL)

    def scenario_nothing_is_tried_by_itself_while_the_machine_is_busy(self):
        busy = self.busy("voices", suggestions=UNASKED | {"automaticLoadMax": 0.01})
        busy.advice("cache.tune:voices")
        began = busy.due
        busy.until(lambda: busy.due - began > 6, "a time at which it would have been tried goes by")
        self.assertEqual(self.history(busy.app), [])
        busy.app.result("config.set", values={"suggestions.automaticLoadMax": ANY_LOAD})
        self.told(busy, id="cache.tune:voices", verdict="running")

    def scenario_nothing_is_tried_by_itself_while_the_app_starts(self):
        slow = {"kind": "service", "command": python(SLOW_START, self.path("go")), "load": "eager", "readiness": {"by": "line", "text": "ready"}, "timeoutMs": 80_000}
        busy = self.busy("voices", suggestions=UNASKED, automatic=True, components={"slow": slow})
        busy.advice("cache.tune:voices")
        began = busy.due
        busy.until(lambda: busy.due - began > 6, "a time at which it would have been tried goes by")
        self.assertEqual(self.history(busy.app), [])
        self.write("go", "")
        self.told(busy, id="cache.tune:voices", verdict="running")
        self.assertEqual(busy.app.state_of("slow"), "ready")

    def scenario_all_at_once_twice_in_a_row_and_killed_in_the_midst_of_it(self):
        busy = self.busy("voices", "images", suggestions={"settleMs": 500})
        for name in ("voices", "images"):
            busy.advice(f"cache.tune:{name}")
        busy.app.ask("force_optimization", windowMs=10_000)
        first = self.told(busy, verdict="running")["target"].removeprefix("namespace ")
        other = "images" if first == "voices" else "voices"
        again = busy.app.result("force_optimization")
        self.assertEqual(again["trials"], [])
        self.assertEqual({item["id"]: item["reason"] for item in again["skipped"]}[f"cache.tune:{other}"],
                         f"another suggestion for the same namespace {other} is being tried")
        self.assertEqual(busy.app.error("suggestions.apply", id=f"cache.tune:{other}")["code"], -32003)
        self.assertEqual(busy.app.error("suggestions.apply", id=f"cache.tune:{first}")["code"], -32002, "it is tuned")
        self.assertEqual(busy.app.error("suggestions.apply", id="cache.tune:voice")["code"], -32002)
        self.assertNotEqual(self.tuning(busy.app, first), SMALL)
        self.assertEqual(self.tuning(busy.app, other), SMALL, "one at a time")
        os.kill(busy.app.pid, signal.SIGKILL)
        busy.app.process.wait(20)

        app = self.app()
        for name in ("voices", "images"):
            self.assertEqual(self.tuning(app, name), SMALL, "as it is configured")
        trial, = self.history(app)
        self.assertEqual((trial["id"], trial["verdict"], trial["inForce"]), (f"cache.tune:{first}", "interrupted", False))
        self.assertEqual(trial["reason"], "Pillion ended before it was measured, and with it what had been changed")
        self.assertEqual(app.result("force_optimization"), {"trials": [], "skipped": []}, "nothing calls for anything yet")
        self.assertEqual(app.error("suggestions.apply", id=f"cache.tune:{first}")["code"], -32002)

    def scenario_several_at_once_are_tried_one_after_another_and_the_end_answers_with_what_came_of_them(self):
        busy = self.busy("voices", "images", suggestions={"settleMs": 500})
        for name in ("voices", "images"):
            busy.advice(f"cache.tune:{name}")
        request = busy.app.ask("force_optimization", windowMs=10_000)
        first = self.told(busy, verdict="kept")["id"]
        second = self.told(busy, id="cache.tune:images" if first == "cache.tune:voices" else "cache.tune:voices", verdict="running")["id"]
        busy.app.end_input()
        trials = busy.app.answer(request)["result"]["trials"]
        self.assertEqual([(trial["id"], trial["verdict"], trial["inForce"]) for trial in trials], [(first, "kept", True), (second, "interrupted", False)])
        self.assert_ends_well(busy.app)
        self.assertEqual([(trial["id"], trial["verdict"], trial["inForce"]) for trial in self.history(self.app())],
                         [(second, "interrupted", False), (first, "kept", False)])


if __name__ == "__main__":
    unittest.main()
