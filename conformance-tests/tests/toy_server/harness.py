"""The toy's server under the suite's control, and its harness."""

from __future__ import annotations

import sys
from pathlib import Path

from omniq_conformance import Harness, OpenedStores
from omniq_conformance.servers import PrivateServer
from toy_server.client import ROLES, Link


class ToyServer(PrivateServer):
    kind = "toy"
    version = "Toy 1.0"

    def address(self):
        return f"toy://127.0.0.1:{self.port}"

    def command(self):
        process = Path(__file__).with_name("process.py")
        return [sys.executable, process, str(self.port), self.folder, *self.options]

    def is_ready(self, log):
        return "ready" in log


class ToyHarness(Harness):
    backend = "toy"
    server_kind = "toy"

    def __init__(self, link=Link, **flags):
        super().__init__()
        self.link = link
        self.flags = flags

    def __enter__(self):
        self.server = ToyServer(self.flags)
        self.url = self.server.url
        return self

    async def open(self, namespace):
        link = self.link(self.url, namespace)
        stores = OpenedStores(**{name: role(link) for name, role in ROLES.items()})
        for storage in stores:
            await storage.open()
        return stores

    async def destroy(self, namespace):
        link = Link(self.url, namespace)
        link.timeout = 30.0
        await link.call("", "destroy", namespace)
