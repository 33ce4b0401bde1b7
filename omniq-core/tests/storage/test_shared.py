from __future__ import annotations

import asyncio
import os

import pytest

from omniq.errors import ConnectionLostError, StoreClosedError
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq.storage.shared import Shared, SharedRole


class Line(Shared):
    """Counts what is connected."""

    def __init__(self, *, fails=0):
        super().__init__("test line")
        self.fails = fails
        self.log = []
        self.gate = None

    async def connect(self):
        self.log.append("connect")
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise ConnectionLostError("no")
        self.check_open()  # it may be used while it is being opened
        return Capabilities(durability=Durability.NONE, scope=Scope.PROCESS)

    async def disconnect(self):
        self.log.append("disconnect")
        if self.gate is not None:
            await self.gate.wait()
        self.log.append("disconnected")


class Role(SharedRole[Line]):
    left = 0

    def leaving(self):
        self.left += 1


def roles(line, count=2):
    return [Role(line) for _ in range(count)]


async def test_the_first_connects_and_the_last_disconnects():
    line = Line()
    first, second = roles(line)
    await asyncio.gather(first.open(), second.open(), first.open())
    assert line.log == ["connect"]
    await first.close()
    await first.close()
    assert (first.left, first.is_open, second.is_open, line.log) == (1, False, True, ["connect"])
    assert second.opened is line
    with pytest.raises(StoreClosedError, match="test line is not open"):
        _ = first.opened
    await second.close()
    assert line.log == ["connect", "disconnect", "disconnected"]
    with pytest.raises(StoreClosedError, match="Open it first"):
        line.check_open()


async def test_who_waits_finds_its_role_closed():
    line = Line()
    role, other = roles(line)
    await role.open()
    await other.open()
    bell = asyncio.Event()
    role.leaving = bell.set

    async def wait():
        while role.is_open:
            await bell.wait()
            bell.clear()

    waiting = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    await role.close()
    async with asyncio.timeout(5):
        await waiting
    await other.close()


async def test_opening_while_the_last_one_leaves_connects_anew():
    line = Line()
    first, second = roles(line)
    await first.open()
    line.gate = asyncio.Event()
    closing = asyncio.ensure_future(first.close())
    await asyncio.sleep(0)
    opening = asyncio.ensure_future(second.open())
    await asyncio.sleep(0.01)
    assert line.log == ["connect", "disconnect"]
    line.gate.set()
    await asyncio.gather(closing, opening)
    assert line.log == ["connect", "disconnect", "disconnected", "connect"]
    assert (first.is_open, second.is_open) == (False, True)


async def test_it_can_be_opened_again_and_roles_of_before_stay_closed():
    line = Line()
    first, second = roles(line)
    await first.open()
    await first.close()
    await second.open()
    assert (first.is_open, second.is_open) == (False, True)
    await first.open()
    await second.close()
    assert first.is_open
    await first.close()
    assert not line.is_open


async def test_a_failed_opening_leaves_nothing_and_can_be_repeated():
    line = Line(fails=1)
    first, second = roles(line)
    with pytest.raises(StoreClosedError, match="not open yet"):
        _ = first.capabilities
    answers = await asyncio.gather(first.open(), second.open(), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionLostError, type(None)]
    assert line.log == ["connect", "disconnect", "disconnected", "connect"]
    assert (first.is_open, second.is_open) == (False, True)


async def test_a_cancelled_closing_is_done_to_its_end():
    line = Line()
    (role,) = roles(line, 1)
    await role.open()
    line.gate = asyncio.Event()
    closing = asyncio.ensure_future(role.close())
    await asyncio.sleep(0.01)
    closing.cancel()
    await asyncio.sleep(0.01)
    assert line.log[-1] == "disconnect"
    line.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert line.log[-1] == "disconnected"


async def test_a_cancelled_opening_lets_go_what_it_had():
    line = Line()
    (role,) = roles(line, 1)
    line.gate = asyncio.Event()
    opening = asyncio.ensure_future(role.open())
    await asyncio.sleep(0.01)
    opening.cancel()
    await asyncio.sleep(0.01)
    line.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert (line.log, role.is_open) == (["connect", "disconnect", "disconnected"], False)


def test_what_an_event_loop_left_open_is_connected_anew_in_the_next():
    line = Line()
    first, second = roles(line)
    asyncio.run(first.open())
    assert not first.is_open
    asyncio.run(second.open())
    assert line.log == ["connect", "connect"]


def test_a_forked_child_opens_its_own(monkeypatch):
    line = Line()
    first, second = roles(line)

    async def use():
        await first.open()
        await second.open()
        monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a child
        with pytest.raises(StoreClosedError, match="before a fork"):
            _ = first.opened
        await first.close()
        await first.open()
        await second.open()
        await first.close()
        assert (second.is_open, line.log) == (True, ["connect", "connect"])
        await second.close()
        assert line.log[-1] == "disconnected"

    asyncio.run(use())
