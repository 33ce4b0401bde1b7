"""What is drawn depends on the seed alone, whatever else is in the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_CONSTANTS = """
NUMBERS = [7, 4096, 65_537, 987_654_321, 3**100 + 5, 2**63]
TEXTS = ["fish and chips", "a\\u0301b", "zebra", "select", "\\u20ac\\u20ac", "7up"]
BYTES = [b"fish", b"\\xff\\x00"]
"""
_DRAW = """
from hypothesis import strategies as st
from omniq_conformance.cases.drawn_values import drawn_names, drawn_payloads
from omniq_conformance.programs.drawing import examples
from omniq_conformance.programs.pools import STRATEGIES, pool
from omniq_conformance.space import Mode

print({
    "programs": [str(program) for family in STRATEGIES for program in pool(family, Mode.SEPARATE, 10, 3)],
    "names": drawn_names(30, 3),
    "payloads": drawn_payloads(60, 3, 1024),
    "text": examples(st.text(), 60, 3),
}[%r])
"""


def drawn_beside(module, kind, tmp_path):
    """Return what a process of its own draws that has loaded the module before."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}\n{_DRAW % kind}"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONIOENCODING": "utf-8:backslashreplace"},
    )
    return done.stdout


@pytest.mark.parametrize(("kind", "same"), [("programs", True), ("names", True), ("payloads", True), ("text", False)])
def test_other_modules_in_the_process_change_nothing_that_is_drawn(kind, same, tmp_path):
    (tmp_path / "constants_of_an_author.py").write_text(_CONSTANTS, encoding="utf-8")
    one, other = (drawn_beside(module, kind, tmp_path) for module in ("json", "constants_of_an_author"))
    assert (one == other) is same
