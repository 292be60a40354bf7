"""The tree that the house tests look at: its tracked files, their includes and their CMake declarations."""
import functools
import os
import pathlib
import re
import subprocess
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PILLION_BINARY", ROOT / "build/release/sidecar/pillion"))
BUILD = BINARY.parents[1]

# What a build or a package manager leaves in the tree, for a copy that is no checkout.
BY_PRODUCTS = {"build", "node_modules", "dist", "dist-test", "__pycache__", ".git"}


@functools.cache
def files() -> tuple[str, ...]:
    """Every file under version control that exists, as a path from the root."""
    try:
        listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
        names = [name for name in listed.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if not BY_PRODUCTS & set(path.relative_to(ROOT).parts)]
    return tuple(sorted(name for name in names if (ROOT / name).is_file()))


def named(*endings: str, below: str = "") -> list[str]:
    return [name for name in files() if name.startswith(below) and name.endswith(endings)]


@functools.cache
def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def is_generated(name: str) -> bool:
    return "/generated/" in name


class Include(typing.NamedTuple):
    file: str
    line: int
    target: str
    ours: bool  # written in quotes

    def __str__(self) -> str:
        return f"{self.file}:{self.line} includes {self.target}"


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


@functools.cache
def includes() -> tuple[Include, ...]:
    found = []
    for name in named(".cpp", ".h", ".c"):
        for number, line in enumerate(text(name).splitlines(), 1):
            if match := INCLUDE.match(line):
                found.append(Include(name, number, match[2], match[1] == '"'))
    return tuple(found)


def module_of(path: str) -> str | None:
    parts = path.split("/")
    return parts[1] if parts[0] == "modules" and len(parts) > 2 else None


@functools.cache
def modules() -> dict[str, set[str]]:
    """Each module, with those that its CMake line NEEDS."""
    found: dict[str, set[str]] = {}
    for name in named("CMakeLists.txt", below="modules/"):
        for call in re.findall(r"^\s*pillion_module\(([^)]*)\)", text(name), re.M):
            lists = cmake_lists(call, ("NAME", "NEEDS", "LINK", "COLD", "HOT"))
            found.setdefault(lists["NAME"][0], set()).update(lists["NEEDS"])
    return found


def cmake_lists(call: str, keywords: tuple[str, ...]) -> dict[str, list[str]]:
    """The arguments of a CMake call, by the keyword that they follow."""
    lists: dict[str, list[str]] = {keyword: [] for keyword in keywords}
    current = None
    for word in call.split():
        if word in lists:
            current = word
        elif current is not None:
            lists[current].append(word)
    return lists


# The folders whose headers the C library, the kernel or the compiler brings, and their headers without a folder.
SYSTEM_FOLDERS = {"sys", "linux", "netinet", "arpa", "net", "asm", "mach", "bits"}
SYSTEM_HEADERS = {"arpa/inet.h", "cxxabi.h", "dirent.h", "dlfcn.h", "elf.h", "emmintrin.h", "execinfo.h", "fcntl.h", "ftw.h",
                  "grp.h", "ifaddrs.h", "immintrin.h", "link.h", "malloc.h", "netdb.h", "poll.h", "pthread.h", "pty.h", "pwd.h", "sched.h",
                  "signal.h", "spawn.h", "syslog.h", "termios.h", "time.h", "ucontext.h", "unistd.h", "unwind.h", "wait.h"}
C_HEADERS = {"assert.h", "ctype.h", "errno.h", "limits.h", "math.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h",
             "stdlib.h", "string.h"}


def library_of(include: Include) -> str | None:
    """The library that an include in angle brackets comes from; nothing for the standard library and the system."""
    if include.ours:
        return None
    target = include.target
    folder = target.split("/")[0]
    if target in SYSTEM_HEADERS | C_HEADERS or "/" in target and folder in SYSTEM_FOLDERS:
        return None
    if "/" not in target and "." not in target:
        return None
    return folder.removesuffix(".h").removesuffix(".hpp")
