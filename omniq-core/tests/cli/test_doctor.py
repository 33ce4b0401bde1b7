from __future__ import annotations

import pluggy
import pytest

from omniq.cli import checks
from omniq.models.event import Event
from omniq.storage import hookspecs
from omniq.storage.factory import Stores
from omniq.storage.upkeep import Finding, Severity, Upkeep


@pytest.fixture
def findings(answer):
    def find(*arguments, code=0):
        report = answer("doctor", *arguments, code=code)
        return report["status"], {(row["name"], row["severity"]): row for row in report["findings"]}

    return find


def test_a_fresh_store_is_in_order(findings, invoke):
    status, found = findings("--integrity")
    assert status in ("ok", "warning")  # the latter where SQLite itself has a known fault
    assert found["backend sqlite", "ok"]["message"].startswith("omniq-sqlite ")
    assert found["all four roles", "ok"]["message"].startswith("sqlite omniq.db (SQLite 3.")
    assert found["clock", "ok"]["message"] == "equal to this host's"
    assert found["integrity", "ok"]["message"] == "the whole store was read; nothing is damaged"
    assert {severity for _, severity in found} <= {"ok", "warning"}
    assert "order." in invoke("doctor").stdout or "warning" in invoke("doctor").stdout


def test_memory_is_warned_about(findings):
    status, found = findings("--backend", "memory")
    assert status == "warning"
    (text,) = {
        row["message"] for (_, severity), row in found.items() if severity == "warning" and "memory" in row["message"]
    }
    assert "no worker in another process can see it" in text


def test_a_store_that_cannot_be_opened_is_an_error(findings, folder):
    (folder / "file").touch()
    status, found = findings("--url", "file/omniq.db", code=1)
    assert status == "error"
    assert "cannot be opened" in found["all four roles", "error"]["message"]


def test_a_damaged_store_is_an_error(findings, folder, answer):
    answer("enqueue", "shop.add")
    (folder / "omniq.db").write_bytes(b"this is no database" * 100)
    assert findings(code=1)[0] == "error"


def test_what_is_wrong_with_the_configuration_is_a_finding(findings, monkeypatch):
    found = findings("--backend", "kafka", code=1)[1]
    assert "Unsupported task queue backend: kafka" in found["configuration", "error"]["message"]
    assert ("omniq-core", "ok") in found
    monkeypatch.setenv("OMNIQ_DEFAULT_TTL", "soon")
    assert "OMNIQ_DEFAULT_TTL" in findings(code=1)[1]["configuration", "error"]["message"]


def test_a_paused_queue_with_work_is_told(findings, invoke, answer):
    answer("enqueue", "shop.add", "--queue", "mail")
    invoke("queue", "pause", "mail")
    row = findings()[1]["queue mail", "warning"]
    assert (row["message"], row["remedy"]) == ("paused, with 1 ready tasks", "omniq queue resume mail")


class Queue:
    """A task queue that says what a test wants."""

    def __init__(self, now=0, stats=(), late=()):
        self.now, self.stats, self.late = now, stats, late

    async def time(self):
        return self.now

    async def queues(self):
        return self.stats

    async def outbox(self, limit, min_age_ms):
        assert (limit, min_age_ms) == (1000, 60_000)
        return self.late


@pytest.mark.parametrize(
    ("seconds", "severity"), [(0, "ok"), (-5, "warning"), (5, "warning"), (-120, "error"), (3600, "error")]
)
async def test_clock_skew(monkeypatch, seconds, severity):
    monkeypatch.setattr(checks.time, "time_ns", lambda: 1_000_000 * 1_000_000)
    (finding,) = [row for row in await checks.check_work(Queue(now=1_000_000 + seconds * 1000)) if row.name == "clock"]
    assert finding.severity == severity
    assert seconds == 0 or f"by {abs(seconds) * 1000} ms" in finding.message


async def test_a_backlog_that_nobody_works_on():
    from omniq.models.record import QueueStats

    stats = [
        QueueStats(name="a", paused=False, ready=2, oldest_ready_at=0),
        QueueStats(name="b", paused=False, ready=2, running=1, oldest_ready_at=0),
        QueueStats(name="c", paused=False, running=1, stale=1),
    ]
    found = {row.name: row for row in await checks.check_work(Queue(now=7_200_000, stats=stats))}
    assert found["queue a"].message == "2 ready tasks, the oldest for 2 h, and none is running"
    assert found["queue b"].severity is Severity.OK
    assert found["queue c"].severity is Severity.OK  # the last line about it; the one before it is the warning


async def test_events_that_nobody_wrote():
    late = [Event(task_id="t", seq=1, version=1, type="ENQUEUED", at=0)]
    found = [row for row in await checks.check_work(Queue(late=late)) if row.name == "events"]
    assert [row.message for row in found] == ["1 events older than a minute have not reached the event storage"]


async def test_damage_is_listed_and_a_backend_without_a_check_says_so():
    class Damaged:
        async def backup(self, destination):
            raise NotImplementedError

        async def integrity(self):
            return ["page 3 is torn"]

    assert isinstance(Damaged(), Upkeep)
    assert [(row.severity, row.message) for row in await checks.check_integrity(Damaged())] == [
        (Severity.ERROR, "page 3 is torn")
    ]
    assert [row.message for row in await checks.check_integrity(Queue())] == ["this backend offers no check of its own"]


def test_plugins_add_their_checks(findings, monkeypatch):
    class Good:
        @hookspecs.hookimpl
        async def omniq_doctor_checks(self, app):
            return [Finding("memory", Severity.OK, f"{len(app.registry)} tasks"), "just text"]

    class Bad:
        @hookspecs.hookimpl
        def omniq_doctor_checks(self):
            raise RuntimeError("no idea")

    def load(_):
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(Good(), "good")
        manager.register(Bad(), "bad")
        return manager

    monkeypatch.setattr(Stores, "load_plugins", load)
    status, found = findings(code=1)
    assert status == "error"
    assert found["memory", "ok"]["message"] == "0 tasks"
    assert found["plugin good", "warning"]["message"] == "just text"
    assert found["plugin bad", "error"]["message"] == "its check failed: RuntimeError: no idea"


def test_a_foreign_omniq_is_an_error(findings, monkeypatch):
    monkeypatch.setattr(checks, "foreign_omniq", lambda: "Another package named 'omniq' (4.0.0) is installed")
    assert "Another package" in findings(code=1)[1]["omniq-core", "error"]["message"]
