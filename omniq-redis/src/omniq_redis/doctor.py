"""What `omniq doctor` says about the servers that an application uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from omniq.storage.hookspecs import hookimpl
from omniq.storage.upkeep import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq_redis.role import RedisRole
    from omniq_redis.server import Server

__all__ = ["examine"]

_FULL = 0.8
_SLOW_ENTRIES = 128
_SLOW_MS = 100


@hookimpl
async def omniq_doctor_checks(app: Any) -> list[Finding]:
    """Look at each Redis or Valkey server once."""
    stores = app.stores
    storages = (stores.task_queue, stores.results, stores.events, stores.schedules)
    # By name, because importing the classes would import the driver, also where nobody uses it.
    ours = [cast("RedisRole", each) for each in storages if type(each).__module__.startswith("omniq_redis.")]
    servers = {id(role.shared): role.shared for role in ours}
    return [finding for server in servers.values() for finding in await examine(server)]


async def examine(server: Server) -> list[Finding]:
    """Return what is found about a server that is open."""
    from omniq_redis.greeting import read_info

    info = await read_info(server)
    return [_eviction(info), _persistence(info), _memory(info), *_replicas(info), await _slow_scripts(server)]


def _eviction(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    evicted = int(info.get("evicted_keys", 0))
    if policy == "noeviction":
        return Finding("redis eviction", Severity.OK, "noeviction: keys are never dropped for want of memory")
    severity = Severity.ERROR if evicted else Severity.WARNING
    message = f"maxmemory-policy is {policy}; {evicted} keys were evicted since the server started"
    return Finding("redis eviction", severity, message, "redis-cli CONFIG SET maxmemory-policy noeviction")


def _persistence(info: Mapping[str, str]) -> Finding:
    name = "redis persistence"
    if info.get("aof_enabled") != "1":
        message = "no append-only file: a restart loses what came after the last snapshot"
        return Finding(name, Severity.WARNING, message, "redis-cli CONFIG SET appendonly yes")
    failed = [key for key in ("aof_last_write_status", "aof_last_bgrewrite_status") if info.get(key, "ok") != "ok"]
    if failed:
        message = f"the append-only file is not written: {', '.join(failed)}"
        return Finding(name, Severity.ERROR, message, "Look at the server's log, and free some space on its disk")
    return Finding(name, Severity.OK, "append-only file is on and written")


def _memory(info: Mapping[str, str]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    text = f"{used / 2**20:,.0f} MiB used"
    if not most:
        return Finding("redis memory", Severity.OK, f"{text}, no maxmemory")
    text += f" of {most / 2**20:,.0f} MiB"
    if used < _FULL * most:
        return Finding("redis memory", Severity.OK, text)
    remedy = "Raise maxmemory, or shorten task_retention, result_ttl and the retention of events"
    return Finding("redis memory", Severity.WARNING, f"{text}: when it is full, enqueuing is refused", remedy)


def _replicas(info: Mapping[str, str]) -> list[Finding]:
    count = int(info.get("connected_slaves", 0))
    if not count:
        return []
    states = [value for key, value in info.items() if key.startswith("slave") and "state=" in value]
    late = [state for state in states if "state=online" not in state]
    severity = Severity.WARNING if late else Severity.OK
    return [Finding("redis replicas", severity, f"{count} connected, {len(late)} of them not in step")]


async def _slow_scripts(server: Server) -> Finding:
    (reply,) = await server.execute([("SLOWLOG", "GET", _SLOW_ENTRIES)])
    if isinstance(reply, Exception):
        return Finding("redis slow scripts", Severity.OK, f"cannot be told: {reply}")
    ours = [entry for entry in reply if server.prefix in entry[3]]
    if not ours:
        return Finding("redis slow scripts", Severity.OK, "none in the server's slow log")
    worst = max(entry[2] for entry in ours) / 1000
    message = f"{len(ours)} scripts of this application in the slow log, the slowest took {worst:,.0f} ms"
    if worst < _SLOW_MS:
        return Finding("redis slow scripts", Severity.OK, message)
    remedy = (
        "Nothing else runs on the server meanwhile: enqueue smaller payloads, and look at the server's CPU and disk"
    )
    return Finding("redis slow scripts", Severity.WARNING, message, remedy)
