"""Backends through the real program: what they answer reaches whoever asked and nobody else, whatever they do wrong."""
import json
import os
import unittest

from app_process import App, AppTest, command_of, marked
from pillion_process import is_running, wait_until

FOLDER = os.path.dirname(os.path.abspath(__file__))
HOSTILE = os.path.join(os.path.dirname(FOLDER), "backends", "hostile_backend.py")

# Does as it is asked, and writes down what it is told. As an MCP server it shakes hands.
OBEDIENT = """
import json, os, sys
said = open(sys.argv[1], "a")
held, counts = [], {}
def write(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\\n")
    sys.stdout.flush()
def answer(request, result): write({"id": request["id"], "result": result})
def fail(request): write({"id": request["id"], "error": {"code": -7, "message": "no", "data": {"why": request["params"]}}})
def count(request):
    key = json.dumps(request.get("params"))
    counts[key] = counts.get(key, 0) + 1
    answer(request, counts[key])
def release(request):
    for one in reversed(held): answer(one, one["params"])
    held.clear()
    answer(request, "released")
def progress(request):
    token = request["params"]["_meta"]["progressToken"]
    for step in (1, 2, 3):
        write({"method": "notifications/progress", "params": {"progressToken": token, "progress": step, "total": 4, "message": f"step {step}"}})
    answer(request, "done")
def ask(request):
    write({"id": request["id"], "method": "workspace/applyEdit", "params": request["params"]})
    held.append(request)
def tell(request):
    write({"method": request["params"]["method"], "params": {"now": True}})
    answer(request, None)
def initialize(request):
    answer(request, {"protocolVersion": request["params"]["protocolVersion"], "capabilities": {"tools": {"listChanged": True}},
                     "serverInfo": {"name": "obedient", "version": "1"}})
METHODS = {"echo": lambda request: answer(request, request["params"]), "fail": fail, "count": count, "hold": held.append, "release": release,
           "progress": progress, "ask": ask, "tell": tell, "initialize": initialize, "pid": lambda request: answer(request, os.getpid()),
           "die": lambda request: os._exit(9), "tools/list": lambda request: answer(request, {"tools": [{"name": "from", "pid": os.getpid()}]})}
def take(message):
    if "method" not in message:
        one = next(one for one in held if one["id"] == message["id"])
        held.remove(one)
        answer(one, message.get("result", message.get("error")))
    elif "id" in message:
        METHODS[message["method"]](message)
for line in sys.stdin:
    said.write(line)
    said.flush()
    messages = json.loads(line)
    for message in messages if isinstance(messages, list) else [messages]: take(message)
"""


def hostile(mode: str, **members) -> dict:
    return {"command": ["python3", "-S", "-E", HOSTILE, mode], "stopMs": 200} | members


class BackendTest(AppTest):
    def obedient(self, **members) -> dict:
        return {"command": ["python3", "-S", "-E", "-c", OBEDIENT, self.path("said")], "stopMs": 500} | members

    def said(self) -> list[dict]:
        """What the backend was sent."""
        return [json.loads(line) for line in self.read("said").splitlines() if line.endswith("}")]

    def said_methods(self) -> list[str]:
        return [message.get("method", "") for message in self.said()]

    def stats(self, app: App, name: str = "it") -> dict:
        return app.result("backends.stats", backend=name)["items"][0]

    def state(self, app: App, name: str = "it") -> str:
        return self.stats(app, name)["state"]


