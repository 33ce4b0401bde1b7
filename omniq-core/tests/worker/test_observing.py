"""Plugins that hear of events."""

from __future__ import annotations

import logging

import pluggy
import pytest

from omniq.storage import hookspecs


class Listener:
    def __init__(self):
        self.heard = []

    @hookspecs.hookimpl
    def omniq_on_event(self, event):
        if event.type == "FAILED":
            raise RuntimeError("no failures please")
        self.heard.append((event.task_id, event.type.value))


class AsyncListener(Listener):
    @hookspecs.hookimpl
    async def omniq_on_event(self, event):
        self.heard.append((event.task_id, event.type.value))


@pytest.mark.parametrize("listener", [Listener(), AsyncListener()], ids=["plain", "awaited"])
@pytest.mark.parametrize("backlog", [0, 1])
async def test_listeners_hear_what_happens_while_the_worker_runs_in_order(shop, listener, backlog):
    hooks = pluggy.PluginManager(hookspecs.PROJECT)
    hooks.add_hookspecs(hookspecs)
    hooks.register(listener)
    listener.heard.clear()

    @shop.task
    async def step():
        if backlog:
            await shop.enqueue("other")

    @shop.task
    async def other():
        return None

    first = await shop.enqueue(step)
    await shop.work(hooks=hooks)
    expected = [(first, "STARTED"), (first, "COMPLETED")]
    assert [entry for entry in listener.heard if entry[0] == first] == expected
    others = [kind for task_id, kind in listener.heard if task_id != first]
    assert others == (["ENQUEUED", "STARTED", "COMPLETED"] if backlog else [])


async def test_a_listener_that_fails_is_logged_and_does_not_stop_the_others(shop, caplog):
    hooks = pluggy.PluginManager(hookspecs.PROJECT)
    hooks.add_hookspecs(hookspecs)
    listener = Listener()
    hooks.register(listener)

    @shop.task
    async def broken():
        raise ValueError

    @shop.task
    async def fine():
        return 1

    failed = await shop.enqueue(broken, max_attempts=1)
    done = await shop.enqueue(fine)
    with caplog.at_level(logging.ERROR):
        report = await shop.work(hooks=hooks, concurrency=1)
    assert (report.completed, report.failed) == (1, 1)
    assert listener.heard == [(failed, "STARTED"), (done, "STARTED"), (done, "COMPLETED")]
    assert "omniq_on_event" in caplog.text
