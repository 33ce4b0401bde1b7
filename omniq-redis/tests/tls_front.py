"""Stands before a server that cannot encrypt, and does it for that, as stunnel does."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading


class Front:
    """A context manager; takes connections with TLS and passes on what comes through them.

    Attributes:
        port: Where it listens, on the loopback interface.
        places: The addresses of its own connections to the server.
    """

    def __init__(self, target, *, certificate, key, authority):
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._context.load_verify_locations(authority)
        self.wants_certificates(wanted=False)
        self.places = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def wants_certificates(self, *, wanted):
        self._context.verify_mode = ssl.CERT_REQUIRED if wanted else ssl.CERT_OPTIONAL

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with (
            contextlib.suppress(OSError),
            connection,
            self._context.wrap_socket(connection, server_side=True) as client,
            socket.create_connection(self._target) as server,
        ):
            self.places.add("{}:{}".format(*server.getsockname()))
            client.settimeout(0)
            _pass_on(client, server)


def _pass_on(client, server):
    """Until one side ends. One thread does both directions: a TLS connection is not for two."""
    while True:
        ready = [client] if client.pending() else select.select([client, server], [], [])[0]
        if client in ready:
            with contextlib.suppress(ssl.SSLWantReadError):
                if not (data := client.recv(65536)):
                    return
                server.sendall(data)
        if server in ready:
            if not (data := server.recv(65536)):
                return
            client.settimeout(None)
            client.sendall(data)
            client.settimeout(0)