class Faults(BackendTest):
    """A hostile backend beside a good one: the good one's answers are right, and Pillion lives on."""

    def both(self, mode: str, **members) -> App:
        self.other = 0
        return self.app(backends={"it": hostile(mode, **members), "good": self.obedient()})

    def check_good(self, app: App) -> None:
        self.other += 1
        self.assertEqual(app.result("good/echo", n=self.other), {"n": self.other})
        self.assertEqual(app.result("rpc.ping"), {})

    def test_garbage_is_passed_over(self):
        app = self.both("garbage")
        self.assertEqual(app.result("it/m", a=1), "after the garbage")
        self.assertEqual(self.stats(app)["garbage"], 7)
        self.check_good(app)

    def test_half_a_line_is_no_answer(self):
        app = self.both("half-line", restart=False)
        error = app.error("it/m", a=1)
        self.assertEqual(error["code"], -32005)
        self.assertRegex(error["message"], r'^backend "it" .*exited with status 0')
        self.check_good(app)

    def test_a_hundred_megabytes_without_a_line_end_are_never_held(self):
        app = self.both("flood", messageBytesMax=1024 * 1024)
        self.assertEqual(app.result("it/m", a=1), "after the flood")
        self.assertEqual(self.stats(app)["oversized"], 1)
        self.assert_below_mib(app, 64)
        self.check_good(app)

    def test_its_last_words_are_told_when_it_dies_in_mid_answer(self):
        app = self.both("dies", restart=False)
        error = app.error("it/m", a=1)
        self.assertEqual(error["code"], -32005)
        self.assertIn('backend "it"', error["message"])
        self.assertIn("SIGKILL", error["message"])
        self.assertIn("the disk is on fire", error["message"] + json.dumps(error["data"]))
        self.check_good(app)

    def test_one_that_always_dies_is_given_up(self):
        app = self.both("dies", restartsMax=1, breakerFailures=2, breakerOpenMs=600_000, breakerOpenMsMax=600_000)
        for _ in range(2):
            self.assertEqual(app.error("it/m")["code"], -32005)
        wait_until(lambda: self.stats(app)["breaker"] == "open", "the breaker opens")
        refused = app.error("it/m")
        self.assertIn('backend "it" failed 2 times in a row', refused["message"])
        self.assertIn("the next try is in", refused["message"])
        self.check_good(app)

    def test_one_that_never_answers_runs_into_the_deadline(self):
        app = self.both("silent", timeoutMs=80)
        error = app.error("it/m", a=1)
        self.assertEqual(error["code"], -32001)
        self.assertIn('"it"', error["message"])
        self.assertIn("80 ms", error["message"])
        self.check_good(app)

    def test_second_answers_and_unknown_ids_reach_nobody(self):
        app = self.app(backends={"it": hostile("twice"), "good": hostile("unknown-id")})
        for _ in range(5):
            self.assertEqual(app.result("it/m"), "first")
            self.assertEqual(app.result("good/m"), "mine")
        wait_until(lambda: self.stats(app)["duplicateAnswers"] == 5, "the second answers are counted")
        self.assertEqual(self.stats(app, "good")["unknownIds"], 5)
        self.assertEqual([message for message in app.kept if "id" in message], [], "no answer is too many")

    def test_a_full_stderr_blocks_nothing(self):
        app = self.both("fills-stderr")
        self.assertEqual(app.result("it/m"), "after the noise")
        self.check_good(app)

    def test_a_grandchild_ends_with_it(self):
        app = self.both("grandchild")
        grandchild = app.result("it/m")
        self.assertTrue(is_running(grandchild))
        [pid] = [item["pid"] for item in app.result("backends.list")["items"] if item["name"] == "it"]
        os.kill(pid, 9)
        wait_until(lambda: not is_running(grandchild), "the grandchild ends")
        self.check_good(app)

    def test_one_that_is_deaf_to_sigterm_is_made_to_end(self):
        app = self.both("ignores-term")
        pid = app.result("it/m")
        self.check_good(app)
        self.end(app)
        self.assertFalse(is_running(pid))
        self.assertEqual(app.process.returncode, 0)

    def test_a_missing_program(self):
        app = self.both("echo", command=["no-such-program"])
        error = app.error("it/m")
        self.assertEqual(error["code"], -32005)
        self.assertIn("no-such-program", error["message"])
        self.assertIn("it", error["message"])
        self.check_good(app)

    def test_unknown_backends(self):
        app = self.both("echo")
        error = app.error("its/m")
        self.assertEqual(error["code"], -32601)
        self.assertIn('"its"', error["message"])
        error = app.error("backends.call", backend="its", method="m")
        self.assertEqual((error["code"], error["data"]["field"]), (-32002, "/backend"))
        self.assertEqual(app.error("backends.call", backend="it", method="m", params=5)["code"], -32602)
        self.check_good(app)


