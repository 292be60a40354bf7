"""`http.get`: an origin whose answers each test sets, asked as seldom as HTTP allows (RFC 9111, 5861, 9875)."""
import base64
import contextlib
import http.server
import socket
import threading
import time
import unittest

from cache_session import CacheTest
from pillion_process import WAIT_S_MAX, wait_until

DATE = "Wed, 01 Jan 2020 00:00:00 GMT"


class Origin:
    """Answers each path as it was told to, and remembers what it was asked."""

    def __init__(self):
        self.changed = threading.Condition()
        self.answers: dict[str, dict] = {}
        self.requests: list[tuple[str, dict]] = []
        self.connections: list[socket.socket] = []
        self.held = threading.Event()  # cleared: answers wait
        self.held.set()
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def setup(self):
                super().setup()
                with origin.changed:
                    origin.connections.append(self.connection)

            def do_GET(self):
                with origin.changed:
                    origin.requests.append((self.path, dict(self.headers.items())))
                    origin.changed.notify_all()
                    answer = dict(origin.answers.get(self.path.partition("?")[0], {"status": 404}))
                if answer.get("held"):
                    origin.held.wait(WAIT_S_MAX)
                fields = answer.get("fields", {})
                if "by_language" in answer:
                    answer["body"] = answer["by_language"] + (self.headers.get("Accept-Language") or "none").encode()
                same = self.headers.get("If-None-Match") == fields.get("ETag") if "ETag" in fields else \
                    "Last-Modified" in fields and self.headers.get("If-Modified-Since") == fields["Last-Modified"]
                status = 304 if same else answer.get("status", 200)
                body = b"" if same else answer.get("body", b"")
                self.send_response_only(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass  # clients that leave are what is being tried

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def set(self, path: str, body: bytes = b"", status: int = 200, **more) -> str:
        """`fields` are header fields, Cache-Control and the like; answers the URL."""
        fields = {name.replace("_", "-"): value for name, value in more.pop("fields", {}).items()}
        with self.changed:
            self.answers[path] = {"body": body, "status": status, "fields": fields} | more
        return self.url(path)

    def asked(self, path: str) -> list[dict]:
        with self.changed:
            return [fields for asked, fields in self.requests if asked.partition("?")[0] == path]

    def wait_asked(self, path: str, times: int) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: sum(asked == path for asked, _ in self.requests) >= times, WAIT_S_MAX):
                raise AssertionError(f"{path} was not asked for {times} times")

    def stop(self) -> None:
        self.held.set()
        self.server.shutdown()
        for connection in self.connections:
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        self.server.server_close()
        self.thread.join(WAIT_S_MAX)


class HttpTest(CacheTest):
    def setUp(self):
        super().setUp()
        self.origin = Origin()
        self.addCleanup(self.stop_origin)

    def stop_origin(self) -> None:
        if self.origin.thread.is_alive():
            self.origin.stop()

    def http(self, more: str = "", **options):
        return self.session(self.patient("http", more=more), **options)


