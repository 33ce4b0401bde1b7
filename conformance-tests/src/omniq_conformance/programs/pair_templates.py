"""One short program for everything that can happen between two roles, run alone and at the end of random programs.

These are the rows of the contract's table of crashes (section 8), and what else two processes can do to each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.programs.program import Op, Program, op
from omniq_conformance.programs.queue_templates import Build, Template, cancel, claim, purge, put, recover, redrive, to
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["PAIR_TEMPLATES", "PairTemplate", "ended"]

_SEPARATE = (Mode.SEPARATE,)
_BOTH = (Mode.SEPARATE, Mode.JOINED)
_QUEUE = "b"  # random programs of pairs leave it alone


@attrs.frozen
class PairTemplate(Template):
    """A template of a pair of roles.

    Attributes:
        family: The family of programs that it belongs to.
        modes: Where it makes sense.
    """

    family: str
    modes: tuple[Mode, ...]

    def program(self, mode: Mode) -> Program:
        """Return the program that runs it alone."""
        return Program(self.family, mode, tuple(self.build("t0", "t1", _QUEUE)))


PAIR_TEMPLATES: dict[str, PairTemplate] = {}


def _template(id: str, family: str, *sees: str, modes: tuple[Mode, ...] = _SEPARATE) -> Callable[[Build], Build]:
    def register(build: Build) -> Build:
        title = (build.__doc__ or build.__name__).partition("\n")[0]
        PAIR_TEMPLATES[id] = PairTemplate(id, title, build, frozenset(sees), family, modes)
        return build

    return register


def ended(program: Program, number: int) -> Program:
    """Return the program with one of its family's templates at the end."""
    fitting = [t for t in PAIR_TEMPLATES.values() if t.family == program.family and Mode.SEPARATE in t.modes]
    if program.mode == Mode.JOINED:
        fitting = [t for t in fitting if Mode.JOINED in t.modes]
    last = fitting[number % len(fitting)].build("y0", "y1", _QUEUE)
    return attrs.evolve(program, ops=(*program.ops, op("handle", number=0), *last))


def _settle(id: str, back: int = 0, **more: Any) -> Op:
    return op("settle", tokens=[[id, back, ""]], **more)


def _steps(relay: int, *names: str) -> list[Op]:
    return [op(name, relay=relay) for name in names]


def _relay(relay: int = 0) -> list[Op]:
    return _steps(relay, "take", "look", "store", "append", "acknowledge")


def _rest(relay: int) -> list[Op]:
    return _steps(relay, "look", "store", "append", "acknowledge")


# A queue and its results


@_template("OQ-X-0115", "queue-results", "died before the commit", "outcome of an earlier run replaced")
def _dies_before_the_commit(t: str, u: str, q: str) -> Sequence[Op]:
    """A worker that dies after it stored its outcome leaves a provisional one, which the next run replaces."""
    del u
    return [put(t, q), claim(q), _settle(t, dies=True), op("results", ids=[t]), to(t), claim(q), _settle(t)]


@_template("OQ-X-0116", "queue-results", "late outcome refused", "outcome found")
def _late_outcome(t: str, u: str, q: str) -> Sequence[Op]:
    """The outcome of an earlier run that comes late does not replace that of the latest."""
    del u
    return [put(t, q), claim(q), to(t), claim(q), _settle(t), _settle(t, back=1), op("results", ids=[t])]


@_template("OQ-X-0117", "queue-results", "a relay finds no outcome", "a relay stores an outcome")
def _ended_without_a_worker(t: str, u: str, q: str) -> Sequence[Op]:
    """What was cancelled or expired before it ran gets its outcome from a relay."""
    late = [put(u, q, expires=5), to(u), to(u), recover(q)]
    return [put(t, q), cancel(t), *late, *_relay(), op("results", ids=[t, u])]


@_template("OQ-X-0118", "queue-results", "a relay finds the outcome of an earlier run", "a relay stores an outcome")
def _lost_its_last_lease(t: str, u: str, q: str) -> Sequence[Op]:
    """The provisional outcome of a worker that was lost in the last attempt gives way to the failure."""
    del u
    lost = [put(t, q, attempts=1), claim(q), _settle(t, dies=True), to(t), recover(q)]
    return [*lost, *_relay(), op("results", ids=[t])]


