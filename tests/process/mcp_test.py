"""The servers that people run: two MCP servers from npm and a language server, behind the real program."""
import json
import os
import shutil
import unittest

from app_process import App, AppTest
from pillion_process import is_running, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(ROOT, "examples", "shell")
SERVERS = os.path.join(EXAMPLE, "node_modules", "@modelcontextprotocol")


class ServersTest(AppTest):
    def setUp(self):
        super().setUp()
        if not os.path.isdir(SERVERS) or shutil.which("node") is None:
            self.fail(f"this test needs node and the example's servers: run `npm ci` in {EXAMPLE}")

    def files(self, **members) -> dict:
        os.makedirs(self.path("documents"), exist_ok=True)
        return {"kind": "mcp", "command": ["node", f"{SERVERS}/server-filesystem/dist/index.js", self.path("documents")], "roots": []} | members

    @staticmethod
    def everything(**members) -> dict:
        return {"kind": "mcp", "command": ["node", f"{SERVERS}/server-everything/dist/index.js", "stdio"]} | members

    def status(self, app: App, name: str) -> dict:
        return next(item for item in app.result("backends.list")["items"] if item["name"] == name)

    def stats(self, app: App, name: str) -> dict:
        return app.result("backends.stats", backend=name)["items"][0]

    @staticmethod
    def tool_names(listed: dict) -> set[str]:
        return {tool["name"] for tool in listed["tools"]}


