"""The completions as each shell itself makes them, commands of two words among them. A shell that is not installed is left out."""
import os
import pty
import select
import shutil
import subprocess
import tempfile
import time
import unittest

from pillion_process import WAIT_S_MAX, binary

LINES = {
    "pillion be": {"bench"},
    "pillion bench co": {"compare", "command"},
    "pillion cache ": {"simulate"},
    "pillion bench compare --m": {"--min-effect"},
    "pillion bench method --bas": {"--baseline"},
    "pillion bench --json --lab": {"--label"},
    "pillion bench compare bef": {"before.json"},
    "pillion bench command mkfif": {"mkfifo"},
    "pillion completions z": {"zsh"},
}


class Completions(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        for name in ("before.json", "after.json"):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8"):
                pass
        self.environment = os.environ | {"HOME": self.folder, "XDG_CONFIG_HOME": self.folder, "TERM": "dumb"}

    def script(self, shell: str) -> str:
        if not shutil.which(shell):
            self.fail(f"{shell} is not installed")
        made = subprocess.run([binary(), "completions", shell], capture_output=True, check=True, timeout=WAIT_S_MAX).stdout
        path = os.path.join(self.folder, "script")
        with open(path, "wb") as file:
            file.write(made)
        return path

    def output(self, *command: str) -> str:
        ran = subprocess.run(command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             timeout=WAIT_S_MAX)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        return ran.stdout

    def test_bash(self):
        script = self.script("bash")
        for line, expected in LINES.items():
            words = " ".join(f"'{word}'" for word in line.split(" "))
            found = self.output("bash", "--norc", "-c",
                                f'source {script}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _pillion; printf "%s\\n" "${{COMPREPLY[@]}}"')
            self.assertEqual(set(found.split()), expected, line)

    def test_fish(self):
        script = self.script("fish")
        for line, expected in LINES.items():
            found = self.output("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'")
            self.assertEqual({row.split("\t")[0] for row in found.splitlines()}, expected, line)

    def test_zsh(self):
        script = self.script("zsh")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], self.environment)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, terminal)
        read = bytearray()

        def until(mark: bytes) -> bytes:
            limit = time.monotonic() + WAIT_S_MAX
            while mark not in read:
                if time.monotonic() > limit or not select.select([terminal], [], [], WAIT_S_MAX)[0]:
                    raise AssertionError(f"no {mark!r} within {WAIT_S_MAX} s, only {bytes(read)!r}")
                read.extend(os.read(terminal, 65536))
            end = read.index(mark) + len(mark)
            text = bytes(read[:end])
            del read[:end]
            return text

        # Every candidate is shown between marks, in place of what a person would see.
        os.write(terminal, f"""PS1=; unsetopt zle; autoload -U compinit && compinit -u -d {self.folder}/dump; source {script}
setopt zle; show() {{ compadd() {{ [[ " $* " == *' -O '* || " $* " == *' -A '* || " $* " == *' -D '* ]] && {{ builtin compadd "$@"; return }}
  local -a all; builtin compadd -O all "$@"; print -rn -- "<$all>" >&2; builtin compadd "$@" }}; _main_complete; print -n '<end>' >&2 }}
zle -C show complete-word show; bindkey '^I' show; print be''gun
""".encode())
        until(b"begun")
        for line, expected in LINES.items():
            os.write(terminal, b"\x15" + line.encode() + b"\t")
            shown = until(b"<end>").decode(errors="replace")
            found = {word for part in shown.split("<")[1:] for word in part.split(">")[0].split()} - {"end"}
            self.assertTrue(expected <= found, f"{line}: {shown!r}")
            self.assertFalse({"serve", "call"} & (found - expected), line)
        os.write(terminal, b"\x15exit\n")


if __name__ == "__main__":
    unittest.main()
