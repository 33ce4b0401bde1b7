from __future__ import annotations

from omniq_conformance import make_suite
from omniq_sqlite.conformance import SQLiteHarness

TestConformance = make_suite(SQLiteHarness(), profile="smoke")  # `nox -s conformance` runs the rest
