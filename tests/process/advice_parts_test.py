"""Advice on everything but the cache in the real program: memory, the database, components, workers, backends. Each situation is
real, and so is what is measured."""
import base64
import os
import random
import unittest

from app_process import App, python
from pillion_process import is_sanitized
from side_by_side import Busy, SideBySide

MIB = 1024 * 1024
HELD = "import time\nheld = bytearray(b'x' * 60_000_000)\nprint('ready', flush=True)\nwhile True: time.sleep(60)"
# Answers each call as long after it as the first argument says, ten times as long while there is the file of the third; side by
# side, or one after another.
ANSWERS = """
import json, os, sys, threading, time
delay_s, is_serial = float(sys.argv[1]), sys.argv[2] == "serial"
lock = threading.Lock()
def answer(request):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": request.get("params")}) + "\\n")
        sys.stdout.flush()
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request: continue
    wait_s = delay_s * (10 if os.path.exists(sys.argv[3]) else 1)
    if is_serial:
        time.sleep(wait_s)
        answer(request)
    else:
        threading.Timer(wait_s, answer, [request]).start()
"""


def threads(app: App, name: str) -> int:
    found = 0
    for thread in os.listdir(f"/proc/{app.pid}/task"):
        with open(f"/proc/{app.pid}/task/{thread}/comm", encoding="utf-8") as comm:
            found += comm.read().strip() == name
    return found


