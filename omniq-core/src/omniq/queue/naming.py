"""How functions are named so that another process finds them."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["calling_module", "find_module", "importable_name", "main_name", "path_of", "split_path"]

_MAIN = frozenset({"__main__", "__mp_main__"})
_LOCAL = "<locals>"
_LAMBDA = "<lambda>"


def main_name() -> str:
    """Return the name under which another process can import the `__main__` module.

    That is the module of `python -m`, or the stem of a script's file; `__main__` itself where there is neither
    (an interactive session).
    """
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in _MAIN:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def importable_name(module: str) -> str:
    """Return the module's name for other processes: itself, or what `__main__` is called there."""
    return main_name() if module in _MAIN else module


def find_module(name: str) -> ModuleType | None:
    """Return the module if it is loaded; a script's own name means `__main__`, which must not be loaded twice."""
    if name in _MAIN or name == main_name():
        return sys.modules.get("__main__")
    return sys.modules.get(name)


def path_of(func: Callable[..., Any]) -> str:
    """Return `module.qualname` of a function that other processes can import.

    Raises:
        ConfigError: It is a lambda, nested, a partial or an object without a name.
    """
    module, qualname = getattr(func, "__module__", None), getattr(func, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        msg = (
            f"{func!r} has no name that another process could import. Put the call into a function at the top level "
            "of a module and enqueue that, passing the varying parts as arguments."
        )
        raise ConfigError(msg)
    if _LOCAL in qualname or _LAMBDA in qualname:
        kind = "a lambda" if _LAMBDA in qualname.rpartition(".")[2] else "defined inside another function"
        msg = (
            f"{module}.{qualname} is {kind}, so another process cannot import it. Define it with `def` at the top "
            "level of a module, or register it under a name of its own: @app.task(name='...')."
        )
        raise ConfigError(msg)
    if inspect.ismethod(func) and not inspect.isclass(func.__self__):
        msg = (
            f"{module}.{qualname} is bound to the object {func.__self__!r}, which does not travel with it. Enqueue a "
            "function that gets what it needs as arguments."
        )
        raise ConfigError(msg)
    return f"{importable_name(module)}.{qualname}"


def split_path(path: str, name: str = "func") -> list[tuple[str, tuple[str, ...]]]:
    """Return the (module, attributes) that a path can mean, the longest module first.

    Args:
        path: `package.module.function`, or with the end of the module marked: `package.module:Class.method`.
        name: What the path is called in the error message.

    Raises:
        ConfigError: It is no such path.
    """
    module, colon, qualname = path.partition(":")
    parts = (qualname if colon else path).split(".")
    if all(parts) and (not colon or all(module.split("."))):
        if colon:
            return [(module, tuple(parts))]
        return [(".".join(parts[:end]), tuple(parts[end:])) for end in range(len(parts) - 1, 0, -1)]
    msg = (
        f"{name}: {path!r} is not the path of a function. Write it as 'package.module.function' or "
        "'package.module:Class.method'."
    )
    raise ConfigError(msg)


def calling_module(skip: tuple[str, ...]) -> str:
    """Return the name of the module whose code is calling, passing over frames of the packages in `skip`."""
    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != __name__ and not any(name == package or name.startswith(f"{package}.") for package in skip):
            return str(name)
        frame = frame.f_back
    return "__main__"
