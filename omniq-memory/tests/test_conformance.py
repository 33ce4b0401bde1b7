from __future__ import annotations

from omniq_conformance import make_suite
from omniq_memory.conformance import MemoryHarness

TestConformance = make_suite(MemoryHarness(), profile="smoke")  # `nox -s conformance` runs the rest
