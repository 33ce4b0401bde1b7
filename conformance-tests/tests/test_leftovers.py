"""Each case about what is left over, cancelled or hidden can fail: a backend that is broken so does not pass."""

from __future__ import annotations

import asyncio
import os

import attrs
import pytest
from breaking import assert_caught, broken, outcome, verdict
from broken_openings import Noisy

from omniq.errors import StoreClosedError
from omniq.storage import shared
from omniq_conformance.cases import remains
from omniq_conformance.cases.interrupting import Moment, interrupted
from omniq_conformance.outcomes import Status
from omniq_memory.conformance import MemoryHarness
from omniq_memory.handle import MemoryHandle
from omniq_memory.results import MemoryResultStorage
from omniq_memory.schedules import MemoryScheduleStorage
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_sqlite import connection, task_queue
from omniq_sqlite.conformance import SQLiteHarness


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(remains, "_PATIENCE", 0.5)


async def keeps_results(original, self, ids):
    kept = {id: self._state.results.outcomes[id] for id in ids}
    answers = await original(self, ids)
    self._state.results.outcomes.update({f"{id} again": outcome for id, outcome in kept.items()})
    return answers


async def leaking(original, self):
    os.dup(0)
    await original(self)


async def refuses_what_it_stored(original, self, specs, *, now=None):
    answers = await original(self, specs, now=now)
    await asyncio.sleep(0)
    if not self._open:
        raise StoreClosedError("closed meanwhile")
    return answers


async def waits_twice(original, self, queues, timeout):
    self.forgotten = [*getattr(self, "forgotten", []), asyncio.ensure_future(asyncio.sleep(9))]
    await original(self, queues, timeout)


async def in_two_steps(original, self, items, *, now=None):
    records = [self._tasks.records[item.id] for item in items]
    for record in records:
        record.version += 1
    await asyncio.sleep(0)
    for record in records:
        record.version -= 1
    return await original(self, items, now=now)


async def undone_by_a_cancel(original, self, advances):
    answers = await original(self, advances)
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        id = advances[0].id
        self._state.schedules[id] = attrs.evolve(self._state.schedules[id], runs=0)
        raise
    return answers


def sweep_of_bodies(original, connection, *arguments):
    connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM body")
    found = original(connection, *arguments)
    connection.execute("INSERT INTO body SELECT * FROM kept")
    connection.execute("DROP TABLE kept")
    return found


@pytest.mark.parametrize("mode", ["separate", "joined"])
def test_results_that_are_kept_are_seen(harness, mode):
    assert_caught(f"OQ-X-0950-{mode}", harness, MemoryResultStorage, "delete", keeps_results)


def test_bodies_that_are_kept_are_seen():
    assert_caught("OQ-X-0950-separate", SQLiteHarness(), task_queue, "_purge", sweep_of_bodies)


def test_without_a_view_past_the_backend_nothing_is_told():
    class Blind(MemoryHarness):
        async def snapshot(self, namespace):
            del namespace

    for id in ("OQ-X-0950-separate", "OQ-X-0980-separate"):
        assert verdict(id, Blind()) is Status.UNVERIFIED


def test_a_process_that_ends_with_a_complaint_is_seen():
    found = outcome("OQ-X-0951", Noisy())
    assert found.status is Status.FAIL
    assert "A handle was not closed" in found.reason


@pytest.mark.parametrize("kind", [MemoryHarness, SQLiteHarness])
def test_dropped_handles(kind):
    assert verdict("OQ-X-0951", kind()) is Status.PASS


def test_a_leak_at_opening_is_seen(harness):
    assert_caught("OQ-X-0952", harness, MemoryHandle, "open", leaking)


def test_a_refused_call_that_was_applied_is_seen(harness):
    assert_caught("OQ-X-0953", harness, MemoryTaskQueue, "enqueue", refuses_what_it_stored)


