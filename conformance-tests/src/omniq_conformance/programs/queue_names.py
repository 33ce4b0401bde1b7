"""How the operations of queue programs name tasks, tokens and filters: by what the model knows at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.record import TaskBody, TaskFilter, TaskSpec, Token
from omniq.models.status import TaskStatus, TaskView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omniq_conformance.model.task_queue import TaskQueueModel

__all__ = ["QueueNames", "TokenRef"]

TokenRef = tuple[str | None, int, str]
"""A task, how many of its tokens back, and how the token is forged (empty: not).

The task None is any one that was ever claimed; `*` is one of those that run, and the number tells which.
"""

_NOBODY = Token(1, 1, "f" * 16)
_STATES: Mapping[str, TaskStatus | TaskView] = {s.value: s for kind in (TaskStatus, TaskView) for s in kind}


class QueueNames:
    """Finds what an operation means.

    Tasks are named by id, by a number that counts the stored ones, or by `*0`, `*1`, ... for those that run; the id `+`
    of a specification is a new one.

    Attributes:
        granted: Every (id, token) that a claim granted.
    """

    def __init__(self, model: TaskQueueModel) -> None:
        self._model = model
        self.granted: list[tuple[str, Token]] = []

    def id(self, ref: str | int) -> str:
        """Return the id of a task."""
        if isinstance(ref, str) and not ref.startswith("*"):
            return ref
        store = self._model.store
        known = sorted(store.running() if isinstance(ref, str) else store.records.values(), key=lambda r: r.seq)
        number = int(ref[1:]) if isinstance(ref, str) else ref
        return known[number % len(known)].id if known else "nobody"

    def token(self, ref: Sequence[Any]) -> tuple[str, Token]:
        """Return a task and a token, which may be of another time or forged."""
        task, back, forgery = ref
        if task == "*":
            named = [(r.id, r.token) for r in sorted(self._model.store.running(), key=lambda r: r.seq)]
            back %= len(named) or 1
        else:
            named = [grant for grant in reversed(self.granted) if task is None or grant[0] == task]
        id, token = named[back] if back < len(named) else (task or "nobody", _NOBODY)
        match forgery:
            case "seq":
                token = token._replace(seq=token.seq + 1_000_000)
            case "epoch":
                token = token._replace(epoch=token.epoch + 1)
            case "older":
                token = token._replace(epoch=token.epoch - 1)
            case "task":
                id = f"not {id}"
            case "nonce":
                token = token._replace(nonce=token.nonce[::-1])
            case _:
                pass
        return id, token

    def filter(self, given: Mapping[str, Any] | None, now: int) -> TaskFilter | None:
        """Return a filter; times are relative to now."""
        if given is None:
            return None
        conditions: dict[str, Any] = dict(given)
        for name in ("enqueued_from", "enqueued_before"):
            if name in given:
                conditions[name] = now + given[name]
        if "states" in given:
            conditions["states"] = frozenset(_STATES[name] for name in given["states"])
        if "ids" in given:
            conditions["ids"] = frozenset(self.id(ref) for ref in given["ids"])
        for name in ("queues", "funcs"):
            if name in given:
                conditions[name] = frozenset(given[name])
        return TaskFilter(**conditions)

    @staticmethod
    def spec(given: Mapping[str, Any], serial: str, now: int) -> TaskSpec:
        """Return a specification; times are relative to now.

        Args:
            given: Its fields.
            serial: Different for every specification; part of the body, and the id of a new task.
            now: The time.
        """
        eta, expires = given.get("eta"), given.get("expires")
        return TaskSpec(
            id=f"n{serial}" if given["id"] == "+" else given["id"],
            body=TaskBody(
                func=given.get("func", "pkg.f"),
                args=serial.encode(),
                headers={"serial": serial},
                result_ttl_ms=given.get("ttl"),
            ),
            queue=given.get("queue", "a"),
            priority=given.get("priority", 0),
            eta=None if eta is None else now + eta,
            max_attempts=given.get("attempts", 3),
            unique_key=given.get("unique"),
            expires_at=None if expires is None else now + expires,
            interval_ms=given.get("interval"),
            pinned=given.get("pinned", False),
        )
