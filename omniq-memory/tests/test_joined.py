"""What a queue writes for the roles that it has joined, and leaves in its outbox for the others."""

from __future__ import annotations

import pytest

from omniq.models.config import Role
from omniq.models.error import ErrorInfo
from omniq.models.event import Event, EventType
from omniq.models.record import Completion, Failure, Release
from omniq.models.result import ResultRecord
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.schedules import Advance

NOW = 1_000_000


async def claimed(roles, *specs, now=NOW):
    await roles.queue.enqueue(specs, now=now)
    return await roles.queue.claim(["default"], len(specs), "w", 1000, "c", now=now)


async def cancel(roles, _):
    await roles.queue.cancel(["waits"], now=NOW)
    return "waits", TaskStatus.CANCELLED, "cancelled"


async def expire(roles, _):
    await roles.queue.recover(["default"], now=NOW + 10)
    return "expires", TaskStatus.FAILED, "expired"


async def lose_worker(roles, held):
    await roles.queue.recover(["default"], now=held.lease_until)
    return held.id, TaskStatus.FAILED, "lease expired"


async def release_cancelled(roles, held):
    await roles.queue.cancel([held.id], now=NOW)
    await roles.queue.release([Release(held.id, held.token, NOW)], now=NOW)
    return held.id, TaskStatus.CANCELLED, "cancelled"


async def fail_without_a_report(roles, held):
    await roles.queue.fail([Failure(held.id, held.token, "boom")], now=NOW)
    return held.id, TaskStatus.FAILED, "failed"


@pytest.mark.parametrize(
    "end", [cancel, expire, lose_worker, release_cancelled, fail_without_a_report], ids=lambda each: each.__name__
)
async def test_a_task_that_ends_without_a_report_gets_a_result_too(roles, spec, end):
    (held,) = await claimed(roles, spec("runs", max_attempts=1, result_ttl_ms=77))
    await roles.queue.enqueue(
        [spec("waits", result_ttl_ms=77), spec("expires", expires_at=NOW + 10, result_ttl_ms=77)], now=NOW
    )
    task_id, status, reason = await end(roles, held)
    (record,) = await roles.queue.get([task_id])
    (result,) = await roles.results.get([task_id], now=NOW)
    assert (result.status, result.order, result.value) == (status, (record.seq, record.epoch), None)
    assert (result.stored_at, result.expires_at) == (record.finished_at, record.finished_at + 77)
    assert ErrorInfo.from_json(result.error).type == reason
    assert await roles.queue.outbox(now=NOW * 2) == []


@pytest.mark.parametrize("plain", [True, False])
async def test_complete_without_a_result_stores_one_without_a_value(roles, spec, plain):
    (held,) = await claimed(roles, spec("t", interval_ms=None if plain else 50))
    await roles.queue.complete([Completion("t", held.token)], now=NOW)
    (result,) = await roles.results.get(["t"], now=NOW)
    assert (result.status, result.value, result.error) == (TaskStatus.COMPLETED, None, None)


async def test_a_report_gets_the_state_that_the_task_really_got(roles, spec):
    (held,) = await claimed(roles, spec("t"))
    await roles.queue.cancel(["t"], now=NOW)
    report = ResultRecord(id="t", seq=1, epoch=1, status=TaskStatus.FAILED, error="the report", ttl_ms=5)
    assert await roles.queue.fail([Failure("t", held.token, "boom", result=report)], now=NOW) == ["CANCELLED"]
    (result,) = await roles.results.get(["t"], now=NOW)
    assert (result.status, result.error, result.expires_at) == (TaskStatus.CANCELLED, "the report", NOW + 5)


async def test_a_retry_stores_no_result(roles, spec):
    (held,) = await claimed(roles, spec("t"))
    report = ResultRecord(id="t", seq=1, epoch=1, status=TaskStatus.FAILED, error="the report")
    assert await roles.queue.fail([Failure("t", held.token, "boom", NOW, report)], now=NOW) == ["PENDING"]
    assert await roles.results.get(["t"], now=NOW) == [None]


