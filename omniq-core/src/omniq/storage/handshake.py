"""Checks that a plugin fits this core before anything is asked of it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from omniq.errors import PluginError
from omniq.storage.backend import BACKEND_API, BackendInfo
from omniq.storage.refusals import install_command

if TYPE_CHECKING:
    import pluggy
    from importlib_metadata import EntryPoint

__all__ = ["accept", "make_manager", "origin"]


def origin(entry: EntryPoint) -> str:
    """Return the name and the version of the distribution that an entry point belongs to."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "of an unknown distribution"


def make_manager() -> pluggy.PluginManager:
    """Return a pluggy manager that knows OmniQ's hooks and no plugin."""
    import pluggy

    from omniq.storage import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def accept(plugin: object, entry: EntryPoint) -> tuple[BackendInfo, pluggy.PluginManager]:
    """Return what a backend tells about itself, and a manager that knows it alone.

    Raises:
        PluginError: It is no backend, speaks another major version of the backend API, or lacks hooks.
    """
    manager = make_manager()
    manager.register(plugin, entry.name)
    info = manager.hook.omniq_backend_info()
    if not isinstance(info, BackendInfo):
        raise PluginError(
            f"The backend {entry.name!r} ({origin(entry)}) has no omniq_backend_info hook that returns a BackendInfo; "
            f"it gave {info!r}. {install_command(entry.dist.name if entry.dist else entry.name, upgrade=True)}"
        )
    _shake_hands(info, entry)
    _check_hooks(info, entry, manager, plugin)
    return info, manager


def _shake_hands(info: BackendInfo, entry: EntryPoint) -> None:
    """Refuse another major version of the backend API, and warn of a newer minor one."""
    theirs, ours = tuple(info.api_version), BACKEND_API
    spoken = (
        f"{origin(entry)} speaks version {theirs[0]}.{theirs[1]} of the backend API, "
        f"and this omniq-core speaks {ours[0]}.{ours[1]}"
    )
    older = install_command(info.distribution, upgrade=True)
    newer = install_command("omniq-core", upgrade=True)
    if theirs[0] != ours[0]:
        raise PluginError(f"{spoken}. Bring them together: {newer if theirs > ours else older}")
    if theirs[1] > ours[1]:
        warnings.warn(
            f"{spoken}; what it can do beyond that is not used. To use it: {newer}", RuntimeWarning, stacklevel=4
        )


def _check_hooks(info: BackendInfo, entry: EntryPoint, manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse a role without its creation hook; refuse unknown hooks unless a newer core may know them."""
    import pluggy

    implemented = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    lacking = sorted({f"omniq_create_{role.key}" for role in info.roles} - implemented)
    problems = [f"it declares roles without their hooks: {', '.join(lacking)}"] if lacking else []
    if tuple(info.api_version) <= BACKEND_API:
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            problems.append(str(error))
    if problems:
        raise PluginError(
            f"The backend {entry.name!r} ({origin(entry)}) is broken: {'; '.join(problems)}. "
            f"This is a fault of {info.distribution}: update it, or report it to its authors"
        )
