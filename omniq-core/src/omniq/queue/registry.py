"""Which functions may run, and how their paths become functions.

Only registered tasks and functions that are *defined* in allowed modules run. A module that is not allowed is never
imported, and walking from an allowed module to something that merely is visible there (`myapp.tasks.os.system`)
leads nowhere.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, cast

import attrs

from omniq.errors import ConfigError, ForbiddenFunctionError, UnknownFunctionError
from omniq.queue.naming import find_module, importable_name, split_path
from omniq.queue.options import TaskOptions
from omniq.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["RunIn", "TaskDefinition", "TaskRegistry", "resolve_run_in"]

P = ParamSpec("P")
R = TypeVar("R")

RunIn = Literal["loop", "thread", "process"]
_MODES: tuple[RunIn, ...] = ("loop", "thread", "process")
_REMEDY = (
    "Decorate it with @app.task in a module that the worker imports, or name its module in allowed_modules of the "
    "configuration (OMNIQ_ALLOWED_MODULES)."
)


@attrs.frozen(kw_only=True)
class TaskDefinition(Generic[P, R]):
    """One function that can be enqueued and run.

    Attributes:
        name: `module.qualname`, or the name that it was registered under.
        func: The function itself.
        options: What its runs are enqueued with, unless a call says otherwise.
        retry: Which failures are tried again, and when.
        run_in: Where a worker runs it.
    """

    name: str
    func: Callable[P, R] | Callable[P, Awaitable[R]]
    options: TaskOptions = attrs.field(factory=TaskOptions)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    run_in: RunIn = "thread"


def resolve_run_in(func: Callable[..., Any], wanted: str = "auto") -> RunIn:
    """Return where the function runs: coroutine functions on the loop, others in threads unless said otherwise.

    Raises:
        ConfigError: There is no such place, or the function cannot run there.
    """
    is_async = inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004
    if wanted == "auto":
        return "loop" if is_async else "thread"
    if wanted not in _MODES:
        msg = f"run_in: {wanted!r} is not a place to run in. Use 'auto', 'loop', 'thread' or 'process'."
        raise ConfigError(msg)
    if is_async and wanted != "loop":
        msg = (
            f"run_in: {func!r} is a coroutine function, which runs on the loop, not in a {wanted}. Make it a plain "
            "function, or call the blocking part with asyncio.to_thread."
        )
        raise ConfigError(msg)
    return wanted


class TaskRegistry:
    """The registered tasks of an application, and the modules whose functions may run unregistered.

    Args:
        allowed: Names of modules; each stands for all modules below it too.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._registered: dict[str, TaskDefinition[..., Any]] = {}
        self._resolved: dict[str, TaskDefinition[..., Any]] = {}
        self._allowed: set[str] = set(allowed)

    def __iter__(self) -> Iterator[TaskDefinition[..., Any]]:
        return iter(list(self._registered.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._registered

    def __len__(self) -> int:
        return len(self._registered)

    @property
    def allowed_modules(self) -> frozenset[str]:
        """The modules whose functions may run though they are not registered."""
        return frozenset(self._allowed)

    def allow(self, *modules: str) -> None:
        """Let the functions of these modules and of all modules below them run."""
        self._allowed.update(modules)

    def names(self) -> list[str]:
        """Return the names of the registered tasks, sorted."""
        return sorted(self._registered)

    def get(self, name: str) -> TaskDefinition[..., Any] | None:
        """Return the task that is registered under this name; `module:function` means `module.function`."""
        return self._registered.get(name) or self._registered.get(name.replace(":", "."))

    def add(self, definition: TaskDefinition[..., Any]) -> None:
        """Register a task.

        Registering the same function again (a module that was reloaded) replaces it.

        Raises:
            ConfigError: Another function has this name already.
        """
        known = self._registered.get(definition.name)
        if known is not None and _origin(known.func) != _origin(definition.func):
            msg = (
                f"Two functions are registered as {definition.name!r}: {known.func!r} and {definition.func!r}. "
                "Give one of them a name of its own: @app.task(name='...')."
            )
            raise ConfigError(msg)
        self._registered[definition.name] = definition
        self._resolved.clear()

    def resolve(self, func_path: str) -> TaskDefinition[..., Any]:
        """Return the task that a stored name or path means.

        Raises:
            UnknownFunctionError: Its module is allowed, but the function is not there; a newer version may have it.
            ForbiddenFunctionError: It is not registered and not defined in an allowed module.
        """
        definition = self._resolved.get(func_path) or self.get(func_path)
        if definition is None:
            definition = self._resolved[func_path] = self._import(func_path)
        return definition

    def _is_allowed(self, module: str) -> bool:
        return any(module == allowed or module.startswith(f"{allowed}.") for allowed in self._allowed)

    def _import(self, path: str) -> TaskDefinition[..., Any]:
        try:
            candidates = split_path(path)
        except ConfigError as error:
            raise ForbiddenFunctionError(f"{error} No task is registered under this name. {_REMEDY}") from None
        allowed = [(module, names) for module, names in candidates if self._is_allowed(module)]
        if not allowed:
            msg = f"The function {path!r} is not registered, and its module is not allowed to run tasks. {_REMEDY}"
            raise ForbiddenFunctionError(msg)
        for module, names in allowed:
            found = _walk(module, names)
            if found is not None:
                return self._define(path, found)
        msg = (
            f"The function {path!r} was not found here. Either it was renamed or removed (then register a task under "
            "the old name), or this worker runs older code than the one that enqueued it (then deploy it)."
        )
        raise UnknownFunctionError(msg)

    def _define(self, path: str, found: object) -> TaskDefinition[..., Any]:
        definition = getattr(found, "definition", None)
        if isinstance(definition, TaskDefinition):
            return cast("TaskDefinition[..., Any]", definition)
        module = getattr(found, "__module__", None)
        if not inspect.isroutine(found) or not isinstance(module, str) or not self._is_allowed(importable_name(module)):
            msg = (
                f"{path!r} leads to {found!r}, which is not a function that is defined in an allowed module "
                f"({', '.join(sorted(self._allowed))}). {_REMEDY}"
            )
            raise ForbiddenFunctionError(msg)
        return TaskDefinition(name=path, func=found, run_in=resolve_run_in(found))


def _origin(func: Callable[..., Any]) -> tuple[object, object]:
    module = getattr(func, "__module__", None)
    name = importable_name(module) if isinstance(module, str) else None
    return name, getattr(func, "__qualname__", id(func))


def _walk(module: str, names: tuple[str, ...]) -> Any:
    """Return what the names lead to, or None; passes through classes only, never through other modules."""
    found: Any = find_module(module)
    if found is None:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
                raise _broken(module, error) from error
            return None
        except Exception as error:
            raise _broken(module, error) from error
    for place, name in enumerate(names):
        if (place and not inspect.isclass(found)) or name.startswith("__"):
            return None
        if place:
            owner, found = found, inspect.getattr_static(found, name, None)
            if isinstance(found, staticmethod | classmethod):
                found = found.__get__(None, owner)
        else:
            found = getattr(found, name, None)
    return found


def _broken(module: str, error: Exception) -> UnknownFunctionError:
    msg = (
        f"The module {module!r} cannot be imported here: {type(error).__name__}: {error}. Correct it, or deploy the "
        "version of it that works; until then the task waits for a worker that can import it."
    )
    return UnknownFunctionError(msg)
