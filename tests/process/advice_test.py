"""Advice on the cache in the real program: it is called for by a workload, tried while the workload goes on, kept or taken back by
what was measured."""
import base64
import random
import unittest

from app_process import App
from side_by_side import Busy, SideBySide

KEYS = 500
VALUE = "x" * 900
SMALL = {"maxBytes": 300_000, "eviction": "random"}


class AdviceTest(SideBySide):
    def busy(self, step, name: str = "voices", **policy) -> Busy:
        app = self.app(cache={f"namespaces.{name}": policy}, suggestions={"settleMs": 500}, monitoring={"enabled": True})
        app.subscribe("suggestions")
        self.random = random.Random(1)
        busy = Busy(app, lambda: step(busy))
        return busy

    def policy(self, app: App, *members: str) -> dict:
        policy = app.result("cache.policy", namespace="voices")["policy"]
        return {member: policy[member] for member in members}

    def assert_advice_is_whole(self, advice: dict, complexity: str) -> None:
        self.assertTrue(advice["appliesItself"])
        self.assertNotIn("byHand", advice)
        self.assertTrue(advice["evidence"])
        self.assertTrue(all(item["what"] for item in advice["evidence"]))
        self.assertEqual(set(advice["improvement"]), {"figure", "unit", "now", "modest", "best"})
        self.assertEqual(advice["complexity"], complexity)
        self.assertTrue(advice["configuration"].startswith("[cache.namespaces.voices]"))

    def assert_recorded(self, app: App, trial: dict, verdict: str) -> None:
        self.assertEqual((trial["verdict"], trial["inForce"]), (verdict, verdict == "kept"), trial["reason"])
        measured = trial["measured"]
        for side in ("before", "after"):
            self.assertGreaterEqual(measured[side]["samples"], 8)
            self.assertTrue(measured[side]["low"] <= measured[side]["median"] <= measured[side]["high"])
        if verdict == "kept":
            gain = measured["shift"] if measured["better"] == "higher" else -measured["shift"]
            self.assertGreaterEqual(gain, measured["effectMin"])
            self.assertLess(measured["probability"], 0.05)
        for state in ("running", verdict):
            self.assertEqual(app.event("suggestions.changed", verdict=state)["id"], trial["id"])
        last = app.result("suggestions.history")["items"][0]
        self.assertEqual({name: value for name, value in last.items() if name != "guards"}, {name: value for name, value in trial.items() if name != "guards"})

    def read_or_put(self, busy: Busy, key: str) -> None:
        if not busy.app.result("cache.get", namespace="voices", key=key, memoryOnly=True).get("found"):
            busy.app.result("cache.put", namespace="voices", key=key, value=VALUE)


