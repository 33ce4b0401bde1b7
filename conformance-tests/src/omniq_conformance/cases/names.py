"""Family 05: names and payloads come back as they were given, and what differs stays distinct."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.models.event import EventFilter
from omniq.models.record import Completion, Enqueued, Failure, TaskBody, TaskFilter, TaskSpec
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TaskStatus
from omniq_conformance.cases.specimens import NAMES, T0, claim, event, outcome, spec, start
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from omniq.storage.capabilities import Capabilities

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)


@case("OQ-Q-0501")
async def task_ids(trial: Trial) -> None:
    """Task ids that differ in any way are different tasks."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        answers = await queue.enqueue([spec(name) for name in NAMES], now=T0)
        assert answers == [Enqueued(name, created=True) for name in NAMES]
        assert await queue.enqueue([spec(name) for name in NAMES], now=T0) == [
            Enqueued(name, created=False) for name in NAMES
        ]
        found = await queue.get(NAMES)
        assert [(r.id, r.body.args) for r in found if r] == [(name, name.encode()) for name in NAMES]
        for name in NAMES:
            listed = await queue.list(TaskFilter(ids=frozenset({name})), now=T0)
            assert [r.id for r in listed] == [name]
        assert await queue.cancel(NAMES[::2], now=T0) == ["cancelled"] * len(NAMES[::2])
        grants = await claim(queue, limit=len(NAMES), now=T0)
        assert [grant.id for grant in grants] == list(NAMES[1::2])
        assert await queue.complete([Completion(g.id, g.token) for g in grants], now=T0) == ["ok"] * len(grants)


@case("OQ-Q-0502")
async def queue_names(trial: Trial) -> None:
    """Queues whose names differ in any way are different queues."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        await queue.enqueue([spec(f"t{n}", name, eta=T0 + n) for n, name in enumerate(NAMES)], now=T0)
        now = T0 + len(NAMES)
        assert [stats.name for stats in await queue.queues(now=now)] == sorted(NAMES)
        for number, name in enumerate(NAMES):
            assert await queue.next_at([name]) == T0 + number
            assert await queue.count(TaskFilter(queues=frozenset({name})), now=now) == 1
        await queue.pause(NAMES[::3])
        for number, name in enumerate(NAMES):
            paused = number % 3 == 0
            assert [g.id for g in await claim(queue, name, nonce=number, now=now)] == ([] if paused else [f"t{number}"])
        assert [stats.paused for stats in await queue.queues(now=now)] == [name in NAMES[::3] for name in sorted(NAMES)]


@case("OQ-Q-0503")
async def unique_keys(trial: Trial) -> None:
    """Unique keys that differ in any way do not exclude each other, equal ones do, and only within their queue."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        for name_of_queue in ("a", "b"):
            answers = await queue.enqueue(
                [spec(f"{name_of_queue}{n}", name_of_queue, unique_key=name) for n, name in enumerate(NAMES)], now=T0
            )
            assert all(answer.created for answer in answers)
        again = await queue.enqueue([spec(f"c{n}", unique_key=name) for n, name in enumerate(NAMES)], now=T0)
        assert again == [Enqueued(f"a{n}", created=False) for n in range(len(NAMES))]
        mixed = [
            each
            for n, name in enumerate(NAMES)
            for each in (spec(f"e{n}", unique_key=name), spec(f"d{n}", "d", unique_key=name))
        ]
        assert [answer.created for answer in await queue.enqueue(mixed, now=T0)] == [False, True] * len(NAMES)
        for number, name in enumerate(NAMES):
            listed = await queue.list(TaskFilter(unique_key=name), now=T0)
            assert [r.id for r in listed] == [f"a{number}", f"b{number}", f"d{number}"]


