"""When Pillion ends, and when it does not: input, signals, shutdown, a closed stdout, the death of the shell."""
import json
import os
import signal
import subprocess
import sys
import threading
import unittest

from pillion_process import WAIT_S_MAX, PillionTest, binary, clean_environment, is_running, request, wait_until

# A shell: starts Pillion with a pipe that `holder` keeps open too, says the pids, and waits to be killed.
SHELL = """
import json, subprocess, sys
stdin_read, stdin_write = __import__("os").pipe()
prefix = sys.argv[2:]
pillion = subprocess.Popen([*prefix, sys.argv[1]], stdin=stdin_read, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
holder = None
if sys.stdin.readline().strip() == "hold":
    holder = subprocess.Popen(["sleep", "300"], pass_fds=[stdin_write], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
__import__("os").write(stdin_write, b'{"jsonrpc":"2.0","id":1,"method":"rpc.ping"}\\n')
pillion.stdout.readline()
print(json.dumps({"pillion": pillion.pid, "holder": holder.pid if holder else 0}), flush=True)
sys.stdin.read()
"""


class EndOfInput(PillionTest):
    def test_requests_in_flight_are_answered(self):
        pillion = self.start()
        pillion.send(request("rpc.delay", 1, durationMs=200) + request("status.get", 2) + request("rpc.ping", 3))
        pillion.end_input()
        self.assertEqual({message["id"] for message in pillion.messages()}, {1, 2, 3})
        self.assert_ends_well(pillion)
        self.assertEqual(pillion.stderr(), "")

    def test_no_input_at_all_is_no_fault(self):
        pillion = self.start()
        pillion.end_input()
        self.assertEqual(pillion.rest(), b"")
        self.assert_ends_well(pillion)

    def test_half_a_message_is_answered_once(self):
        pillion = self.start()
        pillion.send(b'{"jsonrpc"')
        pillion.end_input()
        answers = pillion.messages()
        self.assertEqual([(answer["id"], answer["error"]["code"]) for answer in answers], [(None, -32700)])
        self.assert_ends_well(pillion)

    def test_a_last_line_without_its_end_is_a_message(self):
        for text in (request("rpc.ping").rstrip(), request("rpc.ping").rstrip() + b"\r"):
            pillion = self.start()
            pillion.send(text)
            pillion.end_input()
            self.assertEqual(pillion.messages(), [{"jsonrpc": "2.0", "id": 1, "result": {}}])
            self.assert_ends_well(pillion)

    def test_work_that_does_not_end_is_given_up_in_time_and_answered(self):
        pillion = self.start(environment={"PILLION_IPC_SHUTDOWN_MS": "100"})
        pillion.send(request("rpc.delay", 1, durationMs=600000))
        pillion.end_input()
        [answer] = pillion.messages()
        self.assertEqual(answer["error"]["code"], -32005)
        self.assert_ends_well(pillion)


