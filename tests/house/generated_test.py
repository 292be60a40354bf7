"""What is generated from the method declarations and committed is what this program generates."""
import subprocess
import unittest

from repository import BINARY, ROOT


class Generated(unittest.TestCase):
    maxDiff = 4_000

    def assert_fresh(self, format: str, file: str) -> None:
        printed = subprocess.run([BINARY, "schema", "--format", format], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(printed.returncode, 0, printed.stderr)
        self.assertTrue(printed.stdout, f"pillion schema --format {format} printed nothing")
        path = ROOT / file
        committed = path.read_text(encoding="utf-8") if path.is_file() else ""
        self.assertEqual(committed, printed.stdout, f"{file} is stale: run scripts/generate.sh")

    def test_the_typescript_types_are_fresh(self):
        self.assert_fresh("typescript", "frontend-bindings/client/src/generated/protocol.ts")

    def test_the_openrpc_document_is_fresh(self):
        self.assert_fresh("openrpc", "frontend-bindings/openrpc.json")

    def test_the_reference_page_is_fresh(self):
        self.assert_fresh("markdown", "frontend-bindings/reference.md")


if __name__ == "__main__":
    unittest.main()
