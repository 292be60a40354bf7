"""Components of every kind through the real program: they start in order, are watched, cached, learned from, and refused
where what is declared makes no sense."""
import json
import os
import socket
import subprocess
import unittest
import xml.etree.ElementTree

from app_process import MARK, AppTest, binary, children_of, python
from pillion_process import WAIT_S_MAX, clean_environment, is_running, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

HTTP_SERVICE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404); self.end_headers()
    def log_message(self, *arguments): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
TCP_SERVICE = """
import os, socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True: listener.accept()[0].close()
"""


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def task(script: str = "echo '{}'", **members) -> dict:
    return {"kind": "task", "command": shell(script)} | members


def service(script: str = "exec sleep 1000", **members) -> dict:
    return {"kind": "service", "command": shell(script)} | members


class Start(AppTest):
    def test_every_kind_starts_after_what_it_needs(self):
        library = self.path("libtable.so")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-I", ROOT, "-o", library,
                        os.path.join(ROOT, "examples/library/table.c"), "-lm"], check=True, timeout=WAIT_S_MAX)
        app = self.app(components={
            "settings": task("echo '{\"theme\": \"dark\"}'", critical=True),
            "web": {"kind": "service", "command": python(HTTP_SERVICE), "dependsOn": ["settings"], "portWanted": True,
                    "readiness": {"by": "http", "path": "/health"}},
            "socket": {"kind": "service", "command": python(TCP_SERVICE), "portWanted": True, "readiness": {"by": "tcp"}},
            "worker": service(f"echo $PILLION_PORT_WEB > {self.path('port')}; echo now it is ready; exec sleep 1000",
                              dependsOn=["web"], readiness={"by": "line", "text": "it is ready"}),
            "table": {"kind": "library", "library": library, "settings": 1000},
            "editor": {"kind": "client", "dependsOn": ["settings", "worker"], "settings": {"chunk": "editor.js"}}})
        app.subscribe("components", "startup")
        run = app.ask("startup.run")
        wanted = app.event("components.wanted", name="editor")
        self.assertEqual(wanted["settings"], {"chunk": "editor.js"})
        self.assertEqual(app.result("startup.status")["stage"], "running")
        self.assertEqual(app.result("components.complete", token=wanted["token"], result={"lines": 7}), {"accepted": True})
        result = app.answer(run)["result"]
        self.assertEqual((result["verdict"], result["ready"], result["failed"], result["skipped"]), ("ready", 6, 0, 0))

        components = app.components()
        self.assertEqual({name: item["state"] for name, item in components.items()}, dict.fromkeys(components, "ready"))
        self.assertEqual(self.read("port").strip(), str(components["web"]["port"]))
        self.assertGreater(components["socket"]["port"], 0)
        self.assertEqual(app.result("components.load", name="settings")["result"], {"theme": "dark"})
        self.assertEqual(app.result("components.load", name="editor")["result"], {"lines": 7})
        self.assertGreater(components["table"]["memoryBytes"], 1000 * 8)
        self.check_reports(app)

        pids = [item["pid"] for item in components.values() if "pid" in item]
        self.assertEqual(len(pids), 3)
        self.end(app)
        self.assertEqual([pid for pid in pids if is_running(pid)], [])
        self.assertEqual(app.process.returncode, 0)

    def check_reports(self, app) -> None:
        marked = app.result("startup.mark", name="first interaction")
        self.assertTrue(marked["recorded"])
        self.assertFalse(app.result("startup.mark", name="first interaction")["recorded"])
        status = app.result("startup.status")
        self.assertEqual((status["stage"], status["done"], status["total"], status["criticalReady"]), ("ready", 6, 6, True))
        report = app.result("startup.report", text=True)
        times = {item["name"]: item for item in report["components"]}
        self.assertEqual([link["name"] for link in report["criticalChain"]], ["settings", "web", "worker", "editor"])
        chain_ms = sum(link["waitMs"] + link["ownMs"] for link in report["criticalChain"]) + report["tailMs"]
        self.assertAlmostEqual(chain_ms, report["wallMs"], places=3)
        self.assertAlmostEqual(sum(phase["durationMs"] for phase in report["phases"]), report["wallMs"], places=3)
        self.assertAlmostEqual(sum(item["shareMs"] for item in times.values()) + report["idleMs"], report["wallMs"], places=3)
        self.assertEqual(report["marks"][0]["name"], "first interaction")
        self.assertIn("What the end waited for", report["text"])
        svg = xml.etree.ElementTree.fromstring(app.result("startup.plot", width=900)["svg"])
        self.assertTrue(svg.tag.endswith("svg"))
        texts = " ".join(svg.itertext())
        for name in times:
            self.assertIn(name, texts)

    def test_it_begins_by_itself(self):
        app = self.app(automatic=True, components={"one": service(), "two": task(dependsOn=["one"])})
        wait_until(lambda: app.result("startup.status")["stage"] == "ready", "the start ends")
        self.assertEqual(app.state_of("two"), "ready")

    def test_nothing_to_start_is_said(self):
        error = self.app(components={"lazy": task(load="firstUse")}).error("startup.run")
        self.assertEqual(error["code"], -32007)
        self.assertIn("no component is declared as eager", error["message"])

    def test_a_client_that_does_not_answer_is_replaced_by_its_fallback(self):
        app = self.app(components={"editor": {"kind": "client", "timeoutMs": 60, "fallback": {"chunk": "plain.js"}},
                                   "menu": {"kind": "client", "dependsOn": ["editor"]}})
        app.subscribe("components")
        result = app.result("startup.run")
        self.assertEqual((result["verdict"], result["failed"], result["skipped"]), ("partial", 1, 1))
        wanted = app.event("components.wanted", name="editor")
        load = app.result("components.load", name="editor")
        self.assertEqual((load["state"], load["fallback"]), ("failed", {"chunk": "plain.js"}))
        self.assertIn("60 ms", load["reason"])
        late = app.error("components.complete", token=wanted["token"])
        self.assertEqual(late["code"], -32002)
        self.assertEqual(app.state_of("menu"), "skipped")

    def test_a_client_that_says_that_it_failed(self):
        app = self.app(components={"editor": {"kind": "client", "load": "firstUse"}})
        app.subscribe("components")
        load = app.ask("components.load", name="editor")
        wanted = app.event("components.wanted", name="editor")
        app.result("components.complete", token=wanted["token"], error="the chunk is gone")
        error = app.answer(load)["error"]
        self.assertEqual(error["code"], -32005)
        self.assertIn('"editor"', error["message"])
        self.assertIn("the chunk is gone", error["message"])

    def test_independent_components_start_side_by_side_on_four_lanes(self):
        # Each waits for the others: one after another would never end.
        script = f"touch {self.path('here-')}$0; until [ $(ls {self.folder} | grep -c here-) = 4 ]; do :; done; echo 1"
        app = self.app(components={name: {"kind": "task", "command": ["sh", "-c", script, name], "timeoutMs": 15000} for name in "abcd"})
        self.assertEqual(app.result("startup.run")["verdict"], "ready")
        report = app.result("startup.report")
        self.assertEqual({item["lane"] for item in report["components"]}, {0, 1, 2, 3})
        self.assertGreater(report["saved"]["parallelismMs"], 0)

    def test_the_order_is_learned_from_the_start_before(self):
        def order() -> list[str]:
            app = self.app()
            app.subscribe("startup")
            self.assertEqual(app.result("startup.run")["verdict"], "ready")
            self.end(app)
            return [message["params"]["data"]["component"] for message in app.kept
                    if message.get("method") == "startup.progress" and message["params"]["data"]["state"] == "running"]
        self.configuration(startup={"lanes": 1}, components={"a": task(), "b": task(), "long": task("sleep 0.25; echo 1")})
        self.assertEqual(order(), ["a", "b", "long"])
        self.assertEqual(order()[0], "long", "what takes longest begins first when that is known")


