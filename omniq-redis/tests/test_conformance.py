from __future__ import annotations

from omniq_conformance import make_suite
from omniq_redis.conformance import ValkeyHarness

TestConformance = make_suite(ValkeyHarness(), profile="smoke")  # `nox -s conformance` runs the rest
