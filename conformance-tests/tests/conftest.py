from __future__ import annotations

from collections import Counter

import pytest

from omniq_conformance.families import FAMILIES
from omniq_conformance.registry import SPEC
from omniq_conformance.reports.report import Footer, Header, Line, Report, hash_of
from omniq_memory.conformance import MemoryHarness

pytest.register_assert_rewrite("breaking")


@pytest.fixture(scope="session")
def harness():
    return MemoryHarness()


@pytest.fixture
def make_report():
    """Return what makes a report: `make_report({"OQ-Q-0101-joined": "fail"}, backend="memory")`."""
    return build_report


def build_report(verdicts, *, evidence=None, reasons=None, **header):
    lines = tuple(
        Line(
            id=id,
            case=id[:9],
            title=f"What {id[:9]} guarantees.",
            family=int(id[5:7]),
            level=FAMILIES[int(id[5:7])].level.value,
            status=status,
            reason="" if status == "pass" else (reasons or {}).get(id, f"because of {status}"),
            seconds=0.25,
            evidence=(evidence or {}).get(id, {}),
        )
        for id, status in verdicts.items()
    )
    described = {
        "spec": SPEC,
        "suite": "0.1.0",
        "profile": "pr",
        "seed": 0,
        "started": "2026-11-22T06:00:00+00:00",
        "python": "3.11.7",
        "system": "Linux 6 x86_64",
        "backend": "acme",
        "distribution": "omniq-acme 1.0",
        "server": "Acme 3.1",
        "items": len(lines),
        "left_out": 0,
        "capabilities": {"task_queue": {"durability": "none", "push": True, "max_wait_ms": 1000}},
    }
    footer = Footer(
        ended="2026-11-22T06:01:00+00:00",
        seconds=60.0,
        counts=dict(sorted(Counter(verdicts.values()).items())),
        items_sha256=hash_of(verdicts),
    )
    return Report(Header(**{**described, **header}), lines, footer)
