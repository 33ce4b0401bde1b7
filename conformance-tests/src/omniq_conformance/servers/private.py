"""A server of the suite's own: a child process with a private folder and a port of the loopback interface."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from omniq_conformance.servers.processes import Guard, kill_tree, resume_tree, stop_tree
from omniq_conformance.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PrivateServer", "ServerError", "free_port"]

_PORTS = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections: a client that tries again and again while the server is
down could get the server's port for its own end, even connected to itself."""

_TAKEN = re.compile("address already in use", re.IGNORECASE)
_TRIES = 5
_START = 30.0
_STOP = 10.0


class ServerError(RuntimeError):
    """A server did not start; the message ends with the last lines of its log."""


def free_port() -> int:
    """Return a port of the loopback interface on which nothing listens at the moment."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - only to miss others who look for one
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class PrivateServer(Server):
    """Starts a program and keeps it under control; a subclass says how.

    Args:
        options: Settings, by their names in the server's configuration; they are stronger than the suite's own.
    """

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    """The signal that ends it in good order."""

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options = dict(options or {})
        self.folder = Path(tempfile.mkdtemp(prefix=f"omniq-{self.kind}-"))
        self.log = self.folder / "server.log"
        self._guard = Guard(self.folder, self.stop_signal)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        try:
            self.prepare()
            self._start_on_a_free_port()
        except BaseException:
            self.stop()
            raise

    def prepare(self) -> None:
        """Make what has to be in the folder before the first start; nothing by default."""

    def before_restart(self, pid: int) -> None:
        """Clear away what the process `pid`, which is gone, left behind; nothing by default."""

    @abstractmethod
    def address(self) -> str:
        """Return the url for `self.port`."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return what to run, in the foreground, on `self.port`."""

    @abstractmethod
    def is_ready(self, log: str) -> bool:
        """Tell whether it serves; `log` is what it wrote since it was started."""

    @property
    def pid(self) -> int:
        """The main process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    def kill(self) -> None:
        """End every process of it with SIGKILL, as a crash does."""
        if self._process is not None:
            kill_tree(self._process.pid)
            self._reap()

    def restart(self) -> None:
        """Start it again on its data and port; one that is running is stopped in good order before.

        Raises:
            ServerError: It does not start.
        """
        if self._process is not None:
            self._end()
        self._start()

    def pause(self) -> None:
        """Stop every process of it with SIGSTOP: connections stay open and nothing answers."""
        stop_tree(self.pid)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        resume_tree(self.pid)

    def stop(self) -> None:
        """End it and remove its data; stopping twice is harmless."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self.kill()
        self._guard.dismiss()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        """End it in good order if that does not take long."""
        process = self._process
        assert process is not None
        resume_tree(process.pid)
        process.send_signal(self.stop_signal)
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
        self._reap()

    def _reap(self) -> None:
        process = self._process
        assert process is not None
        process.wait(_STOP)
        self._guard.watch(None)
        self._process = None
        self.before_restart(process.pid)

    def _start_on_a_free_port(self) -> None:
        for left in reversed(range(_TRIES)):
            self.port = free_port()
            self.url = self.address()
            try:
                self._start()
            except ServerError as error:
                if not left or not _TAKEN.search(str(error)):
                    raise
            else:
                return

    def _start(self) -> None:
        with self.log.open("ab") as log:
            seen = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - a server's own command
                [str(part) for part in self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)
        until = time.monotonic() + _START
        while not self.is_ready(written := self._written(seen)):
            if self._process.poll() is not None or time.monotonic() > until:
                # The end of the log may have come after it was read.
                written = self._written(seen)
                self.kill()
                msg = f"{self.version} did not start with {self.options}. Its log ends with:\n{written[-2000:]}"
                raise ServerError(msg)
            time.sleep(0.005)

    def _written(self, seen: int) -> str:
        with self.log.open("rb") as log:
            log.seek(seen)
            return log.read().decode(errors="replace")
