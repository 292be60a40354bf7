"""A JSON-RPC backend that speaks by lines and misbehaves as its argument says."""
import json
import os
import signal
import subprocess
import sys
import threading

MODE = sys.argv[1]
MIB = 1024 * 1024


def write(text: str) -> None:
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def answer(request: dict, result) -> None:
    write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}) + "\n")


def garbage(request: dict) -> None:
    write("Starting up ...\n\x1b[31mnot JSON\x1b[0m\n{\"half\": \n[]\n17\n{\"jsonrpc\":\"1.0\"}\n")
    sys.stdout.buffer.write(b"\xff\xfe\x00\n")
    answer(request, "after the garbage")


def half_line(request: dict) -> None:
    write('{"jsonrpc":"2.0","id":' + str(request["id"]) + ',"result":"never en')
    os._exit(0)


def flood(request: dict) -> None:
    for _ in range(100):
        sys.stdout.buffer.write(b"x" * MIB)
    write("\n")
    answer(request, "after the flood")


def dies(request: dict) -> None:
    print("the disk is on fire", file=sys.stderr, flush=True)
    write('{"jsonrpc":"2.0","id":')
    os.kill(os.getpid(), signal.SIGKILL)


def twice(request: dict) -> None:
    answer(request, "first")
    answer(request, "second")


def unknown_id(request: dict) -> None:
    write('{"jsonrpc":"2.0","id":987654,"result":"nobody asked"}\n')
    answer(request, "mine")


def fills_stderr(request: dict) -> None:
    for _ in range(200):
        sys.stderr.buffer.write((b"noise " * 100 + b"\n") * 20)
    sys.stderr.buffer.flush()
    answer(request, "after the noise")


def grandchild(request: dict) -> None:
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL)
    answer(request, child.pid)


def stays(request: dict) -> None:
    answer(request, os.getpid())


def asks(request: dict) -> None:
    write('{"jsonrpc":"2.0","id":"question","method":"roots/list"}\n')
    answer(request, json.loads(sys.stdin.readline())["result"])


MODES = {"echo": lambda request: answer(request, request.get("params", {})), "garbage": garbage, "half-line": half_line,
         "flood": flood, "dies": dies, "silent": lambda request: None, "twice": twice, "unknown-id": unknown_id,
         "fills-stderr": fills_stderr, "grandchild": grandchild, "ignores-term": stays, "asks": asks}

if MODE == "ignores-term":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        MODES[MODE](message)
if MODE == "ignores-term":
    threading.Event().wait()
