from __future__ import annotations

from omniq_conformance import make_suite
from omniq_lmdb.conformance import LmdbHarness

TestConformance = make_suite(LmdbHarness(), profile="smoke")  # `nox -s conformance` runs the rest
