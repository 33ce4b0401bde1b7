"""Golden stores are made and compared, and each case of the family fails on a backend that is broken in its way."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from breaking import broken, outcome, verdict
from broken_openings import Fragile, Hasty

from omniq.models.record import TaskBody, TaskSpec
from omniq.storage.capabilities import Scope
from omniq.storage.transitions import create
from omniq_conformance.dumps import _plain, differences
from omniq_conformance.golden import Golden, golden_stores, main
from omniq_conformance.outcomes import Status
from omniq_memory.conformance import MemoryHarness
from omniq_sqlite import connection
from omniq_sqlite.conformance import SQLiteHarness

UPGRADE = ("OQ-X-1201", "OQ-X-1202", "OQ-X-1203", "OQ-X-1204", "OQ-X-1205")


@pytest.fixture
def golden(tmp_path):
    """A copy of the golden stores of SQLite, and a harness that uses it."""

    class Copied(SQLiteHarness):
        golden = tmp_path / "golden"

    shutil.copytree(SQLiteHarness.golden, Copied.golden)
    return Copied


def alter(harness, statement):
    for store in harness.golden.glob("*/store/store.sqlite3"):
        with closing(sqlite3.connect(store, isolation_level=None)) as database:
            database.execute(statement)


@pytest.mark.parametrize("id", UPGRADE)
def test_sqlite_passes(id):
    assert outcome(id, SQLiteHarness()).reason == ""


@pytest.mark.parametrize("id", UPGRADE)
def test_a_store_that_keeps_nothing_cannot_be_upgraded(id):
    found = outcome(id, MemoryHarness())
    assert found.status is Status.UNSUPPORTED
    assert "a reopened store is empty" in found.reason


@pytest.mark.parametrize("id", UPGRADE[2:4])
def test_a_store_of_one_process_is_not_opened_by_two(id):
    def own(original, **declared):
        return original(**{**declared, "scope": Scope.PROCESS})

    with broken(connection, "Capabilities", own):
        found = outcome(id, SQLiteHarness())
    assert found.status is Status.UNSUPPORTED
    assert "The task queue of 'sqlite' is one process's own (scope process)" in found.reason


@pytest.mark.parametrize("id", UPGRADE[:2])
def test_a_backend_without_golden_stores_is_told_how_to_make_them(id, tmp_path):
    class Bare(SQLiteHarness):
        golden = tmp_path / "nowhere"

    found = outcome(id, Bare())
    assert found.status is Status.UNVERIFIED
    assert "python -m omniq_conformance.golden sqlite FOLDER NAME" in found.reason


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE task SET priority = 5 WHERE id = 'ready'",
        "DELETE FROM task WHERE id = 'stale'",
        "UPDATE result SET value = 'x' WHERE id = 'completed'",
        "DELETE FROM paused",
        "UPDATE schedule SET zone = 'UTC'",
        "DELETE FROM outbox WHERE pos = (SELECT max(pos) FROM outbox)",
        "UPDATE event SET pos = pos + 1000",
        "UPDATE body SET kwargs = x'00'",
    ],
)
def test_whatever_a_migration_loses_is_seen(golden, damage):
    alter(golden, damage)
    assert verdict("OQ-X-1201", golden()) is Status.FAIL


@pytest.mark.parametrize(
    "damage", ["DROP INDEX task_unique", "UPDATE task SET nonce = 'other' WHERE id = 'running'", "DELETE FROM paused"]
)
def test_a_store_that_does_not_go_on_is_seen(golden, damage):
    alter(golden, damage)
    assert verdict("OQ-X-1202", golden()) is Status.FAIL


def test_two_processes_that_cannot_open_at_once_are_seen():
    assert verdict("OQ-X-1203", Hasty()) is Status.FAIL


def test_an_opening_that_does_not_survive_a_kill_is_seen():
    found = outcome("OQ-X-1204", Fragile(), "pr")
    assert found.status is Status.FAIL
    assert "half open" in found.reason


def test_a_newer_store_that_is_opened_is_seen():
    with broken(connection, "check_format", lambda *_: 1), broken(connection, "migrate", lambda *_: None):
        assert verdict("OQ-X-1205", SQLiteHarness()) is Status.FAIL


def test_a_newer_store_that_is_changed_before_it_is_refused_is_seen():
    with broken(connection, "check_format", lambda *_: 1):  # so that the journal mode is set first
        assert verdict("OQ-X-1205", SQLiteHarness()) is Status.FAIL


def test_a_golden_store_is_made_once(tmp_path, capsys):
    main(["sqlite", str(tmp_path), "0009"])
    assert capsys.readouterr().out.startswith(f"Wrote {tmp_path / '0009'} with ")
    made, kept = golden_stores(tmp_path), golden_stores(SQLiteHarness.golden)
    assert [each.name for each in made] == ["0009"]
    assert made[0].expected == kept[-1].expected
    with pytest.raises(SystemExit, match="2"):
        main(["sqlite", str(tmp_path), "0009"])
    assert "0009 exists, and a golden store is never changed" in capsys.readouterr().err


@pytest.mark.parametrize(("backend", "told"), [("memory", "The harness has no save()"), ("nobody", "called 'nobody'")])
def test_a_golden_store_that_cannot_be_made_leaves_a_message_and_no_folder(backend, told, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([backend, str(tmp_path), "0001"])
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_golden_stores_are_in_the_order_of_their_names(tmp_path):
    for name in ("0002", "0001"):
        (tmp_path / name).mkdir()
        text = json.dumps({"now": 1, "expected": {}, "middle": None, "rest": []})
        (tmp_path / name / "expected.json").write_text(text, encoding="utf-8")
    assert golden_stores(tmp_path) == [Golden(tmp_path / name, 1, {}, None, []) for name in ("0001", "0002")]
    assert golden_stores(None) == []
    assert golden_stores(Path("/nowhere")) == []


RECORD = create(TaskSpec(id="t", body=TaskBody(func="f", args=b"\xff")), seq=1, now=5)


def told(change=None, **fields):
    record = _plain(RECORD)
    record.update(fields)
    if change is not None:
        change(record)
    return {"tasks": {"t": record}}


def test_equal_records_do_not_differ():
    assert list(differences(told(), told())) == []


@pytest.mark.parametrize(
    ("expected", "actual", "sentence"),
    [
        (told(), {"tasks": {}}, "tasks: 't' is lost"),
        ({"tasks": {}}, told(), "tasks: 't' was not there before"),
        (told(), told(priority=3), "tasks: 't' has priority=3 instead of 0"),
        (told(lambda record: record.update(gone=1)), told(), "tasks: 't' has no gone any more; it was 1"),
        (
            told(lambda record: record.pop("cancel_requested")),
            told(cancel_requested=True),
            "tasks: 't' has cancel_requested=True instead of False",
        ),
        (told(lambda record: record.pop("cancel_requested")), told(), None),
        (told(lambda record: record["body"].pop("headers")), told(), None),
    ],
)
def test_differences(expected, actual, sentence):
    assert list(differences(expected, actual)) == ([] if sentence is None else [sentence])


def test_another_order_is_a_difference():
    one, two = _plain(RECORD), _plain(RECORD)
    assert list(differences({"tasks": {"a": one, "b": two}}, {"tasks": {"b": two, "a": one}})) == [
        "tasks: they are in another order, ['b', 'a'] instead of ['a', 'b']"
    ]
