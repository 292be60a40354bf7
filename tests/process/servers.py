"""Real servers of a test's own, on loopback or sockets in a temporary folder. Each ends with its test; one that is missing fails it."""
import hashlib
import hmac
import http.client
import http.server
import itertools
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from pillion_process import WAIT_S_MAX, wait_until

START_S_MAX = 60.0  # making a database cluster on a busy machine


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin"):
            return found
    raise AssertionError(f"there is no {names[0]}; scripts/test.sh installs it")


class Server:
    """A program in the foreground; what it says is kept."""

    def __init__(self, test: unittest.TestCase, prefix: str):
        folder = tempfile.TemporaryDirectory(prefix=f"pillion-{prefix}-", ignore_cleanup_errors=True)
        test.addCleanup(folder.cleanup)
        test.addCleanup(self.kill)
        self.folder = pathlib.Path(folder.name)
        self.process: subprocess.Popen | None = None
        self.said = ""
        self.changed = threading.Condition()

    def launch(self, command: list[str], ready: str | None = None, port: int | None = None, **options) -> None:
        self.said = ""
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
        reader = threading.Thread(target=self.read_output, args=(self.process,), daemon=True)
        reader.start()
        if ready is not None:
            with self.changed:
                self.changed.wait_for(lambda: ready in self.said or self.process.poll() is not None, START_S_MAX)
            if ready not in self.said:
                raise AssertionError(f"{command[0]} did not start: {self.said[-2000:]}")
        if port is not None:
            wait_until(lambda: accepts(port) or self.process.poll() is not None, f"{command[0]} on port {port}", START_S_MAX)
            if self.process.poll() is not None:
                raise AssertionError(f"{command[0]} ended: {self.said[-2000:]}")

    def read_output(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            with self.changed:
                self.said += line
                self.changed.notify_all()
        process.stdout.close()
        with self.changed:
            self.changed.notify_all()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(WAIT_S_MAX)


class Redis(Server):
    def __init__(self, test: unittest.TestCase):
        super().__init__(test, "redis")
        self.socket = str(self.folder / "redis.sock")
        self.start()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        self.launch([program("redis-server"), "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no", "--dir", str(self.folder)],
                    ready="The server is now ready to accept connections at")

    def cli(self, *words: str) -> str:
        return subprocess.run([program("redis-cli"), "-s", self.socket, *words], capture_output=True, check=True, text=True, timeout=WAIT_S_MAX).stdout.strip()


class Postgres(Server):
    """PostgreSQL does not run as root, so where the tests do it gets another user."""

    def __init__(self, test: unittest.TestCase):
        super().__init__(test, "postgres")
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise AssertionError("there is no initdb of PostgreSQL; scripts/test.sh installs it")
        self.programs = found[-1].parent
        self.identity: dict = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        made = subprocess.run([self.programs / "initdb", "-D", self.folder / "data", "--no-sync", "-A", "trust", "-U", "pillion", "-E", "UTF8", "--locale=C"],
                              capture_output=True, text=True, timeout=START_S_MAX, cwd=self.folder, **self.identity)
        if made.returncode != 0:
            raise AssertionError(f"initdb failed: {made.stderr}")
        self.start()

    @property
    def url(self) -> str:
        return f"host={self.folder} user=pillion dbname=postgres"

    def start(self) -> None:
        settings = ("listen_addresses=", "fsync=off", "max_connections=20", "shared_buffers=32MB", "autovacuum=off")
        self.launch([str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), *(word for setting in settings for word in ("-c", setting))],
                    ready="database system is ready to accept connections", cwd=self.folder, **self.identity)

    def crash(self) -> None:
        self.kill(signal.SIGQUIT)

    def sql(self, statement: str) -> str:
        """What psql prints: columns separated by |."""
        ran = subprocess.run([self.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", "pillion", "-d", "postgres", "-c", statement],
                             capture_output=True, text=True, timeout=WAIT_S_MAX)
        if ran.returncode != 0:
            raise AssertionError(f"psql: {ran.stderr}")
        return ran.stdout.strip()


class Nginx(Server):
    """A WebDAV folder; every request is a line of its access log: method, path, status."""

    def __init__(self, test: unittest.TestCase, makes_folders: bool = True, user: str = "", password: str = ""):
        super().__init__(test, "nginx")
        self.marks = itertools.count()
        self.port = free_port()
        self.files = self.folder / "files"
        self.files.mkdir()
        self.access = self.folder / "access.log"
        (self.folder / "temporary").mkdir()
        authorised = ""
        if user:
            (self.folder / "users").write_text(f"{user}:{{PLAIN}}{password}\n", encoding="utf-8")
            authorised = f"auth_basic assets; auth_basic_user_file {self.folder}/users;"
        identity = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {self.folder}/pid; error_log {self.folder}/error.log; {identity}
events {{}}
http {{
  client_body_temp_path {self.folder}/temporary; proxy_temp_path {self.folder}/temporary; fastcgi_temp_path {self.folder}/temporary;
  uwsgi_temp_path {self.folder}/temporary; scgi_temp_path {self.folder}/temporary; client_max_body_size 32m;
  log_format asked '$request_method $request_uri $status "$http_cache_control" "$content_type"'; access_log {self.access} asked;
  server {{
    listen 127.0.0.1:{self.port}; root {self.files}; {authorised}
    location / {{ dav_methods PUT MKCOL; create_full_put_path {"on" if makes_folders else "off"}; dav_access user:rw; }}
  }}
}}
""", encoding="utf-8")
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.launch([program("nginx"), "-e", str(self.folder / "error.log"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")], port=self.port)

    def requests(self, method: str) -> list[str]:
        """A line is written after its answer was sent: one of our own behind it, from the same process, says that it is there."""
        mark = f"/mark-{next(self.marks)}"
        try:
            asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S_MAX)
            asking.request("OPTIONS", mark)
            asking.getresponse().read()
            asking.close()
            wait_until(lambda: mark in self.access.read_text(encoding="utf-8"), "nginx writes its log")
        except ConnectionRefusedError:
            pass  # it has ended, and written all
        lines = self.access.read_text(encoding="utf-8").splitlines() if self.access.exists() else []
        return [line for line in lines if line.startswith(method + " ")]


class S3(Server):
    """s3rver, from npm (tests/servers has its lock file), behind a door that does what s3rver leaves out: it checks signatures."""

    NAME = "S3RVER"
    SECRET = "S3RVER"

    def __init__(self, test: unittest.TestCase, *buckets: str):
        super().__init__(test, "s3")
        script = pathlib.Path(__file__).parents[1] / "servers/node_modules/s3rver/bin/s3rver.js"
        if not script.is_file():
            raise AssertionError("tests/servers has no node_modules; run `npm ci --ignore-scripts` there, as scripts/test.sh does")
        port = free_port()
        wanted = [word for bucket in buckets for word in ("--configure-bucket", bucket)]
        self.launch([program("node"), str(script), "-d", str(self.folder / "data"), "-a", "127.0.0.1", "-p", str(port), *wanted], port=port)
        self.requests: list[tuple[str, str, int]] = []  # method, path, status

        class Door(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def pass_on(door):
                body = door.rfile.read(int(door.headers.get("Content-Length", "0")))
                status, fields, answer = 403, [], b"SignatureDoesNotMatch"
                if door.command == "GET" or is_signed(door.command, door.path, door.headers, body, S3.NAME, S3.SECRET):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S_MAX)
                    connection.request(door.command, door.path, body, dict(door.headers.items()))
                    response = connection.getresponse()
                    status, fields, answer = response.status, response.getheaders(), response.read()
                    connection.close()
                self.requests.append((door.command, door.path, status))
                door.send_response_only(status)
                for name, value in fields:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        door.send_header(name, value)
                door.send_header("Content-Length", str(len(answer)))
                door.end_headers()
                door.wfile.write(answer)

            do_GET = do_PUT = pass_on

        door = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
        door.daemon_threads = True
        threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        test.addCleanup(door.server_close)
        test.addCleanup(door.shutdown)
        self.url = f"http://127.0.0.1:{door.server_address[1]}"

    def puts(self) -> list[int]:
        """The statuses of all PUT requests."""
        return [status for method, _, status in self.requests if method == "PUT"]


def is_signed(method: str, path: str, fields, body: bytes, name: str, secret: str) -> bool:
    """AWS signature version 4, as Amazon describes it for S3."""
    matched = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/[^/]+/s3/aws4_request), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
                           fields.get("Authorization", ""))
    if matched is None or matched[1] != name or fields.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest():
        return False
    signed = matched[3].split(";")
    if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(signed):
        return False
    listed = "".join(f"{field}:{' '.join(fields.get(field, '').split())}\n" for field in signed)
    canonical = "\n".join((method, path, "", listed, matched[3], fields["x-amz-content-sha256"]))
    text = "\n".join(("AWS4-HMAC-SHA256", fields["x-amz-date"], matched[2], hashlib.sha256(canonical.encode()).hexdigest()))
    key = ("AWS4" + secret).encode()
    for part in (*matched[2].split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(key.hex(), matched[4])
