"""What is looked at when a store is opened: the server, and the streams of the namespace, which are made if need be."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError, StoreFormatError
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq_nats.failures import RefusedError
from omniq_nats.jetstream import PAUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq_nats.store import Store

__all__ = ["FORMAT", "greet", "stream_config"]

FORMAT = 1
MIN_WRITER = 1
_OLDEST = (2, 9)
_ROLLING = (2, 10)
_PASSING = (2, 11)
_ROOM = 64 * 1024
"""Bytes of a message for what is stored beside the payload: names, errors, and the protocol's own."""
_SAMPLES = 3
_GOOD = 0.0005
_IN_USE = 10058
_NO_STORE = 10049
_NO_JETSTREAM = (10039, 10076)


async def greet(store: Store) -> Capabilities:
    """Look at a server and make the namespace if there is none.

    Raises:
        ConfigError: The server is too old, or has no JetStream.
        StoreFormatError: A newer version of this backend has changed the format of the namespace.
    """
    wire = await store.link.wire()
    server: Mapping[str, Any] = wire.server
    version = str(server.get("version", "0"))
    if _numbers(version) < _OLDEST:
        raise ConfigError(f"nats-server {version} is too old: omniq-nats needs 2.9. Upgrade the server.")
    if not server.get("jetstream", True):
        raise ConfigError(f"JetStream is not enabled on the server at {store.options.where}. Start it with -js.")
    store.jetstream.rolls_up = _numbers(version) >= _ROLLING
    identity = secrets.token_hex(16)
    told = await _stream(store, store.names.log, identity)
    keys = await _stream(store, store.names.keys, identity)
    store.jetstream.passes = _numbers(version) >= _PASSING and bool(told["config"].get("allow_msg_ttl"))
    store.jetstream.is_direct = all(each["config"]["num_replicas"] == 1 for each in (told, keys))
    mark = _mark_of(told)
    if mark.get("min_writer", MIN_WRITER) > FORMAT:
        raise StoreFormatError(
            f"The namespace {store.names.prefix} has format {mark['format']}, which needs a writer of at least format "
            f"{mark['min_writer']}; this omniq-nats writes format {FORMAT}. Upgrade with: pip install --upgrade "
            "omniq-nats"
        )
    for _ in range(_SAMPLES):
        if store.clock.is_old or store.clock.error > _GOOD:
            await store.measure()
    config = told["config"]
    limit = min(int(server.get("max_payload", 1 << 20)), 64 << 20)
    return Capabilities(
        durability=_durability(store, config),
        scope=Scope.CLUSTER,
        push=True,
        transaction_domain=f"nats:{mark.get('id', store.names.log)}",
        max_wait_ms=1000,
        max_payload_bytes=max(limit - _ROOM, limit // 2),
        max_id_bytes=512,
        clock_error_ms=max(1, math.ceil(2000 * store.clock.error)),
        server_version=f"nats-server {version}",
        warnings=tuple(_warnings(store, config)),
    )


def stream_config(store: Store, name: str, identity: str) -> dict[str, Any]:
    """Return how a stream is to be."""
    is_log = name == store.names.log
    letters = "lqs" if is_log else "burc"
    return {
        "name": name,
        "description": json.dumps({"omniq": "nats", "format": FORMAT, "min_writer": MIN_WRITER, "id": identity}),
        "subjects": [f"{store.names.prefix}.{letter}{'' if letter == 'c' else '.>'}" for letter in letters],
        "retention": "limits",
        "discard": "new",
        "storage": store.options.storage,
        "num_replicas": store.options.replicas,
        "max_msgs_per_subject": -1 if is_log else 1,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
        "allow_msg_ttl": True,  # older servers pass over it
        "duplicate_window": 100_000_000,
    }


async def _stream(store: Store, name: str, identity: str) -> dict[str, Any]:
    """Return what the server tells about a stream, which is made if there is none."""
    refusal = RefusedError(_IN_USE, 0, "")
    for pause in (*PAUSES, None):
        found = await store.jetstream.info(name)
        if found is not None:
            return found
        try:
            return await store.jetstream.api(f"STREAM.CREATE.{name}", stream_config(store, name, identity))
        except RefusedError as error:
            refusal = error
        # Either somebody else makes it at the same time; or the account's last stream was deleted, and the server,
        # which then removes the folder of them all a little later, did so just when it was to make this one's in there.
        if refusal.code not in {_IN_USE, _NO_STORE} or pause is None:
            break
        await asyncio.sleep(pause)
    if refusal.code in _NO_JETSTREAM:
        raise ConfigError(
            f"JetStream is not enabled at {store.options.where}: {refusal}. Start it with -js."
        ) from refusal
    remedy = "the server's log and its store_dir" if refusal.code == _NO_STORE else "replicas, storage and limits"
    raise ConfigError(f"The stream {name} cannot be made: {refusal}. Check {remedy}.") from refusal


def _mark_of(told: Mapping[str, Any]) -> dict[str, Any]:
    try:
        mark = json.loads(told["config"].get("description", ""))
    except ValueError:
        mark = None
    if not isinstance(mark, dict) or mark.get("omniq") != "nats":
        raise StoreFormatError(
            f"The stream {told['config']['name']} is not one of omniq-nats. Choose another namespace."
        )
    return mark


def _durability(store: Store, config: Mapping[str, Any]) -> Durability:
    if config.get("num_replicas", 1) > 1:
        return Durability.REPLICATED
    if config.get("storage") == "memory":
        return Durability.NONE
    return Durability.OS_CRASH if store.options.sync_always else Durability.PROCESS_CRASH


def _warnings(store: Store, config: Mapping[str, Any]) -> list[str]:
    found = []
    replicas = config.get("num_replicas", 1)
    if replicas != store.options.replicas:
        found.append(
            f"The streams have {replicas} replicas, not {store.options.replicas} as configured: what exists is left as "
            "it is. Change it with: nats stream edit."
        )
    if config.get("storage") == "memory" and replicas == 1:
        found.append("The streams are in the memory of one server: a restart loses all tasks.")
    elif replicas == 1 and not store.options.sync_always:
        found.append(
            "One replica, and the server may write to disk in intervals: a crash of its machine then loses what was "
            "acknowledged in the last minutes. Set sync_interval: always on the server, and sync_always here; or "
            "use 3 replicas."
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
