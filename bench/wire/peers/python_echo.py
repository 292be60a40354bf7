"""The scripting peer: CPython and its json module, one line at a time. One thread."""

import json
import sys


def answer(request):
    response = {"jsonrpc": "2.0", "id": request["id"]}
    if request["method"] == "rpc.echo":
        response["result"] = request.get("params", {})
    elif request["method"] == "rpc.ping":
        response["result"] = {}
    else:
        response["error"] = {"code": -32601, "message": "Method not found"}
    return response


def main():
    output = sys.stdout
    for line in sys.stdin.buffer:
        try:
            message = json.loads(line)
            if isinstance(message, list):
                response = [answer(request) for request in message]
            else:
                response = answer(message)
        except (ValueError, KeyError):
            response = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
        output.write(json.dumps(response, separators=(",", ":")) + "\n")
        output.flush()


main()