async def life(roles, spec):
    """One task that completes and one that is cancelled; return the types of all events."""
    held, _ = await claimed(roles, spec("done"), spec("cancelled"))
    await roles.queue.complete([Completion("done", held.token)], now=NOW)
    await roles.queue.cancel(["cancelled"], now=NOW)
    await roles.queue.recover(["default"], now=NOW + 1000)
    return [
        ("done", 1),
        ("cancelled", 1),
        ("done", 2),
        ("cancelled", 2),
        ("done", 3),
        ("cancelled", 3),
        ("cancelled", 4),
    ]


def names(events):
    return [(each.task_id, each.version) for each in events]


@pytest.mark.parametrize(
    ("joined", "in_outbox", "in_log"),
    [
        ((), slice(None), slice(0)),
        ((Role.RESULT_STORAGE,), slice(None), slice(0)),
        ((Role.EVENT_STORAGE,), [4, 6], slice(None)),
        ((Role.RESULT_STORAGE, Role.EVENT_STORAGE), slice(0), slice(None)),
    ],
    ids=["none", "results", "events", "both"],
)
async def test_the_outbox_has_what_another_storage_needs(open_roles, spec, joined, in_outbox, in_log):
    roles = await open_roles(joined)
    everything = await life(roles, spec)
    expected = [everything[place] for place in in_outbox] if isinstance(in_outbox, list) else everything[in_outbox]
    assert names(await roles.queue.outbox(now=NOW + 1000)) == expected
    assert names(await roles.events.read()) == everything[in_log]


async def test_a_sibling_has_joined_the_same_roles(roles, spec):
    async with roles.queue.sibling() as other:
        await other.enqueue([spec("t")])
    assert names(await roles.events.read()) == [("t", 1)]


async def test_what_is_in_the_outbox_is_not_purged(separate, spec):
    await separate.queue.enqueue([spec("t"), spec("u")], now=NOW)
    await separate.queue.cancel(["t", "u"], now=NOW)
    entries = await separate.queue.outbox(now=NOW)
    await separate.queue.outbox_ack([each for each in entries if each.task_id == "u"] * 2)
    assert await separate.queue.purge(TERMINAL, NOW + 1) == ["u"]
    await separate.queue.outbox_ack([entry for entry in entries if entry.version == 1])
    assert await separate.queue.purge(TERMINAL, NOW + 1) == []
    await separate.queue.outbox_ack(entries)
    assert await separate.queue.purge(TERMINAL, NOW + 1) == ["t"]
    assert (separate.state.tasks.outbox._rows, separate.state.tasks.outbox._counts) == ({}, {})


async def test_no_entry_comes_before_an_earlier_one_of_its_task(separate, spec):
    await separate.queue.enqueue([spec("t")], now=NOW)
    await separate.queue.cancel(["t"], now=NOW - 50)
    await separate.queue.enqueue([spec("u")], now=NOW - 50)
    assert names(await separate.queue.outbox(min_age_ms=20, now=NOW)) == [("u", 1)]
    assert names(await separate.queue.outbox(2, now=NOW)) == [("t", 1), ("t", 2)]


async def test_outbox_entries_are_events(separate, spec):
    await separate.queue.enqueue([spec("t")], now=NOW)
    assert await separate.queue.outbox(now=NOW) == [
        Event(
            task_id="t",
            seq=1,
            version=1,
            type=EventType.ENQUEUED,
            at=NOW,
            queue="default",
            state=TaskStatus.PENDING,
            ready_at=NOW,
        )
    ]


async def test_fire_enqueues_and_advances_together_or_not_at_all(roles, spec):
    schedule = Schedule(id="s", kind=ScheduleKind.INTERVAL, body=spec("").body, interval_ms=10, next_run=NOW)
    stored = await roles.schedules.put(schedule, now=5)
    advance = Advance(id="s", expected_version=stored.version, next_run=NOW + 10, last_run=NOW, fired=1)
    assert await roles.queue.fire([spec("f")], advance, now=NOW) == [("f", True)]
    assert await roles.queue.fire([spec("g")], advance, now=NOW) is None
    (after,) = await roles.schedules.get(["s"])
    assert (after.next_run, after.last_run, after.runs, after.version) == (NOW + 10, NOW, 1, stored.version + 1)
    assert [each.id for each in await roles.queue.list()] == ["f"]
