"""Makes and opens the four storages of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs

from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.storage.backend import BackendConfig
from omniq.storage.events import EventStorage
from omniq.storage.plugins import Backend, create_storage, load_backend, load_plugins
from omniq.storage.resolution import Plan, RolePlan, resolve
from omniq.storage.results import ResultStorage
from omniq.storage.schedules import ScheduleStorage
from omniq.storage.task_queue import TaskQueue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pluggy

    from omniq.storage.backend import BackendInfo
    from omniq.storage.capabilities import Capabilities
    from omniq.storage.role import Storage

__all__ = [
    "Stores",
    "create_event_storage",
    "create_result_storage",
    "create_schedule_storage",
    "create_stores",
    "create_task_queue",
    "make_plan",
    "open_stores",
]


@attrs.define(kw_only=True, eq=False)
class Stores:
    """The four storages of an application.

    Attributes:
        task_queue: The truth of every task's life.
        results: Outcome values.
        events: The lifecycle log.
        schedules: Schedule definitions.
        plan: Which backend keeps what, and why.
        backends: The backend of each role, in the order of `Role`.
        joined: The roles that the task queue serves in its own transactions; known once they are open.
    """

    task_queue: TaskQueue
    results: ResultStorage
    events: EventStorage
    schedules: ScheduleStorage
    plan: Plan
    backends: tuple[Backend, ...]
    joined: frozenset[Role] = frozenset()

    @property
    def limits(self) -> Capabilities:
        """The task queue's capabilities, but ids only as long as results and events of them can be stored, too."""
        longest = min(storage.capabilities.max_id_bytes for storage in (self.task_queue, self.results, self.events))
        return attrs.evolve(self.task_queue.capabilities, max_id_bytes=longest)

    async def open(self) -> None:
        """Open all four, then join the roles that share the queue's transaction domain.

        If one fails, those that were opened are closed again and its error is raised.
        """
        opened: list[Storage] = []
        try:
            for storage in self._storages():
                opened.append(storage)
                await storage.open()
            self._join()
        except BaseException as error:
            for failure in await _close(opened):
                error.add_note(f"Closing after this failed too: {failure!r}")
            raise

    async def close(self) -> None:
        """Close all four, the task queue last, even if one of them fails.

        Raises:
            Exception: What a storage raised; an `ExceptionGroup` if several did.
        """
        failures = await _close(self._storages())
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise BaseExceptionGroup("several storages failed to close", failures)

    def load_plugins(self) -> pluggy.PluginManager:
        """Import the plugins of other kinds, for the hooks that they and the backends implement."""
        return load_plugins(self.backends)

    def _storages(self) -> Sequence[Storage]:
        return [self.task_queue, self.results, self.events, self.schedules]

    def _join(self) -> None:
        domain = self.task_queue.capabilities.transaction_domain
        others = zip(list(Role)[1:], self._storages()[1:], strict=True)
        shared = frozenset(role for role, storage in others if storage.capabilities.transaction_domain == domain)
        self.joined = self.task_queue.join(shared) if domain is not None and shared else frozenset()


async def _close(storages: Sequence[Storage]) -> list[BaseException]:
    """Close in reverse; return what was raised."""
    failures: list[BaseException] = []
    for storage in reversed(storages):
        try:
            await storage.close()
        except BaseException as error:  # noqa: BLE001 - the others are closed first, then it is raised
            failures.append(error)
    return failures


def make_plan(config: OmniQConfig | None = None, *, environ: Mapping[str, str] | None = None) -> Plan:
    """Decide which backend keeps which role, with the default stores of the backends filled in.

    Args:
        config: None stands for the environment alone.
        environ: Instead of `os.environ`.

    Raises:
        UnknownBackendError: A backend is not installed, disabled, or does not offer its role.
        PluginError: A backend cannot be used.
    """
    return resolve(config, environ=environ, info_of=_info_of)


def _info_of(name: str, role: Role) -> BackendInfo:
    return load_backend(name, role).info


def create_stores(plan: Plan) -> Stores:
    """Make the four storages of a plan without opening them; roles of one store share one `BackendConfig`.

    Raises:
        ConfigError: A backend is unknown, or a url or an option is invalid.
        PluginError: A backend cannot be used.
    """
    configs: list[tuple[tuple[Any, ...], BackendConfig]] = []
    made: dict[Role, Any] = {}
    backends: dict[Role, Backend] = {}
    for entry in plan.roles:
        backends[entry.role] = load_backend(entry.backend_type, entry.role)
        shared = next((config for store, config in configs if store == entry.store), None)
        if shared is None:
            shared = _backend_config(entry, plan.config, plan.lasting.setdefault(entry.role, {}))
            configs.append((entry.store, shared))
        made[entry.role] = create_storage(backends[entry.role], entry.role, shared)
    return Stores(
        task_queue=made[Role.TASK_QUEUE],
        results=made[Role.RESULT_STORAGE],
        events=made[Role.EVENT_STORAGE],
        schedules=made[Role.SCHEDULE_STORAGE],
        plan=plan,
        backends=tuple(backends[role] for role in Role),
    )


async def open_stores(config: OmniQConfig | None = None, *, environ: Mapping[str, str] | None = None) -> Stores:
    """Make and open the four storages of a configuration; the caller closes them.

    Args:
        config: None stands for the environment alone.
        environ: Instead of `os.environ`.

    Raises:
        ConfigError: Something in the configuration is invalid, or a backend is unknown.
        PluginError: A backend cannot be used.
        StorageError: A store cannot be reached, or has a format that is not understood.
    """
    stores = create_stores(make_plan(config, environ=environ))
    await stores.open()
    return stores


def _backend_config(entry: RolePlan, config: OmniQConfig, lasting: dict[str, object]) -> BackendConfig:
    return BackendConfig(
        backend_type=entry.backend_type,
        url=entry.url,
        options=entry.options,
        base_dir=config.base_dir,
        project_name=config.project_name,
        lasting=lasting,
    )


def _create(role: Role, config: OmniQConfig | StorageBackendConfig | None) -> object:
    if isinstance(config, StorageBackendConfig):
        config = OmniQConfig.single(config)
    entry = resolve(config, info_of=lambda name, wanted: _info_of(name, wanted) if wanted is role else None)
    plan = entry.role(role)
    return create_storage(load_backend(plan.backend_type, role), role, _backend_config(plan, entry.config, {}))


def create_task_queue(config: OmniQConfig | StorageBackendConfig | None = None) -> TaskQueue:
    """Make the task queue of a configuration, unopened.

    Raises:
        ConfigError: Something in the configuration is invalid, or the backend is unknown.
        PluginError: The backend cannot be used.
    """
    return cast("TaskQueue", _create(Role.TASK_QUEUE, config))


def create_result_storage(config: OmniQConfig | StorageBackendConfig | None = None) -> ResultStorage:
    """Make the result storage of a configuration, unopened; the errors are those of `create_task_queue`."""
    return cast("ResultStorage", _create(Role.RESULT_STORAGE, config))


def create_event_storage(config: OmniQConfig | StorageBackendConfig | None = None) -> EventStorage:
    """Make the event storage of a configuration, unopened; the errors are those of `create_task_queue`."""
    return cast("EventStorage", _create(Role.EVENT_STORAGE, config))


def create_schedule_storage(config: OmniQConfig | StorageBackendConfig | None = None) -> ScheduleStorage:
    """Make the schedule storage of a configuration, unopened; the errors are those of `create_task_queue`."""
    return cast("ScheduleStorage", _create(Role.SCHEDULE_STORAGE, config))