class Advice(AdviceTest):
    def scenario_a_size_and_policy_that_prove_themselves_are_kept(self):
        busy = self.busy(lambda busy: self.read_or_put(busy, f"k{self.random.randrange(KEYS)}"), **SMALL)
        advice = busy.advice("cache.tune:voices")
        self.assert_advice_is_whole(advice, "low")
        self.assertLess(advice["improvement"]["now"], advice["improvement"]["modest"])
        self.assertLessEqual(advice["improvement"]["modest"], advice["improvement"]["best"])
        self.assert_recorded(busy.app, busy.apply(id=advice["id"]), "kept")
        self.assertNotEqual(self.policy(busy.app, *SMALL), SMALL)
        self.end(busy.app)
        app = self.app()
        self.assertEqual(self.policy(app, *SMALL), SMALL, "what was kept holds until Pillion ends")
        last = app.result("suggestions.history")["items"][0]
        self.assertEqual((last["verdict"], last["inForce"]), ("kept", False))

    def spoiled_after_it_is_applied(self) -> tuple[Busy, int]:
        """The advice is tried, and from when it is applied on all that is read is missing. Who works, and the request that waits."""
        self.spoiled = False
        def step(busy: Busy) -> None:
            if self.spoiled:
                busy.app.result("cache.get", namespace="voices", key=f"never {busy.steps}", memoryOnly=True)
            else:
                self.read_or_put(busy, f"k{self.random.randrange(KEYS)}")
        busy = self.busy(step, **SMALL)
        request = busy.app.ask("suggestions.apply", id=busy.advice("cache.tune:voices")["id"], windowMs=10_000)
        busy.until(lambda: self.policy(busy.app, *SMALL) != SMALL, "it is applied")
        self.spoiled = True
        return busy, request

    def scenario_what_makes_it_worse_is_taken_back(self):
        busy, request = self.spoiled_after_it_is_applied()
        undone = busy.answer(request)["trials"][0]
        self.assert_recorded(busy.app, undone, "undone")
        self.assertLess(undone["measured"]["after"]["median"], undone["measured"]["before"]["median"])
        self.assertIn("it was taken back", undone["reason"])
        self.assertEqual(self.policy(busy.app, *SMALL), SMALL)

    def scenario_what_somebody_else_has_set_meanwhile_is_not_taken_back(self):
        busy, request = self.spoiled_after_it_is_applied()
        busy.app.result("cache.setPolicy", namespace="voices", policy={"maxBytes": 400_000})
        self.assertEqual(busy.answer(request)["trials"][0]["verdict"], "undone")
        self.assertEqual(self.policy(busy.app, *SMALL), {"maxBytes": 400_000, "eviction": "random"})

    def scenario_compression_of_values_that_shrink_is_kept(self):
        busy = self.busy(lambda busy: busy.app.result("cache.put", namespace="voices", key=f"k{busy.steps}", value=VALUE), compressAboveBytes=0)
        advice = busy.advice("cache.compress:voices")
        self.assert_advice_is_whole(advice, "low")
        self.assertEqual(advice["settings"], {"compressAboveBytes": "128"})
        trial = busy.apply(id=advice["id"])
        self.assert_recorded(busy.app, trial, "kept")
        self.assertLess(trial["measured"]["after"]["median"], 0.3)
        self.assertGreater(trial["measured"]["before"]["median"], 0.9)
        offered = [item["id"] for item in busy.app.result("suggestions.list")["items"]]
        self.assertNotIn("cache.plain:voices", offered, "what was written plain says nothing of compression")

    def scenario_compression_in_vain_is_turned_off_or_back_on_by_what_it_cost(self):
        value = base64.b64encode(random.Random(2).randbytes(12_000)).decode()
        busy = self.busy(lambda busy: busy.app.result("cache.put", namespace="voices", key=f"k{busy.steps % 50}", base64=value), compressAboveBytes=1024)
        for _ in range(1400):
            busy.step()
        advice = busy.advice("cache.plain:voices")
        self.assert_advice_is_whole(advice, "low")
        trial = busy.apply(id=advice["id"])
        self.assertIn(trial["verdict"], ("kept", "undone"), "by the processor time, which a busy machine blurs")
        self.assert_recorded(busy.app, trial, trial["verdict"])
        self.assertEqual(self.policy(busy.app, "compressAboveBytes")["compressAboveBytes"], 0 if trial["verdict"] == "kept" else 1024)
        self.assertNotIn("cache.compress:voices", [item["id"] for item in busy.app.result("suggestions.list")["items"]])

    def scenario_a_longer_life_of_values_that_do_not_change_is_kept(self):
        busy = self.busy(lambda busy: self.read_or_put(busy, f"k{busy.steps % 20}"), ttlMs=300)
        advice = busy.advice("cache.ttl:voices")
        self.assert_advice_is_whole(advice, "medium")
        trial = busy.apply(id=advice["id"])
        self.assert_recorded(busy.app, trial, "kept")
        self.assertEqual(self.policy(busy.app, "ttlMs")["ttlMs"], int(advice["settings"]["ttlMs"]))
        self.assertGreaterEqual(int(advice["settings"]["ttlMs"]), 600)

    def scenario_memory_that_serves_nobody_is_taken_from_a_namespace(self):
        def step(busy: Busy) -> None:  # a few hot keys, and many that are never asked for again
            if busy.steps <= 1200:
                busy.app.result("cache.put", namespace="voices", key=f"cold {busy.steps}", value="x" * 20_000)
            else:
                self.read_or_put(busy, f"k{busy.steps % 10}")
        busy = self.busy(step, maxBytes=32_000_000, eviction="lru")
        for _ in range(1200):
            busy.steps += 1
            busy.step()
        advice = busy.advice("cache.shrink:voices")
        self.assert_advice_is_whole(advice, "low")
        trial = busy.apply(id=advice["id"])
        self.assert_recorded(busy.app, trial, "kept")
        self.assertEqual(trial["guards"][0]["figure"], "hit ratio of voices")
        self.assertLess(self.policy(busy.app, "maxBytes")["maxBytes"], 32_000_000)

    def scenario_what_is_not_called_for_or_makes_no_sense_is_refused(self):
        app = self.app(cache={"namespaces.voices": {"maxBytes": 300_000}})
        self.assertEqual(app.error("suggestions.apply", id="cache.tune:voices")["code"], -32002)
        self.assertEqual(app.error("suggestions.apply")["message"], "there is neither an id nor all")
        self.assertEqual(app.error("suggestions.apply", id="a", all=True)["message"], "either id or all, not both")
        self.assertEqual(app.error("suggestions.apply", id="a", windowMs=1000)["data"]["field"], "/windowMs")
        self.assertEqual(app.result("suggestions.history")["items"], [])


if __name__ == "__main__":
    unittest.main()
