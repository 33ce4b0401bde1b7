"""Templates about cancelling, unique keys and expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq_conformance.programs.program import op
from omniq_conformance.programs.queue_templates import (
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
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq_conformance.programs.program import Op


@template("OQ-Q-0140", "cancel requested", "heartbeat cancel", "complete ok")
def cancel_then_complete(t: str, u: str, q: str) -> Sequence[Op]:
    """A completion wins over a cancel that was requested before it."""
    return [put(t, q), claim(q), cancel(t), cancel(t), beat(t), complete(t), cancel(t), put(u, q)]


@template("OQ-Q-0141", "fail CANCELLED", "fail already")
def cancel_then_fail(t: str, u: str, q: str) -> Sequence[Op]:
    """A failure after a cancel was requested ends the task as cancelled, whatever retry it asks for."""
    return [put(t, q), put(u, q), claim(q), cancel(t), fail(t, 5), fail(t, 5), claim(q), fail(u, 5)]


@template("OQ-Q-0142", "release CANCELLED")
def cancel_then_release(t: str, u: str, q: str) -> Sequence[Op]:
    """A release after a cancel was requested ends the task as cancelled."""
    return [put(t, q), claim(q), cancel(t), release(t, 5), release(t, 5), claim(q), put(u, q)]


@template("OQ-Q-0143", "event CANCELLED", "complete lost")
def cancel_then_recover(t: str, u: str, q: str) -> Sequence[Op]:
    """A lost lease after a cancel was requested ends the task as cancelled."""
    at = to(t, u)
    return [put(t, q), claim(q), cancel(t), at, recover(q), *settle_all(t, 0), put(u, q), claim(q)]


@template("OQ-Q-0144", "event CANCELLED", "redrive ok")
def request_does_not_outlive_the_run(t: str, u: str, q: str) -> Sequence[Op]:
    """A requested cancel is forgotten with the run that it was for."""
    at = to(t, u)
    run = [put(t, q), claim(q), cancel(t), at, put(u, q), claim(q), redrive(t), claim(q), beat(t), complete(t)]
    return [op("enqueue", specs=[]), *run]


@template("OQ-Q-0145", "cancel cancelled", "cancel finished", "cancel missing")
def cancel_waiting(t: str, u: str, q: str) -> Sequence[Op]:
    """A waiting task is cancelled at once, an ended one not at all."""
    at = to(t, u)
    return [put(t, q, eta=5), op("cancel", ids=[t, t, "nobody"]), at, claim(q), put(t, q), put(u, q), claim(q)]


@template("OQ-Q-0146", "redrive ok", "complete lost")
def token_from_before_the_redrive(t: str, u: str, q: str) -> Sequence[Op]:
    """A token from before a cancel and a redrive is worth nothing after them."""
    ended = [put(t, q), claim(q), release(t, 0), cancel(t), *settle_all(t, 0), redrive(t), *settle_all(t, 0)]
    return [*ended, claim(q), complete(t, 1), complete(t), put(u, q)]


@template("OQ-Q-0147", "duplicate unique key")
def unique_key_is_free_when_the_holder_ends(t: str, u: str, q: str) -> Sequence[Op]:
    """A unique key is held while its task waits, runs and waits for its retry, and free once it has ended."""
    at = to(t, u)
    again = put(u, q, unique=f"of {t}")
    held = [put(t, q, unique=f"of {t}"), again, claim(q), again, fail(t, 3), again, at, claim(q), again]
    return [*held, complete(t), again, again, op("list", filter={"unique_key": f"of {t}"})]


@template("OQ-Q-0148", "duplicate unique key", "unique key freed by an expired holder")
def expired_holder(t: str, u: str, q: str) -> Sequence[Op]:
    """An expired holder of a unique key is ended by the enqueue that wants the key."""
    before, at = to(t, u, delta=-1), to(t, u)
    again = put(u, q, unique=f"of {t}")
    return [
        put(t, q, unique=f"of {t}", eta=3, expires=9),
        at,
        before,
        again,
        at,
        again,
        claim(q),
        complete(u),
    ]


@template("OQ-Q-0149", "unique key freed by an expired holder", "next run after EXPIRED")
def expired_holder_of_a_series(t: str, u: str, q: str) -> Sequence[Op]:
    """The holder's next run takes the key before the newcomer can."""
    at = to(t, u)
    again = put(u, q, unique=f"of {t}")
    return [put(t, q, unique=f"of {t}", expires=9, interval=20), at, again, at, claim(q), again]


@template("OQ-Q-0150", "redrive conflict", "redrive ok")
def redrive_conflict(t: str, u: str, q: str) -> Sequence[Op]:
    """A task is not redriven while another live one has its unique key."""
    ended = [
        put(t, q, unique=f"of {t}"),
        cancel(t),
        put(u, q, unique=f"of {t}"),
        redrive(t),
        claim(q),
        redrive(t),
        complete(u),
    ]
    return [*ended, redrive(t), redrive(u), claim(q), complete(t)]


@template("OQ-Q-0151", "expired in claim", "event EXPIRED")
def expiry_boundary(t: str, u: str, q: str) -> Sequence[Op]:
    """A waiting task expires at its time: seen by every read at once, ended by the next claim."""
    before, at = to(t, u, delta=-1), to(t, u)
    reads = [op("count", filter={"states": ["EXPIRED"]}), op("queues"), op("list", filter={"states": ["READY"]})]
    waiting = [put(t, q, eta=5, expires=6), put(u, q, expires=5), before, *reads, at, *reads]
    return [*waiting, cancel(u), op("clock", by=1), claim(q), *reads]


@template("OQ-Q-0152", "event EXPIRED", "event RETRYING")
def expiry_counts_only_while_waiting(t: str, u: str, q: str) -> Sequence[Op]:
    """A running task does not expire; one that is put back for a retry does."""
    run = [put(t, q, expires=5), put(u, q, expires=5), claim(q, lease=50), op("clock", by=9), complete(t)]
    return [*run, fail(u, 3), op("queues"), recover(q), redrive(u), op("get", ids=[u]), claim(q), complete(u)]


@template("OQ-Q-0153", "recovered in claim", "event EXPIRED")
def stale_and_expired_at_once(t: str, u: str, q: str) -> Sequence[Op]:
    """A run that is taken over after its expires_at expires in the same claim."""
    return [put(t, q, expires=5), put(u, q, expires=6, eta=1), claim(q, 1, lease=5), op("clock", by=9), claim(q)]
