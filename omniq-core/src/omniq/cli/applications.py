"""The application, or its configuration alone, that a command works on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omniq.app import AsyncOmniQ, OmniQ
    from omniq.cli.target import Target
    from omniq.models.config import OmniQConfig

__all__ = ["asynchronous", "configuration", "opened"]


def configuration(target: Target) -> OmniQConfig | None:
    """Return the configuration that is meant; None stands for the environment alone.

    Raises:
        ConfigError: The application cannot be imported, or the configuration is invalid.
    """
    if target.app is None:
        return target.configuration()
    from omniq.cli.loading import load_app

    return load_app(target.app).config


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[AsyncOmniQ]:
    """Yield the application that is meant, and close it afterwards.

    Raises:
        ConfigError: The application cannot be imported, or the configuration is invalid.
    """
    from omniq.app import AsyncOmniQ
    from omniq.cli.loading import load_app

    config = target.configuration()
    app = AsyncOmniQ(config=config) if target.app is None else asynchronous(load_app(target.app))
    async with app:
        yield app


def asynchronous(app: OmniQ | AsyncOmniQ) -> AsyncOmniQ:
    """Return the application itself, or a twin of a blocking one that has its tasks and its stores."""
    from omniq.app import AsyncOmniQ

    if isinstance(app, AsyncOmniQ):
        return app
    twin = AsyncOmniQ(config=app.config)
    twin.registry = app.registry
    twin.serializers = app.serializers
    twin.defaults = app.defaults
    return twin
