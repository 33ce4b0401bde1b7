"""A PgBouncer in transaction mode before a server, as Debian's package installs it."""

from __future__ import annotations

import contextlib
import os
import socket

from omniq_conformance.servers.binaries import Product, find_binary
from omniq_conformance.servers.private import PrivateServer

__all__ = ["PgBouncer"]

PGBOUNCER = Product(title="PgBouncer", command="pgbouncer", package="pgbouncer", places=("/usr/sbin/pgbouncer",))


class PgBouncer(PrivateServer):
    """Few connections to the server, each lent for one transaction.

    Args:
        server: The server that it stands before.

    Raises:
        UnverifiedError: It is not installed.
    """

    kind = "pgbouncer"

    def __init__(self, server):
        self.binary = find_binary(PGBOUNCER)
        self.server = server
        super().__init__()

    def prepare(self):
        self.settings = self.folder / "pgbouncer.ini"
        if os.geteuid() == 0:
            self.folder.chmod(0o755)

    def address(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def version(self):
        return f"{PGBOUNCER.title} {self.binary.version}"

    def command(self):
        self.settings.write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={self.server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\nmax_client_conn = 500\ndefault_pool_size = 10\n"
            "ignore_startup_parameters = extra_float_digits\n"
        )
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return [self.binary.path, *user, self.settings]

    def is_ready(self, log):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return "process up" in log
        return False
