"""Starts processes that may die: a fork server for a harness, by itself or under strace."""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from omniq_conformance.faults.child import PATIENCE
from omniq_conformance.faults.ledger import Ledger
from omniq_conformance.faults.points import Point
from omniq_conformance.interpreters import module_command, own_environment
from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.references import reference_to

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from omniq_conformance.faults.ledger import Line
    from omniq_conformance.harness import Harness
    from omniq_conformance.space import Space

__all__ = ["ForkServer", "Job", "shared"]

_NOWHERE = Point()
_LOOK_AGAIN = 0.002
_servers: weakref.WeakKeyDictionary[Harness, dict[str, ForkServer]] = weakref.WeakKeyDictionary()


class Job:
    """A child at work.

    Attributes:
        ledger: What it notes.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.path = folder / f"ledger-{number}"
        self.pipe = folder / f"pipe-{number}"
        self.ledger = Ledger(self.path)
        os.mkfifo(self.pipe)
        self._end = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)

    def until(self, what: str) -> Line:
        """Wait for a line of the ledger.

        Raises:
            RuntimeError: It does not come.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            lines = self.ledger.lines()
            for line in lines:
                if line[0] == what:
                    return line
            if any(line[0] in {"broken", "exit"} for line in lines):
                break
            time.sleep(_LOOK_AGAIN)
        msg = f"The child process never noted {what!r}. Its ledger: {self.ledger.lines()[-3:]}"
        raise RuntimeError(msg)

    def wait(self) -> list[Line]:
        """Wait until the child is gone, and return what it noted.

        Raises:
            RuntimeError: It does not end, or could not do its work.
        """
        poll = select.poll()
        poll.register(self._end, select.POLLHUP)
        ended = poll.poll((PATIENCE + 10) * 1000)
        lines = self.ledger.lines()
        os.close(self._end)
        self.ledger.close()
        self.path.unlink()
        self.pipe.unlink()
        broken = [line[1] for line in lines if line[0] == "broken"]
        if broken or not ended:
            msg = f"The child process {'failed: ' + broken[0] if broken else 'did not end'}. Its ledger: {lines[-3:]}"
            raise RuntimeError(msg)
        return lines


def shared(harness: Harness) -> ForkServer:
    """Return a fork server that all cases of a harness use, one after the other; it ends with the harness."""
    known = _servers.setdefault(harness, {})
    reference = json.dumps(reference_to(harness))
    if reference not in known or known[reference].has_ended:
        server = known[reference] = ForkServer(harness).__enter__()
        weakref.finalize(harness, server.__exit__, None, None, None)
    return known[reference]


class ForkServer:
    """A context manager around the process.

    Args:
        harness: Which stores its children open.
        tracer: The command to run it under, such as strace with its options.

    Attributes:
        is_warm: Whether it has been let import what its children need.
    """

    def __init__(self, harness: Harness, tracer: Sequence[str] = ()) -> None:
        self._command = [*tracer, *module_command("faults.child", reference_to(harness))]
        self._numbers = itertools.count()
        self.is_warm = False

    def __enter__(self) -> Self:
        if not hasattr(os, "fork"):
            msg = "This system has no fork, so no process can be killed at a chosen point. Run it on Linux or macOS."
            raise UnverifiedError(msg)
        self._temporary = tempfile.TemporaryDirectory(prefix="omniq-faults-")
        self.folder = Path(self._temporary.name)
        environment = own_environment(PYTHONDONTWRITEBYTECODE="1")
        with (self.folder / "errors").open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter with a module of this package
                self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=environment
            )
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._temporary.cleanup()

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def start(
        self,
        space: Space,
        run: str,
        arguments: dict[str, Any] | None = None,
        *,
        point: Point = _NOWHERE,
        tell_modules: bool = False,
    ) -> Job:
        """Start a child once the one before has ended.

        Args:
            space: Names the namespace and the mode.
            run: The coroutine function to run, as `module:name`; it gets the space, the ledger and the arguments.
            arguments: As JSON values.
            point: Where it is hit.
            tell_modules: Whether the server imports what the child had to import, so that later children have it.

        Raises:
            RuntimeError: The server has ended.
        """
        job = Job(self.folder, next(self._numbers))
        order = {
            "namespace": space.name,
            "mode": space.mode.value,
            "run": run,
            "arguments": arguments or {},
            "ledger": str(job.path),
            "pipe": str(job.pipe),
            "point": attrs.asdict(point),
            "tell_modules": tell_modules,
        }
        if self.has_ended or self._process.stdin is None:
            told = (self.folder / "errors").read_text("utf-8", errors="replace")
            msg = f"The process that starts children ended with {self._process.returncode}: {told}"
            raise RuntimeError(msg)
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return job

    def run(self, space: Space, run: str, arguments: dict[str, Any] | None = None, **options: Any) -> list[Line]:
        """Start a child, wait for its end and return what it noted."""
        return self.start(space, run, arguments, **options).wait()
