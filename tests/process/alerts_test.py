"""Alerts in the real program: rules over what the app records, and trouble that parts of Pillion meet. What is wrong is told once,
outlives the end of Pillion, and is over when it is right again."""
import os
import signal
import sqlite3
import subprocess
import unittest

from app_process import App, AppTest
from pillion_process import WAIT_S_MAX, binary, wait_until
from servers import Redis

# Looks at the latest value and tells at once, unless a test says otherwise. The window is short: one must have passed before a rule is looked at.
RULE = {"metric": "app.load", "function": "last", "windowMs": 1000, "warning": 10, "critical": 100, "forMs": 0, "holdMs": 0, "cooldownMs": 0}


class AlertsTest(AppTest):
    def listening(self, **sections) -> App:
        app = self.app(**sections)
        app.subscribe("alerts")
        return app

    def record(self, app: App, value: float, metric: str = "app.load") -> None:
        self.assertEqual(app.result("metrics.record", name=metric, value=value)["recorded"], 1)

    def records_until(self, app: App, condition, what: str, **values: float) -> None:
        """Records these values over and over, until something comes of it."""
        def is_met() -> bool:
            for name, value in values.items():
                self.record(app, value, "app." + name)
            return condition()
        wait_until(is_met, what)

    def alerts(self, app: App, **params) -> list[dict]:
        return app.result("alerts.list", **params)["items"]

    def judged(self, app: App, value: float) -> None:
        """Until the one alert that stands has seen this load."""
        self.records_until(app, lambda: [alert["value"] for alert in self.alerts(app)] == [value], f"{value} is judged", load=value)

    def raised(self, app: App, value: float = 12, rule: str = "load") -> dict:
        self.records_until(app, lambda: self.alerts(app), f"{value} raises it", load=value)
        return app.event("alerts.raised", rule=rule)

    def resolved(self, app: App, rule: str = "load") -> dict:
        self.records_until(app, lambda: not self.alerts(app, rule=rule), "1 resolves it", load=1)
        return app.event("alerts.resolved", rule=rule)

    def told(self, app: App, name: str) -> list[dict]:
        """What was told under this name and is not taken yet."""
        app.result("rpc.ping")
        return [message["params"]["data"] for message in app.kept if message.get("method") == name]

    def trouble_of(self, app: App, name: str) -> str:
        return next(rule["trouble"] for rule in app.result("alerts.rules")["items"] if rule["name"] == name)

    def kept_rows(self, statement: str) -> list[tuple]:
        """What state.db holds by now."""
        try:
            with sqlite3.connect(f"file:{self.data_directory}/state.db?mode=ro", uri=True, timeout=5) as database:
                return database.execute(statement).fetchall()
        except sqlite3.OperationalError:  # not there yet
            return []
        finally:
            if "database" in locals():
                database.close()


