"""Finds the application that `module:app` means."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from omniq.errors import ConfigError, OmniQError
from omniq.models.faults import closest

if TYPE_CHECKING:
    from types import ModuleType

    from omniq.app import AsyncOmniQ, OmniQ

__all__ = ["load_app"]


def load_app(target: str) -> OmniQ | AsyncOmniQ:
    """Import `module:app`, or `module` alone if it has exactly one application, with the working directory on the path.

    Raises:
        ConfigError: There is no such module or application, or the module cannot be imported.
    """
    module_name, colon, name = target.partition(":")
    _put_working_directory_on_path()
    module = _import(_checked(module_name, target))
    if colon:
        return _named(module, name, target)
    apps = _apps(module)
    if len(apps) == 1:
        return next(iter(apps.values()))
    if apps:
        listed = ", ".join(f"{module_name}:{app}" for app in sorted(apps))
        msg = f"{target!r}: the module has {len(apps)} applications. Say which one is meant: {listed}"
        raise ConfigError(msg)
    msg = (
        f"{target!r}: the module has no application. Make one at its top level, such as app = OmniQ(), "
        f"and name it: {module_name}:app"
    )
    raise ConfigError(msg)


def _put_working_directory_on_path() -> None:
    # A console script has its own folder there, where `python -m` has the working directory.
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def _checked(module_name: str, target: str) -> str:
    if module_name.endswith(".py") or "/" in module_name or "\\" in module_name:
        dotted = module_name.removesuffix(".py").replace("\\", "/").strip("./").replace("/", ".")
        msg = f"{target!r} is a path. Name the module as an import does: {target.replace(module_name, dotted, 1)}"
        raise ConfigError(msg)
    if not all(part.isidentifier() for part in module_name.split(".")):
        msg = f"{target!r} is not an application. Write it as module:app, for example my_app.tasks:app"
        raise ConfigError(msg)
    return module_name


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _broken(name, error) from error
        meant = closest(name, _modules_here())
        hint = f" Did you mean {meant!r}?" if meant else ""
        msg = (
            f"There is no module {error.name!r} in {Path.cwd()} or among what is installed.{hint} "
            "Run the command in the folder that the import starts from, or add that folder to PYTHONPATH"
        )
        raise ConfigError(msg) from None
    except OmniQError:
        raise
    except Exception as error:
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> ConfigError:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    msg = (
        f"The module {name!r} cannot be imported: {type(error).__name__}: {error}{place}. "
        f'See the whole traceback with: python -c "import {name}"'
    )
    return ConfigError(msg)


def _modules_here() -> list[str]:
    here = Path.cwd()
    return [path.stem for path in here.glob("*.py")] + [path.parent.name for path in here.glob("*/__init__.py")]


def _is_app(value: object) -> bool:
    from omniq.app import AsyncOmniQ, OmniQ

    return isinstance(value, OmniQ | AsyncOmniQ)


def _apps(module: ModuleType) -> dict[str, OmniQ | AsyncOmniQ]:
    found: dict[int, tuple[str, OmniQ | AsyncOmniQ]] = {}
    for name, value in vars(module).items():
        if _is_app(value):
            found.setdefault(id(value), (name, cast("OmniQ | AsyncOmniQ", value)))
    return dict(found.values())


def _named(module: ModuleType, name: str, target: str) -> OmniQ | AsyncOmniQ:
    value: object = module
    for part in name.split("."):
        if not hasattr(value, part):
            meant = closest(name, _apps(module), near=0.4)
            hint = f" Did you mean {module.__name__}:{meant}?" if meant else ""
            msg = f"{target!r}: {module.__name__} has no {name!r}.{hint}"
            raise ConfigError(msg)
        value = getattr(value, part)
    if _is_app(value):
        return cast("OmniQ | AsyncOmniQ", value)
    apps = sorted(_apps(module))
    hint = f" Did you mean {module.__name__}:{apps[0]}?" if apps else ""
    msg = f"{target!r} is a {type(value).__name__}, not an OmniQ or AsyncOmniQ.{hint}"
    raise ConfigError(msg)
