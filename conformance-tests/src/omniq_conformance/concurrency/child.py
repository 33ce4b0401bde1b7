"""The process of one actor: gets its order as an argument, and writes its operations to standard output."""

from __future__ import annotations

import json
import sys

from omniq_conformance.concurrency.crew import READY, act_alone
from omniq_conformance.concurrency.history import Plan
from omniq_conformance.references import harness_from
from omniq_conformance.space import Mode, Space

__all__ = ["main"]


def main() -> None:
    """Act as told."""
    order = json.loads(sys.argv[1])
    space = Space(harness_from(order["harness"]), Mode(order["mode"]), order["namespace"])
    for operation in act_alone(space, order["actor"], Plan(**order["plan"]), _begin):
        sys.stdout.write(operation.to_json() + "\n")


def _begin() -> None:
    sys.stdout.write(READY)
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    main()