class Rules(AlertsTest):
    def test_values_that_flap_around_a_threshold_raise_it_once(self):
        app = self.listening()
        app.result("alerts.setRule", name="load", rule=RULE | {"holdMs": 2500, "title": "Much to do"})
        raised = self.raised(app)
        self.assertEqual((raised["title"], raised["level"], raised["value"], raised["threshold"]), ("Much to do", "warning", 12, 10))
        for value in (9.8, 11, 5, 12):
            self.judged(app, value)
        self.assertEqual(self.told(app, "alerts.raised"), [])
        self.assertEqual(self.told(app, "alerts.resolved"), [])
        self.judged(app, 150)
        changed = app.event("alerts.changed", rule="load", level="critical")
        self.assertEqual((changed["id"], changed["raisedAt"]), (raised["id"], raised["raisedAt"]))
        resolved = self.resolved(app)
        self.assertEqual((resolved["id"], resolved["worst"], resolved["end"]), (raised["id"], "critical", "cleared"))
        self.assertEqual(resolved["durationMs"], resolved["resolvedAt"] - raised["raisedAt"])
        self.assertGreaterEqual(resolved["durationMs"], 2500)
        self.assertEqual(self.alerts(app), [])
        self.assertEqual([alert["id"] for alert in self.alerts(app, state="resolved")], [raised["id"]])

    def test_one_is_acknowledged_and_another_silenced(self):
        app = self.listening()
        app.result("alerts.setRule", name="load", rule=RULE)
        app.result("alerts.setRule", name="noise", rule=RULE | {"metric": "app.noise"})
        silence = app.result("alerts.silence", rule="noi*", comment="known")
        raised = self.raised(app)
        acknowledged = app.result("alerts.acknowledge", id=raised["id"], by="Ann", comment="I look at it")
        self.assertEqual((acknowledged["acknowledged"]["by"], acknowledged["acknowledged"]["comment"]), ("Ann", "I look at it"))
        app.event("alerts.changed", rule="load")
        self.records_until(app, lambda: len(self.alerts(app)) == 2, "the silenced one is listed", load=12, noise=12)
        quiet = self.alerts(app, rule="noise")[0]
        self.assertEqual(quiet["silencedBy"], silence["id"])
        self.assertEqual(self.told(app, "alerts.raised"), [])
        app.result("alerts.unsilence", id=silence["id"])
        self.assertEqual(app.event("alerts.raised", rule="noise")["id"], quiet["id"], "what it kept quiet is told when it ends")
        self.assertEqual(app.result("alerts.silences")["items"], [])

    def test_it_is_told_once_over_a_restart_and_a_kill(self):
        app = self.listening()
        app.result("alerts.setRule", name="load", rule=RULE)
        raised = self.raised(app)
        app.result("alerts.acknowledge", id=raised["id"], by="Ann")
        self.end(app)
        for end in (lambda app: (app.signal(signal.SIGKILL), app.exit_status()), self.end):
            app = self.listening()
            [kept] = self.alerts(app)
            self.assertEqual((kept["id"], kept["raisedAt"], kept["acknowledged"]["by"]), (raised["id"], raised["raisedAt"], "Ann"))
            self.judged(app, 13)
            self.assertEqual(self.told(app, "alerts.raised"), [])
            end(app)
        app = self.listening()
        self.judged(app, 14)
        resolved = self.resolved(app)
        self.assertEqual(resolved["raisedAt"], raised["raisedAt"])
        self.assertEqual(resolved["durationMs"], resolved["resolvedAt"] - raised["raisedAt"])
        self.assertEqual(self.told(app, "alerts.raised"), [])

    def test_what_was_raised_just_before_a_kill_is_known_afterwards(self):
        app = self.listening()
        app.result("alerts.setRule", name="load", rule=RULE)
        raised = self.raised(app)
        wait_until(lambda: self.kept_rows("SELECT id FROM alert") == [(raised["id"],)], "it is written")
        app.signal(signal.SIGKILL)
        app.exit_status()
        app = self.listening()
        self.assertEqual([alert["id"] for alert in self.alerts(app)], [raised["id"]])
        self.assertEqual([rule["name"] for rule in app.result("alerts.rules")["items"] if rule["origin"] == "runtime"], ["load"])

    def test_rules_of_the_configuration_are_looked_at_though_nobody_asks(self):
        app = self.app(alerts={"rules.busy": RULE | {"advice": "Do less."}})
        self.records_until(app, lambda: self.kept_rows("SELECT rule, level FROM alert") == [("busy", 1)], "it is raised and written", load=12)
        [alert] = self.alerts(app)
        self.assertEqual((alert["rule"], alert["advice"]), ("busy", "Do less."))
        [rule] = [rule for rule in app.result("alerts.rules")["items"] if rule["name"] == "busy"]
        self.assertEqual((rule["origin"], rule["raised"]), ("configured", 1))
        app.subscribe("alerts")
        app.result("config.set", values={"alerts.rules": {}})
        self.assertEqual(app.event("alerts.resolved", rule="busy")["end"], "ruleGone")

    def test_rules_set_at_run_time_are_looked_at_in_the_next_run_though_nobody_asks(self):
        app = self.app()
        app.result("alerts.setRule", name="load", rule=RULE)
        self.end(app)
        app = self.app()
        self.records_until(app, lambda: self.kept_rows("SELECT rule FROM alert") == [("load",)], "it is raised and written", load=12)
        app.result("alerts.deleteRule", name="load")
        wait_until(lambda: "alert_rules" not in os.listdir(self.data_directory), "nothing is left to look at")
        self.end(app)
        app = self.app()
        app.result("rpc.ping")
        self.assertEqual(len(os.listdir(f"/proc/{app.pid}/task")), 1, "nothing is watched")

    def test_two_windows_keep_their_alerts_apart(self):
        first = self.listening()
        first.result("alerts.setRule", name="load", rule=RULE)
        raised = self.raised(first)
        wait_until(lambda: self.kept_rows("SELECT id FROM alert") == [(raised["id"],)], "it is written")
        second = self.listening()
        self.assertEqual(self.alerts(second), [])
        self.records_until(second, lambda: next(rule["watched"] for rule in second.result("alerts.rules")["items"] if rule["name"] == "load"),
                           "the second looks at its own load", load=1)
        self.assertEqual(self.told(second, "alerts.resolved"), [])
        self.assertEqual([alert["id"] for alert in self.alerts(first)], [raised["id"]])
        first.signal(signal.SIGKILL)
        first.exit_status()
        self.end(second)
        third = self.listening()
        self.assertEqual([alert["id"] for alert in self.alerts(third)], [raised["id"]], "nobody has it any more")

    def test_a_division_by_zero_raises_nothing(self):
        app = self.listening()
        app.result("alerts.setRule", name="share", rule=RULE | {"dividedBy": ["app.all"], "warning": 0.5, "critical": 0.9})
        app.result("alerts.setRule", name="load", rule=RULE)
        for load in (12, 13):
            self.records_until(app, lambda: [alert["value"] for alert in self.alerts(app, rule="load")] == [load], "it is judged", load=load, all=0)
        self.assertEqual([alert["rule"] for alert in self.alerts(app)], ["load"])
        self.assertEqual(self.trouble_of(app, "share"), "")
        self.records_until(app, lambda: self.alerts(app, rule="share"), "the share is raised", load=12, all=15)
        self.assertEqual(app.event("alerts.raised", rule="share")["value"], 0.8)

    def test_a_wrong_rule_of_the_configuration_is_named_with_its_file_and_line(self):
        for text, message in (('metric = "a"\nwarnin = 5', 'alerts.rules/load: unknown member "warnin"; did you mean "warning"?'),
                              ('metric = "a"\nwarning = 5\ncritical = 3', 'alerts: rule "load": critical (3) is met before the level below it (5)')):
            path = self.path("wrong.toml")
            with open(path, "w", encoding="ascii") as file:
                file.write(f"[alerts.rules.load]\n{text}\n")
            checked = subprocess.run([binary(), "config", "check", path], capture_output=True, text=True, timeout=WAIT_S_MAX)
            self.assertEqual(checked.returncode, 2)
            self.assertIn(f"{path}:1: {message}", checked.stderr)

    def test_rules_that_make_no_sense_get_exact_errors(self):
        app = self.app()

        def refused(name: str = "it", /, **members) -> tuple[str, str]:
            error = app.error("alerts.setRule", name=name, rule={"metric": "app.load"} | members)
            self.assertEqual(error["code"], -32602, error)
            return error["message"], error["data"]["field"]

        self.assertEqual(refused(warning=90, critical=75), ('rule "it": critical (75) is met before the level below it (90)', "/rule/critical"))
        self.assertEqual(refused(comparison="below"), ('rule "it": a comparison with `below` needs a threshold', "/rule/warning"))
        self.assertEqual(refused(by=["a"]), ('rule "it": `by` says what an aggregate keeps apart; there is no aggregate', "/rule/by"))
        self.assertEqual(refused(inhibitedBy=["it"]), ('rule "it": a rule cannot inhibit itself', "/rule/inhibitedBy"))
        self.assertEqual(refused("a b"), ('rule "a b": a rule\'s name has 1 to 64 letters, digits, dots, dashes and underscores', "/name"))
        self.assertEqual(refused(forMs=-1)[1], "/rule/forMs")
        self.assertEqual(refused(function="mean")[1], "/rule/function")
        self.assertEqual(refused(treshold=1)[1], "/rule/treshold")
        self.assertEqual(app.error("alerts.setRule", name="it")["message"], "nothing to set: rule, enabled or both")
        self.assertEqual(app.error("alerts.deleteRule", name="it")["code"], -32002)
        self.assertEqual(app.error("alerts.acknowledge", id="none")["message"], 'no alert "none" is active')
        self.assertEqual(app.error("alerts.silence")["message"], "a silence names a rule, labels or both")

    def test_a_configuration_with_such_a_rule_ends_pillion_before_it_begins(self):
        app = self.app(alerts={"rules.load": RULE | {"warning": 200}})
        self.assertEqual(app.exit_status(), 2)
        self.assertIn("critical (100) is met before the level below it (200)", app.stderr())


