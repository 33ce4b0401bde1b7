"""Performs a scenario and writes down what it was told: what a process does that is killed on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.errors import OutcomeUnknownError, StorageError
from omniq.models.record import Enqueued, Grant
from omniq.models.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from omniq.models.record import Token
    from omniq_conformance.faults.acts import Act
    from omniq_conformance.faults.ledger import Ledger
    from omniq_conformance.space import Space, Stores

__all__ = ["CLOSING", "OPENING", "perform", "plain"]

OPENING, CLOSING = -1, -2
"""Stand for the number of an operation."""
_TRIES = 2


async def perform(space: Space, acts: Sequence[Act], ledger: Ledger, *, close: bool = True) -> None:
    """Open the namespace, do the operations one after the other, and close it if told.

    An operation that fails is tried once more, on the same handle; if it fails again the rest is not done. The lines
    of a call and of its answer end with the ledger's time.
    """
    opened: list[Stores] = []

    async def start() -> None:
        opened.append(await space.open())

    tokens: dict[str, Token] = {}
    if await _try(ledger, OPENING, start):
        for number, act in enumerate(acts):
            if not await _try(ledger, number, lambda act=act: act.run(opened[0], tokens)):  # type: ignore[misc] # bound
                break
    if close:
        await _try(ledger, CLOSING, space.close)
        ledger.note("end")


async def _try(ledger: Ledger, number: int, run: Callable[[], Awaitable[Any]]) -> bool:
    for _ in range(_TRIES):
        ledger.note("invoke", number, ledger.clock())
        try:
            answer = await run()
        except StorageError as error:
            ledger.note("error", number, isinstance(error, OutcomeUnknownError), f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - what it is decides the verdict
            ledger.note("untyped", number, f"{type(error).__name__}: {error}")
        else:
            ledger.note("ok", number, plain(answer), _tokens_in(answer), ledger.clock())
            return True
    return False


def plain(answer: Any) -> Any:
    """Return an answer as JSON values, without the numbers that a store chooses."""
    match answer:
        case Grant():
            return [answer.id, answer.token.epoch, answer.token.nonce, answer.attempt, answer.lease_until]
        case Enqueued() | tuple():
            return [*map(plain, answer)]
        case list():
            return [*map(plain, answer)]
        case Schedule():
            return [answer.id, answer.version]
        case _:
            return answer


def _tokens_in(answer: Any) -> dict[str, list[Any]]:
    """Return the tokens that were granted, by task."""
    grants = [item for item in answer if isinstance(item, Grant)] if isinstance(answer, list) else []
    return {grant.id: list(grant.token) for grant in grants}
