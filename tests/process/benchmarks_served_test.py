"""Benchmarks of a running Pillion: what is asked over the wire is measured, kept, compared and told, and nothing else suffers from it."""
import ctypes
import os
import select
import sqlite3
import subprocess
import unittest

from app_process import AppTest
from backends_test import BackendTest
from pillion_process import WAIT_S_MAX, binary, clean_environment, wait_until

# As many runs on a slow machine: they are given ten times the time.
QUICK = {"runs": 12, "runsMax": 12, "timeMs": 1000, "warmupMs": 0}
CONFLICT, UNAVAILABLE, CANCELLED, INVALID = -32003, -32005, -32800, -32602
# What is not ended at once would hold up the end for as long as a call may, and so much longer than anything is waited for.
PATIENT = {"ipc": {"shutdownMs": 600_000}}


class BenchmarksTest(AppTest):
    def run_of(self, app, **params) -> dict:
        return app.result("benchmarks.run", **(QUICK | params))["run"]

    def sleeping(self, app, seconds: int = 600) -> int:
        """A measurement that waits for this command; the id of its request, once the command runs."""
        started = app.ask("benchmarks.run", command=["sleep", str(seconds)], runs=1, warmupMs=0, _meta={"progressToken": "sleeping"})
        app.message_where(lambda message: message.get("method") == "$/progress")
        return started

    def assert_free(self, app) -> None:
        """The next measurement can begin, now or when the one that was ended is gone."""
        def runs() -> bool:
            answer = app.answer(app.ask("benchmarks.run", **QUICK, names=["memory.buffers"]))
            if "error" in answer:
                self.assertEqual(answer["error"]["code"], CONFLICT)
            return "result" in answer
        wait_until(runs, "another benchmark is run")


class Run(BenchmarksTest):
    def test_a_suite_or_single_benchmarks_are_measured(self):
        app = self.app()
        known = app.result("benchmarks.list")["items"]
        memory = [item["name"] for item in known if item["suite"] == "memory"]
        run = self.run_of(app, suite="memory", label="first")
        self.assertEqual([result["name"] for result in run["results"]], memory)
        self.assertEqual(run["label"], "first")
        for result in run["results"]:
            self.assertGreater(result["p50Ns"], 0)
            self.assertLessEqual(result["p50Ns"], result["p99Ns"])
            self.assertGreaterEqual(len(result["samples"]), 12)
        single = self.run_of(app, names=["ipc.ping", "memory.copy"])
        self.assertEqual([result["name"] for result in single["results"]], ["ipc.ping", "memory.copy"])
        self.assertGreater(single["id"], run["id"])

    def test_what_is_not_there_is_refused_with_the_nearest(self):
        app = self.app()
        self.assertIn("did you mean memory?", app.error("benchmarks.run", suite="memroy")["message"])
        for wrong in ({"runs": 0}, {"method": "benchmarks.run"}, {"method": "run_startup_benchmark"}, {"command": [""]}, {"runs": 10, "runsMax": 5}):
            self.assertEqual(app.error("benchmarks.run", **wrong)["code"], INVALID, wrong)

    def test_what_is_wrong_is_pointed_at(self):
        app = self.app()
        for field, wrong in {"/suite": {"suite": "memroy"}, "/names": {"names": ["memroy"]}, "/method": {"method": "shutdown"},
                             "/params": {"method": "rpc.ping", "params": 5}, "/command/1": {"command": ["true", "a\0b"]}}.items():
            error = app.error("benchmarks.run", **wrong)
            self.assertEqual((error["code"], error["data"]["field"]), (INVALID, field), wrong)
        self.assertEqual(app.result("rpc.ping"), app.result("rpc.ping"), "it ended itself")

    def test_progress_is_told_while_it_is_measured(self):
        app = self.app()
        asked = app.ask("benchmarks.run", suite="memory", **QUICK, _meta={"progressToken": "mine"})
        seen = []
        app.message_where(lambda message: seen.append(message) or message.get("id") == asked)
        values = [message["params"]["value"] for message in seen if message.get("method") == "$/progress"]
        self.assertEqual(values[0]["kind"], "begin")
        self.assertEqual(values[-1]["kind"], "end")
        shares = [value["percentage"] for value in values if "percentage" in value]
        self.assertEqual(shares, sorted(shares))
        self.assertLessEqual(shares[-1], 100)

    def test_the_end_is_told_with_the_verdict(self):
        app = self.app()
        app.subscribe("benchmarks")
        run = self.run_of(app, names=["memory.buffers"], label="told", baseline=True)
        told = app.event("benchmarks.finished", label="told")
        self.assertEqual(told["run"], run["id"])
        self.assertEqual((told["failed"], told["slower"]), ([], []))
        self.assertNotIn("verdict", told)
        self.run_of(app, names=["memory.buffers"], label="again")
        self.assertIn(app.event("benchmarks.finished", label="again")["verdict"], {"same", "faster", "slower", "unclear"})

    def test_a_command_that_fails_or_hangs_says_so_and_leaves_nothing(self):
        app = self.app()
        def error(*command: str, **more) -> str:
            return self.run_of(app, command=list(command), runs=1, **more)["results"][0]["error"]
        self.assertEqual(error("sh", "-c", "echo no >&2; exit 3"), "sh failed with exit status 3: no")
        self.assertEqual(error("sleep", "600", timeoutMs=300), "sleep did not end within 300 ms and was killed")
        self.assertIn("cannot be started", error("/there/is/no/such"))
        self.assertEqual(app.result("rpc.ping"), app.result("rpc.ping"))

    def test_what_the_commands_of_the_app_call_them(self):
        app = self.app()
        run = app.result("run_performance_benchmarks", **QUICK, names=["memory.copy"])["run"]
        started = app.result("run_startup_benchmark", runs=3, timeMs=50, warmupMs=0)["run"]
        self.assertEqual([result["name"] for result in started["results"]], ["startup.first_answer"])
        self.assertEqual({item["name"]: [point["run"] for point in item["points"]] for item in app.result("get_benchmark_history")["items"]},
                         {"memory.copy": [run["id"]], "startup.first_answer": [started["id"]]})


