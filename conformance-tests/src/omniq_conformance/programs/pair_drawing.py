"""The operations that the programs of all pairs of roles draw from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq_conformance.programs.drawing import choose, maybe, operation, several
from omniq_conformance.programs.program import Op

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from omniq_conformance.programs.drawing import Chunks

__all__ = ["ORDINARY", "RELAYS", "TOKENS"]

_IDS = ("t0", "t1", "t2")
_ENDED = ("COMPLETED", "FAILED", "CANCELLED")
_options = maybe(
    0.2,
    attempts=choose(1, 2),
    expires=choose(8, 20),
    ttl=choose(5, 15),
    eta=choose(3),
    interval=choose(10),
    pinned=choose(True),  # noqa: FBT003 - a value to choose
)


def _spec(rng: Random) -> dict[str, Any]:
    return {"id": rng.choice([*_IDS, "+"]), "queue": "a", **_options(rng)}


def _token(rng: Random) -> list[Any]:
    return [rng.choice(["*", "*", "*", None, *_IDS]), rng.choice([0, 0, 0, 1, 2]), ""]


TOKENS = several(_token, 2)
"""Tokens of runs, current and old ones."""

_refs = several(choose(*_IDS, *range(6)), 2)
_relay = choose(0, 1)

ORDINARY: Sequence[tuple[int, Chunks]] = (
    (7, operation("enqueue", specs=several(_spec, 2))),
    (
        9,
        operation(
            "claim", queues=choose(["a"]), limit=choose(1, 2, 9), worker=choose("w0", "w1"), lease=choose(5, 10, 40)
        ),
    ),
    (1, operation("heartbeat", tokens=TOKENS, lease=choose(10))),
    (1, operation("release", tokens=TOKENS, delay=choose(0, 3))),
    (2, operation("recover", queues=choose(["a"]))),
    (3, operation("cancel", ids=_refs)),
    (4, operation("redrive", ids=_refs)),
    (
        2,
        operation(
            "purge",
            states=choose(_ENDED, _ENDED, ["FAILED"]),
            age=choose(-1, 0, 5),
            limit=choose(1, 50),
            pinned_age=choose(None, 30),
        ),
    ),
    (5, operation("clock", to=choose(0, 0, 1), delta=choose(-1, 0, 0, 1))),
    (2, operation("clock", by=choose(5, -2, -7))),
    (1, operation("reopen")),
    (1, operation("handle", number=choose(0, 1, 2))),
)
"""What producers, workers and the clock do to a queue."""


def _carry(rng: Random) -> Sequence[Op]:
    """Let a relay go some of its steps in a row."""
    relay = rng.choice([0, 1])
    steps = ["look", "store", "append", "acknowledge"][: rng.choice([1, 2, 3, 4, 4])]
    take = Op("take", {"relay": relay, "number": rng.choice([1, 4, 1000]), "age": rng.choice([0, 0, 4])})
    return (take, *(Op(step, {"relay": relay}) for step in steps))


RELAYS: Sequence[tuple[int, Chunks]] = (
    (6, _carry),
    (3, operation("take", relay=_relay)),
    (2, operation("look", relay=_relay)),
    (3, operation("store", relay=_relay)),
    (3, operation("append", relay=_relay)),
    (3, operation("acknowledge", relay=_relay)),
)
"""What relays do, each step alone or several in a row."""
