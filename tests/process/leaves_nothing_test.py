"""Whoever is killed, and whenever: what Pillion has started ends. The services here are deaf to SIGTERM, and each has a
grandchild in a session of its own, whose parent has ended."""
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

from app_process import MARK, App, AppTest, binary, command_of, guards_of, mark_of, marked, pids
from pillion_process import WAIT_S_MAX, clean_environment, is_running, wait_until

SERVICES = 6
DEAF = "trap '' TERM HUP INT; (setsid sleep 1000 &); echo up >> \"$UP\"; exec sleep 1000"

# A shell: starts Pillion, says its pid, and waits to be killed.
SHELL = """
import subprocess, sys
pillion = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(pillion.pid, flush=True)
sys.stdin.read()
"""


def kill(*killed: int) -> None:
    for pid in killed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def pass_time(wait_ms: int) -> None:
    """The moment of a kill is what these tests vary; it is no wait for something to happen."""
    threading.Event().wait(wait_ms / 1000)


class LeavesNothing(AppTest):
    def setUp(self):
        super().setUp()
        # By a program of this test's own its guards are found, who hide from marks.
        self.program = self.path("pillion")
        shutil.copy(binary(), self.program)
        services = {f"s{number}": {"kind": "service", "command": ["sh", "-c", DEAF], "stopMs": 100, "restart": {"rule": "never"},
                                   "environment": {"UP": self.path("up")}, "dependsOn": ["s0"] if number >= 4 else []}
                    for number in range(SERVICES)}
        self.configuration(automatic=True, components=services)
        self.addCleanup(lambda: kill(*self.alive()))

    def alive(self) -> list[int]:
        """Pillion, its guards, and whoever has the mark."""
        return [*marked(self.mark), *(pid for pid in pids() if self.program in self.executable(pid) and is_running(pid))]

    @staticmethod
    def executable(pid: int) -> str:
        try:
            return os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return ""

    def shell(self, point: str) -> tuple[subprocess.Popen, int]:
        """A shell that has just started Pillion, and Pillion's pid. Each on a data directory of its own."""
        environment = clean_environment(self.path("data-" + point), {MARK: f"{self.mark}-{point}"})
        shell = subprocess.Popen([sys.executable, "-S", "-E", "-c", SHELL, self.program, "serve", "--config", self.path("app.toml")],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=self.folder)
        self.addCleanup(self.end_shell, shell)
        return shell, int(shell.stdout.readline())

    @staticmethod
    def end_shell(shell: subprocess.Popen) -> None:
        shell.kill()
        shell.wait(WAIT_S_MAX)
        shell.stdin.close()
        shell.stdout.close()

    def sidecar(self, point: str, data_directory: str | None = None) -> App:
        app = App(self.path("app.toml"), data_directory or self.data_directory, f"{self.mark}-{point}", cwd=self.folder, program=self.program)
        self.addCleanup(self.end, app)
        return app

    def wait_until_up(self, app: App) -> None:
        wait_until(lambda: app.result("startup.status")["stage"] == "ready", "all services are ready")
        wait_until(lambda: len(self.sleepers(app)) == 2 * SERVICES, "all have their grandchildren")

    def sleepers(self, app: App) -> list[int]:
        mark = mark_of(app.pid)
        return [pid for pid in marked(mark) if command_of(pid) == "sleep 1000"] if mark else []

    def assert_ends(self, limit_s: float) -> None:
        try:
            wait_until(lambda: not self.alive(), "everything ends", limit_s)
        except AssertionError:
            left = {pid: f"{mark_of(pid)} {command_of(pid)}" for pid in self.alive()}
            raise AssertionError(f"after {limit_s} s there were still {left}") from None

    def shell_with_services(self) -> tuple[subprocess.Popen, int]:
        """A shell whose Pillion has all its services up."""
        before = self.read("up").count("up")
        shell, pillion = self.shell("up")
        wait_until(lambda: self.read("up").count("up") == before + SERVICES, "all services come up")
        return shell, pillion

    def test_the_shell_is_killed_at_any_point_of_the_start(self):
        for point in (0, 5, 10, 20, 50, 100, 200, 500):
            shell, pillion = self.shell(str(point))
            pass_time(point)
            shell.kill()
        self.assert_ends(8)
        shell, pillion = self.shell_with_services()
        shell.kill()
        self.assert_ends(8)

    def test_pillion_is_killed_at_any_point_of_the_start(self):
        for point in (0, 5, 10, 20, 50, 100, 200, 500):
            shell, pillion = self.shell(str(point))
            pass_time(point)
            kill(pillion)
        self.assert_ends_but_shells(8)
        shell, pillion = self.shell_with_services()
        kill(pillion)
        self.assert_ends_but_shells(8)

    def assert_ends_but_shells(self, limit_s: float) -> None:
        def others() -> list[int]:
            return [pid for pid in self.alive() if SHELL.strip() not in command_of(pid)]
        try:
            wait_until(lambda: not others(), "everything ends", limit_s)
        except AssertionError:
            left = {pid: f"{mark_of(pid)} {command_of(pid)}" for pid in others()}
            raise AssertionError(f"after {limit_s} s there were still {left}") from None

    def test_both_are_killed_at_once(self):
        for point in (0, 10, 50, 200):
            shell, pillion = self.shell(str(point))
            pass_time(point)
            kill(shell.pid, pillion)
        self.assert_ends(8)

    def test_pillion_is_killed_while_it_ends(self):
        app = self.sidecar("ending")
        self.wait_until_up(app)
        app.end_input()
        pass_time(20)
        kill(app.pid)
        self.assert_ends(8)

    def test_the_end_of_stdin_ends_every_tree_in_time(self):
        app = self.sidecar("stdin")
        self.wait_until_up(app)
        began = time.monotonic()
        app.end_input()
        app.rest()
        self.assertEqual(app.exit_status(), 0)
        self.assertLess(time.monotonic() - began, 5 + 0.1 + 1, "shutdownMs and stopMs, and a second for a busy machine")
        self.assertEqual(marked(self.mark), [], "nothing is left at the moment it has ended")
        self.assert_ends(8)  # the guard, which is told to go

    def test_what_a_killed_run_left_is_ended_by_the_next(self):
        first = self.sidecar("first")
        self.wait_until_up(first)
        left = self.sleepers(first)
        kill(*guards_of(first.pid), first.pid)
        self.assertEqual(first.process.wait(WAIT_S_MAX), -signal.SIGKILL)
        self.assertGreater(len([pid for pid in left if is_running(pid)]), 0, "without its guard there are leftovers")
        second = self.sidecar("second")
        self.wait_until_up(second)
        self.assertEqual([pid for pid in left if is_running(pid)], [])
        second.end_input()
        self.assertEqual(second.exit_status(), 0)
        said = second.stderr()
        self.assertIn("which an earlier run had left behind", said)
        self.assertEqual(os.listdir(os.path.join(self.data_directory, "run")), [], "and its list is done with")

    def test_two_on_one_data_directory_leave_each_other_alone(self):
        first = self.sidecar("first")
        self.wait_until_up(first)
        of_first = self.sleepers(first)
        second = self.sidecar("second")
        self.wait_until_up(second)
        of_second = self.sleepers(second)
        self.assertEqual([pid for pid in of_first if not is_running(pid)], [])
        kill(second.pid)
        wait_until(lambda: not any(map(is_running, of_second)), "the second's services end")
        third = self.sidecar("third")
        self.wait_until_up(third)
        third.end_input()
        self.assertEqual(third.exit_status(), 0)
        self.assertEqual([pid for pid in of_first if not is_running(pid)], [])
        self.assertEqual(first.result("startup.status")["stage"], "ready")
        first.end_input()
        self.assertEqual(first.exit_status(), 0)
        self.assert_ends(8)

    def test_somebody_elses_process_with_a_pid_of_an_old_list_is_left_alone(self):
        other = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(other.wait, WAIT_S_MAX)
        self.addCleanup(other.kill)
        os.makedirs(os.path.join(self.data_directory, "run"))
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        with open(os.path.join(self.data_directory, "run", "999999-1-0.children"), "w", encoding="ascii") as file:
            file.write(f"pillion-children 1 {boot} 0123456789abcdef0123456789abcdef\n+ {other.pid} 1 /usr/bin/sleep s0\n")
        app = self.sidecar("new")
        self.wait_until_up(app)
        self.assertIsNone(other.poll(), "its start time is another")
        app.end_input()
        self.assertEqual(app.exit_status(), 0)


if __name__ == "__main__":
    unittest.main()
