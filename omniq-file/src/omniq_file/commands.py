"""The command `omniq fsck`, and the checks of `omniq doctor`."""

from __future__ import annotations

__all__: list[str] = []