class Failures(AppTest):
    def test_an_optional_one_skips_what_needs_it_and_says_why(self):
        app = self.app(components={
            "broken": service("echo the disk is on fire >&2; exit 3", readiness={"by": "line", "text": "ready"}, restart={"rule": "never"}),
            "needs": task(dependsOn=["broken"]), "needs-too": task(dependsOn=["needs"]), "fine": task()})
        result = app.result("startup.run")
        self.assertEqual((result["verdict"], result["ready"], result["failed"], result["skipped"]), ("partial", 1, 1, 2))
        components = app.components()
        self.assertIn("exited with status 3", components["broken"]["reason"])
        self.assertIn("the disk is on fire", components["broken"]["reason"])
        self.assertEqual(components["needs"]["reason"], 'skipped because "broken" failed')
        self.assertEqual(components["needs-too"]["state"], "skipped")
        report = {item["name"]: item for item in app.result("startup.report")["components"]}
        self.assertIn("the disk is on fire", report["broken"]["error"])

    def test_a_critical_one_fails_the_start_with_its_last_words(self):
        app = self.app(components={"database": task("echo migrating; echo table users is locked >&2; exit 1", critical=True),
                                   "view": task(dependsOn=["database"])})
        result = app.result("startup.run")
        self.assertEqual(result["verdict"], "failed")
        self.assertIn("database", result["error"])
        self.assertIn("exited with status 1", result["error"])
        self.assertIn("table users is locked", result["error"])
        self.assertEqual(app.result("startup.status")["stage"], "failed")
        self.assertEqual(app.result("rpc.ping"), {}, "it lives on")

    def failure(self, component: dict, code: int = -32005) -> str:
        app = self.app(components={"it": component | {"load": "firstUse"}})
        error = app.error("components.load", name="it")
        self.assertEqual(error["code"], code, error)
        self.assertRegex(error["message"], "[\"']it[\"']")
        wait_until(lambda: app.state_of("it") == "failed", "what is left of it has ended")
        self.assertEqual(app.result("rpc.ping"), {})
        self.end(app)
        return error["message"]

    def test_a_missing_program(self):
        self.assertEqual(self.failure({"kind": "service", "command": ["no-such-program"]}),
                         "'it' could not be started: the program 'no-such-program' was not found in PATH")

    def test_a_missing_folder(self):
        self.assertIn("/no/such/folder", self.failure(task(workingDirectory="/no/such/folder")))

    def test_output_that_is_not_json(self):
        message = self.failure(task("echo '{\"a\": 1} and more'"))
        self.assertIn("printed no JSON value, as a task must", message)
        self.assertIn("and more", message)
        self.assertIn("printed nothing", self.failure(task("true")))

    def test_a_service_that_is_never_ready(self):
        message = self.failure(service("echo still busy; exec sleep 1000", readiness={"by": "line", "text": "ready"}, timeoutMs=1000), -32001)
        self.assertIn("1000 ms", message)
        self.assertIn("still busy", message)

    def test_a_task_that_does_not_end(self):
        self.assertIn("100 ms", self.failure(task("trap '' TERM; while :; do sleep 1000; done", timeoutMs=100, stopMs=50), -32001))

    def test_a_port_already_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            message = self.failure(service(readiness={"by": "tcp", "port": port}), -32003)
            self.assertIn(f"port {port}", message)
            self.assertIn("already taken", message)

    def library(self, name: str, text: str) -> dict:
        source = self.write(name + ".c", text)
        subprocess.run(["cc", "-shared", "-fPIC", "-I", ROOT, "-o", self.path(name + ".so"), source], check=True, timeout=WAIT_S_MAX)
        return {"kind": "library", "library": self.path(name + ".so")}

    def test_libraries_that_are_none(self):
        self.assertIn("has no symbol `pillion_component`", self.failure(self.library("empty", "int nothing;"), -32007))
        message = self.failure(self.library("other", '#include "modules/components/pillion_component.h"\n'
                               "PILLION_COMPONENT_EXPORT const struct pillion_component pillion_component = {999, sizeof(struct pillion_component)};"), -32007)
        self.assertIn("999", message)
        self.assertIn("/no/such/library.so", self.failure({"kind": "library", "library": "/no/such/library.so"}))

    def test_an_unknown_name_comes_with_the_nearest(self):
        app = self.app(components={"database": task(load="firstUse")})
        self.assertEqual(app.error("components.load", name="databse")["message"], 'no component is named "databse"; the nearest is "database"')


