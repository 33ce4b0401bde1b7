"""How Hypothesis draws programs, names and payloads.

It draws a list of numbers, each of which stands for a chunk of the program: a number, mixed with those before it, seeds
the choices inside the chunk. Drawing each argument by itself takes ten times as long and buys only a better shrinking,
which `minimize` does faster. The mixing is there because most of the numbers that Hypothesis draws are repetitions (0,
the bounds, mutated examples), which find hypersensitive code but the same few operations of a queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from omniq_conformance.programs.program import Op, Program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hypothesis.strategies import SearchStrategy

__all__ = [
    "Choice",
    "Chunks",
    "Drawing",
    "choose",
    "examples",
    "maybe",
    "numbers",
    "operation",
    "programs",
    "randoms",
    "several",
]

T = TypeVar("T")

Choice = Callable[[Random], Any]
"""Makes a value from random choices."""

Chunks = Callable[[Random], Sequence[Op]]
"""Makes a few operations that belong together."""

_FAR = 3**100
_NUMBER = st.integers(_FAR, _FAR + 2**24 - 1)
"""Far from every number in any source: Hypothesis mixes the constants of the modules that it finds in the process into
what it draws, so that other modules (an author's, another front door's) would make other programs of the same seed."""
_MIX = 0x9E3779B97F4A7C15  # an odd number without a pattern in its bits
_MASK = 2**64 - 1


def examples(strategy: SearchStrategy[T], number: int, seed_: int) -> tuple[T, ...]:
    """Return so many examples of a strategy; the same ones for the same seed, if it draws nothing but `numbers`.

    They are drawn before any is used: a backend that behaves differently on every run cannot confuse Hypothesis.
    """
    found: list[T] = []

    @seed(seed_)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    collect()
    return tuple(found)


def numbers(shortest: int, longest: int) -> SearchStrategy[list[int]]:
    """Return the strategy of lists of so many numbers, for `randoms`."""
    return st.lists(_NUMBER, min_size=shortest, max_size=longest)


def randoms(drawn: Iterable[int], salt: str = "") -> Iterator[Random]:
    """Yield a source of choices for each number; an equal number in another place or with another salt gives others."""
    state = crc32(salt.encode())
    for number in drawn:
        state = ((state ^ number) * _MIX + 1) & _MASK
        yield Random(state)  # noqa: S311 - reproducible choices, not secrets


class Drawing:
    """The weighted kinds of chunks of one family.

    Attributes:
        kinds: The weight of each kind, and what makes it.
    """

    def __init__(self, kinds: Sequence[tuple[int, Chunks]]) -> None:
        self.kinds = kinds
        self._kinds = [chunks for weight, chunks in kinds for _ in range(weight)]

    def operations(self, drawn: Sequence[int], mode: str) -> tuple[Op, ...]:
        """Return the operations that the numbers stand for; others in each mode."""
        return tuple(op for rng in randoms(drawn, mode) for op in rng.choice(self._kinds)(rng))


def programs(family: str, mode: str, drawing: Drawing, *, shortest: int, longest: int) -> SearchStrategy[Program]:
    """Return the strategy of a family's programs of so many chunks."""
    return numbers(shortest, longest).map(lambda drawn: Program(family, mode, drawing.operations(drawn, mode)))


def operation(name: str, **arguments: Choice) -> Chunks:
    """Make one operation with its arguments chosen."""
    return lambda rng: (Op(name, {key: make(rng) for key, make in arguments.items()}),)


def choose(*values: Any) -> Choice:
    """Choose one of the values; repeat those that are wanted more often."""
    return lambda rng: rng.choice(values)


def several(make: Choice, most: int) -> Choice:
    """Choose between one and so many, mostly one."""
    return lambda rng: [make(rng) for _ in range(min(rng.randint(1, most), rng.randint(1, most)))]


def maybe(chance: float, **arguments: Choice) -> Choice:
    """Make a mapping that has each key with the given chance."""
    return lambda rng: {key: make(rng) for key, make in arguments.items() if rng.random() < chance}


def merged(*makers: Callable[[Random], Mapping[str, Any]]) -> Choice:
    """Make one mapping of several."""
    return lambda rng: {key: value for make in makers for key, value in make(rng).items()}
