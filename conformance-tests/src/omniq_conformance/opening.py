"""A process that opens stores when it is told to: at the same time as another one, or to be killed meanwhile.

It reads JSON lines `{"namespace": ..., "now": ..., "kill_after": ...}`. Without `kill_after` it opens the namespace and
answers with what is in it at `now`. Else a child of its own opens the namespace, is killed so many seconds later, and
the answer tells how long it lived and whether it was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from omniq_conformance.dumps import dump
from omniq_conformance.interpreters import start_module
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.references import harness_from, reference_to

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from omniq_conformance.harness import Harness

__all__ = ["Opener", "main"]

_READY = "ready\n"
_LOOK_EVERY = 0.0002


class Opener:
    """The parent's side: a context manager that starts the process and ends it."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness

    def __enter__(self) -> Self:
        self._process = start_module("opening", reference_to(self._harness))
        return self

    def wait_until_ready(self) -> None:
        """Wait until its imports are done."""
        if self._line() != _READY:
            raise self._broken()

    def ask(self, **order: Any) -> None:
        """Give it an order, and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer to the oldest order."""
        line = self._line()
        if not line:
            raise self._broken()
        return json.loads(line)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _broken(self) -> DivergenceError:
        _, faults = self._process.communicate()
        return DivergenceError(f"The process that opens stores ended with {self._process.returncode}:\n{faults}")


async def _opened(harness: Harness, namespace: str, now: int) -> dict[str, Any]:
    stores = await harness.open(namespace)
    try:
        return await dump(stores, now)
    finally:
        await stores.close()


def _killed(harness: Harness, namespace: str, now: int, after: float) -> dict[str, Any]:
    started = time.perf_counter()
    child = os.fork()
    if not child:
        status = 1
        try:
            asyncio.run(_opened(harness, namespace, now))
            status = 0
        finally:
            os._exit(status)
    while time.perf_counter() < started + after:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            seconds = time.perf_counter() - started
            return {"killed": False, "seconds": seconds, "code": os.waitstatus_to_exitcode(status)}
        time.sleep(_LOOK_EVERY)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"killed": True, "seconds": time.perf_counter() - started, "code": 0}


def main() -> None:
    """Do what the lines of standard input say."""
    harness = harness_from(json.loads(sys.argv[1]))
    sys.stdout.write(_READY)
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        namespace, now, after = order["namespace"], order["now"], order.get("kill_after")
        if after is None:
            answer = asyncio.run(_opened(harness, namespace, now))
        else:
            answer = _killed(harness, namespace, now, after)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
