"""Runs the worker in a child process, and anew when a source file changes; for development."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click

__all__ = ["child_command", "newest_change", "supervise"]

_LOOK_EVERY = 0.5
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages"})


def supervise() -> int:
    """Run the worker until it ends by itself or a signal comes, and start it anew after every change.

    Returns:
        The exit code of the last worker.
    """
    here = Path.cwd()
    child: subprocess.Popen[bytes] | None = None
    stopping = False

    def stop(number: int, _: object) -> None:
        nonlocal stopping
        stopping = True
        if child is not None:
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    environ = {name: value for name, value in os.environ.items() if name != "OMNIQ_WORKER_RELOAD"}
    while True:
        seen = newest_change(here)
        # A session of its own: Ctrl-C reaches the supervisor only, which passes it on once.
        child = subprocess.Popen(child_command(sys.orig_argv), env=environ, start_new_session=True)  # noqa: S603 - ours
        if stopping:
            child.terminate()
        changed = False
        while child.poll() is None:
            time.sleep(_LOOK_EVERY)
            if not changed and not stopping and newest_change(here) != seen:
                changed = True
                click.echo("A file changed: starting the worker afresh.", err=True)
                child.send_signal(signal.SIGTERM)
        if stopping or not changed:
            return child.returncode


def child_command(argv: list[str]) -> list[str]:
    """Return the command line of the supervisor without `--reload`."""
    return [sys.executable, *(argument for argument in argv[1:] if argument != "--reload")]


def newest_change(root: Path) -> tuple[int, int]:
    """Return how many Python files there are under the folder, and when the latest was changed."""
    count, newest = 0, 0
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in _PASSED_OVER]
        for name in names:
            if name.endswith(".py"):
                try:
                    changed = Path(folder, name).stat().st_mtime_ns
                except FileNotFoundError:
                    continue
                count, newest = count + 1, max(newest, changed)
    return count, newest