class AdviceOnParts(SideBySide):
    def busy(self, step, **sections) -> Busy:
        suggestions = {"settleMs": 500} | sections.pop("suggestions", {})
        app = self.app(suggestions=suggestions, monitoring={"enabled": True}, **sections)
        app.subscribe("suggestions")
        busy = Busy(app, lambda: step(busy))
        return busy

    def assert_advice_is_whole(self, advice: dict, complexity: str, lasts: str) -> None:
        self.assertTrue(advice["appliesItself"])
        self.assertTrue(advice["evidence"])
        self.assertEqual(set(advice["improvement"]), {"figure", "unit", "now", "modest", "best"})
        self.assertEqual((advice["complexity"], advice["lasts"]), (complexity, lasts))

    def assert_recorded(self, app: App, trial: dict, verdict: str) -> None:
        self.assertEqual(trial["verdict"], verdict, trial["reason"])
        self.assertEqual(trial["inForce"], verdict == "kept" and trial["lasts"] == "run")
        for side in ("before", "after"):
            self.assertGreaterEqual(trial["measured"][side]["samples"], 8)
        for state in ("running", verdict):
            self.assertEqual(app.event("suggestions.changed", verdict=state)["id"], trial["id"])
        last = app.result("suggestions.history")["items"][0]
        self.assertEqual((last["id"], last["verdict"], last["measured"]), (trial["id"], trial["verdict"], trial["measured"]))

    def offered(self, app: App) -> list[str]:
        return [item["id"] for item in app.result("suggestions.list")["items"]]

    def scenario_free_pages_of_the_cache_are_given_back_to_the_disk(self):
        busy = self.busy(lambda busy: None, cache={"namespaces.films": {"compressAboveBytes": 0}, "namespaces.books": {}})
        value = base64.b64encode(random.Random(1).randbytes(20_000)).decode()
        for at in range(900):  # of a thousand and more the cache gives the pages back by itself
            busy.app.result("cache.put", namespace="films", key=f"k{at}", base64=value)
        busy.app.result("cache.put", namespace="books", key="k", value="stays")
        file = os.path.join(self.data_directory, "cache.db")
        busy.until(lambda: os.path.getsize(file) > 12_000_000, "it is written")
        busy.app.result("cache.invalidate", namespace="films", all=True)
        busy.begin_anew()  # it has grown until now
        advice = busy.advice("storage.vacuum:cache.db")
        self.assert_advice_is_whole(advice, "low", "moment")
        trial = busy.apply(id=advice["id"])
        self.assert_recorded(busy.app, trial, "kept")
        self.assertLess(trial["measured"]["after"]["median"], advice["improvement"]["modest"])
        self.assertLess(os.path.getsize(file), 9_000_000)
        self.assertTrue(busy.app.result("cache.get", namespace="books", key="k")["found"])
        self.assertNotIn("storage.vacuum:cache.db", self.offered(busy.app))

    def scenario_memory_that_nobody_uses_is_given_back(self):
        if is_sanitized():
            return  # its allocator keeps what is freed
        busy = self.busy(lambda busy: None, disk={"enabled": False},
                         cache={"memoryBytesMax": 200_000_000, "namespaces.films": {"maxBytes": 200_000_000}})
        for at in range(2000):
            busy.app.result("cache.put", namespace="films", key=f"k{at}", value="x" * (30_000 + at * 31))
        busy.app.result("cache.invalidate", namespace="films", all=True)
        busy.begin_anew()  # it has grown until now
        advice = busy.advice("memory.purge")
        self.assert_advice_is_whole(advice, "low", "moment")
        trial = busy.apply(id="memory.purge")
        self.assertIn(trial["verdict"], ("kept", "ineffective"), "by what the heaps of the threads let go of")
        self.assert_recorded(busy.app, trial, trial["verdict"])
        fell_by = trial["measured"]["before"]["median"] - trial["measured"]["after"]["median"]
        self.assertEqual(fell_by >= trial["measured"]["effectMin"], trial["verdict"] == "kept", trial["reason"])

    def scenario_a_component_that_nobody_uses_is_unloaded_and_comes_back_when_it_is_used(self):
        held = {"kind": "service", "command": python(HELD), "load": "firstUse"}
        busy = self.busy(lambda busy: None, components={"ocr": held}, suggestions={"unusedMs": 2000})
        busy.app.result("components.load", name="ocr")
        advice = busy.advice("component.unload:ocr")
        self.assert_advice_is_whole(advice, "low", "run")
        self.assertIn("keepAliveMs = 2000", advice["configuration"])
        trial = busy.apply(id=advice["id"])
        self.assert_recorded(busy.app, trial, "kept")
        self.assertNotEqual(busy.app.state_of("ocr"), "ready")
        self.assertNotIn(advice["id"], self.offered(busy.app))
        busy.app.result("components.load", name="ocr")
        self.assertEqual(busy.app.state_of("ocr"), "ready")

    def scenario_what_would_change_the_start_says_why_it_is_not_tried(self):
        held = {"kind": "service", "command": python("import time\ntime.sleep(0.3)\nprint('ready', flush=True)\nwhile True: time.sleep(60)"),
                "load": "eager", "readiness": {"by": "line", "text": "ready"}}
        busy = self.busy(lambda busy: None, automatic=True, components={"ocr": held}, suggestions={"unusedMs": 1000})
        advice = busy.advice("component.lazy:ocr")
        self.assertFalse(advice["appliesItself"])
        self.assertRegex(advice["byHand"], "a start cannot be measured again within this run")
        self.assertEqual(advice["configuration"], '[components.ocr]\nload = "firstUse"')
        error = busy.app.error("suggestions.apply", id=advice["id"])
        self.assertEqual((error["code"], error["data"]["hint"]), (-32007, advice["configuration"]))
        self.assertIn(advice["byHand"], error["message"])

    def scenario_the_number_of_workers_changes_while_calls_wait_and_is_kept_or_taken_back(self):
        def step(busy: Busy) -> None:  # many at a time, which one worker does one after another
            if busy.steps % 10 == 0:
                for request in [busy.app.ask("memory.stats") for _ in range(30)]:
                    busy.app.answer(request)
        busy = self.busy(step, ipc={"workers": 1})
        advice = busy.advice("ipc.workers")
        self.assertEqual(threads(busy.app, "pillion-worker"), 1)
        self.assert_advice_is_whole(advice, "low", "run")
        self.assertEqual(advice["settings"], {"workers": "2"})
        request = busy.app.ask("suggestions.apply", id="ipc.workers", windowMs=10_000)
        busy.until(lambda: threads(busy.app, "pillion-worker") == 2, "there are two")
        trial = busy.answer(request)["trials"][0]
        self.assertIn(trial["verdict"], ("kept", "undone"), "by what a busy machine lets a second one do")
        self.assert_recorded(busy.app, trial, trial["verdict"])
        busy.until(lambda: threads(busy.app, "pillion-worker") == (2 if trial["verdict"] == "kept" else 1), "as many as were judged right")

    def scenario_answers_of_a_method_that_gives_the_same_ones_are_kept(self):
        def step(busy: Busy) -> None:
            busy.app.result("files/stat", path=f"/{busy.steps % 20}")
        busy = self.busy(step, backends={"files": {"command": python(ANSWERS, "0.003", "serial", self.path("crowded")), "stopMs": 500}})
        advice = busy.advice("backend.cache:files/stat")
        self.assert_advice_is_whole(advice, "medium", "run")
        trial = busy.apply(id=advice["id"])
        self.assert_recorded(busy.app, trial, "kept")
        self.assertGreater(trial["measured"]["after"]["median"], 0.8)
        self.assertIn('methods = ["stat"]', trial["configuration"])
        sent = busy.app.result("backends.stats", backend="files")["items"][0]["sent"]
        for _ in range(20):
            step(busy)
        self.assertEqual(busy.app.result("backends.stats", backend="files")["items"][0]["sent"], sent, "all of them are known")
        self.assertNotIn(advice["id"], self.offered(busy.app))

    def scenario_answers_that_are_never_asked_for_again_are_kept_no_longer(self):
        self.fresh = False
        def step(busy: Busy) -> None:
            busy.app.result("files/stat", path=f"/{busy.steps if self.fresh else busy.steps % 20}")
        busy = self.busy(step, backends={"files": {"command": python(ANSWERS, "0.003", "serial", self.path("crowded")), "stopMs": 500}})
        advice = busy.advice("backend.cache:files/stat")
        self.fresh = True
        trial = busy.apply(id=advice["id"])
        self.assert_recorded(busy.app, trial, "undone")
        self.assertEqual(busy.app.result("backends.stats", backend="files")["items"][0]["cacheEntries"], 0)

    def queued(self) -> Busy:
        """Always a hundred calls under way, to a backend that is sent two at a time."""
        under_way: list[int] = []
        def step(busy: Busy) -> None:
            while len(under_way) < 100:
                under_way.append(busy.app.ask("llm/say", n=busy.steps))
            busy.app.answer(under_way.pop(0))
        command = python(ANSWERS, "0.02", "parallel", self.path("crowded"))
        return self.busy(step, backends={"llm": {"command": command, "concurrency": 2, "stopMs": 500}})

    def advised_concurrency(self, busy: Busy) -> str:
        advice = busy.advice("backend.concurrency:llm")
        self.assert_advice_is_whole(advice, "medium", "run")
        self.assertEqual(advice["configuration"], "[backends.llm]\nconcurrency = 4")
        return advice["id"]

    def scenario_more_calls_at_a_time_are_kept_where_a_backend_answers_them_side_by_side(self):
        busy = self.queued()
        trial = busy.apply(id=self.advised_concurrency(busy))
        self.assert_recorded(busy.app, trial, "kept")
        self.assertLess(trial["measured"]["after"]["median"], 0.8 * trial["measured"]["before"]["median"])

    def scenario_more_calls_at_a_time_are_taken_back_where_they_crowd_the_backend(self):
        busy = self.queued()
        advice = self.advised_concurrency(busy)
        self.write("crowded", "")
        trial = busy.apply(id=advice)
        self.assert_recorded(busy.app, trial, "undone")
        self.assertGreater(trial["measured"]["after"]["median"], trial["measured"]["before"]["median"])
        os.remove(self.path("crowded"))
        busy.go_on(100)
        self.assertLessEqual(busy.app.result("backends.stats", backend="llm")["items"][0]["inFlight"], 2)


if __name__ == "__main__":
    unittest.main()