@_template("OQ-X-0119", "queue-results", "a relay finds the worker's outcome", "failed with its outcome")
def _worker_told(t: str, u: str, q: str) -> Sequence[Op]:
    """A relay leaves the outcome alone that the worker stored."""
    del u
    return [put(t, q), claim(q), _settle(t, failed=True), *_relay(), op("results", ids=[t])]


@_template("OQ-X-0120", "queue-results", "a relay finds a failure that became a cancel", "a relay stores an outcome")
def _failure_became_a_cancel(t: str, u: str, q: str) -> Sequence[Op]:
    """A failure that ended as a cancel gets the outcome of a cancel."""
    del u
    return [put(t, q), claim(q), cancel(t), _settle(t, failed=True), *_relay(), op("results", ids=[t])]


@_template("OQ-X-0121", "queue-results", "a relay is too late with an outcome")
def _slow_relay(t: str, u: str, q: str) -> Sequence[Op]:
    """A relay that stopped between looking and storing does not replace the outcome of a later run."""
    del u
    again = [redrive(t), claim(q), _settle(t)]
    return [put(t, q), cancel(t), *_steps(0, "take", "look"), *again, *_steps(0, "store", "append", "acknowledge")]


@_template("OQ-X-0122", "queue-results", "redriven with an outcome", "outcome of a redriven task replaced", modes=_BOTH)
def _redriven(t: str, u: str, q: str) -> Sequence[Op]:
    """The outcome of a task that was redriven gives way to that of its next run, whoever carries the old one."""
    del u
    results = op("results", ids=[t])
    first = [put(t, q), claim(q), _settle(t, failed=True), results, op("take", relay=0)]
    return [*first, redrive(t), claim(q), _settle(t), *_rest(0), results]


@_template("OQ-X-0123", "queue-results", "a relay finds the outcome of a later run")
def _relay_after_a_later_run(t: str, u: str, q: str) -> Sequence[Op]:
    """A relay that comes when a later run has its outcome leaves that alone."""
    del u
    first = [put(t, q), claim(q), _settle(t, failed=True), op("take", relay=0)]
    return [*first, redrive(t), claim(q), _settle(t, dies=True), *_rest(0), op("results", ids=[t])]


@_template("OQ-X-0124", "queue-results", "outcome expired", "outcomes purged", "outcome deleted", modes=_BOTH)
def _expired_outcome(t: str, u: str, q: str) -> Sequence[Op]:
    """An outcome that has expired is absent while its task is still there, purged or not."""
    ran = [put(t, q), put(u, q), claim(q), _settle(t, ttl=5), _settle(u, ttl=50)]
    seen = [op("results", ids=[t, u])]
    gone = [op("purge_results"), *seen, op("delete_results", ids=[u]), *seen]
    return [*ran, op("clock", by=4), *seen, op("clock", by=1), *seen, *gone, op("get", ids=[t, u])]


@_template(
    "OQ-X-0125",
    "queue-results",
    "a relay died",
    "two relays carry the same entry",
    "acknowledged by another relay before",
)
def _two_relays(t: str, u: str, q: str) -> Sequence[Op]:
    """Two relays at once, and one that dies, bring every outcome once."""
    dead = [put(t, q), cancel(t), *_steps(0, "take", "look")]
    return [
        *dead,
        *_steps(0, "take"),
        *_steps(1, "take", "look"),
        *_rest(0),
        *_rest(1),
        put(u, q),
        cancel(u),
        *_relay(1),
    ]


@_template(
    "OQ-X-0126", "queue-results", "purge held back by the outbox or the limit", "a task is purged before its outcome"
)
def _purged_after_its_relay(t: str, u: str, q: str) -> Sequence[Op]:
    """A task is not purged while its outcome is on its way, and its outcome outlives it."""
    del u
    ids = op("results", ids=[t])
    return [put(t, q), cancel(t), purge(), *_steps(0, "take", "look"), purge(), *_rest(0), purge(), ids]


