"""Random queue programs: weighted operations over small pools, with templates spliced in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq_conformance.programs import lease_templates, life_templates, series_templates
from omniq_conformance.programs.drawing import Drawing, choose, maybe, operation, programs, several
from omniq_conformance.programs.program import Op
from omniq_conformance.programs.queue_dump import QUEUES
from omniq_conformance.programs.queue_templates import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from hypothesis.strategies import SearchStrategy

    from omniq_conformance.programs.program import Program

__all__ = ["ALL_TEMPLATES", "queue_programs"]

assert {lease_templates, life_templates, series_templates}  # importing the modules registered their templates
ALL_TEMPLATES = [TEMPLATES[id] for id in sorted(TEMPLATES)]

_IDS = [f"t{number}" for number in range(5)]
_STATES = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SCHEDULED", "READY", "EXPIRED", "STALE"]
_ENDED = ["COMPLETED", "FAILED", "CANCELLED"]

_queues = choose(["a"], ["b"], ["a", "b"], ["b", "a"])
_ref = choose(*_IDS, *range(8))
_refs = several(_ref, 3)
_worker = choose("w0", "w1")
_lease = choose(1, 5, 5, 10, 30)
_key = choose("k0", "k0", "k1")
_reported = choose(True, True, True, False)  # noqa: FBT003 - values to choose
_retry = choose(None, -3, 0, 4, 12)

_options = maybe(
    0.2,
    priority=choose(0, 1, 9),
    eta=choose(-5, 0, 1, 7),
    attempts=choose(1, 2),
    expires=choose(8, 12, 25),
    interval=choose(1, 10),
    pinned=choose(True),  # noqa: FBT003 - a value to choose
    func=choose("pkg.g"),
    ttl=choose(0, 15),
)
_unique = maybe(0.4, unique=_key)
_conditions = maybe(
    0.25,
    states=lambda rng: rng.sample(_STATES, rng.randint(1, 3)),
    queues=choose(["a"], ["a", "b"], ["b", "c"]),
    funcs=choose(["pkg.g"], ["pkg.f", "pkg.g"]),
    unique_key=_key,
    series_id=choose(*_IDS),
    ids=_refs,
    enqueued_from=choose(-10, 0, 1),
    enqueued_before=choose(-10, 0, 1),
)


def _spec(rng: Random) -> dict[str, Any]:
    return {"id": rng.choice([*_IDS, "+", "+", "+", "+"]), "queue": rng.choice(QUEUES), **_options(rng), **_unique(rng)}


def _token(rng: Random) -> list[Any]:
    task = rng.choice(["*", "*", "*", "*", None, None, *_IDS[:2]])
    return [task, rng.choice([0, 0, 0, 1, 1, 2]), rng.choice([""] * 8 + ["nonce", "epoch", "task"])]


_tokens = several(_token, 3)


def _clock(rng: Random) -> Sequence[Op]:
    if rng.random() < 0.75:  # noqa: PLR2004 - how often
        return (Op("clock", {"to": rng.choice([0, 0, 0, 1]), "delta": rng.choice([-1, 0, 0, 1])}),)
    return (Op("clock", {"by": rng.choice([1, 5, -8])}),)


def _template(rng: Random) -> Sequence[Op]:
    fresh = [f"x{rng.randrange(10_000)}" for _ in range(2)]
    t, u = rng.sample(_IDS if rng.random() < 0.2 else fresh, 2)  # noqa: PLR2004 - how often
    queue = rng.choice(QUEUES)
    opened = [Op("resume", {"queues": [queue]})] if rng.random() < 0.7 else []  # noqa: PLR2004 - how often
    return (*opened, *rng.choice(ALL_TEMPLATES).build(t, u, queue))


_DRAWING = Drawing(
    [
        (14, operation("enqueue", specs=several(_spec, 4))),
        (14, operation("claim", queues=_queues, limit=choose(1, 2, 5, 1, 2, 5, 0), worker=_worker, lease=_lease)),
        (8, operation("complete", tokens=_tokens, result=_reported)),
        (7, operation("fail", tokens=_tokens, retry=_retry, result=_reported)),
        (4, operation("release", tokens=_tokens, delay=choose(-3, 0, 6))),
        (4, operation("heartbeat", tokens=_tokens, lease=_lease)),
        (3, operation("recover", queues=_queues)),
        (6, operation("cancel", ids=several(choose(*_IDS, *range(8), *["*0", "*1", "*2", "*3"] * 4), 2))),
        (8, operation("redrive", ids=_refs)),
        (2, operation("pause", queues=_queues)),
        (3, operation("resume", queues=_queues)),
        (
            2,
            operation(
                "purge",
                states=choose(_ENDED, ["COMPLETED"], ["FAILED", "PENDING"]),
                age=choose(-1, 0, 10),
                limit=choose(1, 2, 50),
                pinned_age=choose(None, None, -1, 20),
            ),
        ),
        (2, operation("held", back=choose(0, 1, 2))),
        (1, operation("get", ids=_refs)),
        (
            3,
            operation(
                "list",
                filter=_conditions,
                after=choose(None, None, 0, 1, 3, 5),
                limit=choose(1, 3, 50),
                desc=choose(True, False),  # noqa: FBT003 - values to choose
            ),
        ),
        (2, operation("count", filter=_conditions)),
        (1, operation("queues")),
        (2, operation("next_at", queues=_queues)),
        (1, operation("wait_done", ids=_refs)),
        (1, operation("outbox", limit=choose(1, 3, 50), min_age=choose(0, 5))),
        (3, operation("relay", number=choose(2, 1000), ack=choose(True, False))),  # noqa: FBT003 - to choose
        (2, operation("ack", skip=choose(0, 0, 2), number=choose(1, 5, 1000))),
        (1, operation("reopen")),
        (2, operation("handle", number=choose(0, 1, 2))),
        (1, operation("dump")),
        (26, _clock),
        (12, _template),
    ]
)


def queue_programs(mode: str) -> SearchStrategy[Program]:
    """Return the strategy of queue programs."""
    return programs("queue", mode, _DRAWING, shortest=12, longest=36)
