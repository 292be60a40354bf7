"""An HTTP server with a path for each thing that a client may meet. Prints its port; ends with its stdin."""
import http.server
import os
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/plain":
            return self.answer(200, b"hello", [("ETag", '"v1"'), ("Cache-Control", "max-age=60"), ("Cache-Groups", '"one", "two"')])
        if path == "/etag":
            if self.headers.get("If-None-Match") == '"v1"':
                return self.answer(304, headers=[("ETag", '"v1"')])
            return self.answer(200, b"body", [("ETag", '"v1"')])
        if path == "/echo":
            return self.answer(200, (self.headers.get("X-Test") or "").encode())
        if path == "/redirect":
            return self.answer(302, headers=[("Location", "/plain")])
        if path == "/loop":
            return self.answer(302, headers=[("Location", "/loop")])
        if path == "/elsewhere":
            return self.answer(302, headers=[("Location", "file:///etc/passwd")])
        if path == "/large":
            return self.answer(200, b"x" * 2_000_000)
        if path == "/error":
            return self.answer(503, b"busy")
        if path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
            return None
        if path == "/garbage":
            self.wfile.write(b"\x00\x01garbage\r\n\r\n")
            self.close_connection = True
            return None
        if path == "/hang":
            threading.Event().wait(30)
            return None
        return self.answer(404, b"nothing here")

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.answer(200, body, [("Cache-Group-Invalidation", '"one"')])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that leave are what is being tried


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
