"""Turns a claimed task into a function and its arguments, or into the reason why it cannot run."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError, ForbiddenFunctionError, SerializationError, UnknownFunctionError
from omniq.models.error import ErrorInfo
from omniq.queue.registry import resolve_run_in
from omniq.worker.verdict import Fail, HandBack

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniq.models.record import Grant
    from omniq.queue.registry import TaskDefinition, TaskRegistry
    from omniq.worker.context import Run
    from omniq.worker.verdict import Verdict

__all__ = ["Plan", "Planner"]

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


class Planner:
    """Finds functions, and remembers since when it misses those that it does not know.

    Args:
        registry: What may run.
        unknown_grace_ms: How long a task whose function is not known here is left for other workers.
        has_wrappers: Whether plugins want to be around every run.

    Attributes:
        known: The plans that were made, by the tasks' names.
        quick: The coroutine functions that need nothing but their arguments, by the tasks' names.
    """

    def __init__(self, registry: TaskRegistry, unknown_grace_ms: int, *, has_wrappers: bool) -> None:
        self._registry = registry
        self._grace = unknown_grace_ms / 1000
        self._has_wrappers = has_wrappers
        self.known: dict[str, Plan] = {}
        self.quick: dict[str, Callable[..., Any]] = {}
        self._missed: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def find(self, run: Run) -> Plan | Verdict:
        """Return how to run a task, or what becomes of it because it cannot run here."""
        func = run.grant.body.func
        plan = self.known.get(func)
        if plan is None:
            try:
                plan = self.known[func] = Plan(self._registry.resolve(func))
            except UnknownFunctionError as error:
                return self._miss(run.grant, error)
            except ForbiddenFunctionError as error:
                return Fail(ErrorInfo.from_exception(error))
            except BaseException as error:  # noqa: BLE001 - importing a module runs any code, even `sys.exit()`
                return Fail(ErrorInfo.from_exception(error), _FIRST_BACKOFF_MS)
            if plan.is_async and plan.run_in == "loop" and not self._has_wrappers:
                self.quick[func] = plan.func
            self._missed.pop(run.grant.id, None)
        run.plan = plan
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