class Refused(AppTest):
    """What is wrong in the configuration ends Pillion before it begins."""

    def refused(self, components: dict) -> str:
        app = self.app(components=components)
        self.assertEqual(app.exit_status(), 2)
        return app.stderr()

    def test_a_circle_as_the_path_that_closes(self):
        self.assertIn("the components need each other in a circle: a → b → c → a",
                      self.refused({"a": task(dependsOn=["b"]), "b": task(dependsOn=["c"]), "c": task(dependsOn=["a"]), "d": task(dependsOn=["a"])}))
        self.assertIn('component "a" depends on itself', self.refused({"a": task(dependsOn=["a"])}))

    def test_an_unknown_dependency_with_the_nearest(self):
        said = self.refused({"database": task(), "index": task(dependsOn=["databse"])})
        self.assertIn('component "index" depends on "databse", which is not declared; did you mean "database"?', said)

    def test_members_that_make_no_sense(self):
        self.assertIn('component "a": a service needs a `command`', self.refused({"a": {"kind": "service"}}))
        self.assertIn('component "a": readiness by tcp or http needs a `port`', self.refused({"a": service(readiness={"by": "tcp"})}))
        self.assertRegex(self.refused({"a": {"kind": "task", "comand": ["true"]}}), r'app.toml:\d+: components.a.*"comand"; did you mean "command"')

    def test_a_backend_without_its_backend(self):
        said = self.refused({"files": {"kind": "backend"}})
        self.assertIn("there is no backend files", said)


