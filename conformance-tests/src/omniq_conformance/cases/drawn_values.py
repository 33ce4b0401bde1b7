"""Names and payloads, drawn before anything is run with them."""

from __future__ import annotations

import functools
import unicodedata
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import quote

from omniq_conformance.programs.drawing import examples, numbers, randoms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["at_most", "drawn_names", "drawn_payloads", "long_twins"]

_MOST = 16
_FRAGMENTS = (
    *"*>./\\%_:{}[]'\";$?# \t\n\r,|&=+@^~`()<!-0aAkK\x01\x7f\x1b\x85",
    *("..", "//", "--", "%2f", "%2F", "%00", "%25", "::", "@1", "\\n", "${x}", "$1", "?1", ":a", "{a}", "[a-z]", "\\0"),
    *("CON", "nul", "COM1", "null", "None", "NaN", "true", "0x10", "1e5", "-1", "sched:", "task:", "COUNT(*)", "/*"),
    *(
        "\u00e9",
        "e\u0301",
        "\u00df",
        "ss",
        "\u0130",
        "\u0131",
        "\u212a",
        "\u03c2",
        "\u03c3",
        "\ufb01",
        "\u01c5",
        "\u1e9e",
    ),
    *("\u202e", "\u200b", "\u200d", "\ufeff", "\u2028", "\u00a0", "\u3000", "\u05d0\u05d1", "\u0627", "\u0e33"),
    *("\U0001f600", "\U0001f469\u200d\U0001f467", "\U00010428", "\U0010fffd", "\ufffd", "\uffff", "\ue000", "\u4e2d"),
)
_TWINS: Sequence[Callable[[str], str]] = (
    str.swapcase,
    str.casefold,
    str.upper,
    str.strip,
    functools.partial(unicodedata.normalize, "NFC"),
    functools.partial(unicodedata.normalize, "NFD"),
    functools.partial(unicodedata.normalize, "NFKC"),
    functools.partial(quote, safe=""),
    ascii,
    lambda name: name + " ",
    lambda name: " " + name,
    lambda name: name + ".",
    lambda name: name + "\n",
    lambda name: name + "%",
    lambda name: name + "*",
    lambda name: name + "/a",
    lambda name: name + ":1",
    lambda name: name + "\u200b",
    lambda name: "./" + name,
    lambda name: name * 2,
    lambda name: name[:-1],
    lambda name: name[1:],
    lambda name: name[:1] + "_" + name[2:],
    lambda name: name.replace("/", "_").replace(":", "_").replace(".", "_"),
    lambda name: name.replace("'", "''").replace("\\", "\\\\"),
)
_RANGES = ((0x1, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF))
"""Of characters that take one, two, three, three and four bytes in UTF-8: all but NUL and the surrogates."""
_PAIRS = (
    *(
        ("\u00e9", "e\u0301"),
        ("\ufb01", "fi"),
        ("\u212a", "K"),
        ("\u00df", "ss"),
        ("\u03c2", "\u03c3"),
        ("\u0130", "i"),
    ),
    *(("a", "A"), ("a ", "a"), (" a", "a"), ("a.", "a"), ("a\n", "a"), ("a\u200b", "a"), ("a\u00a0b", "a b")),
    *(
        ("/", "%2f"),
        ("/", "_"),
        (":", "_"),
        ("//", "/"),
        ("\\", "/"),
        ("a_b", "axb"),
        ("a%", "ab"),
        ("a*", "ab"),
        ("+", " "),
    ),
    *(("1", "01"), ("1", "1.0"), ("'", "''"), ("\U0001f600", "\ufffd"), ("\ufeffa", "a"), ("\r\n", "\n")),
)


def _text(rng: Random) -> str:
    """Return one to three characters of any kind."""
    return "".join(chr(rng.randint(*rng.choice(_RANGES))) for _ in range(rng.randint(1, 3)))


def _name(rng: Random) -> str:
    return "".join(rng.choice((rng.choice(_FRAGMENTS), _text(rng))) for _ in range(rng.randint(1, 4)))


def _alike(rng: Random) -> list[str]:
    """Return a name, what engines may make of it, and pairs that engines may take for the same."""
    name = _name(rng)
    twins = rng.sample(_TWINS, rng.randint(2, 4))
    pairs = rng.sample(_PAIRS, rng.randint(1, 3))
    prefix = rng.choice(("", name))
    return [name, *(twin(name) for twin in twins), *(prefix + text for pair in pairs for text in pair)]


_WIDTHS = ("x", "\u00e9", "\u20ac", "\U0001f600")


def _distinct(drawn: Sequence[int]) -> tuple[str, ...]:
    names = dict.fromkeys(name for rng in randoms(drawn) for name in _alike(rng) if name)
    return tuple(names)[:_MOST]


def _bytes(drawn: Sequence[int]) -> bytes:
    (rng,) = randoms(drawn)
    return rng.choice((rng.randbytes(rng.randint(0, 200)), _name(rng).encode()))


@functools.cache
def drawn_names(number: int, seed_: int) -> tuple[tuple[str, ...], ...]:
    """Return sets of up to sixteen names, some of which look alike; the same ones for the same seed."""
    return examples(numbers(1, 3).map(_distinct), number, seed_)


def at_most(limit: int, rng: Random) -> str:
    """Return a name of exactly so many bytes in UTF-8, of characters of one to four bytes."""
    name: list[str] = []
    left = limit
    while left:
        name.append(rng.choice([letter for letter in _WIDTHS if len(letter.encode()) <= left]))
        left -= len(name[-1].encode())
    return "".join(name)


def long_twins(limit: int, seed_: int) -> Sequence[str]:
    """Return names of exactly the limit that differ in one character: the last, the first, or one in the middle."""
    name = at_most(limit - 2, Random(seed_))  # noqa: S311 - reproducible choices
    half = len(name) // 2
    places = [(name, "a"), (name, "b"), ("", f"a{name}"), ("", f"b{name}"), (name[:half], f"a{name[half:]}")]
    return [f"{before}{after}z" for before, after in places]


@functools.cache
def drawn_payloads(number: int, seed_: int, largest: int) -> tuple[tuple[str, bytes], ...]:
    """Return codecs with bytes: every byte, invalid UTF-8, and sizes around powers of two up to the largest."""
    rng = Random(seed_)  # noqa: S311 - reproducible choices
    powers = [size for size in (1 << power for power in range(25)) if size <= largest]
    sizes = sorted({0, *(size + off for size in powers for off in (-1, 0, 1) if 0 <= size + off <= largest)})
    chosen = rng.sample(sizes, min(len(sizes), 12))
    every_byte = bytes(range(256))
    fixed = [every_byte, every_byte[::-1], b"\0", b"a\0b", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
    fixed += [
        b'"a\0b"',
        b'"\\u0000"',
        b'"\xed\xa0\x80"',
        b"[1e999]",
        b"\xef\xbb\xbf[]",
        b" [ 1 ,2 ]\n",
        b'{"a":1,"a":2}',
    ]
    drawn = examples(numbers(1, 1).map(_bytes), number, seed_)
    payloads = [*fixed, *drawn, *(rng.randbytes(size) for size in chosen)]
    return tuple((codec, data) for data in payloads for codec in ("json", "msgpack"))
