"""Where a process is hit: at one of its system calls, through strace, or at a call inside of the backend's package.

strace counts the system calls of each thread and each name by itself, and waits for one number in all processes that it
follows. So that one strace serves many processes, each of them uses up calls of the name beforehand, in every thread
that it starts, until the call that is to be hit has that number.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

__all__ = ["FILE_CALLS", "SOCKET_CALLS", "WRITE_CALLS", "CallCounter", "Point", "arm"]

_NOWHERE = "/nonexistent/omniq"

WRITE_CALLS = ("write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate")
"""The system calls by which a disk that fails or is full is noticed."""
FILE_CALLS = (*WRITE_CALLS, "mkdir", "rename", "link", "unlink")
"""The system calls by which what is stored changes."""
SOCKET_CALLS = ("sendto", "sendmsg")
"""The system calls by which a server is asked to change something."""


@attrs.frozen
class Point:
    """Where a process is hit.

    Attributes:
        name: The name of a system call, `call` for a call inside of the backend's package, or empty for nowhere.
        number: Which of the calls, from 1.
        trigger: For system calls: which number strace waits for.
        package: For `call`: the folder of the package.
    """

    name: str = ""
    number: int = 0
    trigger: int = 0
    package: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


def arm(point: Point) -> CallCounter | None:
    """Prepare this process, before it has other threads, to be hit at the point; a counter counts what it could be."""
    if point.package:
        counter = CallCounter(point.package, point.number)
        counter.start()
        return counter
    if point.name:
        use_up = _calls()[point.name]

        def use_up_all() -> None:
            for _ in range(point.trigger - point.number):
                with contextlib.suppress(OSError):
                    use_up()

        _in_every_thread(use_up_all)
    return None


def _calls() -> Mapping[str, Callable[[], object]]:
    """Return for each system call a call of it that does nothing."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    nobody = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    return {
        "write": lambda: os.write(null, b"x"),
        "pwrite64": lambda: os.pwrite(null, b"x", 0),
        "writev": lambda: os.writev(null, [b"x"]),
        "fsync": lambda: os.fsync(null),
        "fdatasync": lambda: os.fdatasync(null),
        "ftruncate": lambda: os.ftruncate(null, 0),
        "mkdir": lambda: os.mkdir(_NOWHERE),  # noqa: PTH102 - exactly this system call
        "rename": lambda: os.rename(_NOWHERE, _NOWHERE),  # noqa: PTH104 - as above
        "link": lambda: os.link(_NOWHERE, _NOWHERE),
        "unlink": lambda: os.unlink(_NOWHERE),  # noqa: PTH108 - as above
        "sendto": lambda: nobody.send(b""),
        "sendmsg": lambda: nobody.sendmsg([b""]),
    }


def _in_every_thread(action: Callable[[], None]) -> None:
    """Do something in this thread, and first of all in every thread that it starts."""

    def first(frame: FrameType, event: str, arg: Any) -> None:
        del frame, event, arg
        sys.settrace(None)
        action()

    action()
    threading.settrace(first)


class CallCounter:
    """A profile function that counts the calls inside of a package, and ends the process at one of them.

    Args:
        package: The folder; calls that its code makes, of Python functions or of others, count.
        last: At which call the process gets the signal; 0 is never.
        number: The signal.

    Attributes:
        seen: How many calls there were.
        last: As given; may be moved.
    """

    def __init__(self, package: str, last: int = 0, number: int = signal.SIGKILL) -> None:
        self.seen = 0
        self.last = last
        self._package = package
        self._signal = number
        self._numbers = itertools.count(1)

    def start(self) -> None:
        """Count in this thread and in those that it starts."""
        threading.setprofile(self)
        sys.setprofile(self)

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Look at one event of the interpreter."""
        del arg
        if event in {"call", "c_call"} and frame.f_code.co_filename.startswith(self._package):
            self.seen = next(self._numbers)
            if self.seen == self.last:
                os.kill(os.getpid(), self._signal)
