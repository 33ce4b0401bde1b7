"""Templates about series, queues, retention and the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq_conformance.programs.program import op
from omniq_conformance.programs.queue_templates import (
    acknowledge_all,
    cancel,
    claim,
    complete,
    fail,
    purge,
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


@template("OQ-Q-0154", "next run after COMPLETED", "next run skips missed times")
def series_through_complete(t: str, u: str, q: str) -> Sequence[Op]:
    """The end of a run enqueues the next one at the first nominal time after now, with the same options."""
    before, at = to(t, u, delta=-1), to(t, u)
    first = [
        put(t, q, interval=10, priority=3),
        claim(q, lease=90),
        complete(t),
        before,
        claim(q),
        at,
        claim(q, lease=90),
    ]
    return [
        *first,
        op("clock", by=35),
        op("complete", tokens=[[None, 0, ""]]),
        put(u, q),
        op("list", filter={"series_id": t}),
    ]


@template("OQ-Q-0155", "next run after FAILED", "fail PENDING")
def series_through_fail(t: str, u: str, q: str) -> Sequence[Op]:
    """A series goes on after a run that failed for good, not after one that is retried."""
    at = to(t, u)
    return [
        put(t, q, interval=10, attempts=2),
        claim(q),
        fail(t, 2),
        at,
        claim(q),
        fail(t, 2),
        put(u, q),
        at,
        claim(q),
    ]


@template("OQ-Q-0156", "next run after lease expired")
def series_through_recover(t: str, u: str, q: str) -> Sequence[Op]:
    """A series goes on after a run that lost its last lease."""
    at = to(t, u)
    return [put(t, q, interval=10, attempts=1), claim(q, lease=4), at, recover(q), put(u, q), at, claim(q)]


@template("OQ-Q-0157", "next run after EXPIRED")
def series_through_expiry(t: str, u: str, q: str) -> Sequence[Op]:
    """A series goes on after a run that expired."""
    at = to(t, u)
    return [
        put(t, q, interval=10, expires=5),
        at,
        claim(q),
        put(u, q),
        at,
        claim(q),
        op("complete", tokens=[[None, 0, ""]]),
    ]


@template("OQ-Q-0158", "series stopped by a cancel")
def series_ends_when_cancelled(t: str, u: str, q: str) -> Sequence[Op]:
    """A cancel stops the series through the waiting run and through the running one, even if that completes."""
    waiting = [put(t, q, interval=10), cancel(t), redrive(t), claim(q), complete(t)]
    return [*waiting, put(u, q, interval=10), claim(q), cancel(u), complete(u), op("list", filter={"series_id": u})]


@template("OQ-Q-0159", "series stopped by a cancel")
def series_ends_when_a_cancelled_run_fails(t: str, u: str, q: str) -> Sequence[Op]:
    """A run whose cancel was requested enqueues no next one, whichever way it ends."""
    at = to(t, u)
    failing = [put(t, q, interval=10), claim(q), cancel(t), fail(t, None)]
    return [*failing, put(u, q, interval=10), claim(q, lease=4), cancel(u), at, recover(q)]


@template("OQ-Q-0160", "next run after COMPLETED", "duplicate unique key")
def series_holds_its_unique_key(t: str, u: str, q: str) -> Sequence[Op]:
    """The next run of a series takes over the unique key before anybody else can."""
    at = to(t, u)
    again = put(u, q, unique=f"of {t}")
    return [put(t, q, interval=10, unique=f"of {t}"), claim(q), complete(t), again, at, claim(q), again]


@template("OQ-Q-0161", "claim passes over a paused queue", "recovered in claim", "reopened while paused")
def pause_and_resume(t: str, u: str, q: str) -> Sequence[Op]:
    """A paused queue accepts tasks and loses leases but grants nothing, also after everything was closed and opened."""
    at = to(t, u)
    pause, resume = op("pause", queues=[q]), op("resume", queues=[q])
    look = [op("next_at", queues=["a", "b"]), op("queues")]
    paused = [
        put(t, q, eta=-3),
        claim(q, lease=4),
        pause,
        pause,
        put(u, q),
        *look,
        claim(q),
        at,
        claim(q),
        *look,
    ]
    return [*paused, op("reopen"), claim(q), *look, resume, *look, claim(q), complete(t), resume]


@template("OQ-Q-0162", "purged some", "fenced off by a newer task of the same id")
def purged_and_enqueued_again(t: str, u: str, q: str) -> Sequence[Op]:
    """A token of a purged task is worth nothing for a new task of the same id."""
    gone = [put(t, q), claim(q), complete(t), acknowledge_all(), purge(), op("get", ids=[t]), put(t, q), claim(q)]
    return [*gone, *settle_all(t, 1), complete(t), put(u, q)]


@template("OQ-Q-0163", "purged some", "complete lost")
def purged_cancelled_and_enqueued_again(t: str, u: str, q: str) -> Sequence[Op]:
    """The token of a purged run is not taken for one of the new task, whatever state that is in."""
    gone = [put(t, q), claim(q), cancel(t), release(t), acknowledge_all(), purge(), complete(t), put(t, q)]
    return [*gone, *settle_all(t, 0), cancel(t), *settle_all(t, 0), put(u, q)]


@template("OQ-Q-0164", "purged some", "purge held back by the outbox or the limit")
def purge_boundaries(t: str, u: str, q: str) -> Sequence[Op]:
    """Purging takes the oldest ended tasks, with an empty outbox, of before the time that counts for them."""
    ended = [
        put(t, q),
        op("clock", by=5),
        put(u, q, pinned=True),
        claim(q),
        complete(t),
        op("clock", by=5),
        complete(u),
    ]
    tries = [purge(age=5), purge(age=4), acknowledge_all(), purge(age=4, limit=1), purge(pinned_age=0), purge(limit=1)]
    return [*ended, *tries, op("clock", by=1), purge()]


@template("OQ-Q-0165", "duplicate id")
def known_ids(t: str, u: str, q: str) -> Sequence[Op]:
    """A known id wins over everything: state, queue, unique key."""
    specs = [{"id": t, "queue": q}, {"id": t, "queue": q, "priority": 5}, {"id": u, "queue": q, "unique": f"of {t}"}]
    again = [put(t, "a"), put(t, "b", unique=f"of {t}"), op("get", ids=[t])]
    return [op("enqueue", specs=specs), *again, claim(q), *again, complete(t), *again, fail(u), put(u, q), redrive(u)]


@template("OQ-Q-0166", "claim prefers priority to age", "claim has more than its limit", "claim from two queues")
def claim_order(t: str, u: str, q: str) -> Sequence[Op]:
    """Claims go by priority, then age, over the union of the queues."""
    both = op("claim", queues=["b", "a"], limit=2, worker="w0", lease=10)
    later = [op("clock", by=1), put(u, q, priority=9), put("t9", "a"), put("t8", "b", eta=-1)]
    return [put(t, q, eta=1), *later, both, both]


@template("OQ-Q-0167", "claim has more than its limit")
def eta_boundary(t: str, u: str, q: str) -> Sequence[Op]:
    """A delayed task is ready from its eta on, in the order of readiness."""
    before, at = to(t, u, delta=-1), to(t, u)
    waiting = [
        put(t, q, eta=5),
        put(u, q, eta=4),
        op("queues"),
        before,
        claim(q),
        op("queues"),
        at,
        op("queues"),
    ]
    return [*waiting, op("clock", by=1), claim(q, 1), claim(q, 1)]


@template("OQ-Q-0168", "event ENQUEUED")
def outbox_relay(t: str, u: str, q: str) -> Sequence[Op]:
    """An outbox entry stays until it is acknowledged, across closing and opening."""
    look = [op("outbox", limit=2), op("outbox", limit=100, min_age=5)]
    run = [put(t, q), op("clock", by=5), put(u, q), *look, claim(q), complete(t), op("clock", by=4), *look]
    return [
        *run,
        op("ack", skip=1, number=2),
        *look,
        op("reopen"),
        *look,
        acknowledge_all(),
        op("ack", skip=0, number=1),
    ]


@template("OQ-Q-0169", "event COMPLETED")
def relays_that_die_before_their_ack(t: str, u: str, q: str) -> Sequence[Op]:
    """An entry that was relayed and not acknowledged is relayed again, and is one event all the same."""
    dying, whole = op("relay", number=3, ack=False), op("relay", number=1000)
    return [put(t, q), dying, claim(q), dying, complete(t), op("reopen"), whole, put(u, q), cancel(u), whole, whole]


@template("OQ-Q-0170", "next run after lease expired", "claim from two queues")
def recovery_over_queues(t: str, u: str, q: str) -> Sequence[Op]:
    """A claim recovers its queues as one: by the ends of the leases, whatever the order in which they are named."""
    other = "b" if q == "a" else "a"
    both = [put(t, q, interval=10, attempts=1), put(u, other, interval=10, attempts=1)]
    at = to(t, u)
    claims = [
        op("claim", queues=[first, last], limit=9, worker="w0", lease=4) for first, last in ((q, other), (other, q))
    ]
    return [op("resume", queues=[q, other]), *both, claims[0], at, claims[1], at, claims[1], at, claims[0]]


@template("OQ-Q-0171", "event LEASE_EXPIRED")
def claim_without_room(t: str, u: str, q: str) -> Sequence[Op]:
    """A claim of nothing recovers all the same."""
    return [put(t, q, attempts=2), claim(q, lease=4), to(t, u), claim(q, limit=0), op("get", ids=[t])]


@template("OQ-Q-0172", "event ENQUEUED")
def windows_of_time(t: str, u: str, q: str) -> Sequence[Op]:
    """A window of enqueue times includes its begin and not its end."""
    edges = [{name: at} for name in ("enqueued_from", "enqueued_before") for at in (-1, 0, 1)]
    return [put(t, q), op("clock", by=5), put(u, q), *(op("list", filter=edge) for edge in edges)]


@template("OQ-Q-0173", "complete lost", "fail lost", "release lost", "heartbeat lost")
def token_of_another_task(t: str, u: str, q: str) -> Sequence[Op]:
    """A token is good for its own task only."""
    foreign = [[t, 0, "task"]]
    tries = [
        op("heartbeat", tokens=foreign, lease=5),
        op("release", tokens=foreign, delay=0),
        op("complete", tokens=foreign),
    ]
    return [put(t, q), put(u, q), claim(q), *tries, op("fail", tokens=foreign, retry=None), complete(t), complete(u)]
