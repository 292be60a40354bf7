"""Serves the documents of this project on the port that Pillion found for it."""
import functools
import http.server
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/health":
            return super().do_GET()
        self.send_response(204)
        self.end_headers()
        return None

    def log_message(self, *arguments):
        pass


address = ("127.0.0.1", int(os.environ["PORT"]))
http.server.ThreadingHTTPServer(address, functools.partial(Handler, directory=ROOT)).serve_forever()
