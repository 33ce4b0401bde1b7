"""A process that waits for jobs, and does each of them in a child that it forks: what was imported is there already.

A job is a line of JSON on standard input. The child that does it may be killed, by itself or from outside. The server
then notes its exit code in the ledger, and lets go of the pipe of the job, which the one that gave the job waits for.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniq_conformance.faults.ledger import Ledger
from omniq_conformance.faults.points import Point, arm
from omniq_conformance.references import harness_from
from omniq_conformance.space import Mode, Space

if TYPE_CHECKING:
    from omniq_conformance.harness import Harness

__all__ = ["PATIENCE", "main"]

PATIENCE = 40
"""After so many seconds a child that has not ended is killed by SIGALRM."""


def main() -> None:
    """Serve until standard input ends."""
    harness = harness_from(json.loads(sys.argv[1]))
    for line in sys.stdin:
        job = json.loads(line)
        pipe = os.open(job["pipe"], os.O_WRONLY)
        pid = os.fork()
        if not pid:
            _be_child(harness, job)
        _, status = os.waitpid(pid, 0)
        ledger = Ledger(Path(job["ledger"]))
        ledger.note("exit", os.waitstatus_to_exitcode(status))
        for name in _modules(ledger):
            _import(name)
        ledger.close()
        os.close(pipe)


def _be_child(harness: Harness, job: dict[str, Any]) -> None:
    signal.alarm(PATIENCE)
    ledger = Ledger(Path(job["ledger"]))
    ledger.note("pid", os.getpid())
    try:
        module, _, name = job["run"].partition(":")
        run = getattr(importlib.import_module(module), name)
        space = Space(harness, Mode(job["mode"]), job["namespace"])
        counter = arm(Point(**job["point"]))
        if counter is not None:
            ledger.clock = lambda: counter.seen
        asyncio.run(run(space, ledger, **job["arguments"]))
        sys.setprofile(None)
        if counter is not None:
            ledger.note("calls", counter.seen)
        if job["tell_modules"]:
            ledger.note("modules", [name for name, module in sys.modules.items() if getattr(module, "__file__", None)])
    except BaseException as error:  # noqa: BLE001 - the ledger is where the parent looks
        ledger.note("broken", f"{type(error).__name__}: {error}")
    os._exit(0)


def _modules(ledger: Ledger) -> list[str]:
    return next((line[1] for line in ledger.lines() if line[0] == "modules"), [])


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception:  # noqa: BLE001 - a child imports it again, and tells
        return


if __name__ == "__main__":
    main()