def test_what_a_cancelled_wait_leaves_is_seen(harness):
    assert_caught("OQ-X-0954", harness, MemoryTaskQueue, "wait", waits_twice)


def test_what_a_wait_opens_late_and_closes_is_not_left_behind(harness):
    async def slow_to_open(original, self, *args, **kwargs):
        await asyncio.sleep(0.03)
        with open(os.devnull):  # noqa: ASYNC230, PTH123
            return await original(self, *args, **kwargs)

    with broken(MemoryTaskQueue, "wait", slow_to_open):
        assert outcome("OQ-X-0954", harness).reason == ""


@pytest.mark.parametrize("mode", ["separate", "joined"])
@pytest.mark.parametrize("call", ["complete", "fail", "release"])
def test_a_settling_in_two_steps_is_seen(harness, mode, call):
    assert_caught(f"OQ-X-0955-{mode}", harness, MemoryTaskQueue, call, in_two_steps)


def test_an_advance_that_is_half_undone_is_seen(harness):
    assert_caught("OQ-X-0955-separate", harness, MemoryScheduleStorage, "advance", undone_by_a_cancel)


async def work_only(original, work):
    await work


def test_a_closing_that_can_be_interrupted_is_seen():
    assert_caught("OQ-X-0956", SQLiteHarness(), shared, "finished", work_only)


def test_a_reader_that_stays_when_opening_is_cancelled_is_seen():
    async def writer_only(original, self):
        if self._capabilities is not None:
            return await original(self)
        return await self._writer.close()

    assert_caught("OQ-X-0956", SQLiteHarness(), connection.Database, "disconnect", writer_only)


@pytest.mark.parametrize("kind", [MemoryHarness, SQLiteHarness])
@pytest.mark.parametrize("id", ["OQ-X-0952", "OQ-X-0953", "OQ-X-0954", "OQ-X-0955-joined", "OQ-X-0980-joined"])
def test_the_backends_pass(id, kind):
    assert outcome(id, kind()).reason == ""


@pytest.mark.parametrize("kind", ["tasks", "results", "events", "schedules", "outbox"])
@pytest.mark.parametrize("change", ["hidden", "invented"])
def test_what_is_stored_and_not_told_is_seen(kind, change):
    class Haunted(MemoryHarness):
        async def snapshot(self, namespace):
            found = dict(await super().snapshot(namespace))
            found[kind] = [*found[kind], "ghost"] if change == "hidden" else found[kind][1:]
            return found

    found = outcome("OQ-X-0980-separate", Haunted())
    assert found.status is Status.FAIL
    assert f"Of the {kind}, " in found.reason


def test_a_backend_that_cannot_tell_what_is_stored_fails_and_its_harness_is_not_blamed():
    class Mute(MemoryHarness):
        async def open(self, namespace):
            stores = await super().open(namespace)
            stores.task_queue.list = self.fail
            return stores

        async def fail(self, *args, **kwargs):
            raise NotImplementedError("blank")

    found = outcome("OQ-X-0980-joined", Mute())
    assert (found.status, "NotImplementedError: blank" in found.reason) == (Status.FAIL, True), found


async def three_waits(log):
    for number in range(3):
        await asyncio.sleep(0.001)
        log.append(number)


@pytest.mark.parametrize(
    ("moment", "done", "cancelled"),
    [
        (Moment(-1), [], True),
        (Moment(0), [], True),
        (Moment(0, late=True), [], True),
        (Moment(1), [0], True),
        (Moment(2, late=True), [0, 1], True),
        (Moment(3), [0, 1, 2], False),
    ],
)
async def test_a_call_is_cancelled_at_the_moment(moment, done, cancelled):
    log = []
    assert await interrupted(lambda: three_waits(log), moment) is cancelled
    assert log == done


async def test_what_a_call_raises_is_raised():
    async def wrong():
        await asyncio.sleep(0)
        raise StoreClosedError("closed")

    with pytest.raises(StoreClosedError):
        await interrupted(wrong, Moment(9))
