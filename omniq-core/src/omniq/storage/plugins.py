"""Finds backends and other plugins through entry points, and imports only those that are named."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

import attrs

from omniq.errors import PluginError
from omniq.models.config import Role
from omniq.storage.backend import BackendInfo
from omniq.storage.handshake import accept, make_manager, origin
from omniq.storage.refusals import missing_module, unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pluggy
    from importlib_metadata import EntryPoint

    from omniq.storage.backend import BackendConfig

__all__ = [
    "BACKEND_GROUP",
    "PLUGIN_GROUP",
    "Backend",
    "BackendListing",
    "create_storage",
    "disabled_plugins",
    "foreign_omniq",
    "list_backends",
    "load_backend",
    "load_plugins",
    "register_commands",
]

BACKEND_GROUP = "omniq.backends"
PLUGIN_GROUP = "omniq.plugins"


@attrs.frozen(kw_only=True)
class Backend:
    """A backend that was found, imported and accepted.

    Attributes:
        name: The name of its entry point.
        info: What it tells about itself.
        plugin: The module or object of its hooks.
        hooks: A `pluggy.PluginManager` that knows this plugin only, so that a hook is asked of it and of nobody else.
    """

    name: str
    info: BackendInfo
    plugin: object = attrs.field(repr=False)
    hooks: Any = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class BackendListing:
    """A line of `omniq backend list`.

    Attributes:
        name: The name of the entry point: what a configuration calls it.
        distribution: What pip installed.
        version: The version of that.
        roles: The roles that it offers; empty if it is disabled or broken.
        info: What it tells about itself, or None.
        disabled: Whether OMNIQ_DISABLED_PLUGINS names it.
        problem: Why it cannot be used, or an empty string.
    """

    name: str
    distribution: str
    version: str
    roles: tuple[Role, ...] = ()
    info: BackendInfo | None = None
    disabled: bool = False
    problem: str = ""


def disabled_plugins() -> frozenset[str]:
    """Return the names in OMNIQ_DISABLED_PLUGINS, a list with commas."""
    return frozenset(name.strip() for name in os.environ.get("OMNIQ_DISABLED_PLUGINS", "").split(",") if name.strip())


def load_backend(name: str, role: Role = Role.TASK_QUEUE) -> Backend:
    """Import the backend of this name, and no other, and check that it fits and offers the role.

    Raises:
        UnknownBackendError: No installed backend has this name, it is disabled, or it does not offer the role.
        PluginError: It is installed but cannot be used; the message says why and what to do.
    """
    found = _entry_points(BACKEND_GROUP, name)
    if not found or name in disabled_plugins():
        raise unsupported(role, name, list_backends(), foreign_omniq())
    _warn_of_foreign_omniq()
    backend = _load(found)
    if role not in backend.info.roles:
        raise unsupported(role, name, list_backends(), None)
    return backend


def create_storage(backend: Backend, role: Role, config: BackendConfig) -> Any:
    """Ask the backend's creation hook for an unopened storage.

    Raises:
        ConfigError: The url or the options are invalid.
        PluginError: The driver is not installed, or the hook returned nothing.
    """
    hook = f"omniq_create_{role.key}"
    try:
        storage = getattr(backend.hooks.hook, hook)(config=config)
    except ImportError as error:
        raise missing_module(backend.name, backend.info.distribution, error) from error
    if storage is None:
        raise PluginError(
            f"The {backend.name} backend returned nothing from {hook}. This is a fault of {backend.info.distribution}"
        )
    return storage


def load_plugins(backends: Iterable[Backend] = ()) -> pluggy.PluginManager:
    """Import the plugins of the group `omniq.plugins` that are not disabled, for the hooks that all plugins share.

    Args:
        backends: Loaded backends; their shared hooks are called too.

    Raises:
        PluginError: A plugin cannot be imported, or implements a hook that does not exist.
    """
    manager = make_manager()
    for backend in {id(backend.plugin): backend for backend in backends}.values():
        manager.register(backend.plugin, f"backend {backend.name}")
    for entry in _entry_points(PLUGIN_GROUP):
        if entry.name not in disabled_plugins():
            _add_plugin(manager, entry)
    return manager


def register_commands(cli: object) -> None:
    """Let every installed backend and plugin add its commands to the command line.

    What cannot be loaded is passed over with a warning, so that it does not take the other commands with it.

    Args:
        cli: The click group `omniq`.
    """
    manager = make_manager()
    for listing in list_backends():
        if listing.info is not None:
            manager.register(_load(_entry_points(BACKEND_GROUP, listing.name)).plugin, f"backend {listing.name}")
    for entry in _entry_points(PLUGIN_GROUP):
        if entry.name in disabled_plugins():
            continue
        try:
            _add_plugin(manager, entry)
        except PluginError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    manager.hook.omniq_register_commands(cli=cli)


def _add_plugin(manager: pluggy.PluginManager, entry: EntryPoint) -> None:
    try:
        plugin = entry.load()
        if manager.is_registered(plugin):
            return
        alone = make_manager()
        alone.register(plugin, entry.name)
        alone.check_pending()
        manager.register(plugin, entry.name)
    except Exception as error:
        raise PluginError(
            f"Cannot load the plugin {entry.name!r} ({origin(entry)}): {type(error).__name__}: {error}. "
            f"Uninstall it, get a newer one, or set OMNIQ_DISABLED_PLUGINS={entry.name}"
        ) from error


def list_backends() -> tuple[BackendListing, ...]:
    """Return every installed backend, by name. Broken ones are listed with their problem; nothing is raised."""
    listings = []
    for name in sorted({entry.name for entry in _entry_points(BACKEND_GROUP)}):
        found = _entry_points(BACKEND_GROUP, name)
        dist = found[0].dist
        listing = BackendListing(
            name=name,
            distribution=dist.name if dist else "",
            version=dist.version if dist else "",
            disabled=name in disabled_plugins(),
        )
        if not listing.disabled:
            try:
                info = _load(found).info
            except Exception as error:  # noqa: BLE001 - one broken backend must not hide the others
                listing = attrs.evolve(listing, problem=str(error))
            else:
                listing = attrs.evolve(listing, info=info, roles=tuple(role for role in Role if role in info.roles))
        listings.append(listing)
    return tuple(listings)


def foreign_omniq() -> str | None:
    """Return a warning if an unrelated distribution called `omniq` is installed, else None.

    It owns the same import package, so its files and ours overwrite each other.
    """
    from importlib_metadata import PackageNotFoundError, distribution

    try:
        dist = distribution("omniq")
    except PackageNotFoundError:
        return None
    if any(requirement.lower().replace("_", "-").startswith("omniq-core") for requirement in dist.requires or ()):
        return None
    return (
        f"Another package named 'omniq' ({dist.version}) is installed; its files overwrite those of omniq-core. "
        "Remove it and repair: pip uninstall omniq && pip install --force-reinstall --no-deps omniq-core"
    )


@functools.cache
def _warn_of_foreign_omniq() -> None:
    warning = foreign_omniq()
    if warning is not None:
        warnings.warn(warning, RuntimeWarning, stacklevel=3)


def _entry_points(group: str, name: str | None = None) -> tuple[EntryPoint, ...]:
    """Return the installed entry points, by name; what was installed since the last look is found too."""
    found = _scan(group, tuple(sys.path))
    if name is None or not any(entry.name == name for entry in found):
        _scan.cache_clear()
        found = _scan(group, tuple(sys.path))
    return tuple(entry for entry in found if name in {None, entry.name})


@functools.lru_cache(maxsize=4)
def _scan(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Read the metadata of every installed distribution, which takes a while in a large environment."""
    from importlib_metadata import entry_points

    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


@functools.lru_cache(maxsize=32)
def _load(found: tuple[EntryPoint, ...]) -> Backend:
    """Import the one plugin that these entry points name, and check that it fits this core. Failures are not cached."""
    entry = found[0]
    if len({origin(other) for other in found}) > 1:
        owners = ", ".join(sorted(origin(other) for other in found))
        raise PluginError(f"Several distributions have a backend named {entry.name!r}: {owners}. Uninstall all but one")
    try:
        plugin = entry.load()
    except ImportError as error:
        raise missing_module(entry.name, entry.dist.name if entry.dist else "", error) from error
    except Exception as error:
        raise PluginError(
            f"The backend {entry.name!r} ({origin(entry)}) fails when it is imported: {type(error).__name__}: {error}. "
            "Update it, or report it to its authors"
        ) from error
    info, manager = accept(plugin, entry)
    return Backend(name=entry.name, info=info, plugin=plugin, hooks=manager)