class MethodsOfTheApp(BackendTest, BenchmarksTest):
    def test_a_method_of_a_backend_is_measured_with_its_params(self):
        app = self.app(backends={"own": self.obedient()})
        result = self.run_of(app, method="own/echo", params={"text": "x"})["results"][0]
        self.assertEqual(result["name"], "method.own/echo")
        self.assertNotIn("error", result)
        self.assertGreater(result["p50Ns"], 0)
        asked = [message for message in self.said() if message.get("method") == "echo"]
        self.assertEqual(len(asked), result["operations"])
        self.assertTrue(all(message["params"] == {"text": "x"} for message in asked))

    def test_a_method_that_errors_or_hangs_says_so(self):
        app = self.app(backends={"own": self.obedient()})
        app.subscribe("benchmarks")
        failed = self.run_of(app, method="own/fail", label="failing")["results"][0]
        self.assertEqual(failed["error"], "own/fail failed: no")
        self.assertEqual(app.event("benchmarks.finished", label="failing")["failed"], ["method.own/fail"])
        hanging = self.run_of(app, method="own/hold", timeoutMs=200)["results"][0]
        self.assertEqual(hanging["error"], "own/hold did not answer within 200 ms")
        self.assertIn("nonsense", self.run_of(app, method="nonsense")["results"][0]["error"])
        self.assertEqual(app.result("own/echo", a=1), {"a": 1})


