"""Every code block of the user's documents, and whether it runs.

The documents are kept word for word in docs/seeds. A block is known by its place and its text, so one that is added or
changed needs a row here, and one that runs needs a test that is marked with `promise`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from docblocks import Block, blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DOCUMENTS", "MISSING", "SELECTION", "TABLE", "TRADEOFFS", "Promise", "digest", "kept", "promise", "text"]

T = TypeVar("T")

SELECTION = "independent-storage-selection.md"
TRADEOFFS = "storage-backend-tradeoffs.md"
SEEDS = Path(__file__).resolve().parents[1] / "docs" / "seeds"

DOCUMENTS = {
    SELECTION: "064a34dc13dc9a055a2e5a8d7ef5210824168a0c29c9a696f8b7d1d1a8ec1e5a",
    TRADEOFFS: "35485917a1c99334bf5f38503c2b79427890bbaa3cec9d044f6066628d69e627",
}
"""The documents and the SHA-256 of each as the user wrote it."""

MISSING: frozenset[str] = frozenset()
"""Backends of the documents that are not there yet. When one comes, its promises have to be made to run."""

INSIDE = "shows the inside of another implementation, of which nothing is promised to applications"


class Promise(NamedTuple):
    """One block.

    Attributes:
        document: The file.
        number: The block's place in it, from 1.
        digest: The beginning of the SHA-256 of its text.
        illustrative: Why it is not executed; empty if it runs.
        but: What is not as printed in a block that runs, and why.
    """

    document: str
    number: int
    digest: str
    illustrative: str = ""
    but: str = ""


TABLE = (
    Promise(SELECTION, 1, "5036a4de25"),
    Promise(SELECTION, 2, "abfc80c1c4"),
    Promise(SELECTION, 3, "001049dc32"),
    Promise(SELECTION, 4, "81e008f0ea"),
    Promise(SELECTION, 5, "0b49215811"),
    Promise(SELECTION, 6, "459d76669b"),
    Promise(SELECTION, 7, "7bbf226f24"),
    Promise(SELECTION, 8, "ba54643e6d"),
    Promise(SELECTION, 9, "87c3affe46", but="with the port of a server that the test starts"),
    Promise(
        SELECTION, 10, "e25668767a", but="with the address, the name and the user of a database that the test makes"
    ),
    Promise(SELECTION, 11, "10a02fa70b"),
    Promise(SELECTION, 12, "2de5f0e871"),
    Promise(
        SELECTION, 13, "07399969d5", but="it is planned, and not opened: the folder and the servers are the system's"
    ),
    Promise(SELECTION, 14, "d8b3e1b3fe"),
    Promise(SELECTION, 15, "25e5c014d6"),
    Promise(TRADEOFFS, 1, "2318d7eb17", but="a diagram, whose folders and links are compared with a store's"),
    Promise(TRADEOFFS, 2, "cb55361c52", but="with the time at which the test enqueues it"),
    Promise(TRADEOFFS, 3, "b05f150cbc", INSIDE),
    Promise(TRADEOFFS, 4, "86e1a07faf"),
    Promise(TRADEOFFS, 5, "14816b9a39", but="what follows the command is what it prints, in part"),
    Promise(TRADEOFFS, 6, "7fd20504ea", but="without the second command, which needs another server"),
    Promise(TRADEOFFS, 7, "f3985c593f"),
    Promise(TRADEOFFS, 8, "f977fb2b40", "only comments, about a race that no backend here has"),
    Promise(TRADEOFFS, 9, "4e5ed1a42d", INSIDE),
    Promise(TRADEOFFS, 10, "47f0df4334", "describes a crash that no backend here suffers from"),
    Promise(TRADEOFFS, 11, "7101268947", but="the table is a view here, which has its columns"),
    Promise(TRADEOFFS, 12, "18a67bf822", INSIDE),
    Promise(TRADEOFFS, 13, "f9e9f4246b", INSIDE),
    Promise(TRADEOFFS, 14, "aee6857f55", "only comments, about how two claims follow each other"),
    Promise(TRADEOFFS, 15, "1e851766fe"),
    Promise(
        TRADEOFFS,
        16,
        "524d7920f5",
        but="not installed from the index, where the name belongs to a stranger; the metadata"
        " says that aiosqlite comes too",
    ),
    Promise(TRADEOFFS, 17, "9a767ecfd4"),
    Promise(TRADEOFFS, 18, "701e261735"),
    Promise(TRADEOFFS, 19, "45d0b0f9f7"),
    Promise(TRADEOFFS, 20, "2603163e96"),
    Promise(TRADEOFFS, 21, "430f2a4e2f"),
    Promise(TRADEOFFS, 22, "5a1bd897f5", but="it constructs, and is not opened: the folder is the system's"),
    Promise(TRADEOFFS, 23, "25f6fe2183"),
    Promise(TRADEOFFS, 24, "52820cfa33"),
)

_kept: set[tuple[str, int]] = set()


def digest(block: Block) -> str:
    """Return what a row says of a block's text."""
    return hashlib.sha256(block.text.encode()).hexdigest()[:10]


def text(document: str, number: int) -> str:
    """Return the text of a block."""
    return blocks_of(SEEDS / document)[number - 1].text


def promise(document: str, *numbers: int) -> Callable[[T], T]:
    """Mark the test that executes blocks."""
    _kept.update((document, number) for number in numbers)
    return lambda test: test


def kept(document: str) -> set[int]:
    """Return the blocks of a document that tests are marked with."""
    return {number for name, number in _kept if name == document}