class Freshness(HttpTest):
    def test_a_fresh_answer_is_served_without_asking(self):
        url = self.origin.set("/a", b"one", fields={"Cache-Control": "max-age=600", "Content-Type": "text/plain", "ETag": '"v1"'})
        pillion = self.http()
        first = pillion.ask("http.get", url=url)
        self.assertEqual((first["text"], first["source"], first["etag"], first["contentType"], first["bytes"]), ("one", "loader", '"v1"', "text/plain", 3))
        again = pillion.ask("http.get", url=url, explain=True)
        self.assertEqual((again["text"], again["source"], again["stale"]), ("one", "memory", False))
        self.assertEqual(again["steps"][0]["where"], "memory")
        self.assertEqual(len(self.origin.asked("/a")), 1)

    def test_a_refresh_asks_whatever_is_kept(self):
        url = self.origin.set("/a", b"one", fields={"Cache-Control": "max-age=600"})
        pillion = self.http()
        pillion.ask("http.get", url=url)
        self.origin.set("/a", b"two", fields={"Cache-Control": "max-age=600"})
        self.assertEqual(pillion.ask("http.get", url=url)["text"], "one")
        self.assertEqual(pillion.ask("http.get", url=url, refresh=True)["text"], "two")
        self.assertEqual(pillion.ask("http.get", url=url)["text"], "two")

    def test_what_is_never_fresh_is_asked_for_again_by_its_etag_and_costs_no_body(self):
        for control in ("max-age=0", "no-cache"):
            with self.subTest(control):
                url = self.origin.set("/" + control, b"body", fields={"Cache-Control": control, "ETag": '"v1"', "Content-Type": "text/css"})
                pillion = self.http()
                for _ in range(3):
                    answer = pillion.ask("http.get", url=url)
                    self.assertEqual((answer["text"], answer["contentType"]), ("body", "text/css"))
                    self.assertEqual(answer["source"], "loader")
                asked = self.origin.asked("/" + control)
                self.assertEqual([fields.get("If-None-Match") for fields in asked], [None, '"v1"', '"v1"'])
                self.origin.set("/" + control, b"other", fields={"Cache-Control": control, "ETag": '"v2"'})
                self.assertEqual(pillion.ask("http.get", url=url)["text"], "other")

    def test_or_by_its_date(self):
        url = self.origin.set("/d", b"body", fields={"Cache-Control": "no-cache", "Last-Modified": DATE})
        pillion = self.http()
        for _ in range(2):
            self.assertEqual(pillion.ask("http.get", url=url)["text"], "body")
        self.assertEqual([fields.get("If-Modified-Since") for fields in self.origin.asked("/d")], [None, DATE])

    def test_an_answer_whose_time_is_over_is_asked_for_again_by_its_etag(self):
        url = self.origin.set("/e", b"body", fields={"Cache-Control": "max-age=1", "ETag": '"v1"'})
        pillion = self.http()
        pillion.ask("http.get", url=url)
        limit = time.monotonic() + WAIT_S_MAX
        while pillion.ask("http.get", url=url)["source"] == "memory":
            self.assertLess(time.monotonic(), limit)
        tags = [fields.get("If-None-Match") for fields in self.origin.asked("/e")]
        self.assertEqual(tags[0], None)
        self.assertEqual(set(tags[1:]), {'"v1"'})

    def test_a_304_that_says_less_than_the_answer_did_takes_nothing_away(self):
        fields = {"Cache-Control": "max-age=600", "ETag": '"v1"', "Vary": "Accept-Language", "Cache-Groups": '"shop"'}
        url = self.origin.set("/bare", b"body", fields=fields)
        pillion = self.http()
        german = {"Accept-Language": "de"}
        pillion.ask("http.get", url=url, headers=german)
        self.origin.set("/bare", b"body", fields={"Cache-Control": "max-age=600", "ETag": '"v1"'})
        self.assertEqual(pillion.ask("http.get", url=url, headers=german, refresh=True)["text"], "body")
        self.assertEqual(len(self.origin.asked("/bare")), 2)
        again = pillion.ask("http.get", url=url, headers=german)
        self.assertEqual((again["text"], again["source"]), ("body", "memory"))
        pillion.ask("cache.invalidate", namespace="http", tag="shop")
        self.assertEqual(pillion.ask("http.get", url=url, headers=german)["source"], "loader", "it is still of the group")

    def test_no_store_is_not_kept(self):
        url = self.origin.set("/n", b"secret", fields={"Cache-Control": "no-store", "ETag": '"v1"'})
        pillion = self.http()
        for _ in range(2):
            self.assertEqual(pillion.ask("http.get", url=url)["source"], "loader")
        self.assertEqual([fields.get("If-None-Match") for fields in self.origin.asked("/n")], [None, None])
        self.assertEqual(pillion.ask("cache.list", namespace="http")["items"], [])

    def test_what_is_not_said_to_last_is_not_kept_either(self):
        url = self.origin.set("/bare", b"body")
        pillion = self.http()
        for _ in range(2):
            self.assertEqual(pillion.ask("http.get", url=url)["source"], "loader")


