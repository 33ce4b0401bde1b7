"""Tasks, outcomes, events and names for cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.event import Event, EventType
from omniq.models.record import TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from omniq.models.record import Grant
    from omniq.storage.task_queue import TaskQueue

__all__ = ["LEASE", "NAMES", "T0", "claim", "event", "outcome", "spec", "start"]

T0 = 1_000_000
"""When the cases with a clock of their own begin."""

LEASE = 30_000

NAMES: tuple[str, ...] = (
    *("a", "A", "b", "B", "aa", "a a", " a", "a ", "  ", "\t", "a\nb", "a\r", "\x7f", "\x01"),
    *(
        "\u00e4",
        "a\u0308",
        "\u00df",
        "ss",
        "SS",
        "\u0130",
        "i\u0307",
        "\u212a",
        "k",
        "\u00b5",
        "\u03bc",
        "\ufb01",
        "fi",
    ),
    *("a/b", "a\\b", "a//b", "/", "/a", "a/", ".", "..", "../a", "a.b", "a..b", "a.", "~", "C:", "con", "nul"),
    *(
        "%",
        "a%",
        "%2F",
        "%2f",
        "%00",
        "_",
        "a_",
        "*",
        "a*",
        "?",
        "[a]",
        "{a}",
        ">",
        "a.>",
        "^a",
        "$",
        "$a",
        "#",
        "&",
        "+",
    ),
    *(
        "'",
        "''",
        '"',
        "`",
        "\\",
        "\\0",
        "a'b",
        'a"b',
        "';--",
        "a;b",
        "a:b",
        "a:1",
        "a@1",
        "@",
        "=",
        "a=b",
        ",",
        "|",
        "(",
        "<a>",
    ),
    *("0", "00", "1", "-1", "1.0", "1e3", "null", "None", "true", "NaN", "0x1", "t:1:1", "sched:a"),
    *("\U0001f600", "\U0001f469\u200d\U0001f467", "\u202eabc", "\ufeffa", "\u200b", "\uffee", "\ue000", "\U0010fffd"),
    "x" * 120,
    "\u00e9" * 100,
)
"""Names that differ, and that some engine takes for the same, for a pattern, for a path or for syntax."""


def spec(id: str, queue: str = "a", **fields: Any) -> TaskSpec:
    """Make a specification."""
    return TaskSpec(id=id, body=TaskBody(func="pkg.f", args=id.encode()), queue=queue, **fields)


def outcome(id: str, *, seq: int = 1, epoch: int = 1, value: bytes = b"1", **fields: Any) -> ResultRecord:
    """Make the outcome of a task that completed."""
    return ResultRecord(id=id, seq=seq, epoch=epoch, status=TaskStatus.COMPLETED, value=value, **fields)


def event(id: str, version: int, *, seq: int = 1, at: int = T0, **fields: Any) -> Event:
    """Make an event."""
    return Event(task_id=id, seq=seq, version=version, type=EventType.ENQUEUED, at=at, **fields)


async def claim(
    queue: TaskQueue, *queues: str, limit: int = 10, lease_ms: int = LEASE, nonce: int = 1, now: int | None = None
) -> list[Grant]:
    """Claim, by default from the queue `a`."""
    return await queue.claim(queues or ("a",), limit, "worker", lease_ms, f"{nonce:016x}", now=now)


async def start(queue: TaskQueue, id: str, *, now: int | None = None, **fields: Any) -> Grant:
    """Enqueue one task, claim it, and return its grant."""
    made = spec(id, **fields)
    await queue.enqueue([made], now=now)
    (grant,) = await claim(queue, made.queue, limit=1, now=now)
    return grant