@_template("OQ-X-0127", "queue-results", "completed with its outcome", "lost, with an outcome", modes=_BOTH)
def _lost_and_new(t: str, u: str, q: str) -> Sequence[Op]:
    """The outcome of a worker whose task was purged and enqueued anew is not that of the new task."""
    del u
    old = [put(t, q), claim(q), cancel(t), to(t), recover(q), *_relay(), purge(), put(t, q), claim(q)]
    return [*old, _settle(t, back=1), op("results", ids=[t]), _settle(t), op("results", ids=[t])]


# A queue and its events


@_template(
    "OQ-X-0130",
    "queue-events",
    "a relay appends events again",
    "a relay died",
    "a life was read that has not arrived yet",
)
def _dies_before_the_ack(t: str, u: str, q: str) -> Sequence[Op]:
    """The events of a relay that died before it acknowledged are brought again, and are there once."""
    del u
    life = op("life", id=t)
    return [put(t, q), life, *_steps(0, "take", "look", "store", "append"), claim(q), *_relay(), life]


@_template("OQ-X-0131", "queue-events", "two relays carry the same entry", "acknowledged by another relay before")
def _overlapping_relays(t: str, u: str, q: str) -> Sequence[Op]:
    """Two relays at once bring every event once and in order, whichever is faster."""
    more = [put(u, q), claim(q), op("take", relay=1), op("complete", tokens=[[t, 0, ""]])]
    fast = [*_rest(1), op("take", relay=1), *_rest(0), *_rest(1)]
    return [put(t, q), op("take", relay=0), *more, *fast, op("life", id=t), op("life", id=u)]


@_template("OQ-X-0132", "queue-events", "a life was read after its task was purged", modes=_BOTH)
def _life_after_death(t: str, u: str, q: str) -> Sequence[Op]:
    """The whole life of a task can be read after the task was purged, and apart from that of the next one of its id."""
    del u
    run = [put(t, q), claim(q), op("complete", tokens=[[t, 0, ""]]), *_relay(), purge()]
    return [*run, op("life", id=t), put(t, q), *_relay(), op("life", id=t)]


@_template("OQ-X-0133", "queue-events", "purge held back by the outbox or the limit")
def _unread_events(t: str, u: str, q: str) -> Sequence[Op]:
    """A task is not purged while its events are on their way."""
    del u
    return [put(t, q), cancel(t), purge(), *_steps(0, "take", "look", "store", "append"), purge(), *_rest(0), purge()]


@_template("OQ-X-0134", "queue-events", "a trimmed task lives on", "trimmed", modes=_BOTH)
def _trimmed(t: str, u: str, q: str) -> Sequence[Op]:
    """Trimming takes the old events of a task that lives on, and nothing else."""
    del u
    trim = op("trim", age=-1, limit=1000)
    return [put(t, q), *_relay(), trim, op("life", id=t), claim(q), *_relay(), op("life", id=t)]


@_template("OQ-X-0135", "queue-events", "a relay appends trimmed events again", "trimmed before they were acknowledged")
def _trimmed_before_the_ack(t: str, u: str, q: str) -> Sequence[Op]:
    """A relay that was late brings trimmed events again, and only those."""
    del u
    late = _steps(0, "take", "look", "store", "append")
    return [put(t, q), *late, op("trim", age=-1, limit=1000), *_steps(0, "append", "acknowledge"), op("life", id=t)]


# Schedules and the queue they fire into


def _both(*names: str) -> list[Op]:
    return [op(name, scheduler=scheduler) for name in names for scheduler in (0, 1)]


@_template("OQ-X-0140", "schedule-queue", "died between enqueue and advance", "enqueued again", "fired")
def _dies_before_the_advance(t: str, u: str, q: str) -> Sequence[Op]:
    """A scheduler that dies between enqueue and advance leaves what another repeats without effect."""
    del u, q
    dead = [op("scan", scheduler=0), op("enqueue_due", scheduler=0), op("clock", by=25)]
    return [op("put", id=t, next_run=0, interval=10), *dead, op("fire_due", scheduler=1), op("fire_due", scheduler=0)]