class Trouble(AlertsTest):
    def test_a_damaged_database(self):
        os.makedirs(self.data_directory)
        path = os.path.join(self.data_directory, "state.db")
        with open(path, "wb") as file:
            file.write(b"no database at all" * 1000)
        app = self.listening()
        alert = app.event("alerts.raised")
        self.assertEqual((alert["rule"], alert["level"]), ("storage.damaged/" + path, "critical"))
        self.assertIn("it was set aside as", alert["detail"])
        self.assertIn("state.db", os.listdir(self.data_directory))
        self.assertEqual([kept["id"] for kept in self.alerts(app)], [alert["id"]])

    def test_a_component_that_fails_until_it_loads(self):
        app = self.listening(components={"index": {"kind": "task", "command": ["sh", "-c", "cat ready"], "load": "firstUse"}})
        app.error("components.load", name="index")
        alert = app.event("alerts.raised")
        self.assertEqual((alert["rule"], alert["level"], alert["labels"]), ("component.failed/index", "critical", {"component": "index"}))
        self.assertIn("cat: ready", alert["detail"])
        self.write("ready", "1")
        self.assertEqual(app.result("components.load", name="index")["result"], 1)
        resolved = app.event("alerts.resolved", rule="component.failed/index")
        self.assertEqual((resolved["id"], resolved["end"]), (alert["id"], "cleared"))

    def test_a_tier_of_the_cache_that_goes_down_and_comes_up(self):
        redis = Redis(self)
        app = self.listening(redis={"url": redis.url, "backoffMsMin": 10, "backoffMsMax": 100})
        wait_until(lambda: "redis" in app.result("cache.put", key="warm", value=0)["tiers"], "Redis is there")
        redis.kill()
        app.result("cache.put", key="other", value=1)
        alert = app.event("alerts.raised")
        self.assertEqual((alert["rule"], alert["level"], alert["labels"]), ("cache.tierDown/redis", "warning", {"tier": "redis"}))
        redis.start()
        resolved = app.event("alerts.resolved", rule="cache.tierDown/redis")
        self.assertEqual(resolved["id"], alert["id"])
        self.assertEqual(resolved["durationMs"], resolved["resolvedAt"] - alert["raisedAt"])


if __name__ == "__main__":
    unittest.main()
