"""The server: `python process.py PORT FOLDER [buffered]`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import attrs

from omniq.models.record import Enqueued
from omniq.storage.backend import BackendConfig
from omniq_conformance import open_plugin
from omniq_sqlite import plugin

sys.path.insert(0, str(Path(__file__).parent))
from wire import packed, receive

BUFFERED = 0.3
"""Seconds for which the broken server keeps what it acknowledged in its memory."""


class ToyProcess:
    def __init__(self, folder, *, is_buffered):
        self.folder = folder
        self.is_buffered = is_buffered
        self.handles = {}
        self.later = set()

    async def serve(self, reader, writer):
        try:
            stores = await self.stores_of(await receive(reader))
            writer.write(packed({role: getattr(stores, role).capabilities for role in attrs.asdict(stores)}))
            while True:
                writer.write(packed(await self.answer(stores, *await receive(reader))))
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def stores_of(self, hello):
        """Every client's handle has one here, for all of its connections."""
        namespace, handle, joined = hello
        key = (namespace, handle, joined)
        if key not in self.handles:
            self.handles[key] = asyncio.ensure_future(self.open(namespace, joined))
        return await self.handles[key]

    async def open(self, namespace, joined):
        path = self.folder / namespace / "omniq.db"
        path.parent.mkdir(exist_ok=True)
        stores = await open_plugin(plugin, BackendConfig(backend_type="sqlite", url=str(path)))
        if joined:
            stores.task_queue.join(joined)
        return stores

    async def answer(self, stores, role, method, args, kwargs):
        if method == "destroy":
            return True, await self.destroy(*args)
        if self.is_buffered and method == "enqueue":
            late = asyncio.ensure_future(self.store_later(stores, args, kwargs))
            self.later.add(late)
            late.add_done_callback(self.later.discard)
            return True, [Enqueued(spec.id, created=True) for spec in args[0]]
        try:
            return True, await getattr(getattr(stores, role), method)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - it is the client's
            return False, error

    async def store_later(self, stores, args, kwargs):
        await asyncio.sleep(BUFFERED)
        await stores.task_queue.enqueue(*args, **kwargs)

    async def destroy(self, namespace):
        for key in [key for key in self.handles if key[0] == namespace]:
            await (await self.handles.pop(key)).close()
        shutil.rmtree(self.folder / namespace, ignore_errors=True)


async def main(port, folder, *flags):
    toy = ToyProcess(Path(folder), is_buffered="buffered" in flags)
    server = await asyncio.start_server(toy.serve, "127.0.0.1", int(port), reuse_address=True)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
