"""Every file is compiled, run and readable; none is dead, endless, unexplained or bound to one machine."""
import json
import pathlib
import re
import subprocess
import unittest

from repository import BUILD, ROOT, files, includes, is_generated, named, text

LINES_MAX = 600

# Spelled in two parts, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$})*-])/(?:wo" r"rk\b|ro" r"ot\b|ho" r"me/)")


def compiled() -> set[str]:
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    sources = {pathlib.Path(command["directory"], command["file"]).resolve() for command in commands}
    return {str(source.relative_to(ROOT)) for source in sources if source.is_relative_to(ROOT)}


def registered() -> str:
    listed = subprocess.run(["ctest", "--test-dir", str(BUILD), "--show-only=json-v1"], capture_output=True, check=True, text=True)
    return " ".join(part for test in json.loads(listed.stdout)["tests"] for part in test.get("command", ()))


class Tree(unittest.TestCase):
    longMessage = False

    def assert_none(self, breaches: list[str]) -> None:
        self.assertFalse(breaches, "\n".join(breaches))

    def test_every_source_and_every_test_is_compiled(self):
        sources = [name for folder in ("ipc/", "modules/", "sidecar/") for name in named(".cpp", below=folder)]
        self.assertGreater(len(sources), 10)
        self.assert_none(sorted(set(sources + named("_test.cpp", below="tests/")) - compiled()))

    def test_every_python_test_is_registered(self):
        commands = registered()
        self.assert_none([name for name in named("_test.py", below="tests/") if str(ROOT / name) not in commands])

    def test_every_header_is_included(self):
        included = {include.target for include in includes() if include.ours}
        ours = [name for folder in ("ipc/", "modules/", "sidecar/") for name in named(".h", below=folder)]
        self.assert_none([name for name in ours if name not in included])

    def test_no_file_is_too_long_to_read(self):
        lengths = {name: len(text(name).splitlines()) for name in named(".cpp", ".h", ".ts", ".mjs", ".py") if not is_generated(name)}
        self.assert_none([f"{name} has {count} lines" for name, count in lengths.items() if count > LINES_MAX])

    def test_every_header_opens_with_what_it_is(self):
        self.assert_none([name for name in named(".h") if not text(name).startswith(("//", "/*"))])

    def test_nothing_is_left_unfinished(self):
        self.assert_none(self.lines_with(UNFINISHED))

    def test_no_file_knows_the_machine_it_was_written_on(self):
        self.assert_none(self.lines_with(MACHINE_PATH))

    def lines_with(self, pattern: re.Pattern) -> list[str]:
        return [f"{name}:{number}: {line.strip()[:120]}" for name in files() for number, line in enumerate(text(name).splitlines(), 1)
                if pattern.search(line)]


if __name__ == "__main__":
    unittest.main()
