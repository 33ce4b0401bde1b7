"""Tracing and injecting faults with strace, where this system has it and allows it."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from omniq_conformance.faults.choosing import Made
from omniq_conformance.outcomes import UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

__all__ = ["injecting", "is_usable", "made", "require", "tracing"]

_CALL = re.compile(r"(?P<thread>\d+) +(?P<at>\d+\.\d+) (?P<name>\w+)\(")


@functools.cache
def _fault() -> str | None:
    """Say why processes cannot be traced here, None if they can."""
    found = shutil.which("strace")
    if found is None:
        return "strace is not installed"
    probe = [*injecting(("fsync",), "error=EIO", 1), sys.executable, "-c", ""]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - as found
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"strace cannot be run: {error}"
    return f"strace fails: {done.stderr.strip()[:200]}" if done.returncode else None


def is_usable() -> bool:
    """Tell whether processes can be traced here."""
    return _fault() is None


def require() -> None:
    """Refuse to go on where processes cannot be traced.

    Raises:
        UnverifiedError: Says why, and what to do about it.
    """
    fault = _fault()
    if fault is not None:
        msg = (
            f"Faults cannot be injected into system calls: {fault}. On Linux, install strace 5.3 or newer and allow "
            "ptrace (in a container: the capability SYS_PTRACE)."
        )
        raise UnverifiedError(msg)


def _names(calls: Collection[str]) -> str:
    return ",".join(f"?{call}" for call in sorted(calls))  # some architectures lack some of them


def injecting(calls: Sequence[str], fault: str, trigger: int, *, on: bool = False) -> list[str]:
    """Return the command that hits system calls of what is run under it.

    Args:
        calls: Their names.
        fault: What hits them, such as `signal=SIGKILL` or `error=EIO`.
        trigger: Which call of each thread and name is hit.
        on: Whether the calls after it are hit too.
    """
    names = _names(calls)
    # With a filter for system calls strace is faster, but does not deliver signals.
    filter = [] if fault.startswith("signal") else ["--seccomp-bpf"]
    injection = f"inject={names}:{fault}:when={trigger}{'+' if on else ''}"
    return ["strace", "-f", "-qq", *filter, "-o", "/dev/null", "-e", f"trace={names}", "-e", injection]


def tracing(calls: Collection[str], log: Path) -> list[str]:
    """Return the command that logs system calls with the time of their beginning and how long they took."""
    return ["strace", "-f", "-qq", "--seccomp-bpf", "-ttt", "-T", "-o", str(log), "-e", f"trace={_names(calls)}"]


def made(log: str) -> list[Made]:
    """Return the calls of each name, by the thread that made it most often."""
    by_thread: dict[tuple[str, str], list[float]] = defaultdict(list)
    for call in map(_CALL.match, log.splitlines()):
        if call is not None:
            by_thread[call["name"], call["thread"]].append(float(call["at"]))
    most: dict[str, list[float]] = {}
    for (name, _), times in by_thread.items():
        most[name] = max(times, most.get(name, []), key=len)
    return [Made(name, number, at) for name, times in most.items() for number, at in enumerate(times, 1)]