def _largest(trial: Trial, capabilities: Capabilities) -> int:
    """Return how much is put into one payload: what the profile stores, and a body of two such fits into the store."""
    return min(trial.profile.large_payload, capabilities.max_payload_bytes // 2)


def _bodies(largest: int) -> list[TaskBody]:
    every_byte = bytes(range(256))
    sizes = [size for size in (0, 1, 255, 65_536, largest) if size <= largest]
    payloads = [(every_byte * (size // 256 + 1))[:size] for size in sizes]
    payloads += [b"\0", b"a\0b", b"\xff\xfe", b"\xc3\x28", "\U0001f600".encode(), b"'\"\\", b"{}", b"null"]
    bodies = [TaskBody(func="pkg.f", args=data, kwargs=data[::-1], codec="msgpack") for data in payloads]
    bodies += [TaskBody(func=name, args=b"", kwargs=b"", headers={name: name, "": ""}) for name in NAMES[::5]]
    bodies.append(TaskBody(func="pkg.f", codec="pickle", timeout_ms=2**40, result_ttl_ms=2**40))
    bodies.append(TaskBody(func="pkg.f", headers={f"h{n}": "v" * n for n in range(100)}, timeout_ms=0, result_ttl_ms=0))
    return bodies


@case("OQ-Q-0504")
async def payloads(trial: Trial) -> None:
    """A task's body comes back byte for byte, by reading and by claiming."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        bodies = _bodies(_largest(trial, queue.capabilities))
        await queue.enqueue([TaskSpec(id=f"t{n}", body=body, queue="a") for n, body in enumerate(bodies)], now=T0)
        found = await queue.get([f"t{n}" for n in range(len(bodies))])
        assert [record.body for record in found if record] == bodies
        assert [grant.body for grant in await claim(queue, limit=len(bodies), now=T0)] == bodies
        assert [record.body for record in await queue.list(limit=len(bodies), now=T0)] == bodies


@case("OQ-Q-0505", modes=BOTH)
async def texts(trial: Trial) -> None:
    """Names of workers and texts of errors come back as they were given, in records and in events."""
    errors = [*NAMES, "", "line\nline", "x" * 100_000]
    async with trial.space() as space:
        stores = await space.open()
        queue = stores.task_queue
        await queue.enqueue([spec(f"t{n}") for n in range(len(errors))], now=T0)
        for number, error in enumerate(errors):
            worker = NAMES[number % len(NAMES)]
            (grant,) = await queue.claim(["a"], 1, worker, 1000, f"{number:016x}", now=T0)
            assert [g.id for g in await queue.held(worker, f"{number:016x}")] == [grant.id]
            record = (await queue.get([grant.id]))[0]
            assert record is not None
            assert record.worker == worker
            given = outcome(grant.id, seq=grant.token.seq, epoch=grant.token.epoch)
            failed = attrs.evolve(given, status=TaskStatus.FAILED, value=None, error=error)
            item = Failure(grant.id, grant.token, error, None, failed if trial.mode is Mode.JOINED else None)
            assert await queue.fail([item], now=T0) == ["FAILED"]
        records = await queue.get([f"t{n}" for n in range(len(errors))])
        assert [record.error for record in records if record] == errors
        if trial.mode is Mode.JOINED:
            events = await stores.events.read(limit=10 * len(errors))
            results = await stores.results.get([f"t{n}" for n in range(len(errors))], now=T0)
            assert [result.error for result in results if result] == errors
        else:
            events = await queue.outbox(10 * len(errors), now=T0)
        assert [e.error for e in events if e.error is not None] == errors


@case("OQ-Q-0506")
async def large_numbers(trial: Trial) -> None:
    """Times and counts far beyond 32 bits come back as they were given."""
    far = 253_402_300_799_999  # the last millisecond of the year 9999
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        made = spec("t", eta=far - 10, expires_at=far, max_attempts=2**31, priority=9, interval_ms=2**40)
        await queue.enqueue([made], now=far - 20)
        (record,) = await queue.get(["t"])
        assert record is not None
        kept = (record.eta, record.expires_at, record.max_attempts, record.interval_ms, record.enqueued_at)
        assert kept == (far - 10, far, 2**31, 2**40, far - 20)
        (grant,) = await claim(queue, lease_ms=5, now=far - 5)
        assert await queue.complete([Completion("t", grant.token)], now=far) == ["ok"]
        assert [r.id for r in await queue.list(now=far)] == ["t", f"t@{far - 10 + 2**40}"]


@case("OQ-R-0501")
async def result_ids(trial: Trial) -> None:
    """Results of ids that differ in any way are different results, listed in the order of code points."""
    async with trial.space() as space:
        results = (await space.open()).results
        assert await results.put([outcome(name, value=name.encode()) for name in NAMES], now=T0) == [True] * len(NAMES)
        found = await results.get(NAMES, now=T0)
        assert [(r.id, r.value) for r in found if r] == [(name, name.encode()) for name in NAMES]
        assert [r.id for r in await results.list(limit=1000, now=T0)] == sorted(NAMES)
        for name in NAMES[::4]:
            assert [r.id for r in await results.list(after=name, limit=3, now=T0)] == [
                other for other in sorted(NAMES) if other > name
            ][:3]
        assert await results.delete(NAMES[::2]) == [True] * len(NAMES[::2])
        assert [r.id for r in await results.list(limit=1000, now=T0)] == sorted(NAMES[1::2])


@case("OQ-R-0502")
async def result_values(trial: Trial) -> None:
    """A result's value and error come back byte for byte."""
    async with trial.space() as space:
        results = (await space.open()).results
        values = [body.args for body in _bodies(_largest(trial, results.capabilities))]
        texts = (b'"\\u0000"', b'"\xf0\x9f\x98\x80"', b"null")
        records = [outcome(f"v{n}", value=value, codec="msgpack") for n, value in enumerate(values)]
        records += [outcome(f"j{n}", value=value) for n, value in enumerate(texts)]
        records += [
            attrs.evolve(outcome(f"e{n}"), status=TaskStatus.FAILED, value=None, error=name)
            for n, name in enumerate(NAMES)
        ]
        await results.put(records, now=T0)
        expected = [attrs.evolve(record, stored_at=T0) for record in records]
        assert await results.get([record.id for record in records], now=T0) == expected


@case("OQ-Q-0507", modes=(Mode.JOINED,))
async def joined_result_values(trial: Trial) -> None:
    """A result that the queue stores itself comes back byte for byte."""
    async with trial.space() as space:
        stores = await space.open()
        values = [(body.args, "msgpack") for body in _bodies(_largest(trial, stores.results.capabilities))]
        values += [(b'"\\u0000"', "json"), (b'"\xf0\x9f\x98\x80"', "json"), (b"null", "json")]
        await stores.task_queue.enqueue([spec(f"t{n}") for n in range(len(values))], now=T0)
        grants = await claim(stores.task_queue, limit=len(values), now=T0)
        made = [
            outcome(g.id, seq=g.token.seq, epoch=g.token.epoch, value=value, codec=codec)
            for g, (value, codec) in zip(grants, values, strict=True)
        ]
        items = [Completion(g.id, g.token, result) for g, result in zip(grants, made, strict=True)]
        for part in (items[:-3], items[-3:]):  # a batch of one codec may be stored in another way than a mixed one
            assert await stores.task_queue.complete(part, now=T0) == ["ok"] * len(part)
        found = await stores.results.get([g.id for g in grants], now=T0)
        assert found == [attrs.evolve(result, stored_at=T0) for result in made]


@case("OQ-E-0501")
async def event_texts(trial: Trial) -> None:
    """Events come back as they were appended, and are found by exactly their task and queue."""
    made = [
        event(name, 1, seq=n + 1, queue=name, worker=name, error=name, attempt=2**31, epoch=2**40, duration_ms=2**40)
        for n, name in enumerate(NAMES)
    ]
    async with trial.space() as space:
        events = (await space.open()).events
        assert await events.append(made) == len(made)
        found = await events.read(limit=1000)
        assert [attrs.evolve(e, position=None) for e in found] == made
        for name in NAMES:
            assert [e.task_id for e in await events.read(filter=EventFilter(task_id=name))] == [name]
            assert [e.queue for e in await events.read(filter=EventFilter(queues=frozenset({name})))] == [name]


@case("OQ-S-0501")
async def schedule_ids(trial: Trial) -> None:
    """Schedules of ids that differ in any way are different schedules and keep their bodies."""
    bodies = _bodies(65_536)
    made = [
        Schedule(id=name, kind=ScheduleKind.ONCE, body=bodies[n % len(bodies)], queue=name, zone=name, next_run=T0 + n)
        for n, name in enumerate(NAMES)
    ]
    async with trial.space() as space:
        schedules = (await space.open()).schedules
        for schedule in made:
            assert await schedules.put(schedule, expected_version=0, now=T0) is not None
        stored = [attrs.evolve(schedule, version=T0, created_at=T0) for schedule in made]
        assert await schedules.get(NAMES) == stored
        assert [s.id for s in await schedules.list(limit=1000)] == sorted(NAMES)
        assert await schedules.due(1000, now=T0 + len(NAMES)) == stored
        assert await schedules.delete(NAMES[::2]) == [True] * len(NAMES[::2])
        assert [s.id for s in await schedules.list(limit=1000)] == sorted(NAMES[1::2])


@case("OQ-Q-0508")
async def repeated_names_in_one_call(trial: Trial) -> None:
    """A name that is given twice in one call is answered twice, and counts once where a set is meant."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        grant = await start(queue, "t", now=T0)
        assert [r.id if r else None for r in await queue.get(["t", "?", "t"])] == ["t", None, "t"]
        assert await queue.cancel(["t", "t"], now=T0) == ["requested", "requested"]
        assert await queue.heartbeat([("t", grant.token)] * 2, 5, now=T0) == ["cancel", "cancel"]
        assert await queue.complete([Completion("t", grant.token)] * 2, now=T0) == ["ok", "already"]
        await queue.enqueue([spec("u")], now=T0)
        assert [g.id for g in await claim(queue, "a", "a", now=T0)] == ["u"]
        assert await queue.recover(["a", "a"], now=T0 + 30_000) == [("u", TaskStatus.PENDING)]