class Signals(PillionTest):
    def ready(self) -> "Pillion":
        pillion = self.start()
        pillion.call("rpc.ping")
        return pillion

    def test_an_idle_process_ends(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number.name):
                pillion = self.ready()
                pillion.signal(number)
                self.assertEqual(pillion.rest(), b"")
                self.assert_ends_well(pillion)
                self.assertEqual(pillion.stderr(), "")

    def test_a_request_in_flight_is_answered(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                pillion = self.ready()
                pillion.send(request("rpc.delay", "slow", durationMs=200) + request("rpc.ping", "read"))
                pillion.answer("read")  # so both were
                pillion.signal(number)
                self.assertEqual([message["id"] for message in pillion.messages()], ["slow"])
                self.assert_ends_well(pillion)

    def test_a_second_signal_ends_at_once(self):
        pillion = self.start(environment={"PILLION_IPC_SHUTDOWN_MS": "600000"})
        pillion.send(request("rpc.delay", "slow", durationMs=600000) + request("rpc.ping", "read"))
        pillion.answer("read")
        pillion.signal(signal.SIGTERM)
        # Pending equal signals count as one; the first is handled when it is pending no more.
        wait_until(lambda: int(pending(pillion.pid), 16) == 0, "the signal is taken")
        pillion.signal(signal.SIGINT)
        self.assertEqual(pillion.exit_status(), 1)
        self.assertEqual(pillion.rest(), b"")

    def test_signals_that_mean_nothing_do_nothing(self):
        pillion = self.ready()
        for number in (signal.SIGPIPE, signal.SIGUSR2):
            pillion.signal(number)
        pillion.call("rpc.ping")


def pending(pid: int) -> str:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(line.split()[1] for line in status if line.startswith("ShdPnd:"))


class Shutdown(PillionTest):
    def test_it_is_answered_with_what_was_accepted_before(self):
        pillion = self.start()
        pillion.send(request("rpc.delay", 1, durationMs=200) + request("shutdown", 2))
        self.assertEqual([message["id"] for message in pillion.messages()], [2, 1])
        self.assert_ends_well(pillion)

    def test_as_a_notification(self):
        pillion = self.start()
        pillion.send(b'{"jsonrpc":"2.0","method":"shutdown"}\n')
        self.assertEqual(pillion.rest(), b"")
        self.assert_ends_well(pillion)

    def test_in_a_batch_with_slow_members(self):
        pillion = self.start()
        pillion.send(b'[{"jsonrpc":"2.0","id":1,"method":"rpc.delay","params":[100]},{"jsonrpc":"2.0","id":2,"method":"shutdown"}]\n')
        [answers] = pillion.messages()
        self.assertEqual({answer["id"] for answer in answers}, {1, 2})
        self.assert_ends_well(pillion)


class ClosedOutput(PillionTest):
    def test_the_next_answer_ends_the_process_without_noise(self):
        pillion = self.start()
        pillion.call("rpc.ping")
        pillion.process.stdout.close()
        pillion.send(request("rpc.ping"))
        self.assert_ends_well(pillion)
        self.assertEqual(pillion.stderr(), "")

    def test_so_does_an_answer_that_comes_later(self):
        pillion = self.start()
        pillion.send(request("rpc.delay", 1, durationMs=50))
        pillion.process.stdout.close()
        self.assert_ends_well(pillion)
        self.assertEqual(pillion.stderr(), "")

    def test_so_does_an_event(self):
        pillion = self.start()
        pillion.call("events.subscribe", topics=["metrics"], intervalMs=50)
        pillion.process.stdout.close()
        self.assert_ends_well(pillion)
        self.assertEqual(pillion.stderr(), "")

    def test_so_does_a_reader_that_leaves_with_answers_waiting(self):
        pillion = self.start()
        pillion.send_until_full(request("rpc.echo", 1, text="x" * 100_000) * 200)
        pillion.process.stdout.close()
        self.assert_ends_well(pillion)
        self.assertEqual(pillion.stderr(), "")


class DeathOfTheShell(PillionTest):
    def shell(self, hold: bool, prefix: tuple[str, ...] = ()) -> tuple[subprocess.Popen, dict]:
        shell = subprocess.Popen([sys.executable, "-c", SHELL, binary(), *prefix], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                 env=clean_environment("/nonexistent"))
        self.addCleanup(self.end_shell, shell)
        shell.stdin.write("hold\n" if hold else "let go\n")
        shell.stdin.flush()
        pids = json.loads(shell.stdout.readline())
        for pid in filter(None, pids.values()):
            self.addCleanup(self.kill, pid)
        self.assertTrue(is_running(pids["pillion"]))
        return shell, pids

    def end_shell(self, shell: subprocess.Popen) -> None:
        shell.kill()
        shell.wait(WAIT_S_MAX)
        shell.stdin.close()
        shell.stdout.close()

    @staticmethod
    def kill(pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def test_a_killed_shell_takes_pillion_with_it(self):
        shell, pids = self.shell(hold=False)
        shell.kill()
        wait_until(lambda: not is_running(pids["pillion"]), "Pillion ends")

    def test_also_when_somebody_else_keeps_the_pipe_open(self):
        shell, pids = self.shell(hold=True)
        shell.kill()
        wait_until(lambda: not is_running(pids["pillion"]), "Pillion ends")
        self.assertTrue(is_running(pids["holder"]), "the pipe was open all the time")

    def test_also_in_a_pid_namespace_where_the_parent_is_not_seen(self):
        probe = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, timeout=WAIT_S_MAX)
        self.assertEqual(probe.returncode, 0, f"this test needs to make pid namespaces, as root may: {probe.stderr.decode()}")
        unshare, pids = self.shell(hold=True, prefix=("unshare", "--pid", "--fork"))
        with open(f"/proc/{pids['pillion']}/task/{pids['pillion']}/children", encoding="ascii") as children:
            [inside] = [int(pid) for pid in children.read().split()]
        self.addCleanup(self.kill, inside)
        os.kill(pids["pillion"], signal.SIGKILL)  # unshare, the parent of the one inside
        wait_until(lambda: not is_running(inside), "Pillion ends")
        self.assertTrue(is_running(pids["holder"]), "the pipe was open all the time")
        self.assertIsNone(unshare.poll())

    def test_the_end_of_the_thread_that_started_it_is_not_the_end_of_the_shell(self):
        started = []
        thread = threading.Thread(target=lambda: started.append(self.start()))
        thread.start()
        thread.join(WAIT_S_MAX)
        self.assertFalse(thread.is_alive())
        pillion = started[0]
        for number in range(20):
            pillion.call("rpc.ping", number)
        self.assertIsNone(pillion.process.poll())
        pillion.end_input()
        self.assert_ends_well(pillion)

    def test_a_thread_that_ends_while_pillion_serves_leaves_it_alone(self):
        started, leave = [], threading.Event()

        def shell_thread() -> None:
            started.append(self.start())
            started[0].call("rpc.ping")  # now the parent's death would be noticed
            leave.wait(WAIT_S_MAX)

        thread = threading.Thread(target=shell_thread)
        thread.start()
        wait_until(lambda: started, "the thread has started it")
        leave.set()
        thread.join(WAIT_S_MAX)
        self.assertFalse(thread.is_alive())
        task_is_gone = lambda: len(os.listdir(f"/proc/{os.getpid()}/task")) == threading.active_count()
        wait_until(task_is_gone, "the system knows that the thread ended")
        self.assertEqual(started[0].call("rpc.ping"), {})


if __name__ == "__main__":
    unittest.main()
