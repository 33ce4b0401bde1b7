"""Testing applications: in memory, with real workers and real serialization.

There is no eager mode. A task that a test enqueues is stored, claimed and run as in production; `run_until_idle` (or
`drain` for `OmniQ`) does it within the test, and returns when nothing is left to do.
"""

from __future__ import annotations

from omniq.testing.assertions import assert_enqueued
from omniq.testing.memory import in_memory, memory_app
from omniq.testing.running import drain, run_until_idle

__all__ = ["assert_enqueued", "drain", "in_memory", "memory_app", "run_until_idle"]
