"""The conformance suite that every OmniQ storage backend passes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniq_conformance.engine import run_conformance
    from omniq_conformance.harness import Harness, OpenedStores, open_plugin
    from omniq_conformance.known import KnownIssue
    from omniq_conformance.programs.family import replay
    from omniq_conformance.reports.report import Report
    from omniq_conformance.suite import make_suite

__all__ = ["Harness", "KnownIssue", "OpenedStores", "Report", "make_suite", "open_plugin", "replay", "run_conformance"]

# A harness is imported by every process that the suite kills: hypothesis and pytest have to wait until they are needed.
# The plugin is imported by every run of pytest where this is installed: there, OmniQ itself has to wait too.
_LAZY = {
    "Harness": "omniq_conformance.harness",
    "KnownIssue": "omniq_conformance.known",
    "OpenedStores": "omniq_conformance.harness",
    "Report": "omniq_conformance.reports.report",
    "make_suite": "omniq_conformance.suite",
    "open_plugin": "omniq_conformance.harness",
    "replay": "omniq_conformance.programs.family",
    "run_conformance": "omniq_conformance.engine",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
