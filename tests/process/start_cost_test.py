"""What a start costs, in what does not depend on how busy the machine is: the pages it touches, which are most of its time, and the
bytes of the program. Both grow unseen with every module; these bounds say when it is time to look."""
import os
import subprocess
import tempfile
import unittest

from pillion_process import MIB, PillionTest, binary, is_sanitized, request

# A start touches about 150, a static C program that answers as much about 25, and one with relocated tables 250.
PAGES_MAX = 190
# 8 MiB are allowed without optional engines.
BYTES_MAX = 7.5 * MIB


def pages_touched(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[7])


@unittest.skipIf(is_sanitized() or os.environ.get("TESTED_BUILD_TYPE", "") == "Debug", "said of the build that ships")
class StartCost(PillionTest):
    def pages_until_first_answer(self) -> int:
        pillion = self.start()
        pillion.send(request("rpc.ping"))
        pillion.answer(1)
        pages = pages_touched(pillion.pid)
        pillion.close()
        return pages

    def test_a_start_touches_few_pages(self):
        # The first one may have to read the program from the disk.
        self.assertLess(min(self.pages_until_first_answer() for _ in range(3)), PAGES_MAX)

    def test_the_program_is_small(self):
        with tempfile.TemporaryDirectory(prefix="pillion-size-") as directory:
            stripped = os.path.join(directory, "pillion")
            subprocess.run(["strip", "-o", stripped, binary()], check=True)
            self.assertLess(os.path.getsize(stripped), BYTES_MAX)


if __name__ == "__main__":
    unittest.main()
