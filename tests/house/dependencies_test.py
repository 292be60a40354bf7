"""Every library that is linked or included has its row, with its reason, in the README's table."""
import itertools
import re
import unittest

from repository import ROOT, includes, library_of, named, text

# How the README spells what CMake or an include calls otherwise.
README_NAMES = {
    "benchmark": "googlebenchmark",
    "brotlicommon": "brotli",
    "brotlidec": "brotli",
    "brotlienc": "brotli",
    "cli": "cli11",
    "concurrentqueue": "moodycamelconcurrentqueue",
    "crypto": "openssl",
    "curl": "libcurl",
    "icui18n": "icu",
    "icuuc": "icu",
    "libpqfe": "libpq",
    "nlohmann": "nlohmannjson",
    "postgresql": "libpq",
    "pq": "libpq",
    "sqlite3": "sqlite",
    "ssl": "openssl",
    "unicode": "icu",
    "z": "zlib",
}

# Part of the system or of the tool chain.
NOT_LIBRARIES = {"threads", "python3", "pkgconfig", "dl", "rt", "m", "fnmatch"}


def plain(name: str) -> str:
    """A library's name, without what its spellings differ in."""
    name = re.sub(r"[^a-z0-9+]", "", name.lower()).replace("toml++", "tomlplusplus").replace("+", "")
    return README_NAMES.get(name, name)


def rows() -> list[str]:
    """What the rows of the README's tables begin with: a name, or several with commas between them."""
    first_cells = re.findall(r"^\|\s*([^|]+?)\s*\|", text("README.md"), re.M)
    names = [name for cell in first_cells for name in re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell).split(",")]
    return [plain(name) for name in names]


def from_cmake() -> dict[str, str]:
    """The libraries that CMake finds or links, with the file that does."""
    found = {}
    for name in named("CMakeLists.txt", ".cmake"):
        code = re.sub(r"#.*", "", text(name))
        for match in re.finditer(r"\bfind_(?:package|library)\(\s*([\w+]+)|\bLINK\s+([^)]+)\)|\bpkg_check_modules\(\s*\w+\s+([^)]+)\)", code):
            words = " ".join(group for group in match.groups() if group).split()
            # A keyword ends the list.
            for word in itertools.takewhile(lambda word: not word.isupper(), words):
                if re.fullmatch(r"[\w+.-]+(?:::[\w+-]+)?", word) and not word.startswith("pillion_"):
                    found.setdefault(plain(word.split("::")[0]), name)
    return found


class Dependencies(unittest.TestCase):
    longMessage = False

    def assert_explained(self, libraries: dict[str, str]) -> None:
        self.assertTrue((ROOT / "README.md").is_file(), "there is no README.md")
        known = rows()
        missing = {library: where for library, where in libraries.items()
                   if library not in NOT_LIBRARIES and not any(row.startswith(library) for row in known)}
        self.assertFalse(missing, "no table of README.md has a row that begins with the name of\n"
                         + "\n".join(f"{library} ({where})" for library, where in missing.items()))

    def test_what_cmake_links_is_explained(self):
        self.assertIn("simdjson", from_cmake())
        self.assert_explained(from_cmake())

    def test_what_the_sources_include_is_explained(self):
        included = {plain(library): include.file for include in includes() if (library := library_of(include))}
        self.assertIn("boost", included)
        self.assert_explained(included)


if __name__ == "__main__":
    unittest.main()
