"""The plugins around the execution of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from omniq.worker.context import TaskContext

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import pluggy

    from omniq.worker.context import Run

    _Wrapper = Callable[[TaskContext], Generator[None, object, object]]

__all__ = ["Wrappers"]


class Wrappers:
    """Drives the generators of the hook `omniq_around_execution`.

    pluggy would call them around a plain function; the body of a task may be a coroutine or run in another process, so
    they are entered before it and left after it, on the worker's loop.

    Args:
        functions: The hook's implementations, the outermost first.
    """

    def __init__(self, functions: Sequence[_Wrapper]) -> None:
        self._functions = functions
        self._entered: dict[Run, list[Generator[None, object, object]]] = {}

    @classmethod
    def of(cls, hooks: pluggy.PluginManager | None) -> Wrappers | None:
        """Return the wrappers of the loaded plugins; None if there are none, which costs nothing."""
        if hooks is None:
            return None
        # pluggy calls the last of this list first.
        found = [implementation.function for implementation in hooks.hook.omniq_around_execution.get_hookimpls()]
        return cls(cast("list[_Wrapper]", found[::-1])) if found else None

    def enter(self, run: Run) -> None:
        """Run every wrapper up to its yield."""
        entered = self._entered[run] = []
        context = TaskContext(run)
        try:
            for function in self._functions:
                generator = function(context)
                entered.append(generator)
                next(generator)
        except BaseException:
            self._entered.pop(run, None)
            for generator in reversed(entered):
                generator.close()
            raise

    def leave(self, run: Run, value: Any, error: BaseException | None = None) -> Any:
        """Give the outcome to every wrapper, the innermost first, and return what they made of it.

        Raises:
            BaseException: The error that is left in the end.
        """
        for generator in reversed(self._entered.pop(run, [])):
            try:
                if error is None:
                    generator.send(value)
                else:
                    generator.throw(error)
            except StopIteration as stop:
                value, error = stop.value, None
            except BaseException as raised:  # noqa: BLE001 - the next wrapper hears of it
                error = raised
            else:
                generator.close()
                error = RuntimeError(f"{generator!r} (omniq_around_execution) yielded twice; it must yield once")
        if error is not None:
            raise error
        return value