class Calls(BackendTest):
    def test_both_ways_of_asking(self):
        app = self.app(backends={"it": self.obedient()})
        self.assertEqual(app.result("it/echo", a=[1, "ä", None]), {"a": [1, "ä", None]})
        self.assertEqual(app.result("backends.call", backend="it", method="echo", params={"b": 2}), {"b": 2})
        error = app.error("it/fail", c=3)
        self.assertEqual(error, {"code": -7, "message": "no", "data": {"why": {"c": 3}}}, "its errors come back as they are")

    def test_many_calls_get_each_its_own_answer(self):
        app = self.app(backends={"it": self.obedient(concurrency=256), "other": self.obedient()})
        ids = {app.ask("it/hold" if n % 2 else "other/echo", n=n): n for n in range(200)}
        wait_until(lambda: self.stats(app)["inFlight"] == 100, "all are with it")
        self.assertEqual(app.result("it/release"), "released")
        for request_id, n in ids.items():  # answered in the reverse order
            self.assertEqual(app.answer(request_id)["result"], {"n": n})

    def test_a_batch_of_own_methods_and_calls(self):
        app = self.app(backends={"it": self.obedient(), "bad": hostile("silent", timeoutMs=50)})
        members = [("rpc.ping", {}), ("it/echo", {"a": 1}), ("bad/m", {}), ("backends.call", {"backend": "it", "method": "echo", "params": [2]}),
                   ("no.such", {}), ("nobody/m", {})]
        app.send(json.dumps([{"jsonrpc": "2.0", "id": f"b{at}", "method": method, "params": params}
                             for at, (method, params) in enumerate(members)]).encode() + b"\n")
        answers = {answer["id"]: answer.get("result", answer.get("error", {}).get("code")) for answer in json.loads(app.line())}
        self.assertEqual(answers, {"b0": {}, "b1": {"a": 1}, "b2": -32001, "b3": [2], "b4": -32601, "b5": -32601})

    def test_waiting_calls_go_as_one_array_where_it_takes_them(self):
        app = self.app(backends={"it": self.obedient(acceptsBatches=True)})
        ids = [app.ask("it/echo", n=n) for n in range(20)]  # gather while its process starts
        self.assertEqual([app.answer(one)["result"]["n"] for one in ids], list(range(20)))
        self.assertGreaterEqual(self.stats(app)["batches"], 1)

    def test_cancellation_reaches_it(self):
        app = self.app(backends={"it": self.obedient()})
        call = app.ask("it/hold", n=1)
        wait_until(lambda: "hold" in self.said_methods(), "it has the call")
        app.send(json.dumps({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": call}}).encode() + b"\n")
        self.assertEqual(app.answer(call)["error"]["code"], -32800)
        wait_until(lambda: "$/cancelRequest" in self.said_methods(), "it is told")
        [told] = [message["params"]["id"] for message in self.said() if message["method"] == "$/cancelRequest"]
        self.assertEqual(told, next(message["id"] for message in self.said() if message["method"] == "hold"))
        self.assertEqual(app.result("it/release"), "released")  # and answers it all the same
        self.assertEqual(app.result("it/echo", after=1), {"after": 1})
        self.assertEqual(self.stats(app)["lateAnswers"], 1)
        self.assertEqual([message for message in app.kept if "id" in message], [], "the late answer reached nobody")

    def test_the_callers_deadline_reaches_it(self):
        app = self.app(backends={"it": self.obedient(kind="mcp")})
        self.assertIsInstance(app.result("it/pid"), int)
        error = app.error("it/hold", n=1, _meta={"timeoutMs": 500})  # time to be passed on, on a busy machine too
        self.assertEqual(error["code"], -32001)
        wait_until(lambda: "notifications/cancelled" in self.said_methods(), "it is told, as MCP has it")
        self.assertNotIn("_meta", next(message for message in self.said() if message.get("method") == "hold")["params"])

    def test_requests_of_its_own_are_asked_of_the_client(self):
        app = self.app(backends={"it": self.obedient()})
        call = app.ask("it/ask", edit=1)
        asked = app.message_where(lambda message: "method" in message and "id" in message)
        self.assertEqual((asked["method"], asked["params"]), ("it/workspace/applyEdit", {"edit": 1}))
        app.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"applied": True}}).encode() + b"\n")
        self.assertEqual(app.answer(call)["result"], {"applied": True})
        call = app.ask("it/ask", edit=2)
        asked = app.message_where(lambda message: "method" in message and "id" in message)
        app.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -5, "message": "read only"}}).encode() + b"\n")
        self.assertEqual(app.answer(call)["result"], {"code": -5, "message": "read only"})

    def test_a_client_that_does_not_answer_it(self):
        app = self.app(backends={"it": self.obedient(clientRequestMs=50), "asks": hostile("asks", answers={"roots/list": {"roots": []}})})
        answer = app.result("it/ask", edit=1)
        self.assertIn("50 ms", answer["message"])
        self.assertEqual(app.result("asks/m"), {"roots": []}, "what is declared is answered without the client")

    def test_progress_comes_under_the_callers_token(self):
        app = self.app(backends={"it": self.obedient(kind="mcp")})
        call = app.ask("it/progress", _meta={"progressToken": "mine"})
        self.assertEqual(app.answer(call)["result"], "done")
        values = [message["params"]["value"] for message in app.kept if message.get("method") == "$/progress" and message["params"]["token"] == "mine"]
        self.assertEqual([(value["kind"], value.get("percentage"), value.get("message")) for value in values],
                         [("begin", 25, "step 1"), ("report", 50, "step 2"), ("report", 75, "step 3"), ("end", None, None)])

    def test_notifications_come_as_events(self):
        app = self.app(backends={"it": self.obedient()})
        app.subscribe("backends")
        app.result("it/tell", method="indexing/done")
        self.assertEqual(app.event("backends.notification")["params"], {"now": True})
        self.assertEqual(app.result("backends.notify", backend="it", method="files/changed", params={"a": 1}), {})
        wait_until(lambda: "files/changed" in self.said_methods(), "it is told")

    def test_a_hundred_equal_calls_are_one(self):
        app = self.app(backends={"it": self.obedient(singleFlight=["hold"])})
        ids = [app.ask("it/hold", n=1) for _ in range(100)]
        wait_until(lambda: self.stats(app)["coalesced"] == 99, "they share a run")
        self.assertEqual(app.result("it/release"), "released")
        self.assertEqual([app.answer(one)["result"] for one in ids], [{"n": 1}] * 100)
        self.assertEqual(self.said_methods().count("hold"), 1)

    def test_answers_are_kept_by_rules(self):
        app = self.app(backends={"it": self.obedient(cache=[{"methods": ["count"], "tags": ["counts"], "invalidatedBy": ["files/changed"]}])})
        self.assertEqual([app.result("it/count", a=1), app.result("it/count", a=1), app.result("it/count", a=2)], [1, 1, 1])
        self.assertEqual(app.result("backends.invalidate", backend="it", tag="counts"), {"removed": 2})
        self.assertEqual([app.result("it/count", a=1), app.result("it/count", a=1)], [2, 2])
        app.result("it/tell", method="files/changed")
        self.assertEqual(app.result("it/count", a=1), 3)
        self.assertEqual(app.result("it/count", a=1, _meta={"cache": "bypass"}), 4)
        self.assertEqual(self.stats(app)["hits"], 2)

    def test_a_full_queue_refuses(self):
        app = self.app(backends={"it": self.obedient(concurrency=1, queueMax=2)})
        app.result("it/pid")
        app.ask("it/hold", n=0)
        waiting = [app.ask("it/hold", n=n) for n in (1, 2)]
        error = app.error("it/hold", n=3)
        self.assertEqual(error["code"], -32004)
        self.assertIn('backend "it"', error["message"])
        for one in waiting:
            app.send(json.dumps({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": one}}).encode() + b"\n")
            self.assertEqual(app.answer(one)["error"]["code"], -32800)


class Life(BackendTest):
    def test_it_sleeps_and_its_lists_are_answered_meanwhile(self):
        app = self.app(backends={"it": self.obedient(kind="mcp", idleMs=150)})
        first = app.result("it/tools/list")["tools"][0]["pid"]
        wait_until(lambda: self.state(app) == "asleep", "it falls asleep")
        self.assertFalse(is_running(first))
        self.assertEqual(app.result("it/tools/list")["tools"][0]["pid"], first)
        self.assertEqual(app.result("it/initialize", protocolVersion="2025-06-18")["serverInfo"]["name"], "obedient")
        self.assertEqual(self.state(app), "asleep", "neither woke it")
        second = app.result("it/pid")
        self.assertNotEqual(second, first)
        stats = self.stats(app)
        self.assertEqual((stats["sleeps"] >= 1, stats["wakes"], stats["crashes"]), (True, 1, 0))

    def test_a_killed_one_comes_back(self):
        app = self.app(backends={"it": self.obedient(kind="mcp")})
        first = app.result("it/pid")
        waiting = app.ask("it/hold", n=1)
        wait_until(lambda: "hold" in self.said_methods(), "it has the call")
        os.kill(first, 9)
        error = app.answer(waiting)["error"]
        self.assertEqual(error["code"], -32005)
        self.assertIn("SIGKILL", error["message"])
        self.assertNotEqual(app.result("it/pid"), first)
        self.assertEqual(self.said_methods().count("initialize"), 2, "its handshake is replayed")

    def test_a_component_follows_its_backend(self):
        app = self.app(components={"it": {"kind": "backend"}, "after": {"kind": "task", "command": ["sh", "-c", "echo 1"], "dependsOn": ["it"]}},
                       backends={"it": self.obedient(kind="mcp", idleMs=150)})
        app.subscribe("components")
        self.assertEqual(app.result("startup.run")["verdict"], "ready")
        app.event("components.changed", name="it", state="ready")
        app.event("components.changed", name="it", state="idle")  # it falls asleep
        self.assertIsInstance(app.result("it/pid"), int)
        app.event("components.changed", name="it", state="ready")  # the call that woke it loads it; it may sleep again by now
        self.assertEqual(app.result("components.unload", name="it")["state"], "idle")
        wait_until(lambda: not [pid for pid in marked(self.mark) if "initialize" in command_of(pid)], "its process ends")

    def test_a_critical_backend_that_fails_fails_the_start(self):
        app = self.app(components={"it": {"kind": "backend", "critical": True}},
                       backends={"it": {"kind": "mcp", "command": ["sh", "-c", "echo no licence >&2; exit 5"], "restart": False}})
        result = app.result("startup.run")
        self.assertEqual(result["verdict"], "failed")
        self.assertIn("no licence", result["error"])
        self.assertIn("it", result["error"])


if __name__ == "__main__":
    unittest.main()
