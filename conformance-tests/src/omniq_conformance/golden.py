"""Stores that older versions wrote, which every later version has to open.

`python -m omniq_conformance.golden BACKEND FOLDER NAME` writes one with the installed version, as
docs/how-to/keep-golden-stores.md tells. A golden store is a folder with `store/`, which `Harness.save` wrote, and with
`expected.json`, which says what was read from it at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.discovery import find_harness
from omniq_conformance.dumps import dump
from omniq_conformance.golden_program import NOW, write_everything
from omniq_conformance.outcomes import HarnessError, UnverifiedError
from omniq_conformance.space import Space

if TYPE_CHECKING:
    from omniq_conformance.harness import Harness

__all__ = ["Golden", "golden_stores", "main", "make_golden"]


@attrs.frozen
class Golden:
    """One golden store.

    Attributes:
        folder: Where it is.
        now: The time at which it was read.
        expected: What was read, as `dump` returns it.
        middle: The position of an event in the middle; None if there are no events.
        rest: The identities of the events after that one.
    """

    folder: Path
    now: int
    expected: Mapping[str, Mapping[str, Any]]
    middle: str | None
    rest: Sequence[str]

    @property
    def name(self) -> str:
        """The name of its format."""
        return self.folder.name

    @property
    def store(self) -> Path:
        """The folder for `Harness.restore`."""
        return self.folder / "store"

    @classmethod
    def load(cls, folder: Path) -> Golden:
        """Read what is expected of a store."""
        fields = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
        return cls(folder, **fields)


def golden_stores(folder: Path | None) -> list[Golden]:
    """Return the golden stores of a harness, by the names of their formats."""
    if folder is None or not folder.is_dir():
        return []
    return [Golden.load(path.parent) for path in sorted(folder.glob("*/expected.json"))]


async def make_golden(harness: Harness, folder: Path) -> Golden:
    """Write a golden store with this version of the backend.

    Args:
        harness: The backend; inside `with harness:`.
        folder: Does not exist yet; its name is that of the format.

    Raises:
        FileExistsError: The folder exists: a golden store is never changed. Whatever else fails leaves no folder.
        UnverifiedError: The harness has no `save`.
    """
    (folder / "store").mkdir(parents=True)
    try:
        return await _write(harness, folder)
    except BaseException:
        shutil.rmtree(folder)
        raise


async def _write(harness: Harness, folder: Path) -> Golden:
    async with Space(harness) as space:
        await write_everything(await space.open())
        await space.close()
        opened = (await space.open()).opened
        expected = await dump(opened, NOW)
        events = await opened.events.read(limit=len(expected["events"])) if opened.events is not None else []
        await space.close()
        await harness.save(space.name, folder / "store")
    half = len(events) // 2
    middle, rest = (events[half - 1].position, [event.event_id for event in events[half:]]) if half else (None, [])
    golden = Golden(folder, NOW, expected, middle, rest)
    fields = {name: value for name, value in attrs.asdict(golden).items() if name != "folder"}
    text = json.dumps(fields, indent=1, ensure_ascii=False) + "\n"
    (folder / "expected.json").write_text(text, encoding="utf-8")
    return golden


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a golden store, as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m omniq_conformance.golden", description="Write a golden store.")
    parser.add_argument("backend", help="the name of the backend, or module:Class of its harness")
    parser.add_argument("folder", type=Path, help="the folder of the golden stores, Harness.golden")
    parser.add_argument("name", help="the name of the format, such as 0001; names sort by age")
    parser.add_argument("--url", help="the store or server; default: one of the harness's own")
    given = parser.parse_args(arguments)
    folder = given.folder / given.name
    if folder.exists():
        parser.error(f"{folder} exists, and a golden store is never changed. Take another name.")
    try:
        harness = find_harness(given.backend, given.url)
    except (ImportError, TypeError, ValueError) as error:
        parser.error(str(error))
    try:
        with harness:
            golden = asyncio.run(make_golden(harness, folder))
    except (HarnessError, UnverifiedError) as error:
        parser.error(str(error))
    records = sum(len(records) for records in golden.expected.values())
    sys.stdout.write(f"Wrote {golden.folder} with {records} records. Check it in, and never change it.\n")


if __name__ == "__main__":
    main()
