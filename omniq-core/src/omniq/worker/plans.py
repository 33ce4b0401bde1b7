"""Turns a claimed task into a function and its arguments, or into the reason why it cannot run."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError, ForbiddenFunctionError, SerializationError, UnknownFunctionError
from omniq.models.error import ErrorInfo
from omniq.queue.registry import resolve_run_in
from omniq.serialization import decode_call
from omniq.worker.verdict import Fail, HandBack

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniq.models.record import Grant, TaskBody
    from omniq.queue.registry import TaskDefinition, TaskRegistry
    from omniq.serialization import SerializerRegistry
    from omniq.worker.context import Run
    from omniq.worker.verdict import Verdict

__all__ = ["Plan", "Planner", "decode_arguments"]

_NO_ARGS: tuple[object, ...] = ()
_NO_KWARGS: dict[str, object] = {}
_MOST_UNKNOWN = 10_000
_FIRST_BACKOFF_MS = 1_000
_LONGEST_BACKOFF_MS = 30_000


class Plan:
    """How to run the tasks of one function.

    Attributes:
        definition: The task's definition.
        func: Its function.
        run_in: `loop`, `thread` or `process`.
        is_async: Whether calling the function gives a coroutine.
    """

    __slots__ = ("definition", "func", "is_async", "run_in")

    def __init__(self, definition: TaskDefinition[..., Any]) -> None:
        self.definition = definition
        self.func: Callable[..., Any] = definition.func
        self.run_in = definition.run_in
        self.is_async = resolve_run_in(self.func) == "loop"


def decode_arguments(serializers: SerializerRegistry, body: TaskBody) -> tuple[Any, dict[str, Any]]:
    """Return the positional and keyword arguments of a task.

    Raises:
        SerializationError: They cannot be decoded here.
        ConfigError: Their serializer is not known here.
    """
    if body.codec == "json" and body.kwargs == b"{}":
        if body.args == b"[]":
            return _NO_ARGS, _NO_KWARGS
        args = serializers.get("json").loads(body.args)
        if type(args) is list:
            return args, _NO_KWARGS
    return decode_call(serializers.get(body.codec), body.args, body.kwargs)


class Planner:
    """Finds functions, and remembers since when it misses those that it does not know.

    Args:
        registry: What may run.
        unknown_grace_ms: How long a task whose function is not known here is left for other workers.
    """

    def __init__(self, registry: TaskRegistry, unknown_grace_ms: int) -> None:
        self._registry = registry
        self._grace = unknown_grace_ms / 1000
        self.known: dict[str, Plan] = {}
        self._missed: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def find(self, run: Run) -> Plan | Verdict:
        """Return how to run a task, or what becomes of it because it cannot run here."""
        func = run.grant.body.func
        try:
            plan = self.known[func] = Plan(self._registry.resolve(func))
        except UnknownFunctionError as error:
            return self._miss(run.grant, error)
        except ForbiddenFunctionError as error:
            return Fail(ErrorInfo.from_exception(error))
        except Exception as error:  # noqa: BLE001 - importing the module of the function runs any code
            run.plan = None
            return Fail(ErrorInfo.from_exception(error), _FIRST_BACKOFF_MS)
        self._missed.pop(run.grant.id, None)
        return plan

    def refuse(self, error: Exception) -> Verdict:
        """Return what becomes of a task whose arguments cannot be decoded."""
        if isinstance(error, SerializationError | ConfigError):
            return Fail(ErrorInfo.from_exception(error))
        return Fail(ErrorInfo.from_exception(error), _FIRST_BACKOFF_MS)

    def _miss(self, grant: Grant, error: UnknownFunctionError) -> Verdict:
        """Leave a task to newer workers, less and less often, until the grace is over."""
        now = time.monotonic()
        since, times = self._missed.pop(grant.id, (now, 0))
        if now - since >= self._grace:
            return Fail(ErrorInfo.from_exception(error))
        self._missed[grant.id] = since, times + 1
        while len(self._missed) > _MOST_UNKNOWN:
            self._missed.popitem(last=False)
        backoff = min(_FIRST_BACKOFF_MS << min(times, 10), _LONGEST_BACKOFF_MS)
        left = max(1, round((self._grace - (now - since)) * 1000))
        return HandBack(min(backoff, left))
