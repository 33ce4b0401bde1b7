"""The conformance suite that every OmniQ storage backend passes."""

from __future__ import annotations

from omniq_conformance.harness import Harness, OpenedStores, open_plugin
from omniq_conformance.programs.family import replay
from omniq_conformance.suite import make_suite

__all__ = ["Harness", "OpenedStores", "make_suite", "open_plugin", "replay"]
