"""The 21 commands that the desktop system already uses, each called by its old name in the real program."""
import unittest

from app_process import AppTest, python
from pillion_process import wait_until

ECHO = python("import sys\nprint('{\"ready\": true}')")


class Commands(AppTest):
    def setUp(self):
        super().setUp()
        self.app_under_test = self.app(components={
            "search": {"kind": "task", "command": ECHO, "load": "onSignal", "signals": ["search opened"]},
            "lazy": {"kind": "task", "command": ECHO, "load": "firstUse"}})

    def call(self, name: str, /, **params):
        return self.app_under_test.result(name, **params)

    def test_each_name_answers_as_the_method_it_stands_for(self):
        call = self.call
        self.assertEqual(call("initialize_performance_manager")["name"], "pillion")
        self.assertIn("uptimeMs", call("get_performance_status"))
        metrics = call("get_performance_metrics")
        self.assertGreater(metrics["ipc"]["requests"], 0)
        self.assertGreaterEqual(metrics["resources"].keys(), {"allocatedBytes", "diskReadBytes", "networkSentBytes"})
        wait_until(lambda: "cpuPercent" in call("get_performance_metrics")["resources"], "there are two readings, which make a rate")
        self.assertGreater(call("get_resource_stats")["total"]["memoryBytes"], 0)
        self.assertGreater(call("get_system_info_summary")["memoryBytes"], 0)
        self.assertIn("steps", call("optimize_memory"))
        self.assertEqual(call("force_optimization")["trials"], [])
        self.assertIn("score", call("create_optimization_report", report="html"))
        measured = call("run_performance_benchmarks", suite="memory", runs=3, timeMs=20)["run"]["results"]
        self.assertEqual({result["suite"] for result in measured}, {"memory"})
        self.assertEqual({item["name"] for item in call("get_benchmark_history")["items"]}, {result["name"] for result in measured})
        started = call("run_startup_benchmark", runs=3, timeMs=20)["run"]["results"]
        self.assertEqual({result["suite"] for result in started}, {"startup"})
        self.assertEqual(call("load_component", component_name="lazy")["result"], {"ready": True})
        self.assertEqual({item["name"] for item in call("get_component_info")["items"]}, {"search", "lazy"})
        self.assertEqual(call("preload_components", trigger="search opened")["queued"], ["search"])
        call("cache.put", key="a", value=1)
        self.assertIn("hitRatio", call("get_cache_stats"))
        self.assertEqual(call("clear_memory_caches")["memoryEntries"], 1)
        self.assertIn("small", {pool["name"] for pool in call("get_memory_pool_stats")["items"]})
        self.assertEqual(call("get_active_alerts")["items"], [])
        self.assertIsInstance(call("get_optimization_recommendations")["items"], list)
        self.assertIsInstance(call("get_performance_trends")["items"], list)
        call("shutdown_performance_manager")
        self.assert_ends_well(self.app_under_test)


if __name__ == "__main__":
    unittest.main()
