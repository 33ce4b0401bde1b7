"""A process with all that it started: found, signalled, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Guard", "kill_tree", "resume_tree", "stop_tree", "tree"]

_GONE = 10.0

_WATCH = """
trap '' HUP INT TERM
cd /
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  kill -CONT "$pid"; kill -"$2" "$pid"
  for n in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" || break; sleep 0.2; done
  kill -KILL "$pid"
fi
for n in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" && break; sleep 0.2; done
"""


class Guard:
    """Ends a process and removes its folder when this process is gone, however it died.

    It is a shell that reads from a pipe whose other end only this process holds. The kernel's own parent-death signal
    would not do: it comes when the thread ends that started the child.
    """

    def __init__(self, folder: Path, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        # No Popen object: one that is still there when the interpreter ends complains, and that is when a guard acts.
        end, self._pipe = os.pipe()
        self._pid = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _WATCH, "omniq-conformance-guard", str(folder), stop_signal.name.removeprefix("SIG")],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, end, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setpgroup=0,
        )
        os.close(end)

    def watch(self, pid: int | None) -> None:
        """Say which process is to be ended; None when it ended."""
        os.write(self._pipe, f"{'' if pid is None else pid}\n".encode())

    def dismiss(self) -> None:
        """Let everything be."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._pipe)


def tree(pid: int) -> list[int]:
    """Return the living processes that descend from one, itself first; zombies are not alive."""
    children: dict[int, list[int]] = {}
    alive = _parents()
    for child, parent in alive.items():
        children.setdefault(parent, []).append(child)
    found = [pid] if pid in alive else []
    for each in found:
        found += children.get(each, [])
    return found


def stop_tree(pid: int) -> None:
    """Stop a process and all that it started with SIGSTOP, until no new ones appear."""
    stopped: set[int] = set()
    while new := set(tree(pid)) - stopped:
        for each in new:
            _signal(each, signal.SIGSTOP)
        stopped |= new


def resume_tree(pid: int) -> None:
    """Let a stopped tree go on."""
    for each in reversed(tree(pid)):
        _signal(each, signal.SIGCONT)


def kill_tree(pid: int) -> None:
    """End a process and all that it started with SIGKILL, and return once they are gone.

    They are stopped first, so that none escapes by forking.
    """
    stop_tree(pid)
    killed = set(tree(pid))
    for each in killed:
        _signal(each, signal.SIGKILL)
    until = time.monotonic() + _GONE
    while killed & _parents().keys() and time.monotonic() < until:
        time.sleep(0.002)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _parents() -> Mapping[int, int]:
    """Return the parent of every living process."""
    if not Path("/proc/self/stat").exists():
        return _parents_by_ps()
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                # The name in parentheses may have spaces and parentheses of its own.
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    found[int(folder.name)] = int(parent)
    return found


def _parents_by_ps() -> Mapping[int, int]:
    told = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="],  # noqa: S607 - where it is differs
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line.split() for line in told.splitlines()]
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}
