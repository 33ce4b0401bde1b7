"""How an application gets at its stores."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from omniq.app.forking import after_fork
from omniq.app.lifespan import Lifespans
from omniq.queue.connection import Connection
from omniq.storage.factory import create_stores, make_plan
from omniq.storage.plugins import load_backend, load_plugins

if TYPE_CHECKING:
    import pluggy

    from omniq.models.config import OmniQConfig
    from omniq.models.record import TaskSpec
    from omniq.queue.connection import Client
    from omniq.storage.resolution import Plan

__all__ = ["StoreAccess"]


class StoreAccess:
    """The backends of one configuration, the plugins, and what is open in each event loop.

    Args:
        config: The effective configuration.
        app: Whose stores they are.
    """

    def __init__(self, config: OmniQConfig, app: Client) -> None:
        self.config = config
        self.lifespans = Lifespans(self._open)
        self._app = app
        after_fork(self._forget)

    @functools.cached_property
    def plugins(self) -> pluggy.PluginManager:
        """The plugins, imported at first use."""
        return load_plugins(load_backend(entry.backend_type, entry.role) for entry in self._plan.roles)

    @functools.cached_property
    def _plan(self) -> Plan:
        return make_plan(self.config)

    async def _open(self) -> Connection:
        serializer = self._app.serializers.get(self.config.serializer)
        has_hook = self.plugins.hook.omniq_before_enqueue.get_hookimpls()
        stores = create_stores(self._plan)
        await stores.open()
        return Connection(
            stores,
            serializers=self._app.serializers,
            serializer=serializer,
            before_enqueue=self._before_enqueue if has_hook else None,
        )

    async def _before_enqueue(self, spec: TaskSpec) -> None:
        # One after the other, so that each plugin sees what those before it changed, and none is left waiting for
        # its turn when another one refuses the task.
        given = {"spec": spec, "app": self._app}
        for plugin in reversed(self.plugins.hook.omniq_before_enqueue.get_hookimpls()):
            answer: Any = plugin.function(*(given[name] for name in plugin.argnames))
            if answer is not None:
                await answer

    def _forget(self) -> None:
        """Leave everything to the parent process, also what backends keep for as long as a plan lives."""
        self.lifespans.forget()
        self.__dict__.pop("_plan", None)
