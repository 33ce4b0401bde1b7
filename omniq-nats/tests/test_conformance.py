from __future__ import annotations

from omniq_conformance import make_suite
from omniq_nats.conformance import NatsHarness

TestConformance = make_suite(NatsHarness(), profile="smoke")  # `nox -s conformance` runs the rest
