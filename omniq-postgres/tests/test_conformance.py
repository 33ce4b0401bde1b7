from __future__ import annotations

from omniq_conformance import make_suite
from omniq_postgres.conformance import PostgresHarness

TestConformance = make_suite(PostgresHarness(), profile="smoke")  # `nox -s conformance` runs the rest
