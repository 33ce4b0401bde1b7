from __future__ import annotations

from omniq_conformance import make_suite
from omniq_file.conformance import FileHarness, MsgpackHarness

TestConformance = make_suite(FileHarness(), profile="smoke")  # `nox -s conformance` runs the rest
TestMsgpack = make_suite(MsgpackHarness(), profile="smoke")
