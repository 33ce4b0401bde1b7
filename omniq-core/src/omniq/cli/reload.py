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
    """Run the worker until it ends well by itself or a signal comes, and start it anew after every change.

    A worker that fails, perhaps because of what was changed, is started again at the next change.

    Returns:
        The exit code of the last worker.
    """
    supervisor = _Supervisor(Path.cwd())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, supervisor.stop)
    return supervisor.run()


class _Supervisor:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def stop(self, number: int, _: object) -> None:
        """Pass a signal on, and do not start another worker."""
        self._stopping = True
        if self._child is not None:
            self._child.send_signal(number)

    def run(self) -> int:
        """Start workers until one ends well or a signal comes."""
        environ = {name: value for name, value in os.environ.items() if name != "OMNIQ_WORKER_RELOAD"}
        while True:
            seen = newest_change(self._folder)
            # A session of its own: Ctrl-C reaches the supervisor only, which passes it on once.
            child = self._child = subprocess.Popen(  # noqa: S603 - our own command
                child_command(sys.orig_argv), env=environ, start_new_session=True
            )
            if self._stopping:
                child.terminate()
            changed = self._watch(child, seen)
            if not changed and child.returncode != 0 and not self._stopping:
                click.echo(f"The worker ended with exit code {child.returncode}: waiting for a change.", err=True)
                changed = self._wait_for_change(seen)
            if self._stopping or not changed:
                return child.returncode

    def _watch(self, child: subprocess.Popen[bytes], seen: tuple[int, int]) -> bool:
        """Wait until the worker has ended, and end it if a file changes; tell whether one did."""
        changed = False
        while child.poll() is None:
            time.sleep(_LOOK_EVERY)
            if not changed and not self._stopping and newest_change(self._folder) != seen:
                changed = True
                click.echo("A file changed: starting the worker afresh.", err=True)
                child.terminate()
        return changed

    def _wait_for_change(self, seen: tuple[int, int]) -> bool:
        while not self._stopping:
            if newest_change(self._folder) != seen:
                return True
            time.sleep(_LOOK_EVERY)
        return False


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
