"""What `omniq doctor` looks at. Each function returns findings and raises nothing that a broken store can cause."""

from __future__ import annotations

import inspect
import platform
import time
from typing import TYPE_CHECKING, Any

from omniq.cli.output import age
from omniq.errors import OmniQError, PluginError
from omniq.models.config import Role
from omniq.models.redaction import redact_text
from omniq.storage.capabilities import Durability, Scope
from omniq.storage.plugins import foreign_omniq, list_backends
from omniq.storage.upkeep import Finding, Severity, Upkeep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.app import AsyncOmniQ
    from omniq.storage.factory import Stores
    from omniq.storage.role import Storage
    from omniq.storage.task_queue import TaskQueue

__all__ = ["check_installation", "check_integrity", "check_plugins", "check_storages", "check_work"]

_SKEW_WARNING_MS = 1_000
_SKEW_ERROR_MS = 60_000
_BACKLOG_MS = 60_000
_RELAY_MS = 60_000


def check_installation() -> list[Finding]:
    """Look at versions, and at what cannot be used of what is installed."""
    from importlib_metadata import version

    core = version("omniq-core")
    found = [Finding("python", Severity.OK, f"{platform.python_version()} on {platform.platform(terse=True)}")]
    foreign = foreign_omniq()
    if foreign is None:
        found.append(Finding("omniq-core", Severity.OK, core))
    else:
        found.append(Finding("omniq-core", Severity.ERROR, f"{core}. {foreign}"))
    for listing in list_backends():
        name = f"backend {listing.name}"
        if listing.disabled:
            found.append(Finding(name, Severity.OK, f"{listing.distribution} {listing.version}, disabled"))
        elif listing.problem:
            found.append(Finding(name, Severity.WARNING, listing.problem))
        elif listing.info is not None and listing.info.distribution.startswith("omniq-") and listing.version != core:
            remedy = f"Install the same version of both: pip install --upgrade omniq-core {listing.distribution}"
            message = f"{listing.distribution} {listing.version} beside omniq-core {core}"
            found.append(Finding(name, Severity.WARNING, message, remedy))
        else:
            found.append(Finding(name, Severity.OK, f"{listing.distribution} {listing.version}"))
    return found


async def check_storages(stores: Stores) -> tuple[list[Finding], frozenset[Role]]:
    """Open each storage by itself, and tell what it can do; also return the roles that could be opened.

    Roles that are kept in one store, and say the same about it, are one finding.
    """
    found: dict[tuple[Severity, str, str], list[Role]] = {}
    opened: set[Role] = set()
    storages = (stores.task_queue, stores.results, stores.events, stores.schedules)
    for role, storage in zip(Role, storages, strict=True):
        where = stores.plan.role(role)
        place = f"{where.backend_type} {redact_text(where.url)}" if where.url else where.backend_type
        try:
            await storage.open()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is what the doctor is asked about
            told = (Severity.ERROR, f"{place} cannot be opened: {_told(error)}", _remedy(error))
            found.setdefault(told, []).append(role)
            continue
        opened.add(role)
        for told in _describe(place, role, storage):
            found.setdefault(told, []).append(role)
    return [Finding(_named(roles), *told) for told, roles in found.items()], frozenset(opened)


def _named(roles: list[Role]) -> str:
    return "all four roles" if len(roles) == len(Role) else ", ".join(roles)


def _describe(place: str, role: Role, storage: Storage) -> list[tuple[Severity, str, str]]:
    can = storage.capabilities
    engine = f" ({can.server_version})" if can.server_version else ""
    text = f"{place}{engine}: survives {_SURVIVES[can.durability]}, seen by {_SEEN_BY[can.scope]}, order {can.order}, "
    text += f"{'pushed' if can.push else 'polled'} wake-ups after {can.max_wait_ms} ms at worst"
    found = [(Severity.OK, text, ""), *((Severity.WARNING, warning, "") for warning in can.warnings)]
    if can.scope is Scope.PROCESS and role is not Role.EVENT_STORAGE:
        message = f"{place} lives in the memory of one process, so no worker in another process can see it"
        remedy = "Choose another backend, such as sqlite, or run the worker in the process that enqueues"
        found.append((Severity.WARNING, message, remedy))
    return found


_SURVIVES = {
    Durability.NONE: "nothing",
    Durability.PROCESS_CRASH: "a crash of the process",
    Durability.OS_CRASH: "a crash of the machine",
    Durability.REPLICATED: "the loss of a server",
}
_SEEN_BY = {Scope.PROCESS: "this process", Scope.HOST: "this host", Scope.CLUSTER: "every host"}


