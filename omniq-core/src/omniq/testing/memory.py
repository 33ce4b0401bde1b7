"""Applications whose stores are in memory."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs

from omniq.app import AsyncOmniQ, OmniQ
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["in_memory", "memory_app"]

AppT = TypeVar("AppT", AsyncOmniQ, OmniQ)


@overload
def memory_app(*, config: OmniQConfig | None = None) -> AsyncOmniQ: ...
@overload
def memory_app(kind: type[AppT], *, config: OmniQConfig | None = None) -> AppT: ...


def memory_app(kind: Any = AsyncOmniQ, *, config: OmniQConfig | None = None) -> Any:
    """Return an application with stores of its own in memory.

    Args:
        kind: `AsyncOmniQ` or `OmniQ`.
        config: For the settings; neither its backends nor those of the environment are used.
    """
    return kind(config=_with_memory(config or OmniQConfig()))


@overload
def in_memory(app: AsyncOmniQ) -> AbstractAsyncContextManager[AsyncOmniQ]: ...
@overload
def in_memory(app: OmniQ) -> AbstractContextManager[OmniQ]: ...


def in_memory(
    app: AsyncOmniQ | OmniQ,
) -> AbstractAsyncContextManager[AsyncOmniQ] | AbstractContextManager[OmniQ]:
    """Let an application use new stores in memory for the time of a block, and its own ones afterwards.

    Its tasks and settings stay as they are. What it had open stays open, unused.

    Args:
        app: An application, such as the one that a module of the tested program makes; `async with in_memory(app):`
            for an `AsyncOmniQ`, `with in_memory(app):` for an `OmniQ`.
    """
    return _swapped_sync(app) if isinstance(app, OmniQ) else _swapped(app)


@asynccontextmanager
async def _swapped(app: AsyncOmniQ) -> AsyncIterator[AsyncOmniQ]:
    restore = app._reconfigure(_with_memory(app.config))  # noqa: SLF001 - the one place that needs it
    try:
        yield app
    finally:
        await app.close()
        restore()


@contextmanager
def _swapped_sync(app: OmniQ) -> Iterator[OmniQ]:
    inner = app._app  # noqa: SLF001 - the one place that needs it
    restore = inner._reconfigure(_with_memory(app.config))  # noqa: SLF001 - likewise
    try:
        yield app
    finally:
        app._portal.call(inner.close)  # noqa: SLF001 - closing `app` would close its own stores too
        restore()


def _with_memory(config: OmniQConfig) -> OmniQConfig:
    backends: dict[str, Any] = {role.setting: StorageBackendConfig("memory") for role in Role}
    return attrs.evolve(config, **backends)