class Staleness(HttpTest):
    def stale(self, directive: str) -> tuple[str, object]:
        """A URL whose answer is past its time already and may be served late."""
        url = self.origin.set("/s", b"old", fields={"Cache-Control": f"max-age=0, {directive}"})
        pillion = self.http("softLoadTimeoutMs = 100\nbackoffMs = 0")
        self.assertEqual(pillion.ask("http.get", url=url)["text"], "old")
        kept_ms = time.time_ns() // 1_000_000
        wait_until(lambda: time.time_ns() // 1_000_000 > kept_ms + 1, "the millisecond in which it came is over")
        return url, pillion

    def test_the_old_answer_stands_in_for_an_error(self):
        url, pillion = self.stale("stale-if-error=600")
        self.origin.set("/s", b"sorry", status=503)
        answer = pillion.ask("http.get", url=url)
        self.assertEqual((answer["text"], answer["stale"]), ("old", True))
        self.origin.set("/s", b"new", fields={"Cache-Control": "max-age=600"})
        answer = pillion.ask("http.get", url=url)
        self.assertEqual((answer["text"], answer["stale"]), ("new", False))

    def test_and_for_an_origin_that_died(self):
        url, pillion = self.stale("stale-if-error=600")
        self.origin.stop()
        answer = pillion.ask("http.get", url=url)
        self.assertEqual((answer["text"], answer["stale"]), ("old", True))

    def test_it_does_not_for_what_is_gone(self):
        url, pillion = self.stale("stale-if-error=600")
        self.origin.set("/s", b"gone", status=410)
        self.assertEqual(pillion.refusal("http.get", url=url).code, -32002)

    def test_nor_where_the_origin_forbids_it(self):
        for directive in ("stale-if-error=600, must-revalidate", "no-cache, stale-if-error=600", "public"):
            with self.subTest(directive):
                url, pillion = self.stale(directive)
                self.origin.set("/s", b"sorry", status=503)
                self.assertEqual(pillion.refusal("http.get", url=url).code, -32005)

    def test_the_old_answer_is_served_at_once_while_a_new_one_is_fetched(self):
        url, pillion = self.stale("stale-while-revalidate=600")
        self.origin.held.clear()
        self.origin.set("/s", b"new", fields={"Cache-Control": "max-age=600"}, held=True)
        for _ in range(3):
            answer = pillion.ask("http.get", url=url, explain=True)
            self.assertEqual((answer["text"], answer["stale"]), ("old", True))
            self.assertEqual([step["where"] for step in answer["steps"]], ["memory"], "nothing was waited for")
        self.origin.held.set()
        limit = time.monotonic() + WAIT_S_MAX
        while (answer := pillion.ask("http.get", url=url))["text"] == "old":
            self.assertLess(time.monotonic(), limit)
        self.assertEqual((answer["text"], answer["stale"]), ("new", False))
        self.assertEqual(len(self.origin.asked("/s")), 2)


class Variants(HttpTest):
    FIELDS = {"Cache-Control": "max-age=600", "Vary": "Accept-Language"}

    def test_languages_are_kept_apart_and_what_does_not_matter_is_not(self):
        url = self.origin.set("/v", by_language=b"in ", fields=self.FIELDS)
        pillion = self.http()
        for _ in range(2):
            for language in ("de", "fr"):
                answer = pillion.ask("http.get", url=url, headers={"Accept-Language": language, "X-Trace": "1"})
                self.assertEqual(answer["text"], "in " + language)
        self.assertEqual(pillion.ask("http.get", url=url)["text"], "in none")
        self.assertEqual(pillion.ask("http.get", url=url, headers={"accept-language": "de", "X-Trace": "2"})["source"], "memory")
        self.assertEqual(len(self.origin.asked("/v")), 3)

    def test_also_right_after_a_restart(self):
        url = self.origin.set("/v", by_language=b"in ", fields=self.FIELDS)
        pillion = self.http("write = \"through\"")
        for language in ("de", "fr"):
            pillion.ask("http.get", url=url, headers={"Accept-Language": language, "X-Trace": "1"})
        pillion.end()
        self.origin.set("/v", by_language=b"anew in ", fields=self.FIELDS)
        pillion = self.http()
        for language, expected in (("fr", "in fr"), ("de", "in de"), ("it", "anew in it")):
            answer = pillion.ask("http.get", url=url, headers={"Accept-Language": language, "X-Trace": "2"})
            self.assertEqual(answer["text"], expected)
        self.assertEqual(len(self.origin.asked("/v")), 3)

    def test_also_when_nothing_is_known_yet_and_all_ask_at_once(self):
        url = self.origin.set("/v", by_language=b"in ", fields=self.FIELDS, held=True)
        self.origin.held.clear()
        pillion = self.http()
        languages = ["de", "fr", "it", "es"] * 5
        ids = [pillion.start_call("http.get", url=url, headers={"Accept-Language": language}) for language in languages]
        self.origin.wait_asked("/v", 4)
        self.origin.held.set()
        for request_id, language in zip(ids, languages):
            self.assertEqual(pillion.result(request_id)["text"], "in " + language)
        self.assertEqual(len(self.origin.asked("/v")), 4)

    def test_who_asks_matters_even_if_the_origin_forgets_to_say_so_and_stays_secret(self):
        url = self.origin.set("/v", b"mine", fields={"Cache-Control": "max-age=600"})
        pillion = self.http()
        pillion.ask("http.get", url=url, headers={"Authorization": "Bearer hush-hush-1"})
        self.origin.set("/v", b"yours", fields={"Cache-Control": "max-age=600"})
        self.assertEqual(pillion.ask("http.get", url=url, headers={"Authorization": "Bearer hush-hush-2"})["text"], "yours")
        self.assertEqual(pillion.ask("http.get", url=url, headers={"Authorization": "Bearer hush-hush-1"})["text"], "mine")
        self.assertNotIn("hush", str(pillion.ask("cache.list", namespace="http")))
        self.assertNotIn("hush", pillion.end())

    def test_vary_by_everything_is_not_kept(self):
        url = self.origin.set("/v", by_language=b"in ", fields=self.FIELDS | {"Vary": "*"})
        pillion = self.http()
        for _ in range(2):
            self.assertEqual(pillion.ask("http.get", url=url)["source"], "loader")


class Groups(HttpTest):
    def test_a_group_is_a_tag(self):
        fields = {"Cache-Control": "max-age=600"}
        one = self.origin.set("/1", b"1", fields=fields | {"Cache-Groups": '"shop", "prices"'})
        two = self.origin.set("/2", b"2", fields=fields | {"Cache-Groups": '"shop"'})
        pillion = self.http()
        for url in (one, two):
            pillion.ask("http.get", url=url)
        pillion.ask("cache.invalidate", namespace="http", tag="prices")
        self.assertEqual([pillion.ask("http.get", url=url)["source"] for url in (one, two)], ["loader", "memory"])
        pillion.ask("cache.invalidate", namespace="http", tag="shop")
        self.assertEqual([pillion.ask("http.get", url=url)["source"] for url in (one, two)], ["loader", "loader"])


class Errors(HttpTest):
    def test_what_is_not_there(self):
        pillion = self.http()
        refused = pillion.refusal("http.get", url=self.origin.url("/none?token=hush"))
        self.assertEqual((refused.code, refused.data["kind"]), (-32002, "not_found"))
        self.assertIn("/none answered 404", refused.message)
        self.assertNotIn("hush", refused.message)

    def test_what_is_not_there_is_remembered_where_the_namespace_says_so(self):
        pillion = self.http("negativeTtlMs = 600000")
        for _ in range(3):
            self.assertEqual(pillion.refusal("http.get", url=self.origin.url("/none")).code, -32002)
        self.assertEqual(len(self.origin.asked("/none")), 1)

    def test_what_the_origin_does_not_give_to_us(self):
        pillion = self.http()
        for status, code in ((401, -32006), (403, -32006), (500, -32005), (503, -32005), (429, -32005)):
            with self.subTest(status):
                url = self.origin.set(f"/{status}", b"no", status=status)
                refused = pillion.refusal("http.get", url=url)
                self.assertEqual(refused.code, code)
                self.assertTrue(refused.message.endswith(f"answered {status}"), refused.message)

    def test_a_redirect_is_followed_and_a_loop_is_not_for_ever(self):
        target = self.origin.set("/target", b"here", fields={"Cache-Control": "max-age=600"})
        url = self.origin.set("/moved", status=302, fields={"Location": target})
        loop = self.origin.set("/loop", status=302, fields={"Location": self.origin.url("/loop")})
        pillion = self.http()
        self.assertEqual(pillion.ask("http.get", url=url)["text"], "here")
        refused = pillion.refusal("http.get", url=loop)
        self.assertEqual(refused.code, -32005)
        self.assertIn("redirects", refused.message)
        self.assertLessEqual(len(self.origin.asked("/loop")), 6)

    def test_a_dead_host(self):
        url = self.origin.url("/a")
        self.origin.stop()
        refused = self.http().refusal("http.get", url=url)
        self.assertEqual((refused.code, refused.data["retryable"]), (-32005, True))
        self.assertIn("127.0.0.1", refused.message)

    def test_a_hanging_host_is_given_up_in_time(self):
        url = self.origin.set("/h", b"late", held=True)
        self.origin.held.clear()
        began = time.monotonic()
        refused = self.http().refusal("http.get", url=url, timeoutMs=200)
        self.assertEqual(refused.code, -32001)
        self.assertIn("200 ms", refused.message)
        self.assertLess(time.monotonic() - began, 5)

    def test_what_is_no_request(self):
        pillion = self.http()
        for params, field in (({"url": "file:///etc/passwd"}, "/url"), ({"url": "no"}, "/url"), ({"url": "http://h/", "headers": {"X": "a\r\nY: b"}}, "/headers"),
                              ({"url": "http://h/", "headers": {"Range": "bytes=0-1"}}, "/headers"), ({"url": "http://h/", "headers": {"If-None-Match": "*"}}, "/headers"),
                              ({"url": "http://h/", "headers": {"a b": "c"}}, "/headers"), ({"url": "http://h/", "timeoutMs": 0}, "/timeoutMs"),
                              ({"url": "http://h/", "namespace": "no such name"}, "/namespace"), ({}, "/url")):
            with self.subTest(params):
                refused = pillion.refusal("http.get", **params)
                self.assertEqual((refused.code, refused.data.get("field")), (-32602, field), refused.message)


class Values(HttpTest):
    def test_a_hundred_equal_requests_ask_once(self):
        for path, headers in (("/plain", {}), ("/with-fields", {"Accept-Language": "de", "X-Trace": "1"})):
            with self.subTest(path):
                url = self.origin.set(path, b"once", fields={"Cache-Control": "max-age=600"}, held=True)
                self.origin.held.clear()
                pillion = self.http()
                ids = [pillion.start_call("http.get", url=url, headers=headers) for _ in range(100)]
                self.origin.wait_asked(path, 1)
                self.origin.held.set()
                self.assertEqual({pillion.result(request_id)["text"] for request_id in ids}, {"once"})
                self.assertEqual(len(self.origin.asked(path)), 1)

    def test_bytes_that_are_no_text_come_as_base64(self):
        body = bytes(range(256)) * 100
        url = self.origin.set("/b", body, fields={"Cache-Control": "max-age=600", "Content-Type": "image/png"})
        pillion = self.http()
        for source in ("loader", "memory"):
            answer = pillion.ask("http.get", url=url)
            self.assertEqual((answer["source"], answer["contentType"], answer["bytes"]), (source, "image/png", len(body)))
            self.assertEqual(base64.b64decode(answer["base64"]), body)
            self.assertIsNone(answer.get("text"))

    def test_an_empty_answer_is_one(self):
        url = self.origin.set("/empty", b"", fields={"Cache-Control": "max-age=600"})
        pillion = self.http()
        for source in ("loader", "memory"):
            answer = pillion.ask("http.get", url=url)
            self.assertEqual((answer["text"], answer["bytes"], answer["source"]), ("", 0, source))

    def test_a_restart_keeps_what_is_fresh(self):
        url = self.origin.set("/r", b"kept \x00\xff", fields={"Cache-Control": "max-age=600", "ETag": '"v1"', "Content-Type": "app/x"})
        pillion = self.http()
        pillion.ask("http.get", url=url)
        pillion.end()
        self.origin.stop()
        answer = self.http().ask("http.get", url=url)
        self.assertEqual((base64.b64decode(answer["base64"]), answer["contentType"], answer["etag"]), (b"kept \x00\xff", "app/x", '"v1"'))
        self.assertIn(answer["source"], ("disk", "memory"))

    def test_an_origin_is_a_loader_for_keys_of_ones_own(self):
        url = self.origin.set("/l", b'{"n":1}', fields={"Cache-Control": "max-age=600", "Content-Type": "application/json", "ETag": '"v1"'})
        pillion = self.session(self.patient())
        load = {"method": "http.get", "params": {"url": url, "headers": {"Accept": "application/json"}}}
        for source in ("loader", "memory"):
            answer = pillion.get("mine", load=load, explain=True)
            self.assertEqual((answer["value"], answer["explanation"]["source"]), ({"n": 1}, source))
        self.assertEqual(len(self.origin.asked("/l")), 1)
        pillion.get("mine", load=load, refresh=True)
        self.assertEqual(self.origin.asked("/l")[1].get("If-None-Match"), '"v1"')
        refused = pillion.refusal("cache.get", key="other", load={"method": "http.get", "params": {"url": self.origin.url("/none")}})
        self.assertEqual(refused.code, -32002)
        self.assertEqual(pillion.refusal("cache.get", key="other", load={"method": "http.get", "params": {"uri": url}}).code, -32602)


if __name__ == "__main__":
    unittest.main()
