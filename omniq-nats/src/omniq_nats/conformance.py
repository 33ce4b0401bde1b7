"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_nats import plugin
from omniq_nats.codec import load_slot, unpack
from omniq_nats.failures import RefusedError
from omniq_nats.feed import scan
from omniq_nats.greeting import FORMAT
from omniq_nats.jetstream import JetStream, Progress, Write
from omniq_nats.link import Link
from omniq_nats.names import Names
from omniq_nats.options import NatsOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = ["NatsHarness"]

_GOLDEN = Path(__file__).parents[2] / "golden"  # in the source tree, and not in the wheel
_SAVED = "messages.json"


class NatsHarness(Harness):
    """A namespace is two streams."""

    backend = "nats"
    server_kind: ClassVar[str | None] = "nats"
    golden = _GOLDEN if _GOLDEN.is_dir() else None

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the streams of the namespace."""
        return await open_plugin(plugin, self._config(namespace))

    async def destroy(self, namespace: str) -> None:
        """Delete them."""
        async with self._jetstream(namespace) as jetstream:
            for stream in (jetstream.names.log, jetstream.names.keys):
                with contextlib.suppress(RefusedError):
                    await jetstream.api(f"STREAM.DELETE.{stream}")

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Read every message."""
        found: dict[str, list[str]] = {
            name: [] for name in ("tasks", "results", "schedules", "events", "outbox", "bodies", "unique")
        }
        async with self._jetstream(namespace) as jetstream:
            results = await _in_log(jetstream, found) | await _in_keys(jetstream, found)
        return {**found, "results": sorted(results)}

    async def save(self, namespace: str, folder: Path) -> None:
        """Write every message, without its number."""
        async with self._jetstream(namespace) as jetstream:
            names = jetstream.names
            saved: dict[str, Any] = {}
            for kind, stream in (("log", names.log), ("keys", names.keys)):
                told = await _told(jetstream, stream)
                saved[kind] = {
                    "description": told["config"]["description"],
                    "first": told["state"]["first_seq"],
                    "messages": [
                        [message.rev, message.subject.decode()[len(names.prefix) :], message.payload.hex()]
                        async for message in _messages(jetstream, stream, f"{names.prefix}.>")
                    ],
                }
        (folder / _SAVED).write_text(json.dumps(saved, indent=1) + "\n")

    async def restore(self, namespace: str, folder: Path) -> None:
        """Write them again, each under its old number, by filling the gaps with messages that are deleted."""
        saved = json.loads((folder / _SAVED).read_text())
        stores = await self.open(namespace)
        await stores.close()
        async with self._jetstream(namespace) as jetstream:
            names = jetstream.names
            for kind, stream in (("log", names.log), ("keys", names.keys)):
                await jetstream.api(f"STREAM.PURGE.{stream}", {})
                told = await _told(jetstream, stream)
                told["config"]["description"] = saved[kind]["description"]
                await jetstream.api(f"STREAM.UPDATE.{stream}", told["config"])
                await _fill(jetstream, stream, told["state"]["last_seq"], saved[kind]["messages"])

    async def make_newer(self, namespace: str) -> None:
        """Raise the numbers of the format."""
        async with self._jetstream(namespace) as jetstream:
            for stream in (jetstream.names.log, jetstream.names.keys):
                told = await _told(jetstream, stream)
                mark = json.loads(told["config"]["description"])
                mark |= {"format": FORMAT + 1, "min_writer": FORMAT + 1}
                told["config"]["description"] = json.dumps(mark)
                await jetstream.api(f"STREAM.UPDATE.{stream}", told["config"])

    def _config(self, namespace: str) -> BackendConfig:
        return BackendConfig(backend_type="nats", url=self.url, options={"namespace": namespace})

    @contextlib.asynccontextmanager
    async def _jetstream(self, namespace: str) -> AsyncIterator[JetStream]:
        options = NatsOptions.read(self._config(namespace))
        link = Link(options)
        try:
            yield JetStream(link, Names.of(namespace, "omniq"))
        finally:
            await link.close()


async def _told(jetstream: JetStream, stream: str) -> dict[str, Any]:
    told = await jetstream.info(stream)
    if told is None:
        msg = f"There is no stream {stream}."
        raise RuntimeError(msg)
    return told


async def _messages(jetstream: JetStream, stream: str, subject: str) -> AsyncIterator[Any]:
    async with contextlib.aclosing(scan(jetstream, stream, subject)) as messages:
        async for message in messages:
            yield message


async def _in_log(jetstream: JetStream, found: dict[str, list[str]]) -> set[str]:
    """Add what the log has, and return the ids of tasks with results."""
    names = jetstream.names
    latest, schedules = {}, {}
    async for message in _messages(jetstream, names.log, f"{names.prefix}.s.>"):
        schedules[message.subject] = unpack(message.payload)[0][0] if message.payload else None
    found["schedules"] += [each for each in schedules.values() if each is not None]
    async for message in _messages(jetstream, names.log, f"{names.prefix}.l.>"):
        if message.subject.endswith(b".h"):
            slot = load_slot(message.payload, message.rev)
            latest[slot.id] = slot
            entry = slot.entry
        else:
            entry = unpack(message.payload)
        if entry is not None:
            found["events"].append(f"{entry[0]}/{entry[2]}")
    found["tasks"] += [slot.id for slot in latest.values() if slot.row is not None]
    found["outbox"] += [f"{values[0]}/{values[2]}" for slot in latest.values() for _, values in slot.outbox]
    return {slot.id for slot in latest.values() if slot.result is not None}


async def _in_keys(jetstream: JetStream, found: dict[str, list[str]]) -> set[str]:
    """Add what the other stream has, and return the ids of results."""
    names = jetstream.names
    results = set()
    async for message in _messages(jetstream, names.keys, f"{names.prefix}.>"):
        kind = message.subject[len(names.prefix) + 1 :][:1]
        if kind == b"r":
            results.add(unpack(message.payload)[0][0])
        elif kind in {b"b", b"u"}:
            found["bodies" if kind == b"b" else "unique"].append(message.subject.decode())
    return results


async def _fill(jetstream: JetStream, stream: str, last: int, messages: Sequence[Any]) -> None:
    """Write messages; in the log under their old numbers, of which the next one is `last` + 1."""
    names, progress = jetstream.names, Progress()
    for rev, subject, payload in messages:
        if stream == names.log:
            gap = [Write(f"{names.prefix}.q.filler", None, b"")] * (rev - last - 1)
            await jetstream.delete(stream, await jetstream.write(gap, progress), progress)
        (last,) = await jetstream.write([Write(f"{names.prefix}{subject}", None, bytes.fromhex(payload))], progress)
        if stream == names.log and last != rev:
            msg = f"The message {rev} was written as {last}."
            raise RuntimeError(msg)
