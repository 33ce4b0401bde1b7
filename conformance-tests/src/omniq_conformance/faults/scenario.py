"""What the process does that is killed: every kind of change, in all roles, with a clock of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.record import TaskBody, TaskSpec
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.storage.schedules import Advance
from omniq_conformance.faults import acts
from omniq_conformance.faults.acts import LEASE, QUEUE
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from omniq_conformance.faults.acts import Act

__all__ = ["END", "scenario"]

_T0 = 1_000_000
_TICK = 1000
END = _T0 + 1000 * _TICK
"""A time after everything that a scenario does."""


def _at(tick: int) -> int:
    return _T0 + tick * _TICK


def scenario(mode: Mode) -> tuple[Act, ...]:
    """Return the operations, in order; no two tasks have the same rank, so that every claim has one right answer."""
    joined = mode is Mode.JOINED
    relay = _no_relay if joined else _relay
    return (
        *_first_tasks(joined=joined),
        *relay(10),
        *_endings(joined=joined),
        *relay(30),
        *_schedule(joined=joined),
        *_drain(joined=joined),
        *relay(60),
        acts.purge(_at(70)),
    )


def _spec(id: str, priority: int, **fields: Any) -> TaskSpec:
    body = TaskBody(func="pkg.f", args=b'["%s"]' % (id.encode() * 40))
    return TaskSpec(id=id, body=body, queue=QUEUE, priority=priority, pinned=True, **fields)


def _first_tasks(*, joined: bool) -> tuple[Act, ...]:
    """A batch with a delay and a unique key; a success, a retry and a release."""
    return (
        acts.enqueue(_at(0), _spec("a", 9), _spec("b", 8, unique_key="k"), _spec("c", 7, eta=_at(500))),
        acts.enqueue(_at(1), _spec("d", 6, unique_key="k")),
        acts.claim(_at(2), 2),
        acts.heartbeat(_at(3), 2 * LEASE, "a", "b"),
        *(() if joined else (acts.put(_at(4), "a"),)),
        acts.complete(_at(4), "a", joined=joined),
        acts.fail(_at(5), "b", retry_at=_at(6), joined=joined),
        acts.claim(_at(7), 1),
        acts.release(_at(8), "b"),
    )


def _endings(*, joined: bool) -> tuple[Act, ...]:
    """A series, a final failure, cancels before and while running, a lost worker, dead letters."""
    series, lost, failing, stopped = (
        _spec("series", 9, interval_ms=400 * _TICK),
        _spec("lost", 5, max_attempts=2),
        _spec("failing", 4, max_attempts=1),
        _spec("stopped", 3),
    )
    return (
        acts.enqueue(_at(11), series, lost, failing, stopped),
        acts.claim(_at(12), 2),  # series, b
        *(() if joined else (acts.put(_at(13), "series", "b"),)),
        acts.complete(_at(13), "series", "b", joined=joined),
        acts.claim(_at(14), 1, lease_ms=2 * _TICK),  # lost
        acts.claim(_at(15), 2),  # failing, stopped
        acts.recover(_at(17)),
        acts.fail(_at(18), "failing", joined=joined),
        acts.cancel(_at(19), "stopped", "c", "nobody"),
        acts.fail(_at(20), "stopped", joined=joined),
        acts.redrive(_at(21), "failing", "a"),
        acts.pause("b"),
    )


def _schedule(*, joined: bool) -> tuple[Act, ...]:
    made, fired = _at(40), _spec("fired", 2)
    schedule = Schedule(
        id="s", kind=ScheduleKind.INTERVAL, body=TaskBody(func="pkg.f"), interval_ms=60_000, queue=QUEUE, next_run=made
    )
    # A new schedule's first version is the time at which it was made.
    move = Advance(id="s", expected_version=made, next_run=made + 60_000, last_run=made, fired=1)
    firing = (acts.fire(_at(41), fired, move),) if joined else (acts.enqueue(_at(41), fired), acts.advance(move))
    return (acts.put_schedule(made, schedule), *firing, acts.resume("b"))


def _drain(*, joined: bool) -> tuple[Act, ...]:
    rest = ("lost", "failing", "fired")
    return (
        acts.claim(_at(50), 10),
        *(() if joined else (acts.put(_at(51), *rest),)),
        acts.complete(_at(52), *rest, joined=joined),
        acts.cancel(_at(53), f"series@{_at(411)}"),
    )


def _relay(tick: int) -> tuple[Act, ...]:
    return (acts.put_missing(_at(tick)), acts.append(_at(tick)), acts.ack(_at(tick)))


def _no_relay(tick: int) -> tuple[Act, ...]:
    del tick
    return ()
