"""Batches of any size: parts of bounded work and size, in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omniq_redis.server import Server

__all__ = ["in_chunks"]

_ITEMS = 500
_BYTES = 4_000_000


async def in_chunks(
    server: Server,
    name: str,
    items: Sequence[Any],
    *options: Any,
    sizes: Sequence[int] | None = None,
    mode: bytes = b"",
    now: int | None = None,
) -> list[Any]:
    """Run a script on the parts of a batch, and return its answers for each item.

    The input of the script is the part or, with options, a list of the part and the options. All parts have one time.

    Args:
        server: Where.
        name: The script.
        items: The batch.
        options: What else the script takes.
        sizes: The bytes of each item, if they may be large.
        mode: The letters of the joined roles.
        now: Instead of the server's clock.
    """
    if not items:
        server.check_open()
        return []
    parts = list(_parts(items, sizes))
    if len(parts) > 1 and now is None:
        now = await server.run("time", None)
    payloads = [[part, *options] if options else part for part in parts]
    found = await server.run_all(name, payloads, mode=mode, now=now)
    return found[0] if len(found) == 1 else [answer for answers in found for answer in answers]


def _parts(items: Sequence[Any], sizes: Sequence[int] | None) -> Iterator[Sequence[Any]]:
    if sizes is None:
        for start in range(0, len(items), _ITEMS):
            yield items[start : start + _ITEMS]
        return
    start = size = 0
    for end, more in enumerate(sizes):
        if end > start and (end - start >= _ITEMS or size + more > _BYTES):
            yield items[start:end]
            start, size = end, 0
        size += more
    yield items[start:]
