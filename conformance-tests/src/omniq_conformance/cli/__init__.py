"""The command `omniq-conformance`."""

from __future__ import annotations

from omniq_conformance.cli.root import main

__all__ = ["main"]