class Mcp(ServersTest):
    def test_the_handshake_lists_and_tools(self):
        app = self.app(backends={"files": self.files(), "everything": self.everything()})
        self.write("documents/a.txt", "hello")
        handshake = app.ask("everything/initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "test", "version": "1"})
        self.assertIn("serverInfo", app.answer(handshake)["result"])
        self.assertIn("echo", self.tool_names(app.result("everything/tools/list")))
        self.assertIn("read_text_file", self.tool_names(app.result("files/tools/list")))
        echoed = app.result("everything/tools/call", name="echo", arguments={"message": "ahoy"})
        self.assertIn("ahoy", echoed["content"][0]["text"])
        read = app.result("files/tools/call", name="read_text_file", arguments={"path": self.path("documents/a.txt")})
        self.assertEqual(read["content"][0]["text"], "hello")
        outside = app.result("files/tools/call", name="read_text_file", arguments={"path": self.path("app.toml")})
        self.assertTrue(outside["isError"])
        self.assertEqual(app.result("everything/prompts/list")["prompts"][0].keys() >= {"name"}, True)
        error = app.error("everything/no/such/method")
        self.assertEqual(error["code"], -32601)
        self.assertEqual(self.stats(app, "everything")["starts"], 1)

    def test_progress_of_a_long_tool(self):
        app = self.app(backends={"everything": self.everything()})
        listed = app.result("everything/tools/list")["tools"]
        name = next(tool["name"] for tool in listed if "long" in tool["name"].lower())
        call = app.ask("everything/tools/call", name=name, arguments={"duration": 0.3, "steps": 3}, _meta={"progressToken": "p"})
        self.assertNotIn("isError", app.answer(call)["result"])
        kinds = [message["params"]["value"]["kind"] for message in app.kept if message.get("method") == "$/progress"]
        self.assertEqual((kinds[0], kinds[-1]), ("begin", "end"))

    def test_lists_are_known_before_the_server_runs_the_next_time(self):
        self.configuration(backends={"files": self.files()})
        app = self.app()
        listed = app.result("files/tools/list")
        self.end(app)
        app = self.app()
        self.assertEqual(app.result("files/tools/list"), listed)
        stats = self.stats(app, "files")
        self.assertEqual((stats["starts"], stats["staleServed"]), (0, 1))
        self.assertEqual(self.status(app, "files")["state"], "cold")

    def test_only_named_tools_are_kept(self):
        self.configuration(backends={"files": self.files()})
        with open(self.path("app.toml"), "a", encoding="utf-8") as file:
            file.write('[[backends.files.cache]]\nmethods = ["tools/call"]\ntools = ["list_directory"]\nttlMs = 600000\n')
        app = self.app()

        def listed(tool: str) -> str:
            arguments = {"path": self.path("documents"), "pattern": "*"}
            return app.result("files/tools/call", name=tool, arguments=arguments)["content"][0]["text"]
        before = listed("list_directory"), listed("search_files")
        self.write("documents/new.txt", "")
        self.assertEqual(listed("list_directory"), before[0])
        self.assertIn("new.txt", listed("search_files"))
        self.assertEqual(self.stats(app, "files")["hits"], 1)

    def test_a_killed_server_comes_back_with_its_handshake(self):
        app = self.app(backends={"files": self.files()})
        app.result("files/tools/list")
        first = self.status(app, "files")["pid"]
        os.kill(first, 9)
        wait_until(lambda: self.stats(app, "files")["crashes"] == 1, "its end is noticed")
        self.write("documents/a.txt", "again")
        read = app.result("files/tools/call", name="read_text_file", arguments={"path": self.path("documents/a.txt")})
        self.assertEqual(read["content"][0]["text"], "again")
        self.assertNotEqual(self.status(app, "files")["pid"], first)

    def test_asleep_it_answers_its_lists(self):
        app = self.app(backends={"everything": self.everything(idleMs=300)})
        listed = app.result("everything/tools/list")
        pid = self.status(app, "everything")["pid"]
        wait_until(lambda: self.status(app, "everything")["state"] == "asleep", "it falls asleep")
        self.assertFalse(is_running(pid))
        self.assertEqual(app.result("everything/tools/list"), listed)
        self.assertEqual(self.status(app, "everything")["state"], "asleep")
        echoed = app.result("everything/tools/call", name="echo", arguments={"message": "awake"})
        self.assertIn("awake", echoed["content"][0]["text"])
        self.assertEqual(self.stats(app, "everything")["wakes"], 1)

    def test_the_examples_own_parts_start(self):
        app = App(os.path.join(EXAMPLE, "app.toml"), self.data_directory, self.mark, cwd=EXAMPLE)
        self.addCleanup(self.end, app)
        app.subscribe("components")
        run = app.ask("startup.run")
        wanted = app.event("components.wanted", name="editor")
        app.result("components.complete", token=wanted["token"])
        result = app.answer(run)["result"]
        self.assertEqual((result["verdict"], result["failed"], result["skipped"]), ("ready", 0, 0))
        self.assertEqual(app.components()["everything"]["state"], "idle", "it is for its first use")
        self.assertIn("list_directory", self.tool_names(app.result("files/tools/list")))


class LanguageServer(AppTest):
    SOURCE = "/// How many there are.\nint count_of_things();\nint twice() { return 2 * count_of_things(); }\n"

    def setUp(self):
        super().setUp()
        if shutil.which("clangd") is None:
            self.fail("this test needs clangd: apt-get install clangd")
        self.uri = "file://" + self.write("a.cpp", self.SOURCE)

    def open(self, app: App) -> None:
        app.result("backends.notify", backend="clangd", method="textDocument/didOpen",
                   params={"textDocument": {"uri": self.uri, "languageId": "cpp", "version": 1, "text": self.SOURCE}})

    def hover(self, app: App) -> str:
        return json.dumps(app.result("clangd/textDocument/hover", textDocument={"uri": self.uri}, position={"line": 2, "character": 28}))

    def test_hover_symbols_and_a_crash(self):
        app = self.app(backends={"clangd": {"kind": "lsp", "command": ["clangd", "--background-index=false", "-j=1", "--log=error"],
                                            "rootUri": "file://" + self.folder}})
        handshake = app.result("clangd/initialize")
        self.assertIn("hoverProvider", handshake["capabilities"])
        self.open(app)
        self.assertIn("How many there are.", self.hover(app))
        symbols = app.result("clangd/textDocument/documentSymbol", textDocument={"uri": self.uri})
        self.assertEqual([symbol["name"] for symbol in symbols], ["count_of_things", "twice"])
        [status] = app.result("backends.list")["items"]
        os.kill(status["pid"], 9)
        wait_until(lambda: app.result("backends.stats")["items"][0]["crashes"] == 1, "its end is noticed")
        self.open(app)
        self.assertIn("How many there are.", self.hover(app))
        [stats] = app.result("backends.stats")["items"]
        self.assertEqual(stats["starts"], 2)


if __name__ == "__main__":
    unittest.main()
