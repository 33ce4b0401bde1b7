"""What a store must be like after a process died in the middle of the scenario, and that work goes on from there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.record import Token
from omniq_conformance.faults.performing import CLOSING, OPENING, plain
from omniq_conformance.faults.scenario import scenario
from omniq_conformance.faults.world import World, differences, look, torn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omniq_conformance.faults.acts import Act
    from omniq_conformance.faults.ledger import Line
    from omniq_conformance.space import Space

__all__ = ["Aftermath", "Story", "examine"]

_PATIENCE = 30.0


@attrs.define
class Story:
    """A ledger, read.

    Attributes:
        done: The answer of each operation that was acknowledged, in order.
        tokens: What was granted.
        troubled: The operations that were tried more than once or did not end.
        doubtful: The operations of which an error left unknown whether they were done.
        open: The operation that may or may not have been done, if there is one.
        faults: What no process may do, whatever happens to it.
        errors: The errors that were raised, as text.
        is_open: Whether the process got as far as having opened the namespace.
        is_over: Whether the process came to its end by itself.
    """

    done: list[Any] = attrs.field(factory=list)
    tokens: dict[str, Token] = attrs.field(factory=dict)
    troubled: set[int] = attrs.field(factory=set)
    doubtful: set[int] = attrs.field(factory=set)
    open: int | None = None
    faults: list[str] = attrs.field(factory=list)
    errors: list[str] = attrs.field(factory=list)
    is_open: bool = False
    is_over: bool = False

    @classmethod
    def read(cls, lines: Sequence[Line]) -> Story:
        """Read what a process noted that performed the scenario."""
        story = cls()
        for what, *details in lines:
            match what:
                case "invoke" if details[0] >= 0:
                    story.troubled |= {details[0]} if story.open == details[0] else set()
                    story.open = details[0]
                case "ok" if details[0] >= 0:
                    story.done.append(details[1])
                    story.tokens |= {id: Token(*token) for id, token in details[2].items()}
                    story.open = None
                case "ok" if details[0] == OPENING:
                    story.is_open = True
                case "error":
                    story.failed(*details)
                case "untyped":
                    story.faults.append(f"operation {_place(details[0])} raised no StorageError but {details[1]}")
                case "end":
                    story.is_over = True
                case "exit" if details[0] not in {0, -9}:
                    story.faults.append(f"the process ended with {details[0]}; -14 is a call that never returned")
                case _:
                    pass
        return story

    def failed(self, number: int, is_unknown: bool, text: str) -> None:  # noqa: FBT001 - a line of the ledger
        """Note an error: what certainly was not applied is not open any more, unless an earlier try is."""
        self.errors.append(text)
        if number >= 0:
            self.troubled.add(number)
            self.doubtful |= {number} if is_unknown else set()
            self.open = number if number in self.doubtful else None


def _place(number: int) -> str:
    return {OPENING: "open", CLOSING: "close"}.get(number, str(number))


@attrs.frozen
class Aftermath:
    """What was found.

    Attributes:
        story: What the process was told.
        faults: What is wrong, one sentence each.
        gave_up: Whether an operation failed for good, after the namespace was opened.
    """

    story: Story
    faults: list[str]
    gave_up: bool = False


async def examine(space: Space, lines: Sequence[Line]) -> Aftermath:
    """Compare the namespace with what the process was told, then do the rest of the scenario and compare again."""
    story = Story.read(lines)
    number_done = len(story.done)
    examination = _Examination(scenario(space.mode), story)
    try:
        async with asyncio.timeout(_PATIENCE):
            faults = [fault async for fault in examination.faults(space)]
    except Exception as error:  # noqa: BLE001 - a store that cannot be used any more is what this is there to find
        faults = [f"after the crash, {examination.doing}: {type(error).__name__}: {error}"]
    finally:
        await space.close()
    gave_up = story.is_open and story.is_over and number_done < len(scenario(space.mode))
    return Aftermath(story, [*story.faults, *faults], gave_up)


class _Examination:
    _world: World

    def __init__(self, acts: Sequence[Act], story: Story) -> None:
        self._acts = acts
        self._story = story
        self._tokens: dict[str, Token] = {}
        self.doing = "opening"

    async def faults(self, space: Space) -> Any:
        """Yield what is wrong."""
        story = self._story
        stores = await space.open()
        self._world = World(space.mode, stores.absent)
        for number, answer in enumerate(story.done):
            for fault in self._answered(number, answer, await self._expected(number)):
                yield fault
        before = after = self._world.view()
        first: Any = None
        if story.open is not None:
            first = await self._expected(story.open)
            after = self._world.view()
        seen = await look(stores)
        steps = self._acts[story.open or 0].steps
        for fault in torn(before, after, seen, steps):
            yield f"after {self._name(len(story.done) - 1)}, in {self._name(story.open)}: {fault}"
        for number in range(len(story.done), len(self._acts)):
            self.doing = f"going on with {self._name(number)}"
            again = number == story.open
            expected = first if again else await self._expected(number)
            answer = plain(await self._acts[number].run(stores, story.tokens))
            if again:
                story.troubled.add(number)
            for fault in self._answered(number, answer, expected):
                yield f"going on after the crash: {fault}"
        for fault in differences(self._world.view(), await look(stores)):
            yield f"at the end: {fault}"

    async def _expected(self, number: int) -> Any:
        return plain(await self._acts[number].run(self._world.stores, self._tokens))

    def _answered(self, number: int, answer: Any, expected: Any) -> Iterator[str]:
        """An operation that is done again may also be told that it was done already."""
        if answer != expected and not (number in self._story.troubled and _is_repeat(answer, expected)):
            yield f"{self._name(number)} answered {answer!r}, expected is {expected!r}"

    def _name(self, number: int | None) -> str:
        return "nothing" if number is None or number < 0 else f"operation {number}, {self._acts[number].name}"


def _is_repeat(answer: Any, expected: Any) -> bool:
    """Tell whether an answer may be that of an operation of which a part was done before."""
    if not isinstance(answer, list) or not isinstance(expected, list):
        return True
    if len(answer) != len(expected):
        return all(item in expected for item in answer)
    return all(a == e or _is_known(a, e) for a, e in zip(answer, expected, strict=True))


def _is_known(answer: Any, expected: Any) -> bool:
    if isinstance(expected, list):  # of an enqueue: the same task, not created any more
        return bool(answer[:1] == expected[:1] and answer[1] is False)
    return answer in {"already", "finished", "invalid", False}