class OneAtATime(BenchmarksTest):
    def test_a_second_one_is_refused_until_the_first_is_cancelled(self):
        app = self.app()
        first = self.sleeping(app)
        refused = app.error("benchmarks.run", suite="memory")
        self.assertEqual(refused["code"], CONFLICT)
        self.assertIn("a benchmark is running", refused["message"])
        app.send(b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":%d}}\n' % first)
        self.assertEqual(app.answer(first)["error"]["code"], CANCELLED)
        self.assert_free(app)
        self.assertEqual([item["name"] for item in app.result("benchmarks.history")["items"]], ["memory.buffers"])

    def test_another_process_with_the_same_data_is_refused_with_the_name_of_the_first(self):
        app = self.app()
        self.sleeping(app, 5)  # its own end: nobody is left to end it when its Pillion is killed
        other = self.app()
        refused = other.error("benchmarks.run", suite="memory")
        self.assertEqual(refused["code"], CONFLICT)
        self.assertTrue(refused["message"].startswith(f"process {app.pid} ({os.path.basename(binary())} serve) is measuring in {self.data_directory};"), refused)
        terminal = subprocess.run([binary(), "bench", "memory"], env=clean_environment(self.data_directory), stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=WAIT_S_MAX)
        self.assertEqual(terminal.returncode, 1)
        self.assertIn(f"process {app.pid} ({os.path.basename(binary())} serve) is measuring", terminal.stderr)
        app.process.kill()
        app.process.wait(WAIT_S_MAX)
        self.assert_free(other)
        self.assertNotIn("benchmark-lock", os.listdir(self.data_directory))


class EndOfInput(BenchmarksTest):
    def assert_ends_at_once(self, app) -> None:
        app.end_input()
        app.kept += app.messages()
        self.assert_ends_well(app)

    def test_it_ends_a_measurement_at_once(self):
        app = self.app(**PATIENT)
        running = self.sleeping(app)
        self.assert_ends_at_once(app)
        answer = next(message for message in app.kept if message.get("id") == running)
        self.assertEqual(answer["error"]["code"], UNAVAILABLE)
        self.assertEqual(answer["error"]["message"], "the program ended before the benchmark did")
        self.assertFalse([name for name in os.listdir(self.data_directory) if name.startswith("benchmark-")])

    def test_it_ends_a_trial_of_advice_at_once(self):
        app = self.app(**PATIENT)
        app.result("cache.setPolicy", namespace="texts", policy={"compressAboveBytes": 0, "tiers": {"disk": {"enabled": True}}})
        for number in range(1100):
            app.ask("cache.put", namespace="texts", key=f"k{number}", value="the same words again and again " * 40)
        app.answer(app.last_id)
        offered = [item["id"] for item in app.result("suggestions.list")["items"] if item["appliesItself"]]
        self.assertIn("cache.compress:texts", offered)
        running = app.ask("suggestions.apply", id="cache.compress:texts", windowMs=300_000, _meta={"progressToken": "trial"})
        app.message_where(lambda message: message.get("method") == "$/progress")
        self.assert_ends_at_once(app)
        answer = next(message for message in app.kept if message.get("id") == running)
        self.assertEqual([trial["verdict"] for trial in answer["result"]["trials"]], ["interrupted"])


class Kept(BenchmarksTest):
    def test_history_baseline_and_comparison_outlive_the_process(self):
        app = self.app()
        runs = [self.run_of(app, names=["memory.buffers"], label=f"number {number}")["id"] for number in range(3)]
        self.assertEqual(app.result("benchmarks.setBaseline", run=runs[0]), {"run": runs[0], "benchmarks": ["memory.buffers"]})
        self.end(app)
        app = self.app()
        points = app.result("benchmarks.history", name="memory.buffers")["items"][0]["points"]
        self.assertEqual([(point["run"], point["label"], point["baseline"]) for point in points],
                         [(runs[0], "number 0", True), (runs[1], "number 1", False), (runs[2], "number 2", False)])
        self.assertEqual([point["run"] for point in app.result("benchmarks.history", limit=1)["items"][0]["points"]], [runs[2]])
        itself = app.result("benchmarks.compare", before=runs[0], after=runs[0])
        self.assertEqual(itself["verdict"], "same")
        self.assertEqual(itself["changes"][0]["changePercent"], 0)
        self.assertEqual([change["name"] for change in app.result("benchmarks.compare")["changes"]], ["memory.buffers"])
        self.assertIn("999", app.error("benchmarks.compare", before=999)["message"])

    def test_a_measurement_ten_times_as_slow_is_called_slower_than_the_baseline(self):
        app = self.app()
        enough = {"runs": 12, "runsMax": 12, "timeMs": 5000}
        quick = self.run_of(app, command=["sleep", "0.01"], baseline=True, **enough)
        slow = app.result("benchmarks.run", command=["sleep", "0.1"], **enough)
        self.assertEqual(slow["comparison"]["verdict"], "slower")
        self.assertEqual(app.result("benchmarks.compare", before=slow["run"]["id"], after=quick["id"])["verdict"], "faster")

    def test_without_a_baseline_there_is_nothing_to_compare_with(self):
        app = self.app()
        self.assertIn("no baseline", app.error("benchmarks.compare")["message"] + app.error("benchmarks.setBaseline")["message"])
        self.assertNotIn("comparison", app.result("benchmarks.run", **QUICK, names=["memory.buffers"]))


class Schedule(BenchmarksTest):
    def test_it_outlives_the_process_until_it_is_ended(self):
        app = self.app()
        self.assertEqual(app.result("benchmarks.schedule")["everyHours"], 0)
        made = app.result("benchmarks.schedule", everyHours=12, names=["memory.buffers"])
        self.end(app)
        app = self.app()
        kept = app.result("benchmarks.schedule")
        self.assertEqual((kept["everyHours"], kept["names"]), (12, ["memory.buffers"]))
        self.assertLess(abs(kept["nextAt"] - made["nextAt"]), 3_600_000)
        self.assertNotIn("nextAt", app.result("benchmarks.schedule", everyHours=0))
        self.end(app)
        self.assertEqual(self.app().result("benchmarks.schedule")["everyHours"], 0)

    def test_what_is_due_waits_while_something_is_asked(self):
        app = self.app()
        app.subscribe("benchmarks")
        delay = app.ask("rpc.delay", durationMs=600_000)
        app.result("benchmarks.schedule", everyHours=0.00005, names=["memory.buffers"])
        wait_until(lambda: app.result("benchmarks.schedule")["waitsFor"] == "the machine is busy", "it is due, and waits")
        self.assertEqual(app.result("benchmarks.history")["items"], [])
        app.send(b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":%d}}\n' % delay)
        self.assertEqual(app.answer(delay)["error"]["code"], -32800)

    def test_what_is_due_is_measured_if_the_machine_is_idle(self):
        app = self.app()
        app.subscribe("benchmarks")
        app.result("benchmarks.schedule", everyHours=0.00005, names=["memory.buffers"])
        schedule: dict = {}
        def has_been_due() -> bool:
            schedule.update(app.result("benchmarks.schedule"))
            return schedule["waitsFor"] == "the machine is busy" or "lastAt" in schedule
        wait_until(has_been_due, "it is due")
        if "lastAt" in schedule:  # else this machine is busy with other things, and it has to wait
            self.assertEqual(app.event("benchmarks.finished", label="scheduled")["failed"], [])

    def test_a_damaged_schedule_is_refused_and_the_rest_goes_on(self):
        os.makedirs(self.data_directory)
        with open(os.path.join(self.data_directory, "benchmark-schedule"), "w", encoding="utf-8") as file:
            file.write("tomorrow\n")
        app = self.app()
        self.assertEqual(app.result("benchmarks.schedule")["everyHours"], 0)
        self.assertEqual(app.result("benchmarks.schedule", everyHours=1)["everyHours"], 1)


class Startup(BenchmarksTest):
    def test_the_start_of_the_components_is_measured_without_touching_their_data(self):
        ready = ["sh", "-c", f"echo started >> {self.path('starts')}; echo it is ready; exec sleep 1000"]
        app = self.app(components={"search": {"kind": "service", "command": ready, "readiness": {"by": "line", "text": "it is ready"}},
                                   "index": {"kind": "task", "command": ["echo", "{}"], "dependsOn": ["search"]}})
        self.assertIn("startup.components", [item["name"] for item in app.result("benchmarks.list")["items"]])
        result = self.run_of(app, names=["startup.components"], runs=3)["results"][0]
        self.assertNotIn("error", result)
        self.assertGreaterEqual(self.read("starts").count("started"), 3)
        self.assertEqual(app.state_of("search"), "idle")


class Troubles(BenchmarksTest):
    def test_a_damaged_table_loses_neither_the_measurement_nor_anything_else(self):
        app = self.app()
        self.run_of(app, names=["memory.buffers"])
        self.end(app)
        with sqlite3.connect(os.path.join(self.data_directory, "state.db")) as database:
            database.executescript("DROP TABLE benchmark_results; CREATE TABLE benchmark_results (nonsense); DROP TABLE benchmark_baselines")
        database.close()
        app = self.app()
        run = self.run_of(app, names=["memory.buffers"])
        self.assertEqual(run["id"], 0)
        self.assertIn("benchmark_results", run["notStored"])
        self.assertGreater(run["results"][0]["p50Ns"], 0)
        for method in ("benchmarks.history", "benchmarks.compare", "benchmarks.setBaseline"):
            self.assertIn("message", app.error(method), method)
        self.assertEqual(app.result("suggestions.history")["items"], [])
        app.result("cache.put", key="k", value=1)
        self.assertEqual(app.result("cache.get", key="k")["value"], 1)

    def test_samples_that_are_no_samples_are_not_compared(self):
        app = self.app()
        run = self.run_of(app, names=["memory.buffers"])
        self.end(app)
        with sqlite3.connect(os.path.join(self.data_directory, "state.db")) as database:
            database.execute("UPDATE benchmark_results SET samples = x'ffffffffffffffffff', p50_ns = 'text', intervals = x'00'")
        database.close()
        app = self.app()
        self.assertEqual(app.result("benchmarks.compare", before=run["id"], after=run["id"])["verdict"], "unclear")
        self.assertEqual(len(app.result("benchmarks.history")["items"]), 1)

    def test_a_full_disk_does_not_cost_the_measurement(self):
        os.makedirs(self.data_directory)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", self.data_directory.encode(), b"tmpfs", 0, b"size=3m") != 0:
            self.skipTest("this user cannot make a file system: " + os.strerror(ctypes.get_errno()))
        self.addCleanup(libc.umount2, self.data_directory.encode(), 2)
        app = self.app()
        kept = self.run_of(app, names=["memory.buffers"])
        filler = os.path.join(self.data_directory, "filler")
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        run = self.run_of(app, names=["memory.buffers", "filesystem.write"])
        self.assertEqual(run["id"], 0)
        self.assertIn("full", run["notStored"])
        self.assertGreater(run["results"][0]["p50Ns"], 0)
        self.assertIn("error", run["results"][1])
        self.assertEqual([point["run"] for point in app.result("benchmarks.history")["items"][0]["points"]], [kept["id"]])
        os.unlink(filler)
        self.assertGreater(self.run_of(app, names=["memory.buffers"])["id"], kept["id"])


if __name__ == "__main__":
    unittest.main()
