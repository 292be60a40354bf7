"""`cdn.publish` and `cdn.list` with the servers that they are for: nginx with WebDAV, and a bucket."""
import hashlib
import os
import pathlib
import time
import unittest
import urllib.error
import urllib.request

from cache_session import CacheTest
from pillion_process import WAIT_S_MAX, wait_until
from servers import S3, Nginx, free_port

YEAR = "public, max-age=31536000, immutable"
MONTH = "public, max-age=2592000"
SECRET = "pass-hush-word"


def hashed(name: str, content: bytes) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}{dot}{ending}"


def fetch(url: str) -> tuple[bytes, dict]:
    with urllib.request.urlopen(url, timeout=WAIT_S_MAX) as answer:
        return answer.read(), dict(answer.headers.items())


class CdnTest(CacheTest):
    def cdn(self, endpoint: str, data: str = "data", environment: dict | None = None, **more):
        lines = [f"{name} = {value if isinstance(value, int) else repr(value)}" for name, value in ({"endpoint": endpoint} | more).items()]
        return self.session("[cdn]\n" + "\n".join(lines), data=data, PILLION_LOG_LEVEL="trace", **(environment or {}))

    def credentials(self, text: str, mode: int = 0o600) -> str:
        path = pathlib.Path(self.folder, "credentials")
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return str(path)

    def file(self, name: str, content: bytes) -> str:
        path = pathlib.Path(self.folder, name)
        path.write_bytes(content)
        return str(path)