class Kept(AppTest):
    def test_a_result_is_used_until_its_input_changes(self):
        self.write("words", "one two")
        self.configuration(components={"index": task(f"echo run >> {self.path('runs')}; wc -w < words", inputs={"files": ["words"]}),
                                       "plain": task(f"echo run >> {self.path('plain-runs')}; echo 1")})

        def start() -> tuple[int, int, bool]:
            app = self.app()
            cached = app.result("startup.run")["cached"]
            load = app.result("components.load", name="index")
            self.end(app)
            return cached, load["result"], load["cached"]

        self.assertEqual(start(), (0, 2, False))
        self.assertEqual(start(), (1, 2, True))
        self.assertEqual(self.read("runs").count("run"), 1)
        self.write("words", "one two three")
        self.assertEqual(start(), (0, 3, False))
        self.assertEqual(start(), (1, 3, True))
        self.assertEqual(self.read("runs").count("run"), 2)
        self.assertEqual(self.read("plain-runs").count("run"), 4, "without inputs it runs each time")

    def test_forgetting_makes_it_run_again(self):
        self.write("words", "one")
        app = self.app(components={"index": task("cat words | wc -w", inputs={"files": ["words"]})})
        app.result("startup.run")
        app.result("components.unload", name="index")
        wait_until(lambda: app.result("startup.forget")["results"] == 1, "the result is written and forgotten")
        self.assertEqual(app.result("startup.run")["cached"], 0)


