"""What is found about a namespace on NATS: the server, JetStream's limits, durability, and the streams as they are."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import TYPE_CHECKING, Any

from omniq.errors import OmniQError
from omniq.storage.upkeep import Finding, Severity
from omniq_nats.failures import RefusedError
from omniq_nats.greeting import stream_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq_nats.store import Store

__all__ = ["examine"]

_FULL = 0.8
_TIMEOUT = 3.0
_AGREED = (
    *("subjects", "retention", "discard", "storage", "num_replicas", "max_msgs_per_subject"),
    *("allow_rollup_hdrs", "allow_direct"),
)


async def examine(store: Store) -> list[Finding]:
    """Return what is found about a store that is open."""
    told = {name: await store.jetstream.info(name) for name in (store.names.log, store.names.keys)}
    return [
        Finding("nats server", Severity.OK, store.capabilities.server_version),
        await _room(store),
        *(_stream(store, name, info) for name, info in told.items()),
        *(_replicas(name, info) for name, info in told.items() if info is not None),
        await _syncing(store, told[store.names.log]),
        _damaged(store),
    ]


async def _room(store: Store) -> Finding:
    name = "nats limits"
    try:
        account = await store.jetstream.api("INFO")
    except (RefusedError, OmniQError) as error:
        return Finding(name, Severity.WARNING, f"cannot be told: {error}", "Allow $JS.API.INFO to this user")
    kind = "memory" if store.options.storage == "memory" else "storage"
    used, most = account.get(kind, 0), account.get("limits", {}).get(f"max_{kind}", -1)
    text = f"{used / 2**20:,.1f} MiB of {kind} used"
    if most <= 0:
        return Finding(name, Severity.OK, f"{text}, the account has no limit of its own")
    text += f" of {most / 2**20:,.0f} MiB"
    if used < _FULL * most:
        return Finding(name, Severity.OK, text)
    remedy = "Raise the account's limit, or shorten task_retention, result_ttl and the retention of events"
    return Finding(name, Severity.WARNING, f"{text}: when it is full, enqueuing is refused", remedy)


def _stream(store: Store, name: str, info: Mapping[str, Any] | None) -> Finding:
    title = f"nats stream {name}"
    if info is None:
        return Finding(title, Severity.ERROR, "it was deleted", "Open the application again to make a new one")
    wanted = stream_config(store, name, "")
    config = info["config"]
    drift = [f"{key} is {config.get(key)!r}, not {wanted[key]!r}" for key in _AGREED if config.get(key) != wanted[key]]
    limits = [key for key in ("max_age", "max_msgs", "max_bytes") if config.get(key, 0) > 0]
    drift += [f"{key} is set: it deletes tasks, or refuses new ones" for key in limits]
    if drift:
        return Finding(title, Severity.ERROR, "; ".join(drift), f"nats stream edit {name}, or correct the options")
    state = info["state"]
    return Finding(
        title, Severity.OK, f"{state['messages']:,} messages, {state['bytes'] / 2**20:,.1f} MiB, as it was made"
    )


def _replicas(name: str, info: Mapping[str, Any]) -> Finding:
    title = f"nats replicas of {name}"
    number = info["config"].get("num_replicas", 1)
    if number == 1:
        return Finding(title, Severity.OK, "one: it is away while its server is")
    replicas = info.get("cluster", {}).get("replicas", [])
    late = [each["name"] for each in replicas if each.get("offline") or not each.get("current")]
    if late:
        return Finding(
            title, Severity.WARNING, f"{', '.join(late)} not in step, of {number}", "Look at those servers' logs"
        )
    return Finding(title, Severity.OK, f"{number}, all in step")


async def _syncing(store: Store, info: Mapping[str, Any] | None) -> Finding:
    name = "nats durability"
    level = store.capabilities.durability.value
    if info is not None and info["config"].get("num_replicas", 1) > 1:
        return Finding(name, Severity.OK, f"{level}: acknowledged writes are on most of the replicas")
    if store.options.monitoring is None:
        text = f"{level}: sync_interval cannot be seen by clients"
        if store.options.sync_always:
            return Finding(name, Severity.WARNING, text, "Give monitoring, so that sync_always can be checked")
        remedy = "Set sync_interval: always in the server's jetstream block, and sync_always; or use 3 replicas"
        return Finding(name, Severity.WARNING, text, remedy)
    try:
        told = await asyncio.to_thread(_monitored, f"{store.options.monitoring.rstrip('/')}/jsz?config=1")
    except (OSError, ValueError) as error:
        return Finding(name, Severity.WARNING, f"the monitoring port does not answer: {error}", "Check monitoring")
    config = told.get("config", {})
    always = bool(config.get("sync_always"))
    text = f"{level}: sync_interval is {'always' if always else _seconds(config)}"
    if store.options.sync_always and not always:
        return Finding(name, Severity.ERROR, f"{text}, and sync_always says otherwise", "Set sync_interval: always")
    severity = Severity.OK if always else Severity.WARNING
    remedy = "" if always else "Set sync_interval: always on the server, and sync_always; or use 3 replicas"
    return Finding(name, severity, text, remedy)


def _seconds(config: Mapping[str, Any]) -> str:
    return f"{config.get('sync_interval', 0) / 1e9:,.0f} s"


def _monitored(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        msg = "it is no http url"
        raise ValueError(msg)
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - its scheme was checked
        told: dict[str, Any] = json.load(answer)
    return told


def _damaged(store: Store) -> Finding:
    damaged = sorted(store.view.damaged)
    if not damaged:
        return Finding("nats messages", Severity.OK, "none that was read is damaged")
    shown = ", ".join(map(str, damaged[:10]))
    return Finding(
        "nats messages",
        Severity.ERROR,
        f"{len(damaged)} messages of {store.names.log} cannot be decoded, such as {shown}",
        f"nats stream get {store.names.log} {damaged[0]} shows one; nats stream rmm deletes it",
    )
