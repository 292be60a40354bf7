"""Monitoring sessions in the real program: what happens while one lasts is in its summary, told when it ends, and kept."""
import signal
import unittest

from app_process import AppTest
from pillion_process import wait_until

RULE = {"metric": "app.load", "function": "last", "windowMs": 1000, "critical": 100, "forMs": 0, "holdMs": 0, "cooldownMs": 0}


class Sessions(AppTest):
    def test_what_happens_meanwhile_is_summed_up_and_outlives_the_program(self):
        app = self.app(alerts={"builtIn": False, "rules": {"load": RULE}})
        session = app.result("sessions.start", name="release 2.1")
        self.assertEqual(session["state"], "running")
        self.assertNotIn("summary", session)

        def is_raised() -> bool:
            app.result("metrics.record", name="app.load", value=500)
            return bool(app.result("alerts.list")["items"])
        wait_until(is_raised, "an alert is raised")
        summary = app.result("sessions.get", id=session["id"])["summary"]
        self.assertEqual(summary["alerts"], {"info": 0, "warning": 0, "critical": 1, "standing": 1})
        stopped = app.result("sessions.stop", id=session["id"])
        self.assertEqual((stopped["id"], stopped["name"], stopped["state"]), (session["id"], "release 2.1", "ended"))
        self.assertEqual(stopped["summary"]["alerts"]["critical"], 1)
        self.assertTrue(0 <= stopped["summary"]["score"] <= 100)
        [listed] = app.result("sessions.list")["items"]
        self.assertEqual(listed, {name: value for name, value in stopped.items() if name != "summary"})
        self.end(app)
        self.assertEqual(self.app().result("sessions.get", id=session["id"]), stopped)

    def test_a_timed_session_ends_by_itself(self):
        app = self.app()
        app.subscribe("sessions")
        session = app.result("sessions.start", durationMs=1000)
        self.assertEqual(session["endsAt"] - session["startedAt"], 1000)
        ended = app.event("sessions.ended")
        self.assertEqual((ended["id"], ended["state"]), (session["id"], "ended"))
        self.assertGreaterEqual(ended["endedAt"] - ended["startedAt"], 999)
        self.assertEqual(app.result("sessions.get", id=session["id"]), ended)

    def test_a_session_is_stopped_once(self):
        app = self.app()
        session = app.result("sessions.start")
        stopped = app.result("sessions.stop", id=session["id"])
        self.assertEqual((stopped["state"], "endsAt" in stopped), ("ended", False))
        self.assertEqual(app.error("sessions.stop", id=session["id"])["code"], -32002)
        self.assertEqual(app.error("sessions.get", id="nobody")["code"], -32002)
        self.assertEqual(app.error("sessions.start", durationMs=999)["code"], -32602)

    def test_a_session_of_a_program_that_was_killed_was_interrupted(self):
        app = self.app()
        session = app.result("sessions.start", name="to the end")
        app.result("sessions.get", id=session["id"])
        other = self.app()
        wait_until(lambda: other.result("sessions.list")["items"], "it is kept")
        self.assertEqual(other.result("sessions.get", id=session["id"])["state"], "running")
        app.signal(signal.SIGKILL)
        app.process.wait()
        self.assertEqual(other.result("sessions.get", id=session["id"])["state"], "interrupted")


if __name__ == "__main__":
    unittest.main()
