"""The profiler in the real program: what it records under load, in forms that others read."""
import json
import os
import re
import unittest
import xml.etree.ElementTree

from app_process import App, AppTest
from pillion_process import is_sanitized, wait_until

SVG = "{http://www.w3.org/2000/svg}"


class Profiles(AppTest):
    def busy(self, app: App) -> None:
        app.result("cache.put", key="k", value="abcd" * 100_000)
        app.result("cache.get", key="k")

    def text_of(self, stopped: dict) -> str:
        """What was recorded; where it is long it stands in a file."""
        return stopped.get("text") or self.read(stopped["file"])

    def sampled(self, app: App, count: int) -> dict:
        """Works until so many samples were taken."""
        def are_taken() -> bool:
            self.busy(app)
            return app.result("profiler.hotPaths")["state"]["recorded"] >= count
        wait_until(are_taken, "there are samples")
        return app.result("profiler.hotPaths")

    def test_where_the_processors_time_goes_as_folded_stacks_and_as_a_flame_graph(self):
        app = self.app()
        app.result("profiler.start", hz=1000, durationMs=60_000)
        hot = self.sampled(app, 50)
        self.assertTrue(any(function["named"] for function in hot["functions"]))
        self.assertIn("cache.put", [method["method"] for method in hot["methods"]])
        folded = app.result("profiler.stop")
        self.assertFalse(folded["state"]["running"])
        text = self.text_of(folded)
        lines = text.splitlines()
        for line in lines:
            self.assertRegex(line, r"^[^;]+(;[^;]+)* \d+$")
        samples = sum(int(line.rpartition(" ")[2]) for line in lines)
        self.assertEqual(samples, folded["state"]["recorded"] - folded["state"]["dropped"])
        self.assertIn("pillion::", text)

        drawn = app.result("profiler.stop", format="svg", output="file")
        self.assertTrue(drawn["file"].startswith(os.path.join(self.data_directory, "")))
        root = xml.etree.ElementTree.parse(drawn["file"]).getroot()
        self.assertEqual(root.tag, SVG + "svg")
        titles = [title.text for title in root.iter(SVG + "title")]
        self.assertTrue(any(re.search(r"\b\d+ samples", title) for title in titles), titles[:5])
        self.assertGreater(len(list(root.iter(SVG + "rect"))), 5)

    @unittest.skipIf(is_sanitized(), "a sanitizer has an allocator of its own")
    def test_what_is_allocated_and_what_of_it_is_left(self):
        app = self.app()
        app.result("profiler.start", kind="allocations", intervalBytes=4096, durationMs=60_000)
        for number in range(50):
            app.result("cache.put", key=f"k{number}", value="abcd" * 10_000)
        allocated = app.result("profiler.stop", measure="allocated")
        self.assertEqual(allocated["state"]["kind"], "allocations")
        live = app.result("profiler.stop", measure="live")
        texts = {"allocated": self.text_of(allocated), "live": self.text_of(live)}
        total = {name: sum(int(line.rpartition(" ")[2]) for line in text.splitlines()) for name, text in texts.items()}
        self.assertGreater(total["allocated"], 2_000_000)
        self.assertGreater(total["live"], 1_000_000)
        self.assertLessEqual(total["live"], total["allocated"])
        self.assertIn("pillion::Cache", texts["allocated"])

    def test_each_step_of_a_request_that_begins_ends(self):
        app = self.app()
        app.result("profiler.start", kind="requests")
        for _ in range(20):
            app.result("rpc.ping")
            self.busy(app)
        app.error("components.load", name="none")
        ids = [app.ask("metrics.snapshot") for _ in range(20)]
        for request in ids:
            app.answer(request)
        stopped = app.result("profiler.stop")
        self.assertEqual(stopped["format"], "trace")
        events = json.loads(self.text_of(stopped))["traceEvents"]
        self.assertIn("metrics.snapshot", {event.get("name") for event in events})
        stacks: dict[tuple, list[str]] = {}
        latest: dict[tuple, float] = {}
        for event in sorted((event for event in events if event["ph"] in "BEbe"), key=lambda event: event["ts"]):
            where = (event["pid"], event["tid"]) if event["ph"] in "BE" else (event["cat"], event.get("id"), event["name"])
            self.assertGreaterEqual(event["ts"], latest.get(where, 0))
            latest[where] = event["ts"]
            if event["ph"] in "Bb":
                stacks.setdefault(where, []).append(event["name"])
            else:
                self.assertTrue(stacks.get(where), f"{event} ends what has not begun")
                stacks[where].pop()
        self.assertEqual([stack for stack in stacks.values() if stack], [])
        self.assertTrue(all(event["dur"] >= 0 for event in events if event["ph"] == "X"))
        self.assertTrue(stacks or any(event["ph"] == "X" for event in events))

    def test_one_recording_at_a_time_and_none_without_a_start(self):
        app = self.app()
        self.assertEqual(app.error("profiler.stop")["code"], -32002)
        app.result("profiler.start", kind="requests")
        self.assertEqual(app.error("profiler.start")["code"], -32003)
        self.assertEqual(app.error("profiler.stop", format="svg")["message"], "a recording of requests is given as trace, not as folded or svg")
        app.result("profiler.stop")
        app.result("profiler.start", kind="cpu", durationMs=10)
        wait_until(lambda: not app.result("profiler.hotPaths")["state"]["running"], "it ends by itself")
        app.result("profiler.start", kind="cpu")
        self.assertEqual(app.error("profiler.stop", format="trace")["message"], "a recording of cpu or allocations is given as folded or svg, not as trace")


if __name__ == "__main__":
    unittest.main()
