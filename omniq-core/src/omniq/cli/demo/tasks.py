"""The functions that the demo enqueues: small, but they do real work on real files.

They are ordinary functions at the top level of a module, which is all that a task has to be.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import TypedDict

from omniq.worker.context import current_task

__all__ = [
    "REFUSALS",
    "Archive",
    "Hashed",
    "Words",
    "archive_folder",
    "count_words",
    "hash_file",
    "never_runs",
    "publish_index",
    "report_progress",
    "spark",
    "urgent_notice",
]

REFUSALS = 2
"""How often the index server is busy before it takes the index."""

_CHUNK = 1 << 18
_WORD = re.compile(r"[^\W\d_]{4,}")


class Hashed(TypedDict):
    """The size and the SHA-256 sum of one file."""

    bytes: int
    sha256: str


class Words(TypedDict):
    """The statistics of one text file."""

    lines: int
    words: int
    longest_line: int
    common: dict[str, int]


class Archive(TypedDict):
    """One archive that was written."""

    path: str
    files: int
    bytes_before: int
    bytes_after: int


def hash_file(path: str) -> Hashed:
    """Return the size and the SHA-256 sum of a file. A plain function: the worker runs it in a thread."""
    digest, size = hashlib.sha256(), 0
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "sha256": digest.hexdigest()}


def count_words(path: str) -> Words:
    """Return how many lines and words a text file has, and its most common words of four letters and more."""
    text = Path(path).read_text("utf-8", errors="replace")
    lines = text.splitlines()
    common = Counter(word.lower() for word in _WORD.findall(text))
    return {
        "lines": len(lines),
        "words": len(text.split()),
        "longest_line": max(map(len, lines), default=0),
        "common": dict(common.most_common(50)),
    }


def archive_folder(folder: str, names: list[str], target: str) -> Archive:
    """Pack files of one folder into a zip file. It burns CPU: the worker runs it in a process of its own.

    Written beside and then renamed, so that a second attempt never meets half an archive.
    """
    destination = Path(target)
    partial = destination.with_suffix(".partial")
    before = 0
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            source = Path(folder, name)
            before += source.stat().st_size
            archive.write(source, name)
    partial.replace(destination)
    return {
        "path": str(destination),
        "files": len(names),
        "bytes_before": before,
        "bytes_after": destination.stat().st_size,
    }


async def publish_index(target: str, names: list[str]) -> int:
    """Write the list of files, at the third attempt: twice the server is busy. Returns the attempt."""
    attempt = current_task().attempt
    if attempt <= REFUSALS:
        raise ConnectionError(f"the index server is busy (attempt {attempt})")
    Path(target).write_text("".join(f"{name}\n" for name in names), "utf-8")  # noqa: ASYNC240 - one small file
    return attempt


async def report_progress(folder: str) -> int:
    """Count the archives that are there so far; a schedule fires this while the demo runs."""
    return len(list(Path(folder).glob("*.zip")))  # noqa: ASYNC240 - one small folder


async def urgent_notice() -> str:
    """Be enqueued last with the highest priority, and run first."""
    return "first"


async def never_runs() -> None:
    """Be cancelled while waiting."""
    raise AssertionError("this task was cancelled before its time came, so nothing may run it")


async def spark(number: int) -> int:
    """Do nothing, fast: what remains is the cost of the queue itself."""
    return number
