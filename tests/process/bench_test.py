"""pillion bench as a script in CI uses it: JSON in a file, and an exit status that says whether anything is slower."""
import json
import pathlib
import signal
import subprocess
import tempfile
import unittest

from pillion_process import binary, clean_environment, wait_until

NOT_SLOWER, SLOWER, UNCLEAR = 0, 1, 2
RUN_S_MAX = 120


class Bench(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.data = self.folder / "data"
        self.environment = clean_environment(str(self.data))

    def bench(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([binary(), "bench", *words], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=RUN_S_MAX)

    def measured(self, *words: str) -> dict:
        ran = self.bench(*words, "--runs", "12", "--time", "0.1", "--json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return json.loads(ran.stdout)

    def file(self, name: str, run: dict) -> str:
        path = self.folder / name
        path.write_text(json.dumps(run))
        return str(path)

    def test_every_suite_measures_something(self):
        run = self.measured()
        self.assertEqual({result["suite"] for result in run["results"]}, {"startup", "ipc", "memory", "filesystem", "database", "cache"})
        for result in run["results"]:
            self.assertNotIn("error", result)
            self.assertGreater(result["p50Ns"], 0, result["name"])
            self.assertLessEqual(result["p50Ns"], result["p95Ns"])
            self.assertLessEqual(result["p95Ns"], result["p99Ns"])
        self.assertEqual({path.name.split(".")[0] for path in self.data.iterdir()}, {"state"}, "it left files behind")

    def test_the_exit_status_tells_the_slower_one(self):
        run = self.measured("memory.buffers")
        before = self.file("before.json", run)
        self.assertEqual(self.bench("compare", before, before).returncode, NOT_SLOWER)
        slow = json.loads(json.dumps(run))
        slow["results"][0]["samples"] = [2 * ns for ns in slow["results"][0]["samples"]]
        self.assertEqual(self.bench("compare", before, self.file("slow.json", slow)).returncode, SLOWER)

    def test_what_cannot_be_compared_is_unclear(self):
        run = self.measured("memory.buffers")
        before = self.file("before.json", run)
        for name, change in {"machine": {"machine": run["machine"] | {"fingerprint": "another"}}, "nothing": {"results": []},
                             "version": {"version": 2}, "format": {"format": "x"}}.items():
            self.assertEqual(self.bench("compare", before, self.file(name, run | change)).returncode, UNCLEAR, name)
        self.assertEqual(self.bench("compare", before, str(self.folder / "missing")).returncode, UNCLEAR)

    def test_commands_are_measured_and_a_failing_one_fails(self):
        self.assertEqual(self.measured("command", "true")["results"][0]["name"], "command.true")
        failed = self.bench("command", "--runs", "1", "--", "sh", "-c", "exit 4")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("sh failed with exit status 4", failed.stdout)

    def running(self, words: str) -> list[int]:
        """The processes whose command line is this."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip() == words:
                    found.append(int(folder.name))
            except OSError:
                pass
        return found

    def test_what_a_command_leaves_running_ends_with_it(self):
        self.assertEqual(self.bench("command", "--runs", "5", "--time", "0.1", "--", "sh", "-c", "sleep 86321 & exit 0").returncode, 0)
        self.assertEqual(self.running("sleep 86321"), [])

    def test_what_a_command_put_into_another_session_ends_with_the_measurement(self):
        script = "setsid sleep 86322 & exit 0"
        self.assertEqual(self.bench("command", "--runs", "5", "--time", "0.1", "--", "sh", "-c", script).returncode, 0)
        self.assertEqual(self.running("sleep 86322"), [])

    def test_a_command_and_all_it_started_end_when_pillion_is_killed(self):
        script = "sleep 86323 & setsid sleep 86324 & sleep 86325"
        bench = subprocess.Popen([binary(), "bench", "command", "--", "sh", "-c", script], env=self.environment,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        sleeps = ["sleep 86323", "sleep 86324", "sleep 86325"]
        wait_until(lambda: all(self.running(words) for words in sleeps), "the command runs")
        bench.kill()
        bench.wait()
        wait_until(lambda: not any(self.running(words) for words in sleeps + ["sh -c " + script]), "everything has ended")

    def test_a_command_that_takes_too_long_is_given_up(self):
        ran = self.bench("command", "--timeout", "0.2", "--", "sleep", "86326")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("sleep did not end within 200 ms and was killed", ran.stdout)
        self.assertEqual(self.running("sleep 86326"), [])

    def test_a_baseline_is_compared_with_the_one_before_it(self):
        first = self.bench("memory.buffers", "--runs", "12", "--time", "0.1", "--baseline")
        self.assertNotIn("compared with the baseline", first.stdout)
        self.assertEqual(first.returncode, 0)
        second = self.bench("memory.buffers", "--runs", "12", "--time", "0.1", "--baseline")
        self.assertIn("compared with the baseline", second.stdout)

    def test_a_method_that_fails_tells_why(self):
        ran = self.bench("method", "rpc.nope")
        self.assertEqual(ran.returncode, 1)
        self.assertIn('with an error: there is no method "rpc.nope"', ran.stdout)

    def test_a_folder_that_cannot_be_made_is_named(self):
        ran = self.bench("memory.buffers", "--data-dir", "/dev/null/there")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("/dev/null/there cannot be made: Not a directory", ran.stderr)

    def test_a_wrong_suite_names_the_nearest(self):
        refused = self.bench("memroy")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("did you mean memory?", refused.stderr)

    def test_an_interrupted_measurement_leaves_nothing_behind(self):
        running = subprocess.Popen([binary(), "bench", "command", "sleep", "1000"], env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(running.kill)
        wait_until(lambda: self.data.is_dir() and any(path.name.startswith("benchmark-run-") and (path / "stderr").exists()
                                                      for path in self.data.iterdir()), "the command was not started")
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(RUN_S_MAX), 130)
        self.assertFalse([path.name for path in self.data.iterdir() if path.name.startswith("benchmark-run-")])


if __name__ == "__main__":
    unittest.main()
