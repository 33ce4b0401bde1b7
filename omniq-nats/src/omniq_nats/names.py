"""The names of streams and the subjects in them: every name of a caller becomes one token."""

from __future__ import annotations

import hashlib
import re

import attrs

__all__ = ["Names", "token"]

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,80}")


def token(name: str) -> str:
    """Return a name as one token of a subject: itself if it is short and plain, else a digest, marked by `=`."""
    if _PLAIN.fullmatch(name):
        return name
    return f"={hashlib.blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=20).hexdigest()}"


@attrs.frozen
class Names:
    """The names of one namespace.

    `log` is the stream of tasks and events, in which a subject keeps its history; `keys` is the one of everything
    else, in which a subject has its last message only.
    """

    prefix: str
    log: str
    keys: str

    @classmethod
    def of(cls, namespace: str, project: str) -> Names:
        """Return the names of a project in a namespace."""
        name = token(namespace if project == "omniq" else f"{namespace}/{project}").replace("=", "h-")
        return cls(f"oq.{name}", f"OQ_{name}_LOG", f"OQ_{name}_KEYS")

    def task(self, task_id: str) -> str:
        """Return the subject of a task's head."""
        return f"{self.prefix}.l.{token(task_id)}.h"

    def event(self, task_id: str, seq: int, version: int) -> str:
        """Return the subject of an event that was appended."""
        return f"{self.prefix}.l.{token(task_id)}.e.{seq}.{version}"

    def of_task(self, task_id: str) -> str:
        """Return the pattern of all subjects of a task in the log."""
        return f"{self.prefix}.l.{token(task_id)}.>"

    def paused(self, queue: str) -> str:
        """Return the subject that tells whether a queue is paused."""
        return f"{self.prefix}.q.{token(queue)}"

    def body(self, place: str) -> str:
        """Return the subject of a large body."""
        return f"{self.prefix}.b.{place}"

    def unique(self, queue: str, key: str) -> str:
        """Return the subject of a unique key."""
        return f"{self.prefix}.u.{token(queue)}.{token(key)}"

    def result(self, task_id: str) -> str:
        """Return the subject of a result."""
        return f"{self.prefix}.r.{token(task_id)}"

    def schedule(self, schedule_id: str) -> str:
        """Return the subject of a schedule."""
        return f"{self.prefix}.s.{token(schedule_id)}"

    @property
    def clock(self) -> str:
        """The subject whose messages tell the server's time."""
        return f"{self.prefix}.c"
