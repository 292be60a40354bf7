"""The monitor and the analysis in the real program: whose processes are seen, what the report shows, and that nothing of it runs while
nobody asks."""
import html.parser
import os
import time
import unittest

from app_process import App, AppTest, children_of
from pillion_process import wait_until

def component(command: list[str]) -> dict:
    return {"kind": "service", "command": command, "load": "firstUse"}


class Monitor(AppTest):
    def test_a_component_its_child_and_their_totals_are_seen(self):
        app = self.app(components={"web": component(["sh", "-c", "sleep 1000 & exec sleep 1001"])})
        app.result("components.load", name="web")
        pid = app.components()["web"]["pid"]
        wait_until(lambda: children_of(pid), "it has its child")
        sample = app.result("get_resource_stats")
        seen = {process["pid"]: process for process in sample["processes"] if process.get("component") == "web"}
        self.assertEqual(set(seen), {pid, *children_of(pid)})
        self.assertEqual((seen[pid]["role"], seen[pid]["parentPid"], seen[pid]["name"]), ("child", app.pid, "sleep"))
        [own] = [process for process in sample["processes"] if process["role"] == "self"]
        self.assertEqual(own["pid"], app.pid)
        [totals] = [item["totals"] for item in sample["components"] if item["component"] == "web"]
        self.assertEqual(totals["processes"], 2)
        self.assertEqual(totals["privateBytes"], sum(process["privateBytes"] for process in seen.values()))
        self.assertGreaterEqual(sample["total"]["memoryBytes"], totals["memoryBytes"] + own["privateBytes"])
        self.assertEqual(app.result("monitor.sample")["components"][0]["component"], "web")

    def test_who_subscribes_gets_samples_until_they_unsubscribe(self):
        app = self.app(components={"web": component(["sleep", "1000"])}, monitoring={"intervalMs": 100})
        app.result("components.load", name="web")
        subscription = app.result("events.subscribe", topics=["monitor"])
        first, second = app.event("monitor.sample"), app.event("monitor.sample")
        self.assertGreater(second["at"], first["at"])
        self.assertGreater(second["spanMs"], 0)
        measured = lambda: app.result("metrics.query", name="process.memory.private", labels={"component": "web"}, function="last")["series"]
        wait_until(lambda: measured(), "it is measured")
        self.assertEqual(measured()[0]["labels"], {"component": "web", "process": "sleep", "role": "child"})
        self.assertGreater(measured()[0]["values"][-1], 10_000)
        app.result("events.unsubscribe", subscription=subscription["subscription"])
        app.kept.clear()
        app.result("rpc.ping")
        wait_until(lambda: app.result("monitor.stop")["running"] is False, "nobody wants it any more")
        app.kept.clear()
        before = app.result("monitor.stop")["samples"]
        app.result("monitor.sample")  # takes a quarter of a second of readings of its own
        app.result("monitor.sample")
        self.assertEqual([message for message in app.kept if message.get("method") == "monitor.sample"], [])
        self.assertLessEqual(app.result("monitor.stop")["samples"] - before, 4)


class Page(html.parser.HTMLParser):
    """Whether each element is closed where it should be, and what it refers to."""
    ALONE = {"meta", "link", "br", "hr", "img", "input", "col", "wbr"}

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        if self.open:
            raise AssertionError(f"left open: {self.open}")

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.references += [value or "" for name, value in attributes if name in ("src", "href", "action", "data", "srcset", "xlink:href")]
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.ALONE:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes nothing, at {self.getpos()}")

    def handle_data(self, data):
        self.text += data


