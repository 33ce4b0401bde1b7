"""A scenario over a connection that breaks: what every operation may answer, and what has to be stored then."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import attrs

from omniq.errors import ConnectionLostError, OutcomeUnknownError
from omniq.models.record import Token
from omniq_conformance.faults.acts import Act
from omniq_conformance.faults.performing import plain
from omniq_conformance.faults.proxy import Plan, Proxy
from omniq_conformance.faults.scenario import scenario
from omniq_conformance.faults.world import View, World, differences, look
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.space import Stores

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from omniq.models.config import Role
    from omniq_conformance.space import Mode

__all__ = ["LOST", "RECOVERY", "Counts", "Disturbance", "Expected", "Patience", "bounded", "expectations", "persist"]

LOST = (OutcomeUnknownError, ConnectionLostError)
"""What an operation may raise whose connection broke."""

ENDS = 20.0
"""Within so many seconds every operation has to end, whatever happens to its connection."""

RECOVERY = 10.0
"""Within so many seconds a handle has to work again, once its server can be reached."""


@attrs.frozen
class Expected:
    """An operation of a scenario with what the models say about it.

    Attributes:
        act: The operation.
        answer: What it answers.
        repeated: What it answers if it is done once more.
        before: What is stored before it.
        after: What is stored after it.
    """

    act: Act
    answer: Any
    repeated: Any
    before: View
    after: View

    def allows(self, answer: Any, *, is_repeated: bool) -> bool:
        """Tell whether this may be the answer; of a repeated batch any part may have been applied before."""
        if not is_repeated or answer == self.answer:
            return bool(answer == self.answer)
        match self.answer, self.repeated, answer:
            case int() as first, int() as second, int():
                return second <= answer <= first
            case list() as first, list() as second, list() if len(first) == len(second) == len(answer):
                return all(each in pair for each, *pair in zip(answer, first, second, strict=True))
            case list() as first, list(), list():
                return all(each in first for each in answer)
            case _:
                return bool(answer == self.repeated)


async def expectations(mode: Mode, absent: frozenset[Role] = frozenset()) -> list[Expected]:
    """Ask the models for a whole scenario, without what the roles do that the backend does not offer."""
    once, twice = World(mode, absent), World(mode, absent)
    tokens: tuple[dict[str, Token], dict[str, Token]] = ({}, {})
    found = []
    for act in scenario(mode):
        before = once.view()
        answer = plain(await act.run(once.stores, tokens[0]))
        await act.run(twice.stores, tokens[1])
        repeated = plain(await act.run(twice.stores, tokens[1]))
        found.append(Expected(act, answer, repeated, before, once.view()))
    return found


@attrs.define
class Counts:
    """What was seen, for the evidence of a case.

    Attributes:
        broken: How often a connection was broken.
        unknown: How often an operation said that its outcome is unknown.
        lost: How often one said that it was not applied.
    """

    broken: int = 0
    unknown: int = 0
    lost: int = 0


async def bounded(call: Awaitable[Any], what: str) -> Any:
    """Await a call that has to end.

    Raises:
        DivergenceError: It does not, or raises what it may not.
    """
    try:
        async with asyncio.timeout(ENDS) as limit:
            return await call
    except LOST:
        raise
    except Exception as error:
        if limit.expired():
            msg = f"{what} did not end within {ENDS:.0f} s after its connection broke."
            raise DivergenceError(msg) from None
        msg = (
            f"{what} raised {error!r}; on a broken connection it may be {' or '.join(each.__name__ for each in LOST)}."
        )
        raise DivergenceError(msg) from error


@attrs.define
class Disturbance:
    """One run of a scenario through a proxy.

    Attributes:
        proxy: What breaks the connection.
        stores: The handle through the proxy.
        direct: A handle past it.
        counts: Where to count.
    """

    proxy: Proxy
    stores: Stores
    direct: Stores
    counts: Counts
    _tokens: dict[str, Token] = attrs.field(factory=dict)

    async def run(self, steps: Sequence[Expected], plan: Plan) -> None:
        """Perform the operations; the proxy begins its plan anew with each.

        Raises:
            DivergenceError: An answer, an error or what is stored is not as it has to be.
        """
        for step in steps:
            self.proxy.arm(plan)
            await self._perform(step)
            if self.proxy.has_struck:
                self.counts.broken += 1
                await self._compare(step.after, f"After {step.act.name}")
        self.proxy.heal()
        await self._compare(steps[-1].after, "In the end")

    async def _perform(self, step: Expected) -> None:
        name, is_repeated = step.act.name, False
        patience = Patience(name)
        while True:
            try:
                answer = plain(await bounded(step.act.run(self.stores, self._tokens), name))
                break
            except OutcomeUnknownError:
                self.counts.unknown += 1
                is_repeated = True
            except ConnectionLostError as error:
                self.counts.lost += 1
                if not is_repeated:
                    await self._compare(step.before, f"{name} raised {error!r}, so it was certainly not applied, but")
            await patience.pause()
        if not step.allows(answer, is_repeated=is_repeated):
            again = ", after an earlier try with an unknown outcome" if is_repeated else ""
            msg = f"{name} answered {answer!r}{again}; expected is {step.answer!r}."
            raise DivergenceError(msg)

    async def _compare(self, expected: View, when: str) -> None:
        found = list(differences(expected, await look(self.direct)))
        if found:
            msg = f"{when}: {'; '.join(found[:5])}."
            raise DivergenceError(msg)


async def persist(call: Callable[[], Awaitable[Any]], what: str) -> tuple[Any, bool]:
    """Make a call until it answers.

    Args:
        call: Makes it, every time in the same way.
        what: Its name, for messages.

    Returns:
        The answer, and whether the outcome of an earlier try was unknown.

    Raises:
        DivergenceError: It raises something else, or nothing else for too long.
    """
    patience, is_repeated = Patience(what), False
    while True:
        try:
            return await bounded(call(), what), is_repeated
        except OutcomeUnknownError:
            is_repeated = True
        except ConnectionLostError:
            pass
        await patience.pause()


@attrs.define
class Patience:
    """The time in which a handle has to work again, and the pauses between tries.

    Attributes:
        what: What is tried, for messages.
    """

    what: str
    _until: float = attrs.field(init=False, factory=lambda: time.monotonic() + RECOVERY)
    _pause: float = attrs.field(init=False, default=0.001)

    async def pause(self) -> None:
        """Wait before the next try.

        Raises:
            DivergenceError: There were enough.
        """
        if time.monotonic() > self._until:
            msg = f"{self.what}: the handle does not work again within {RECOVERY:g} s, though the server is there."
            raise DivergenceError(msg)
        await asyncio.sleep(self._pause)
        self._pause = min(0.05, 2 * self._pause)