class WebDav(CdnTest):
    def test_an_asset_stands_under_its_hashed_name(self):
        nginx = Nginx(self)
        pillion = self.cdn(nginx.url)
        content = b"console.log(1)"
        published = pillion.ask("cdn.publish", name="assets/app.js", text=content.decode())
        name = hashed("assets/app.js", content)
        self.assertEqual((published["publishedName"], published["url"]), (name, f"{nginx.url}/{name}"))
        self.assertEqual((published["digest"], published["bytes"]), (hashlib.sha256(content).hexdigest(), len(content)))
        self.assertEqual((published["contentType"], published["cacheControl"], published["wasThere"]), ("text/javascript", YEAR, False))
        self.assertEqual(fetch(published["url"])[0], content)
        self.assertEqual(nginx.requests("PUT"), [f'PUT /{name} 201 "{YEAR}" "text/javascript"'])

    def test_what_is_made_at_run_time_is_kept_for_a_month_and_may_be_no_text(self):
        nginx = Nginx(self)
        content = bytes(range(256)) * 4000
        published = self.cdn(nginx.url).ask("cdn.publish", name="voice/one.mp3", file=self.file("one", content), lifetime="generated")
        self.assertEqual((published["cacheControl"], published["contentType"]), (MONTH, "audio/mpeg"))
        self.assertEqual((nginx.files / published["publishedName"]).read_bytes(), content)
        self.assertEqual(nginx.requests("PUT"), [f'PUT /{published["publishedName"]} 201 "{MONTH}" "audio/mpeg"'])

    def test_folders_are_made_where_the_server_wants_them_first(self):
        nginx = Nginx(self, makes_folders=False)
        pillion = self.cdn(nginx.url, prefix="my app/")
        published = pillion.ask("cdn.publish", name="a/b/ü ß.css", text="x", contentType="text/css;charset=utf-8")
        self.assertEqual(fetch(published["url"])[0], b"x")
        self.assertTrue((nginx.files / published["publishedName"]).is_file())
        self.assertEqual(len(nginx.requests("MKCOL")), 3)
        self.assertEqual([line.split()[2] for line in nginx.requests("PUT")], ["500", "201"])
        pillion.ask("cdn.publish", name="a/b/other.css", text="y")
        self.assertEqual(len(nginx.requests("MKCOL")), 3, "they are there now")

    def test_what_is_there_is_not_sent_again_and_what_changed_is(self):
        nginx = Nginx(self)
        pillion = self.cdn(nginx.url)
        first = pillion.ask("cdn.publish", name="app.css", text="one")
        again = pillion.ask("cdn.publish", name="app.css", text="one")
        self.assertEqual((again["wasThere"], again["url"], again["publishedAt"]), (True, first["url"], first["publishedAt"]))
        self.assertEqual(len(nginx.requests("PUT")), 1)
        pillion.end()
        pillion = self.cdn(nginx.url)
        self.assertTrue(pillion.ask("cdn.publish", name="app.css", text="one")["wasThere"], "also after a restart")
        changed = pillion.ask("cdn.publish", name="app.css", text="two")
        self.assertNotEqual(changed["url"], first["url"])
        self.assertFalse(changed["wasThere"])
        self.assertEqual(len(nginx.requests("PUT")), 2)
        self.assertEqual((fetch(first["url"])[0], fetch(changed["url"])[0]), (b"one", b"two"), "whoever has the old page finds its assets")
        self.assertEqual([asset["url"] for asset in pillion.ask("cdn.list")["items"]], [changed["url"]])

    def test_an_app_that_goes_back_to_an_older_version_has_it_listed(self):
        nginx = Nginx(self)
        pillion = self.cdn(nginx.url)
        first = pillion.ask("cdn.publish", name="app.css", text="one")
        second = pillion.ask("cdn.publish", name="app.css", text="two")
        wait_until(lambda: time.time_ns() // 1_000_000 > second["publishedAt"], "the next millisecond")
        self.assertTrue(pillion.ask("cdn.publish", name="app.css", text="one")["wasThere"])
        self.assertEqual([asset["url"] for asset in pillion.ask("cdn.list")["items"]], [first["url"]])
        self.assertEqual(len(nginx.requests("PUT")), 2)

    def test_other_fields_are_another_publication(self):
        nginx = Nginx(self)
        pillion = self.cdn(nginx.url)
        pillion.ask("cdn.publish", name="x", text="one")
        self.assertFalse(pillion.ask("cdn.publish", name="x", text="one", contentType="text/plain")["wasThere"])
        self.assertFalse(pillion.ask("cdn.publish", name="x", text="one", lifetime="generated", contentType="text/plain")["wasThere"])
        self.assertIn('"application/octet-stream"', nginx.requests("PUT")[0])
        self.assertEqual(len(nginx.requests("PUT")), 3)

    def test_the_list_is_paged_and_sorted(self):
        nginx = Nginx(self)
        pillion = self.cdn(nginx.url, publicUrl="https://cdn.example/x/")
        for number in range(5):
            pillion.ask("cdn.publish", name=f"{number}.txt", text="x" * (10 - number))
        listed = pillion.ask("cdn.list", _meta={"limit": 2, "sortBy": "bytes", "sortOrder": "asc"})
        self.assertEqual([asset["name"] for asset in listed["items"]], ["4.txt", "3.txt"])
        self.assertEqual(listed["page"]["total"], 5)
        self.assertTrue(listed["items"][0]["url"].startswith("https://cdn.example/x/4."))

    def test_names_that_are_none(self):
        nginx = Nginx(self)
        pillion = self.cdn(nginx.url)
        for name in ("", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\x00b", "a\nb", "x" * 513):
            with self.subTest(name):
                refused = pillion.refusal("cdn.publish", name=name, text="x")
                self.assertEqual((refused.code, refused.data["field"]), (-32602, "/name"))
        for params in ({"name": "a"}, {"name": "a", "text": "x", "file": "/etc/hostname"}):
            self.assertEqual(pillion.refusal("cdn.publish", **params).code, -32602)
        self.assertEqual(pillion.refusal("cdn.publish", name="a", file="/no/such/file").code, -32002)
        self.assertEqual(pillion.refusal("cdn.publish", name="a", file="/").code, -32002)
        self.assertEqual(nginx.requests("PUT"), [])

    def test_a_content_type_cannot_add_fields(self):
        nginx = Nginx(self)
        refused = self.cdn(nginx.url).refusal("cdn.publish", name="a", text="x", contentType="text/plain\r\nX-Evil: 1")
        self.assertEqual((refused.code, refused.data["field"]), (-32602, "/contentType"))
        self.assertEqual(nginx.requests("PUT"), [])

    def test_without_a_server(self):
        pillion = self.session()
        refused = pillion.refusal("cdn.publish", name="a", text="x")
        self.assertEqual((refused.code, refused.data["hint"]), (-32007, "set cdn.endpoint"))
        self.assertEqual(pillion.ask("cdn.list")["items"], [])


class Credentials(CdnTest):
    def test_right_ones(self):
        nginx = Nginx(self, user="app", password=SECRET)
        pillion = self.cdn(nginx.url, credentialsFile=self.credentials(f"app:{SECRET}\n"))
        pillion.ask("cdn.publish", name="a.js", text="x")
        self.assertNotIn(SECRET, pillion.end())

    def test_wrong_ones_are_refused_at_once(self):
        nginx = Nginx(self, user="app", password="other")
        pillion = self.cdn(nginx.url, credentialsFile=self.credentials(f"app:{SECRET}"))
        refused = pillion.refusal("cdn.publish", name="a.js", text="x")
        self.assertEqual(refused.code, -32006)
        self.assertIn("the server answered 401; are the credentials right?", refused.message)
        self.assertNotIn(SECRET, str(refused) + str(refused.data))
        self.assertEqual(len(nginx.requests("PUT")), 1, "a password that is wrong stays wrong")
        self.assertEqual(pillion.ask("cdn.list")["items"], [])
        self.assertNotIn(SECRET, pillion.end())

    def test_none_where_some_are_needed(self):
        nginx = Nginx(self, user="app", password="other")
        self.assertEqual(self.cdn(nginx.url).refusal("cdn.publish", name="a.js", text="x").code, -32006)

    def test_a_file_that_others_can_read(self):
        nginx = Nginx(self, user="app", password=SECRET)
        pillion = self.cdn(nginx.url, credentialsFile=self.credentials(f"app:{SECRET}", 0o644))
        refused = pillion.refusal("cdn.publish", name="a.js", text="x")
        self.assertEqual(refused.code, -32006)
        self.assertIn("chmod 600", refused.message)
        self.assertNotIn(SECRET, str(refused) + pillion.end())
        self.assertEqual(nginx.requests("PUT"), [])

    def test_a_file_that_holds_none(self):
        pillion = self.cdn(f"http://127.0.0.1:{free_port()}", credentialsFile=self.credentials(SECRET))
        refused = pillion.refusal("cdn.publish", name="a.js", text="x")
        self.assertEqual(refused.code, -32007)
        self.assertIn("NAME:SECRET", refused.message)
        self.assertNotIn(SECRET, str(refused))

    def test_what_stands_in_the_address_is_in_no_text(self):
        pillion = self.cdn(f"http://app:{SECRET}@127.0.0.1:{free_port()}", attempts=1)
        refused = pillion.refusal("cdn.publish", name="a.js", text="x")
        self.assertEqual(refused.code, -32005)
        self.assertNotIn(SECRET, str(refused) + str(refused.data) + pillion.end())


class Failures(CdnTest):
    def test_a_server_that_is_down_is_tried_again_and_then_given_up(self):
        pillion = self.cdn(f"http://127.0.0.1:{free_port()}", attempts=2)
        began = time.monotonic()
        refused = pillion.refusal("cdn.publish", name="a.js", text="x")
        self.assertEqual((refused.code, refused.data["retryable"]), (-32005, True))
        self.assertIn("publishing a.js to http://127.0.0.1:", refused.message)
        self.assertGreaterEqual(time.monotonic() - began, 0.5, "there is a pause between the attempts")

    def test_one_that_comes_back_gets_it(self):
        nginx = Nginx(self)
        nginx.kill()
        pillion = self.cdn(nginx.url, attempts=10)
        waiting = pillion.start_call("cdn.publish", name="a.js", text="x")
        nginx.start()
        self.assertFalse(pillion.result(waiting)["wasThere"])

    def test_an_end_in_between_answers(self):
        pillion = self.cdn(f"http://127.0.0.1:{free_port()}", attempts=10)
        pillion.start_call("cdn.publish", name="a.js", text="x")
        pillion.ask("rpc.ping")
        pillion.end_input()
        answers = pillion.messages()
        self.assertEqual(pillion.exit_status(), 0)
        self.assertEqual([answer["error"]["code"] in (-32005, -32800) for answer in answers], [True])


class Bucket(CdnTest):
    KEYS = {"AWS_ACCESS_KEY_ID": S3.NAME, "AWS_SECRET_ACCESS_KEY": S3.SECRET}

    def bucket(self, s3: S3, bucket: str = "assets", **more):
        return self.cdn(s3.url, server="s3", bucket=bucket, environment=more.pop("environment", self.KEYS), **more)

    def test_an_asset_stands_in_the_bucket_with_its_fields(self):
        s3 = S3(self, "assets")
        pillion = self.bucket(s3, prefix="app/")
        published = pillion.ask("cdn.publish", name="js/a b+ü.js", text="let x")
        self.assertEqual(published["publishedName"], "app/" + hashed("js/a b+ü.js", b"let x"))
        content, fields = fetch(published["url"])
        self.assertEqual((content, fields["Cache-Control"], fields["Content-Type"]), (b"let x", YEAR, "text/javascript"))
        made = pillion.ask("cdn.publish", name="large.wav", file=self.file("large", b"\x01\x00" * 600_000), lifetime="generated")
        content, fields = fetch(made["url"])
        self.assertEqual((len(content), fields["Cache-Control"], fields["Content-Type"]), (1_200_000, MONTH, "audio/wav"))
        self.assertTrue(pillion.ask("cdn.publish", name="js/a b+ü.js", text="let x")["wasThere"])
        self.assertEqual(s3.puts(), [200, 200])

    def test_what_one_bucket_has_another_has_not(self):
        s3 = S3(self, "assets", "others")
        self.bucket(s3).ask("cdn.publish", name="a.js", text="x")
        pillion = self.bucket(s3, bucket="others")
        self.assertEqual(pillion.ask("cdn.list")["items"], [])
        published = pillion.ask("cdn.publish", name="a.js", text="x")
        self.assertFalse(published["wasThere"])
        self.assertEqual(fetch(published["url"])[0], b"x")

    def test_a_wrong_secret(self):
        s3 = S3(self, "assets")
        pillion = self.bucket(s3, environment=self.KEYS | {"AWS_SECRET_ACCESS_KEY": SECRET})
        refused = pillion.refusal("cdn.publish", name="a.js", text="x")
        self.assertEqual(refused.code, -32006)
        self.assertNotIn(SECRET, str(refused) + pillion.end())
        self.assertEqual(s3.puts(), [403])
        with self.assertRaises(urllib.error.HTTPError):
            fetch(f"{s3.url}/assets/{hashed('a.js', b'x')}")

    def test_no_secret_at_all(self):
        pillion = self.bucket(S3(self, "assets"), environment={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
        refused = pillion.refusal("cdn.publish", name="a.js", text="x")
        self.assertEqual(refused.code, -32007)
        self.assertIn("AWS_ACCESS_KEY_ID", refused.data["hint"])

    def test_the_secret_in_a_file(self):
        pillion = self.bucket(S3(self, "assets"), environment={}, credentialsFile=self.credentials(f"{S3.NAME}:{S3.SECRET}"))
        self.assertFalse(pillion.ask("cdn.publish", name="a.js", text="x")["wasThere"])

    def test_a_bucket_that_is_not_there(self):
        refused = self.bucket(S3(self, "assets"), bucket="nowhere").refusal("cdn.publish", name="a.js", text="x")
        self.assertEqual(refused.code, -32005)
        self.assertIn("the server answered 404", refused.message)


if __name__ == "__main__":
    os.environ.pop("AWS_ACCESS_KEY_ID", None)
    os.environ.pop("AWS_SECRET_ACCESS_KEY", None)
    unittest.main()