class Report(AppTest):
    def page(self, report: dict) -> tuple[Page, str]:
        with open(report["file"], encoding="utf-8") as file:
            text = file.read()
        return Page(text), text

    def test_the_page_needs_nothing_else_and_shows_charts(self):
        app = self.app(monitoring={"enabled": True, "intervalMs": 100})
        began_ms = time.time_ns() // 1_000_000
        measured = lambda: app.result("metrics.query", **{"name": "process.memory.private", "from": began_ms, "step": 1000})["series"]
        wait_until(lambda: max((len(line["values"]) for line in measured()), default=0) >= 7, "some seconds are measured")
        report = app.result("create_optimization_report", **{"report": "html", "from": began_ms})
        self.assertTrue(report["file"].startswith(self.data_directory))
        self.assertGreater(report["seriesExamined"], 5)
        page, text = self.page(report)
        self.assertIn("svg", page.names)
        self.assertRegex(text, r"<(polyline|path)[^>]+\d")
        self.assertNotIn("script", page.names)
        self.assertEqual([reference for reference in page.references if not reference.startswith("#")], [])
        self.assertNotRegex(text.replace("http://www.w3.org/", ""), r"https?://|@import|url\(")

    def test_with_nothing_measured_it_says_so(self):
        app = self.app()
        report = app.result("analysis.run", report="html", to=1_000_000_000_000)
        self.assertNotIn("score", report)
        self.assertEqual((report["seriesExamined"], report["bottlenecks"], report["leaks"]), (0, [], []))
        self.assertTrue(all("score" not in part for part in report["parts"]))
        page, _ = self.page(report)
        self.assertRegex(page.text, "(?i)nothing was (measured|recorded)")
        self.assertEqual(app.result("analysis.leaks")["items"], [])


class Settings(AppTest):
    def threads(self, app: App) -> int:
        return len(os.listdir(f"/proc/{app.pid}/task"))

    def opened(self, app: App) -> list[str]:
        links = (f"/proc/{app.pid}/fd/{number}" for number in os.listdir(f"/proc/{app.pid}/fd"))
        return [os.path.basename(os.readlink(link)) for link in links if os.path.exists(link)]

    def test_with_nothing_asked_nothing_runs_and_nothing_is_opened(self):
        app = self.app()
        app.result("rpc.ping")
        self.assertEqual(self.threads(app), 1)
        self.assertNotIn("state.db", self.opened(app))
        self.assertFalse(os.path.exists(os.path.join(self.data_directory, "state.db")))

    def test_the_first_snapshot_waits_for_no_rates(self):
        app = self.app(monitoring={"intervalMs": 3_600_000})
        resources = app.result("metrics.snapshot")["resources"]
        self.assertGreater(resources["allocatedBytes"], 0)
        self.assertGreater(resources["processes"], 0)
        self.assertNotIn("cpuPercent", resources, "one reading makes no rate")

    def test_monitoring_is_turned_on_and_off_at_run_time(self):
        app = self.app()
        app.result("config.set", values={"monitoring.enabled": True, "monitoring.intervalMs": 100})
        wait_until(lambda: app.result("metrics.query", name="process.memory.private")["series"], "it is measured")
        app.result("config.set", values={"monitoring.enabled": False})
        self.assertFalse(app.result("monitor.stop")["running"])
        error = app.error("config.set", values={"monitoring.intervalMs": 1})
        self.assertIn("monitoring.intervalMs", error["message"])

    def test_alerts_and_suggestions_are_set_at_run_time(self):
        app = self.app()
        rule = {"metric": "process.memory.private", "function": "last", "windowMs": 1000, "warning": 1, "labels": {"role": "self"}, "forMs": 0}
        app.subscribe("alerts")
        app.result("config.set", values={"alerts.rules": {"anyMemory": rule}})
        self.assertEqual(app.event("alerts.raised")["rule"], "anyMemory")
        app.result("config.set", values={"alerts.rules": {}, "alerts.builtIn": False})
        self.assertEqual(app.result("alerts.rules")["items"], [])
        app.result("config.set", values={"suggestions.windowMs": 20_000, "suggestions.automatic": True})
        self.assertEqual(app.result("config.get", key="suggestions.windowMs"), {"suggestions": {"windowMs": 20_000}})
        self.assertEqual(app.error("config.set", values={"suggestions.windowMs": 1})["code"], -32602)
        wrong = app.error("config.set", values={"alerts.rules": {"it": rule | {"critical": 0.5}}})
        self.assertIn("critical (0.5) is met before the level below it (1)", wrong["message"])


if __name__ == "__main__":
    unittest.main()
