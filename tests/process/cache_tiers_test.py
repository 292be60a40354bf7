"""The cache of the built program with the servers that it is for: SQLite on disk, Redis, PostgreSQL; what it does when they fail."""
import base64
import ctypes
import os
import pathlib
import signal
import sqlite3
import subprocess
import time
import unittest

from cache_session import PATIENCE_MS, CacheSession, CacheTest
from pillion_process import WAIT_S_MAX, wait_until
from servers import Postgres, Redis

SERVER_PATIENCE = f"connectMs = {PATIENCE_MS}\ncommandMs = {PATIENCE_MS}\nbackoffMsMax = 200\n"
ALL = ("disk", "redis", "postgres")
# What a call may take over its own timeouts on a machine that does other things too.
SLACK_S = 4.0


def redis_at(url: str) -> str:
    return f'[redis]\nurl = "{url}"\n{SERVER_PATIENCE}'


def postgres_at(url: str) -> str:
    return f'[postgres]\nurl = "{url}"\n{SERVER_PATIENCE}'


def value_of(answer: dict):
    return answer.get("value") if answer["found"] else None


class Tiers(CacheTest):
    @classmethod
    def setUpClass(cls):
        cls.servers = unittest.TestCase()
        cls.addClassCleanup(cls.servers.doCleanups)
        cls.postgres = Postgres(cls.servers)
        cls.redis = Redis(cls.servers)

    def setUp(self):
        super().setUp()
        self.redis.cli("FLUSHALL")
        self.postgres.sql("DROP SCHEMA IF EXISTS pillion CASCADE")

    def all_tiers(self, **options) -> CacheSession:
        return self.session(redis_at(self.redis.url) + postgres_at(self.postgres.url) + self.patient(tiers=ALL), **options)

    def test_a_value_goes_through_all_tiers_and_is_found_in_each(self):
        pillion = self.all_tiers()
        put = pillion.put("k", {"n": 1})
        self.assertEqual((sorted(put["tiers"]), put["pending"]), (["disk", "memory", "postgres", "redis"], []))
        self.assertEqual(pillion.get("k", explain=True)["explanation"]["source"], "memory")
        pillion.end()
        for source, empty in (("redis", lambda: None), ("postgres", lambda: self.redis.cli("FLUSHALL"))):
            empty()
            fresh = self.all_tiers(data=source)
            found = fresh.get("k", explain=True)
            self.assertEqual((found["value"], found["explanation"]["source"]), ({"n": 1}, source))
            self.assertEqual(fresh.get("k", explain=True)["explanation"]["source"], "memory", "it went up")
            fresh.end()
        again = self.session(self.patient())
        found = again.get("k", explain=True)
        self.assertEqual(found["value"], {"n": 1}, "the first one's disk still has it")
        self.assertIn(found["explanation"]["source"], ("disk", "memory"))

    def test_nothing_is_opened_before_it_is_needed(self):
        connections = self.redis.cli("INFO", "clients")
        pillion = self.all_tiers()
        pillion.ask("rpc.ping")
        self.assertEqual({tier["state"] for tier in pillion.ask("cache.stats")["tiers"]}, {"unopened"})
        self.assertEqual(self.redis.cli("INFO", "clients"), connections)
        self.assertEqual(self.postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pillion'"), "0")

    def test_the_four_tables_can_be_looked_at(self):
        spaces = "".join(self.patient(space, ("disk", "postgres")) for space in ("embedding", "vectorSearch", "llmResponse", "audioChunk"))
        pillion = self.session(postgres_at(self.postgres.url) + spaces)
        puts = (("embedding", {"textHash": "t1", "provider": "openai", "model": "m"}, {"value": [0.25, 0.5]}),
                ("vectorSearch", {"queryHash": "q1", "collection": "docs", "filterHash": "f1", "topK": 5}, {"value": {"ids": [1, 2]}}),
                ("llmResponse", {"promptHash": "p1", "contextHash": "c1", "provider": "openai", "model": "m"}, {"value": "Hello"}),
                ("audioChunk", {"textHash": "t2", "voiceId": "v1", "provider": "local", "format": "mp3"},
                 {"base64": base64.b64encode(b"\xff\xfbsound").decode(), "contentType": "audio/mpeg"}))
        for space, key, content in puts:
            self.assertIn("postgres", pillion.ask("cache.put", key=key, namespace=space, **content)["tiers"])
        for query, row in (("SELECT text_hash, provider, model, value FROM pillion.embedding_cache", "t1|openai|m|[0.25, 0.5]"),
                           ("SELECT query_hash, collection, filter_hash, top_k, value->'ids'->1 FROM pillion.vector_search_cache", "q1|docs|f1|5|2"),
                           ("SELECT prompt_hash, context_hash, provider, model, value FROM pillion.llm_response_cache", 'p1|c1|openai|m|"Hello"'),
                           ("SELECT text_hash, voice_id, provider, format, content_type, encode(bytes, 'hex') FROM pillion.audio_chunk_cache",
                            "t2|v1|local|mp3|audio/mpeg|" + b"\xff\xfbsound".hex())):
            self.assertEqual(self.postgres.sql(query), row)
        expected = {"embedding": 3600, "vectorSearch": 300, "llmResponse": 3600, "audioChunk": 300}
        for (space, _, _), table in zip(puts, ("embedding", "vector_search", "llm_response", "audio_chunk")):
            lives = self.postgres.sql(f"SELECT round(extract(epoch FROM expires_at - created_at)) FROM pillion.{table}_cache")
            self.assertEqual(float(lives), expected[space])

    def test_two_machines_share_values_and_invalidations(self):
        configuration = redis_at(self.redis.url) + self.patient(tiers=("disk", "redis"))
        here, there = (self.session(configuration, data=name) for name in ("here", "there"))
        for session in (here, there):
            session.listen()
        for how in ({"key": "k"}, {"tag": "t"}, {"pattern": "k*"}, {"namespace": "default", "all": True}):
            with self.subTest(how):
                here.put("k", "first", tags=["t"])
                wait_until(lambda: value_of(there.get("k")) == "first", "the other machine has the value")
                here.ask("cache.invalidate", **({"namespace": "default"} | how))
                wait_until(lambda: not there.get("k")["found"], "the other machine knows that it is void")
                self.assertFalse(here.get("k")["found"])
        here.put("k", "first")
        wait_until(lambda: value_of(there.get("k")) == "first", "the other machine has the value")
        there.put("k", "second")
        wait_until(lambda: value_of(here.get("k")) == "second", "a newer value is seen")
        there.events.clear()
        here.ask("cache.invalidate", namespace="default", key="k")
        event = there.event("cache.invalidated", reason="notice", key="k")
        self.assertEqual((event["namespace"], event["tier"]), ("default", "redis"))

    def test_two_machines_share_a_database_and_invalidations(self):
        configuration = postgres_at(self.postgres.url) + self.patient(tiers=("disk", "postgres"))
        here, there = (self.session(configuration, data=name) for name in ("here", "there"))
        here.put("k", "first")
        wait_until(lambda: value_of(there.get("k")) == "first", "the other machine has the value")
        here.ask("cache.invalidate", namespace="default", key="k")
        wait_until(lambda: not there.get("k")["found"], "the other machine knows that it is void")
        there.put("k", "second")
        wait_until(lambda: value_of(here.get("k")) == "second", "a newer value is seen")

    def test_values_that_are_strange_come_back_as_they_were(self):
        first = self.all_tiers()
        self.assertEqual(first.refusal("cache.put", key="", value=1).code, -32602)
        strange = {"empty": "", "nul\x00key": "nul\x00value", "ключ 🔑": {"a": [None, True, 1e300, "🔑"]}, "x" * 3000: list(range(5000)), "*?[a]\\": "%_'\";--"}
        for key, value in strange.items():
            self.assertEqual(first.put(key, value)["pending"], [])
        first.ask("cache.put", key="bytes", base64=base64.b64encode(bytes(range(256)) * 1000).decode())
        first.end()
        for data, empty in (("data", lambda: None), ("other", lambda: None), ("third", lambda: self.redis.cli("FLUSHALL"))):
            empty()
            session = self.all_tiers(data=data)
            for key, value in strange.items():
                self.assertEqual(session.get(key)["value"], value)
            self.assertEqual(base64.b64decode(session.get("bytes")["base64"]), bytes(range(256)) * 1000)
            session.end()


class Encryption(CacheTest):
    WORD = "a-sentence-nobody-shall-read"

    def key(self, name: str) -> str:
        path = pathlib.Path(self.folder, name)
        if not path.exists():
            path.write_text(os.urandom(32).hex() + "\n", encoding="ascii")
            path.chmod(0o600)
        return str(path)

    def encrypted(self, postgres: Postgres, key: str, data: str) -> CacheSession:
        configuration = postgres_at(postgres.url) + f'[encryption]\nsource = "file"\nfile = "{self.key(key)}"\n'
        return self.session(configuration + self.patient(tiers=("disk", "postgres"), more="encrypt = true"), data=data, PILLION_LOG_LEVEL="trace")

    def test_values_are_secret_below_memory(self):
        postgres = Postgres(self)
        pillion = self.encrypted(postgres, "right", "here")
        for number, content in enumerate((self.WORD, {"text": self.WORD * 500})):
            self.assertEqual(pillion.put(f"k{number}", content)["pending"], [])
        log = pillion.end()
        dump = subprocess.run([postgres.programs / "pg_dump", "-h", postgres.folder, "-U", "pillion", "postgres"], capture_output=True, check=True, timeout=WAIT_S_MAX).stdout
        for where, content in (("the database", dump), ("the log", log.encode()),
                               *((str(path), path.read_bytes()) for path in pathlib.Path(self.folder, "here").rglob("*") if path.is_file())):
            self.assertNotIn(self.WORD.encode(), content, where)
            self.assertNotIn(self.WORD.encode().hex().encode(), content, where)
        self.assertEqual(int(postgres.sql("SELECT count(*) FROM pillion.cache_entries")), 2)
        reader = self.encrypted(postgres, "right", "there")
        self.assertEqual(reader.get("k0")["value"], self.WORD)
        self.assertEqual(reader.get("k1")["value"], {"text": self.WORD * 500})
        self.wrong_key(postgres)

    def wrong_key(self, postgres: Postgres) -> None:
        """A value that does not open here is a miss and is said; who has the right key still finds it."""
        stranger = self.encrypted(postgres, "wrong", "elsewhere")
        stranger.listen()
        self.assertFalse(stranger.get("k0")["found"])
        self.assertEqual(stranger.event("cache.trouble", kind="unreadable")["key"], "k0")
        keys = [pathlib.Path(self.folder, name).read_text(encoding="ascii").strip() for name in ("right", "wrong")]
        log = stranger.end()
        owner = self.encrypted(postgres, "right", "another")
        self.assertEqual(owner.get("k0")["value"], self.WORD)
        for key in keys:
            self.assertNotIn(key, log)

    def test_a_key_file_that_others_can_read_is_not_used(self):
        pathlib.Path(self.key("open")).chmod(0o644)
        pillion = self.session(f'[encryption]\nsource = "file"\nfile = "{self.key("open")}"\n' + self.patient(more="encrypt = true"))
        refused = pillion.refusal("cache.put", key="k", value=self.WORD)
        self.assertEqual(refused.code, -32006)
        self.assertNotIn(pathlib.Path(self.key("open")).read_text(encoding="ascii").strip(), str(refused))
        pillion.end()
        for path in pathlib.Path(self.folder, "data").rglob("*"):
            if path.is_file():
                self.assertNotIn(self.WORD.encode(), path.read_bytes())


class Faults(CacheTest):
    HARD_S = 0.5

    def impatient(self, tier: str) -> str:
        hard_ms = int(self.HARD_S * 1000)
        return (f"[cache.namespaces.default.tiers.memory]\nenabled = false\n[cache.namespaces.default.tiers.disk]\nenabled = false\n"
                f"[cache.namespaces.default.tiers.{tier}]\nsoftTimeoutMs = 100\nhardTimeoutMs = {hard_ms}\n")

    def check_under_load(self, pillion: CacheSession, fail, repair, tier: str) -> None:
        """Writes and reads with the tier alone, while it dies and comes back: a read finds the newest value or none."""
        pillion.listen()
        newest: dict[str, int] = {}
        longest_s = 0.0

        def timed(method: str, **params) -> dict:
            nonlocal longest_s
            began = time.monotonic()
            answer = pillion.ask(method, **params)
            longest_s = max(longest_s, time.monotonic() - began)
            return answer

        def work(first: int, count: int) -> None:
            for number in range(first, first + count):
                key = f"k{number % 20}"
                timed("cache.put", key=key, value=number)
                newest[key] = number
                other = f"k{number * 7 % 20}"
                found = timed("cache.get", key=other)
                if found["found"]:
                    self.assertEqual(found["value"], newest.get(other))

        wait_until(lambda: tier in timed("cache.put", key="warm", value=0)["tiers"], f"{tier} is there")
        longest_s = 0.0
        work(0, 60)
        fail()
        work(60, 40)
        pillion.event("cache.trouble", kind="tierDown", where=tier)
        repair()
        work(100, 40)
        pillion.event("cache.trouble", kind="tierUp", where=tier)
        work(140, 40)
        wait_until(lambda: tier in pillion.put("k0", 1000)["tiers"], f"{tier} is written to again")
        self.assertEqual(pillion.get("k0", explain=True)["value"], 1000)
        self.assertLess(longest_s, self.HARD_S + SLACK_S)

    def test_redis_is_killed_and_restarted_in_mid_load(self):
        redis = Redis(self)
        pillion = self.session(f'[redis]\nurl = "{redis.url}"\nbackoffMsMin = 10\nbackoffMsMax = 100\n' + self.impatient("redis"))
        self.check_under_load(pillion, redis.kill, redis.start, "redis")

    def test_redis_hangs_and_goes_on_in_mid_load(self):
        redis = Redis(self)
        pillion = self.session(f'[redis]\nurl = "{redis.url}"\ncommandMs = 300\nbackoffMsMin = 10\nbackoffMsMax = 100\n' + self.impatient("redis"))
        self.check_under_load(pillion, lambda: redis.process.send_signal(signal.SIGSTOP), lambda: redis.process.send_signal(signal.SIGCONT), "redis")

    def test_memory_serves_with_all_other_tiers_dead(self):
        redis, postgres = Redis(self), Postgres(self)
        patience = "".join(f"[cache.namespaces.default.tiers.{tier}]\nhardTimeoutMs = {PATIENCE_MS}\n" for tier in ("redis", "postgres"))
        alone = "".join(f"[cache.namespaces.alone.tiers.{tier}]\nenabled = false\n" for tier in ("redis", "postgres"))
        pillion = self.session(redis_at(redis.url) + postgres_at(postgres.url) + self.patient() + patience + alone)
        pillion.listen()
        pillion.put("k", "of this machine", namespace="alone")
        pillion.put("k", "kept")
        redis.kill()
        postgres.crash()
        put = pillion.put("other", "of now")
        self.assertEqual(sorted(put["pending"]), ["postgres", "redis"])
        self.assertEqual(pillion.get("k")["value"], "kept")
        put = pillion.put("k", "new")
        self.assertEqual((sorted(put["tiers"]), sorted(put["pending"])), (["disk", "memory"], ["postgres", "redis"]))
        for namespace, value in (("alone", "of this machine"), ("default", "new")):
            found = pillion.get("k", namespace=namespace, explain=True)
            self.assertEqual((found["value"], found["explanation"]["source"], len(found["explanation"]["steps"])), (value, "memory", 1))
        pillion.end()

    def test_a_password_that_is_wrong_shows_nowhere(self):
        redis = Redis(self)
        redis.cli("CONFIG", "SET", "requirepass", "right")
        pillion = self.session(f'[redis]\nurl = "unix://:hush-hush@{redis.socket}"\n' + self.patient(tiers=("disk", "redis")), PILLION_LOG_LEVEL="trace")
        pillion.listen()
        put = pillion.put("k", 1)
        self.assertEqual((put["tiers"], put["pending"]), (["memory", "disk"], ["redis"]))
        self.assertNotIn("hush", str(pillion.ask("cache.stats")) + str(pillion.events) + str(pillion.ask("config.get")) + pillion.end())

    def test_what_was_answered_for_survives_a_kill(self):
        pillion = self.session(self.patient())
        pillion.put("warm", 0)
        answered: dict[str, int] = {}
        ids = {pillion.start_call("cache.put", key=f"k{number % 100}", value=number): number for number in range(1500)}
        while len(answered) < 100:
            pillion.message()
            for request_id, message in pillion.answers.items():
                answered |= {f"k{ids[request_id] % 100}": ids[request_id]} if "disk" in message["result"]["tiers"] else {}
            for request_id in list(pillion.answers):
                pillion.answers.pop(request_id)
        pillion.signal(signal.SIGKILL)
        pillion.exit_status()
        for message in pillion.messages():
            number = ids[message["id"]]
            if "disk" in message["result"]["tiers"]:
                answered[f"k{number % 100}"] = max(number, answered.get(f"k{number % 100}", 0))
        again = self.session(self.patient())
        for key, number in answered.items():
            found = again.get(key)
            self.assertTrue(found["found"], key)
            self.assertEqual(found["value"] % 100, number % 100)
            self.assertGreaterEqual(found["value"], number, "not an older one than was answered for")

    def test_two_sidecars_on_one_data_directory(self):
        one, two = self.session(self.patient()), self.session(self.patient())
        one.put("k", "first", tags=["t"])
        self.assertEqual(two.get("k")["value"], "first")
        two.put("k", "second", tags=["t"])
        self.assertEqual(one.get("k")["value"], "second")
        one.ask("cache.invalidate", namespace="default", tag="t")
        self.assertFalse(two.get("k")["found"])
        for number in range(100):
            (one, two)[number % 2].put(f"k{number}", number)
        for number in range(100):
            self.assertEqual((two, one)[number % 2].get(f"k{number}")["value"], number)
        one.signal(signal.SIGKILL)
        one.exit_status()
        self.assertEqual(two.put("k", "third")["pending"], [])

    def test_a_damaged_file_is_set_aside_and_the_cache_goes_on(self):
        pillion = self.session(self.patient())
        pillion.put("k", 1)
        pillion.end()
        file = pathlib.Path(self.folder, "data", "cache.db")
        file.write_bytes(b"this is no database" * 1000)
        pillion = self.session(self.patient())
        self.assertFalse(pillion.get("k")["found"])
        self.assertEqual(pillion.put("k", 2)["pending"], [])
        self.assertEqual(len([name for name in os.listdir(file.parent) if name.startswith("cache.db") and "damaged" in name]), 1)

    def test_a_database_that_another_program_locks(self):
        pillion = self.session("[cache.namespaces.default.tiers.disk]\nsoftTimeoutMs = 100\nhardTimeoutMs = 300\n")
        pillion.put("k", 1)
        locker = sqlite3.connect(pathlib.Path(self.folder, "data", "cache.db"), isolation_level=None, timeout=WAIT_S_MAX)
        locker.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        put = pillion.put("k", 2)
        self.assertLess(time.monotonic() - began, 0.3 + SLACK_S)
        self.assertEqual(put["pending"], ["disk"])
        self.assertEqual(pillion.get("k")["value"], 2)
        locker.execute("ROLLBACK")
        locker.close()
        wait_until(lambda: not pillion.put("other", 3)["pending"], "the disk takes values again")
        pillion.end()
        self.assertEqual(self.session(self.patient()).get("k")["value"], 2)


class FullDisk(CacheTest):
    """A file system of three megabytes, which only root can make."""

    def setUp(self):
        super().setUp()
        self.disk = os.path.join(self.folder, "data")
        os.makedirs(self.disk)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", self.disk.encode(), b"tmpfs", 0, b"size=3m") != 0:
            self.skipTest("this user cannot make a file system: " + os.strerror(ctypes.get_errno()))
        self.addCleanup(libc.umount2, self.disk.encode(), 2)

    def test_the_cache_goes_on_in_memory_and_says_so(self):
        pillion = self.session(self.patient(more="compressAboveBytes = 0"))
        pillion.listen()
        values = {f"k{number}": base64.b64encode(os.urandom(48 * 1024)).decode() for number in range(100)}
        outcomes = [pillion.put(key, value) for key, value in values.items()]
        self.assertEqual(outcomes[0]["tiers"], ["memory", "disk"])
        self.assertEqual(outcomes[-1]["tiers"], ["memory"])
        self.assertEqual(outcomes[-1]["pending"], ["disk"])
        self.assertIn("full", pillion.event("cache.trouble", kind="tierFull", where="disk")["detail"])
        for key, value in values.items():
            self.assertEqual(pillion.get(key)["value"], value)
        kept = [key for key, outcome in zip(values, outcomes) if "disk" in outcome["tiers"]]
        pillion.end()
        again = self.session(self.patient())
        for key in kept:
            self.assertEqual(again.get(key)["value"], values[key])

    def test_a_disk_that_takes_some_values_and_not_others_is_complained_of_once(self):
        pillion = self.session(self.patient(more="compressAboveBytes = 0"))
        large = base64.b64encode(os.urandom(48 * 1024)).decode()
        for number in range(60):
            pillion.put(f"large{number}", large)
            pillion.put(f"small{number % 3}", number)
        self.assertLessEqual(pillion.end().count("does not take writes"), 1)

    def test_a_disk_that_is_full_from_the_start_costs_nothing_but_the_disk(self):
        with open(os.path.join(self.disk, "filler"), "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        pillion = self.session(self.patient())
        self.assertEqual(pillion.put("key", "value")["tiers"], ["memory"])
        self.assertEqual(pillion.get("key")["value"], "value")
        pillion.end()


if __name__ == "__main__":
    unittest.main()
