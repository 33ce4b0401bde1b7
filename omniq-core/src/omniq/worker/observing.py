"""Tells plugins of what happens in the store."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pluggy

    from omniq.storage.events import EventStorage

__all__ = ["Observer"]

_log = logging.getLogger("omniq.worker")
_PAGE = 500


class Observer:
    """Calls the hook `omniq_on_event` for every event that is stored while the worker runs, in the order of the log.

    Args:
        hooks: The loaded plugins.
        events: The opened event storage.
    """

    def __init__(self, hooks: pluggy.PluginManager, events: EventStorage) -> None:
        self._hook = hooks.hook.omniq_on_event
        self._events = events
        self._position: str | None = None

    @classmethod
    async def of(cls, hooks: pluggy.PluginManager | None, events: EventStorage) -> Observer | None:
        """Return an observer that starts after the latest event; None if no plugin listens, which costs nothing."""
        if hooks is None or not hooks.hook.omniq_on_event.get_hookimpls():
            return None
        observer = cls(hooks, events)
        for event in await events.read(limit=1, desc=True):
            observer._position = event.position
        return observer

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self.catch_up()
            tail = self._events.tail(after=self._position)
            try:
                # Only a sign that there is something to read: an event that came before `tail` began is read too.
                async for _ in tail:
                    break
                else:
                    return  # the storage was closed
            finally:
                close = getattr(tail, "aclose", None)
                if close is not None:
                    await close()

    async def catch_up(self) -> None:
        """Tell of everything that is stored by now."""
        while page := await self._events.read(after=self._position, limit=_PAGE):
            for event in page:
                self._position = event.position
                try:
                    for answer in self._hook(event=event):
                        if inspect.isawaitable(answer):
                            await answer
                except Exception:  # noqa: BLE001 - a plugin's fault must not stop the others
                    _log.exception("A plugin failed to handle the event %s in omniq_on_event", event.event_id)
