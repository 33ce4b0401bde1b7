"""Templates about leases, tokens and attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq_conformance.programs.program import op
from omniq_conformance.programs.queue_templates import (
    LEASE,
    beat,
    cancel,
    claim,
    complete,
    fail,
    put,
    recover,
    redrive,
    release,
    settle_all,
    template,
    to,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq_conformance.programs.program import Op


@template("OQ-Q-0110", "event LEASE_EXPIRED")
def lease_boundary(t: str, u: str, q: str) -> Sequence[Op]:
    """A lease holds until just before its end and is taken over at it; other runs are not touched."""
    before, at = to(t, u, delta=-1), to(t, u)
    return [
        put(t, q),
        put(u, q),
        claim(q, 1),
        before,
        recover(q),
        at,
        recover(q),
        claim(q, worker="w1"),
        complete(t),
    ]


@template("OQ-Q-0111", "fenced off by a newer claim", "complete lost", "fail lost", "release lost", "heartbeat lost")
def stale_token_after_recovery(t: str, u: str, q: str) -> Sequence[Op]:
    """A worker that lost its lease to another one changes nothing any more, and what it tries does not show."""
    at = to(t, u)
    stolen = [put(t, q), claim(q), at, claim(q, worker="w1")]
    return [*stolen, *settle_all(t, 1), op("get", ids=[t]), complete(t), complete(t), complete(t, 1), put(u, q)]


@template("OQ-Q-0112", "fenced off by a newer claim", "fail PENDING")
def stale_token_after_retry(t: str, u: str, q: str) -> Sequence[Op]:
    """The token of an earlier attempt is worth nothing in the next one."""
    return [put(t, q), claim(q), fail(t, 0), claim(q), *settle_all(t, 1), beat(t), complete(t), put(u, q)]


@template("OQ-Q-0113", "complete lost", "heartbeat lost")
def stale_token_while_waiting(t: str, u: str, q: str) -> Sequence[Op]:
    """A token whose task went back to waiting settles nothing, though it answers `already`."""
    at = to(t, u)
    waiting = [put(t, q), claim(q), at, recover(q), *settle_all(t, 0), claim(q)]
    return [*waiting, complete(t, 1), complete(t), put(u, q)]


@template("OQ-Q-0114", "heartbeat lost", "complete lost", "fail lost", "release lost")
def forged_tokens(t: str, u: str, q: str) -> Sequence[Op]:
    """A token with any part changed (seq, epoch, nonce) is no token."""
    forged = [token(t, 0, forgery) for forgery in ("seq", "epoch", "older", "nonce")]
    ops = [put(t, q), put(u, q), claim(q), op("heartbeat", tokens=forged, lease=50), op("complete", tokens=forged)]
    return [*ops, op("fail", tokens=forged, retry=3), op("release", tokens=forged, delay=0), complete(t), complete(u)]


@template("OQ-Q-0115", "complete lost")
def token_of_another_task(t: str, u: str, q: str) -> Sequence[Op]:
    """A token settles the task that it was granted for, after others came and went."""
    at = to(t, u)
    return [
        put(t, q),
        claim(q),
        release(t, 100),
        put(u, q),
        complete(u),
        claim(q),
        at,
        claim(q),
        complete(u),
        complete(t),
    ]


@template("OQ-Q-0116", "settled after the lease", "heartbeat after the lease")
def late_settling(t: str, u: str, q: str) -> Sequence[Op]:
    """Time is no guard: a run whose lease is over may be settled, or renewed, as long as nobody took it over."""
    at = to(t, u)
    late = [put(t, q), put(u, q), claim(q), at, op("clock", by=7)]
    return [*late, beat(t, lease=2), complete(u), complete(t)]


@template("OQ-Q-0117", "heartbeat ok", "event LEASE_EXPIRED")
def heartbeat_extends(t: str, u: str, q: str) -> Sequence[Op]:
    """A heartbeat moves the end of the lease to its time plus the lease."""
    before, at = to(t, u, delta=-1), to(t, u)
    start = [put(t, q), claim(q), op("clock", by=LEASE - 1), beat(t), before, recover(q), beat(t, lease=1)]
    return [*start, recover(q), op("clock", by=1), recover(q), at, recover(q), put(u, q)]


@template("OQ-Q-0118", "heartbeat ok")
def heartbeat_never_shortens(t: str, u: str, q: str) -> Sequence[Op]:
    """A heartbeat with a shorter lease does not bring the end of the lease forward."""
    before, at = to(t, u, delta=-1), to(t, u)
    return [
        put(t, q),
        claim(q),
        beat(t, lease=1),
        op("clock", by=2),
        recover(q),
        put(u, q),
        before,
        recover(q),
        at,
        claim(q),
    ]


@template("OQ-Q-0119", "release PENDING", "fenced off by a newer claim")
def release_then_claim(t: str, u: str, q: str) -> Sequence[Op]:
    """A release gives the attempt back, so one attempt is enough to run again."""
    before, at = to(t, u, delta=-1), to(t, u)
    freed = [put(t, q, attempts=1), claim(q), release(t, 5), before, claim(q), at, claim(q)]
    return [*freed, *settle_all(t, 1), complete(t), release(t, 0), put(u, q)]


@template("OQ-Q-0120", "release PENDING")
def release_to_the_past(t: str, u: str, q: str) -> Sequence[Op]:
    """A task that is released for a time that is over is ready at once, behind those that were ready before."""
    return [
        put(t, q),
        put(u, q),
        claim(q, 1),
        op("clock", by=3),
        release(t, -50),
        op("get", ids=[t]),
        claim(q),
        complete(t),
    ]


@template("OQ-Q-0121", "fail PENDING", "fail FAILED")
def retries_exhausted(t: str, u: str, q: str) -> Sequence[Op]:
    """A task is retried, at its time, until no attempt is left; then it fails."""
    before, at = to(t, u, delta=-1), to(t, u)
    tries = [put(t, q, attempts=2), claim(q), fail(t, 3), before, claim(q), at, claim(q), fail(t, 3)]
    return [*tries, claim(q), fail(t, 3), put(u, q)]


@template("OQ-Q-0122", "event FAILED", "event LEASE_EXPIRED")
def leases_exhausted(t: str, u: str, q: str) -> Sequence[Op]:
    """A lost lease uses an attempt up; the loss of the last one fails the task."""
    at = to(t, u)
    return [
        put(t, q, attempts=2),
        claim(q),
        at,
        claim(q),
        at,
        recover(q),
        *settle_all(t, 0),
        put(u, q),
        claim(q),
    ]


@template("OQ-Q-0123", "recovered in claim", "event FAILED")
def only_attempt_lost_at_claim(t: str, u: str, q: str) -> Sequence[Op]:
    """A claim fails what lost its last attempt, before it grants what is left."""
    at = to(t, u)
    return [
        put(t, q, attempts=1),
        put(u, q, attempts=2),
        claim(q),
        at,
        claim(q),
        op("get", ids=[t, u]),
        at,
        claim(q),
    ]


@template("OQ-Q-0124", "fail PENDING")
def retry_in_the_past(t: str, u: str, q: str) -> Sequence[Op]:
    """A retry for a time that is over is ready at once."""
    return [put(t, q), claim(q), op("clock", by=3), fail(t, -40), put(u, q), claim(q, 1), complete(t)]


@template("OQ-Q-0125", "fail FAILED", "redrive ok", "complete lost")
def dead_letter_redriven(t: str, u: str, q: str) -> Sequence[Op]:
    """A failed task that is redriven has all its attempts again, and its old tokens stay worthless."""
    dead = [put(t, q, attempts=1), claim(q), fail(t, 5), fail(t), redrive(t), *settle_all(t, 0)]
    return [*dead, claim(q), complete(t, 1), complete(t), redrive(t), put(u, q)]


@template("OQ-Q-0126", "event LEASE_EXPIRED", "claim has more than its limit")
def recovery_order(t: str, u: str, q: str) -> Sequence[Op]:
    """Stale runs come back by (lease_until, seq), and are claimed by their rank."""
    runs = [put(t, q, priority=1), put(u, q), claim(q, 1, lease=20), claim(q, 1, lease=10), op("clock", by=30)]
    return [*runs, recover(q), claim(q, 1), claim(q), complete(t), complete(u)]


@template("OQ-Q-0127", "held some")
def held_after_claim(t: str, u: str, q: str) -> Sequence[Op]:
    """What is still held under a claim can be asked for, by its worker only, until it is settled or lost."""
    at = to(t, u)
    held = [put(t, q), put(u, q), claim(q), op("held", back=0), op("held", back=0, worker="w9"), complete(t)]
    return [*held, op("held", back=0), at, recover(q), op("held", back=0), claim(q), op("held", back=1)]


@template("OQ-Q-0128", "complete already", "complete lost", "heartbeat ok")
def mixed_batch(t: str, u: str, q: str) -> Sequence[Op]:
    """In a batch every item gets its own answer, as if it came alone after those before it."""
    mixed = [token(t), token(t, 0, "nonce"), token(u), token(t), ["nobody", 0, ""]]
    beats = op("heartbeat", tokens=mixed, lease=5)
    return [put(t, q), put(u, q), claim(q), beats, op("complete", tokens=mixed), op("fail", tokens=mixed, retry=None)]


@template("OQ-Q-0129", "clock moved back", "complete ok")
def clock_steps_back(t: str, u: str, q: str) -> Sequence[Op]:
    """Versions and epochs go on growing while the time falls."""
    back = [put(t, q), claim(q), op("clock", by=-50), put(u, q), claim(q), fail(u, 5), beat(t), cancel(u)]
    return [
        *back,
        op("clock", by=-50),
        recover(q),
        redrive(u),
        claim(q),
        complete(t),
        op("clock", by=200),
        claim(q),
        complete(u),
    ]


@template("OQ-Q-0130", "reopened while running", "fenced off by a newer claim")
def fences_survive_reopening(t: str, u: str, q: str) -> Sequence[Op]:
    """Tokens stay good, and stale ones stay stale, when every handle was closed and opened again."""
    at = to(t, u)
    stolen = [put(t, q), put(u, q), claim(q), at, op("reopen"), claim(q, worker="w1"), op("reopen")]
    return [*stolen, *settle_all(t, 1), op("held", back=0), complete(t), op("reopen"), complete(t), complete(u)]


@template("OQ-Q-0131", "handle 1", "handle 2", "complete ok")
def several_handles(t: str, u: str, q: str) -> Sequence[Op]:
    """All handles on a namespace see the same tasks at once."""

    def use(number: int) -> Op:
        return op("handle", number=number)

    shared = [put(t, q), use(1), claim(q, 1), use(2), beat(t), put(u, q), use(0), complete(t), claim(q), use(2)]
    return [*shared, cancel(u), use(1), beat(u), fail(u), use(0), op("dump")]
