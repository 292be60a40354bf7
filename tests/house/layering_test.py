"""Includes go down only, as ARCHITECTURE.md draws the floors: sidecar, modules, ipc, ipc/base."""
import unittest

from repository import Include, ROOT, includes, library_of, module_of, modules, named

FLOORS = ("ipc/base/", "ipc/", "modules/", "sidecar/")

# What the ground floor takes from a library all the same, and for whom.
BASE_EXCEPTIONS = {("ipc/base/memory_pools.h", "boost")}

# The parts of ipc/ that know JSON: for a module's wire structs and methods (*_rpc), never for its engine.
JSON_HEADERS = ("ipc/json_", "ipc/wire_encode.h", "ipc/wire_decode.h")
JSON_LIBRARIES = {"nlohmann", "simdjson"}

# Engines that know JSON all the same, with the reason. A proxy of JSON-RPC reads and makes messages: that is its work.
JSON_EXCEPTIONS = {
    "modules/backends/backend_json.cpp": "takes the messages of backends apart and puts them together",
    "modules/backends/backend_rules.cpp": "makes cache keys of canonical JSON",
}


def floor_of(path: str) -> int | None:
    return next((index for index, folder in enumerate(FLOORS) if path.startswith(folder)), None)


def is_rpc(path: str) -> bool:
    return "_rpc" in path.rsplit("/", 1)[-1]


def ours() -> list[Include]:
    return [include for include in includes() if include.ours]


class Layering(unittest.TestCase):
    longMessage = False

    def assert_none(self, breaches: list) -> None:
        self.assertFalse(breaches, "\n".join(map(str, breaches)))

    def test_there_is_something_to_look_at(self):
        self.assertGreater(len(includes()), 100)
        self.assertGreater(len(modules()), 1)

    def test_our_own_headers_are_named_from_the_root(self):
        self.assert_none([include for include in ours() if floor_of(include.file) is not None and not (ROOT / include.target).is_file()])

    def test_nothing_includes_what_is_above_it(self):
        self.assert_none([include for include in ours() if floor_of(include.file) is not None
                          and (floor_of(include.target) is None or floor_of(include.target) > floor_of(include.file))])

    def test_the_ground_floor_needs_no_library(self):
        self.assert_none([include for include in includes() if include.file.startswith("ipc/base/")
                          and library_of(include) and (include.file, library_of(include)) not in BASE_EXCEPTIONS])

    def test_a_declared_exception_is_still_needed(self):
        used = {(include.file, library_of(include)) for include in includes()}
        self.assertEqual(BASE_EXCEPTIONS - used, set())

    def test_a_module_includes_only_modules_that_it_needs(self):
        self.assert_none([include for include in ours() if (user := module_of(include.file)) and (used := module_of(include.target))
                          and used != user and used not in modules()[user]])

    def test_a_module_includes_only_public_headers_of_another(self):
        def is_public(include: Include) -> bool:
            used = module_of(include.target)
            public = {f"modules/{used}/{used}.h"} | ({f"modules/{used}/{used}_rpc.h"} if is_rpc(include.file) else set())
            return include.target in public
        self.assert_none([include for include in ours() if (user := module_of(include.file)) and module_of(include.target)
                          and module_of(include.target) != user and not is_public(include)])

    def test_a_module_needs_only_modules_that_exist(self):
        self.assert_none([f"{user} NEEDS {used}" for user, needs in modules().items() for used in needs if used not in modules()])

    def test_every_module_folder_declares_its_module(self):
        self.assertEqual({module_of(name) for name in named(".cpp", ".h", below="modules/")}, set(modules()))

    def test_modules_do_not_need_each_other_in_a_circle(self):
        def walk(module: str, path: tuple[str, ...]) -> None:
            self.assertNotIn(module, path, " needs ".join((*path, module)))
            for used in modules().get(module, ()):
                walk(used, (*path, module))
        for module in modules():
            walk(module, ())

    def test_an_engine_knows_no_json(self):
        self.assert_none([include for include in includes() if module_of(include.file) and not is_rpc(include.file)
                          and include.file not in JSON_EXCEPTIONS
                          and (library_of(include) in JSON_LIBRARIES or include.target.startswith(JSON_HEADERS) or is_rpc(include.target))])

    def test_the_frontend_bindings_include_no_native_code(self):
        self.assert_none([include for include in includes() if include.file.startswith("frontend-bindings/")])

    def test_tests_and_benchmarks_are_included_by_nothing_else(self):
        self.assert_none([include for include in ours() if include.target.startswith(("tests/", "bench/"))
                          and not include.file.startswith(("tests/", "bench/"))])


if __name__ == "__main__":
    unittest.main()