async def check_work(queue: TaskQueue) -> list[Finding]:
    """Look at the clock, the backlog, tasks of dead workers, and events that nobody has written yet."""
    try:
        return [await _clock(queue), *await _backlog(queue), *await _relay(queue)]
    except OmniQError as error:
        return [Finding("work", Severity.ERROR, f"the task queue does not answer: {_told(error)}")]


async def _clock(queue: TaskQueue) -> Finding:
    before = time.time_ns() // 1_000_000
    store = await queue.time()
    after = time.time_ns() // 1_000_000
    skew = 0 if before <= store <= after else min(store - before, store - after, key=abs)
    text = f"the store's clock differs from this host's by {abs(skew)} ms" if skew else "equal to this host's"
    if abs(skew) < _SKEW_WARNING_MS:
        return Finding("clock", Severity.OK, text)
    severity = Severity.ERROR if abs(skew) >= _SKEW_ERROR_MS else Severity.WARNING
    return Finding("clock", severity, text, "Set both by NTP: a delay or an eta is counted by the store's clock")


async def _backlog(queue: TaskQueue) -> list[Finding]:
    now = await queue.time()
    found = []
    for stats in await queue.queues():
        waiting = 0 if stats.oldest_ready_at is None else now - stats.oldest_ready_at
        name = f"queue {stats.name}"
        if stats.stale:
            message = f"{stats.stale} tasks of workers that gave no sign of life wait to be taken over"
            found.append(Finding(name, Severity.WARNING, message, f"Start a worker for the queue {stats.name!r}"))
        if stats.paused and stats.ready:
            message = f"paused, with {stats.ready} ready tasks"
            found.append(Finding(name, Severity.WARNING, message, f"omniq queue resume {stats.name}"))
        elif stats.ready and not stats.running and waiting > _BACKLOG_MS:
            message = f"{stats.ready} ready tasks, the oldest for {age(waiting / 1000)}, and none is running"
            found.append(Finding(name, Severity.WARNING, message, f"Start a worker for the queue {stats.name!r}"))
        else:
            message = (
                f"{stats.ready} ready, {stats.running} running, {stats.scheduled} scheduled, {stats.failed} failed"
            )
            found.append(Finding(name, Severity.OK, message))
    return found


async def _relay(queue: TaskQueue) -> list[Finding]:
    late = await queue.outbox(limit=1000, min_age_ms=_RELAY_MS)
    if not late:
        return []
    count = f"{len(late)}{' or more' if len(late) == 1000 else ''}"  # noqa: PLR2004 - the limit of the call
    message = f"{count} events older than a minute have not reached the event storage"
    return [Finding("events", Severity.WARNING, message, "Any worker that runs writes them; see its log if one does")]


async def check_integrity(queue: TaskQueue) -> list[Finding]:
    """Read the whole store and report what is damaged, if the backend can."""
    if not isinstance(queue, Upkeep):
        return [Finding("integrity", Severity.OK, "this backend offers no check of its own")]
    try:
        damage = await queue.integrity()
    except OmniQError as error:
        return [Finding("integrity", Severity.ERROR, f"cannot be checked: {_told(error)}")]
    remedy = "Stop the workers, and restore a backup"
    return [Finding("integrity", Severity.ERROR, text, remedy) for text in damage] or [
        Finding("integrity", Severity.OK, "the whole store was read; nothing is damaged")
    ]


async def check_plugins(stores: Stores, app: AsyncOmniQ) -> list[Finding]:
    """Ask the plugins for their checks."""
    try:
        manager = stores.load_plugins()
    except PluginError as error:
        return [Finding("plugins", Severity.ERROR, _told(error))]
    found: list[Finding] = []
    for implementation in manager.hook.omniq_doctor_checks.get_hookimpls():
        name = f"plugin {implementation.plugin_name}"
        arguments = [app] if "app" in implementation.argnames else []
        try:
            answer = await _awaited(implementation.function(*arguments))
            found += [_finding(name, item) for item in answer or ()]
        except Exception as error:  # noqa: BLE001 - one broken plugin must not hide the other findings
            found.append(Finding(name, Severity.ERROR, f"its check failed: {_told(error)}"))
    return found


async def _awaited(answer: Any) -> Iterable[object] | None:
    found: Iterable[object] | None = await answer if inspect.isawaitable(answer) else answer
    return found


def _finding(name: str, item: object) -> Finding:
    if isinstance(item, Finding):
        return item
    return Finding(name, Severity.WARNING, str(item))


def _told(error: BaseException) -> str:
    text = redact_text(str(error)) or "no message"
    return text if isinstance(error, OmniQError) else f"{type(error).__name__}: {text}"


def _remedy(error: BaseException) -> str:
    return "" if isinstance(error, OmniQError) else "If the message does not help, report it to the backend's authors"
