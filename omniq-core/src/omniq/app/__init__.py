"""The facades: `AsyncOmniQ`, and `OmniQ` for programs that block."""

from __future__ import annotations

from omniq.app.async_app import AsyncOmniQ
from omniq.app.sync_app import OmniQ

__all__ = ["AsyncOmniQ", "OmniQ"]
