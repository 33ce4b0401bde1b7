"""The process of one actor: reads its order from standard input and writes its operations to standard output."""

from __future__ import annotations

import json
import sys

from omniq_conformance.concurrency.crew import act_alone
from omniq_conformance.concurrency.history import Plan
from omniq_conformance.references import harness_from
from omniq_conformance.space import Mode, Space

__all__ = ["main"]


def main() -> None:
    """Act as told."""
    order = json.load(sys.stdin)
    space = Space(harness_from(order["harness"]), Mode(order["mode"]), order["namespace"])
    for operation in act_alone(space, order["actor"], Plan(**order["plan"])):
        sys.stdout.write(operation.to_json() + "\n")


if __name__ == "__main__":
    main()