@_template("OQ-X-0141", "schedule-queue", "fire refused", "two schedulers have the same fire time", modes=_BOTH)
def _two_schedulers(t: str, u: str, q: str) -> Sequence[Op]:
    """Of two schedulers that found the same fire time one fires it."""
    del u, q
    steps = _both("scan", "enqueue_due", "advance_due", "fire_joined")
    return [op("put", id=t, next_run=0, interval=10), *steps, op("clock", by=10), *steps]


@_template("OQ-X-0142", "schedule-queue", "fired several times at once", "coalesced", "skipped", modes=_BOTH)
def _misfires(t: str, u: str, q: str) -> Sequence[Op]:
    """Of missed fire times each makes a task that the misfire policy keeps."""
    del q
    puts = [op("put", id=t, next_run=-30, interval=10), op("put", id=u, next_run=-30, interval=10, misfire="coalesce")]
    skip = op("put", id=t, next_run=-15, interval=10, misfire="skip")
    return [*puts, op("fire_due", scheduler=0), skip, op("fire_due", scheduler=1), op("clock", by=5)]


@_template(
    "OQ-X-0143",
    "schedule-queue",
    "paused while a scheduler has it",
    "put again while a scheduler has it",
    "deleted while a scheduler has it",
    "fire refused",
    modes=_BOTH,
)
def _changed_meanwhile(t: str, u: str, q: str) -> Sequence[Op]:
    """A scheduler does not advance what was paused, defined anew or deleted since it looked."""
    del u, q
    new = op("put", id=t, next_run=0, interval=10)
    late = [op("enqueue_due", scheduler=0), op("advance_due", scheduler=0), op("fire_joined", scheduler=0)]
    changes = [[op("pause_schedules", ids=[t])], [op("resume_schedules", ids=[t]), new], [op("delete", ids=[t])]]
    return [new, *(each for change in changes for each in (op("scan", scheduler=0), *change, *late, new))]


@_template(
    "OQ-X-0144",
    "schedule-queue",
    "a fired task ended before the next scheduler came",
    "a fired task is kept from a purge",
    "a fired task ran",
    modes=_BOTH,
)
def _ran_before_the_next_scheduler(t: str, u: str, q: str) -> Sequence[Op]:
    """A task that has run before a slow scheduler repeats its fire time is not made again."""
    del u, q
    complete = op("complete", tokens=[["*", n, ""] for n in range(12)])
    run = [claim("a"), complete, op("ack", skip=0, number=1000), purge()]
    first = [*_both("scan"), op("enqueue_due", scheduler=0), op("fire_joined", scheduler=0), *run]
    slow = [op("enqueue_due", scheduler=1), op("advance_due", scheduler=1), op("fire_joined", scheduler=1)]
    put_ = op("put", id=t, next_run=0, interval=10)
    return [put_, *first, *slow, op("clock", by=10), op("fire_due", scheduler=0), *run]


@_template("OQ-X-0145", "schedule-queue", "schedule ended", modes=_BOTH)
def _ends(t: str, u: str, q: str) -> Sequence[Op]:
    """A schedule ends after its last fire, for every scheduler."""
    del q
    puts = [op("put", id=t, next_run=0, interval=10, max_runs=1), op("put", id=u, next_run=0)]
    return [*puts, *_both("scan", "enqueue_due", "advance_due", "fire_joined"), op("clock", by=30), *_both("fire_due")]


@_template("OQ-X-0146", "schedule-queue", "fired several times at once", modes=_BOTH)
def _paused(t: str, u: str, q: str) -> Sequence[Op]:
    """A paused schedule is fired by no scheduler, and what it missed is fired once it is resumed."""
    del u, q
    paused = [op("put", id=t, next_run=0, interval=10), op("pause_schedules", ids=[t]), *_both("fire_due")]
    return [*paused, op("clock", by=15), *_both("fire_due"), op("resume_schedules", ids=[t]), *_both("fire_due")]