class Life(AppTest):
    def test_signals_preloads_unloads_and_restarts(self):
        app = self.app(components={"base": service(load="firstUse"), "tool": service(load="onSignal", signals=["open"], dependsOn=["base"]),
                                   "other": service(load="never")})
        self.assertEqual(app.result("components.signal", signal="close"), {"queued": []})
        self.assertEqual(app.result("components.signal", signal="open"), {"queued": ["tool"]})
        wait_until(lambda: app.state_of("tool") == "ready", "the signal loads it")
        self.assertEqual(app.components()["base"]["cause"], "dependency")
        first = app.components()
        again = app.result("components.restart", name="base")
        self.assertEqual(again["state"], "ready")
        second = app.components()
        self.assertNotEqual(second["base"]["pid"], first["base"]["pid"])
        self.assertFalse(is_running(first["base"]["pid"]))
        self.assertEqual(second["tool"]["pid"], first["tool"]["pid"], "what depends on it stays")
        self.assertEqual(app.result("components.unload", name="base"), {"name": "base", "state": "idle"})
        self.assertEqual(app.state_of("tool"), "idle", "what depends on it went first")
        self.assertFalse(is_running(first["tool"]["pid"]))
        self.assertEqual(app.result("components.preload", names=["other"]), {"queued": ["other"]})
        wait_until(lambda: app.state_of("other") == "ready", "the preload ends")
        self.assertEqual(app.error("components.preload", names=["ohter"])["code"], -32002)

    def test_equal_demands_share_one_load(self):
        app = self.app(components={"slow": task(f"echo run >> {self.path('runs')}; until [ -e {self.path('go')} ]; do :; done; echo 5", load="firstUse")})
        calls = [app.ask("components.load", name="slow") for _ in range(10)]
        wait_until(lambda: app.components()["slow"]["waiters"] == 10, "all wait")
        self.write("go", "")
        loads = [app.answer(call)["result"] for call in calls]
        self.assertEqual([load["result"] for load in loads], [5] * 10)
        self.assertEqual([load["shared"] for load in loads].count(False), 1)
        self.assertEqual(self.read("runs").count("run"), 1)

    def test_a_load_that_nobody_waits_for_any_more_is_taken_back(self):
        app = self.app(components={"slow": service(load="firstUse", readiness={"by": "line", "text": "never"})})
        call = app.ask("components.load", name="slow")
        wait_until(lambda: app.state_of("slow") == "loading", "it loads")
        wait_until(lambda: children_of(app.pid), "its process runs")
        app.send(json.dumps({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": call}}).encode() + b"\n")
        self.assertEqual(app.answer(call)["error"]["code"], -32800)
        wait_until(lambda: app.state_of("slow") == "idle", "it is taken back")

    def test_one_that_goes_down_comes_up_again(self):
        app = self.app(components={"it": service(load="firstUse", restart={"delayMs": 10})})
        app.result("components.load", name="it")
        first = app.components()["it"]["pid"]
        os.kill(first, 9)
        wait_until(lambda: app.components()["it"]["restarts"] == 1, "it comes up again")
        second = app.components()["it"]
        self.assertEqual((second["state"], second["cause"]), ("ready", "restart"))
        self.assertNotEqual(second["pid"], first)

    def test_a_crash_loop_is_given_up(self):
        script = f"echo run >> {self.path('runs')}; echo ready; echo it does not work >&2; exit 4"
        app = self.app(components={"it": service(script, load="firstUse", readiness={"by": "line", "text": "ready"},
                                                 restart={"delayMs": 1, "crashesMax": 3})})
        app.subscribe("components")
        app.ask("components.load", name="it")
        reason = app.event("components.changed", name="it", state="failed")["reason"]
        self.assertIn("it does not work", reason)
        self.assertIn("exited with status 4", reason)
        self.assertEqual(self.read("runs").count("run"), 4)

    def test_what_is_asked_to_stop_is_not_restarted(self):
        app = self.app(components={"it": service(load="firstUse", restart={"rule": "always", "delayMs": 1})})
        app.result("components.load", name="it")
        app.result("components.unload", name="it")
        info = app.components()["it"]
        self.assertEqual((info["state"], info["restarts"], info["loads"]), ("idle", 0, 1))

    def test_a_service_that_does_not_answer_any_more_is_restarted(self):
        code = TCP_SERVICE.replace("while True:", "import sys\nfor _ in range(2):") + "listener.close(); import time; time.sleep(1000)"
        app = self.app(components={"it": {"kind": "service", "command": python(code), "load": "firstUse", "portWanted": True,
                                          "readiness": {"by": "tcp"}, "restart": {"delayMs": 1},
                                          "health": {"intervalMs": 20, "timeoutMs": 200, "failuresMax": 2}}})
        app.result("components.load", name="it")
        wait_until(lambda: app.components()["it"]["restarts"] >= 1, "it is found dead and started again")

    def test_more_are_declared_at_run_time(self):
        app = self.app()
        self.assertEqual(app.result("components.list")["items"], [])
        declared = app.result("components.register", components={"a": task("echo 1"), "b": task("echo 2", dependsOn=["a"])})
        self.assertEqual(declared, {"registered": ["a", "b"], "total": 2})
        self.assertEqual(app.result("startup.run")["verdict"], "ready")
        self.assertEqual(app.result("components.load", name="b")["result"], 2)
        error = app.error("components.register", components={"c": task(), "d": task(dependsOn=["e"])})
        self.assertIn('component "d" depends on "e", which is not declared', error["message"])
        self.assertEqual(len(app.components()), 2, "all are taken, or none")
        self.assertEqual(app.error("components.register", components={"a": task("echo 3")})["code"], -32003)
        app.result("components.unload", name="a")
        app.result("components.register", components={"a": task("echo 3")})
        self.assertEqual(app.result("components.load", name="a")["result"], 3)

    def test_what_it_costs_is_measured(self):
        app = self.app(components={"it": service("sleep 1000 & exec sleep 1000", load="firstUse")})
        app.result("components.load", name="it")
        wait_until(lambda: app.result("components.usage")["components"][0]["processes"] == 2, "both processes count")
        usage = app.result("components.usage")
        self.assertGreater(usage["components"][0]["memoryBytes"], 10_000)
        self.assertEqual(usage["prediction"]["preloads"], 0)


class CommandLine(AppTest):
    def components(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([binary(), "components", *arguments, "--config", self.path("app.toml")], capture_output=True, text=True,
                              timeout=WAIT_S_MAX, env=clean_environment(self.data_directory, {MARK: self.mark}), cwd=self.folder)

    def test_a_table_for_people(self):
        self.configuration(components={"database": task("sleep 0.02; echo 1", critical=True), "view": service(dependsOn=["database"])})
        before = self.components()
        self.assertEqual(before.returncode, 0, before.stderr)
        self.assertEqual([line.split() for line in before.stdout.splitlines()],
                         [["NAME", "KIND", "LOAD", "CRITICAL", "NEEDS", "TAKES"], ["database", "task", "eager", "yes", "-", "-"],
                          ["view", "service", "eager", "no", "database", "-"]])
        app = self.app()
        app.result("startup.run")
        self.end(app)
        self.assertRegex(self.components().stdout, r"database .*\d ms\n")

    def test_json_for_programs(self):
        self.configuration(components={"database": task(critical=True)})
        listed = self.components("--json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        [item] = json.loads(listed.stdout)["items"]
        self.assertEqual((item["name"], item["kind"], item["state"], item["critical"]), ("database", "task", "idle", True))

    def test_none_and_wrong_ones(self):
        self.configuration()
        self.assertIn("no components are declared", self.components().stdout)
        self.configuration(components={"a": task(dependsOn=["b"])})
        wrong = self.components()
        self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
        self.assertIn('component "a" depends on "b", which is not declared', wrong.stderr)


if __name__ == "__main__":
    unittest.main()
