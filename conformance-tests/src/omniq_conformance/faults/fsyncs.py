"""Which acknowledged writes had been synced to the disk when they were acknowledged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from omniq_conformance.faults.scenario import scenario
from omniq_conformance.faults.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omniq.models.config import Role
    from omniq_conformance.faults.ledger import Line
    from omniq_conformance.space import Mode

__all__ = ["TRACED", "Write", "syncs", "writes"]

_SYNCS = {"fsync", "fdatasync", "sync_file_range", "msync", "syncfs"}
_WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2"}
TRACED = (*sorted(_SYNCS | _WRITES), "openat")
"""What strace has to log."""

_LINE = re.compile(r"(?P<thread>\d+) +(?P<at>\d+\.\d+) (?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<args>.*)\) += (?P<result>-?\w+).* <(?P<took>[\d.]+)>$")
_BEGUN = re.compile(r"(?P<call>\w+\(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?P<call>.*)$")


@attrs.frozen
class Write:
    """An operation that changed something and was acknowledged.

    Attributes:
        name: Of the operation.
        began: When it was called, in seconds of the host's clock.
        ended: When it answered.
    """

    name: str
    began: float
    ended: float

    def is_synced(self, syncs: Sequence[tuple[float, float]]) -> bool:
        """Tell whether a sync began and ended within it; one sync may serve several operations."""
        return any(self.began <= began and ended <= self.ended for began, ended in syncs)


async def writes(mode: Mode, lines: Sequence[Line], absent: frozenset[Role] = frozenset()) -> list[Write]:
    """Return the operations of a ledger that changed something, by the models."""
    world, found, began = World(mode, absent), [], 0.0
    tokens: dict[str, object] = {}
    acts = scenario(mode)
    for what, *details in lines:
        if what == "invoke":
            began = details[-1]
        elif what == "ok" and details[0] >= 0:
            before = world.view()
            act = acts[details[0]]
            await act.run(world.stores, tokens)  # type: ignore[arg-type] # filled by it
            if world.view() != before:
                found.append(Write(act.name, began, details[-1]))
    return found


def syncs(log: str) -> list[tuple[float, float]]:
    """Return when each sync of a log of strace began and ended: also a write to a file that was opened for that."""
    found: list[tuple[float, float]] = []
    synchronous: set[str] = set()
    for name, args, result, began, ended in _calls(log):
        if name == "openat":
            (synchronous.add if re.search(r"O_D?SYNC", args) else synchronous.discard)(result)
        elif not result.startswith("-") and (name in _SYNCS or args.partition(",")[0] in synchronous):
            found.append((began, ended))
    return found


def _calls(log: str) -> Iterator[tuple[str, str, str, float, float]]:
    """Yield each call: its name, its arguments, its result, and when it began and ended."""
    begun: dict[str, tuple[str, float]] = {}
    for match in map(_LINE.match, log.splitlines()):
        if match is None:
            continue
        thread, at, rest = match["thread"], float(match["at"]), match["rest"]
        if (unfinished := _BEGUN.match(rest)) is not None:
            begun[thread] = unfinished["call"], at
            continue
        began = at
        if (resumed := _RESUMED.match(rest)) is not None and thread in begun:
            head, began = begun.pop(thread)
            rest = head + resumed["call"]
        if (call := _CALL.match(rest)) is not None:
            yield call["name"], call["args"], call["result"], began, began + float(call["took"])
