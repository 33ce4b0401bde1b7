"""The cases of callers' transactions can fail: each has a broken backend that it catches."""

from __future__ import annotations

from contextlib import asynccontextmanager
from unittest.mock import patch

import pytest
from breaking import ITEMS, outcome, verdict

from omniq.errors import CapabilityError, ConfigError
from omniq.models.record import Enqueued
from omniq_conformance.outcomes import Status
from omniq_memory.conformance import MemoryHarness
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.waiting import Board


class Transaction:
    """What is staged until the commit."""

    def __init__(self):
        self.staged = []

    async def commit(self):
        for queue, spec in self.staged:
            await queue.enqueue([spec])

    async def rollback(self):
        """Forget it."""


class Harness(MemoryHarness):
    kind = Transaction

    @asynccontextmanager
    async def transaction(self, namespace):
        transaction = self.kind()
        try:
            yield transaction
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()


async def enqueue_within(self, connection, specs):
    if not isinstance(connection, Transaction):
        raise ConfigError(f"connection: {connection!r} is none.")
    answers, mine = [], {spec.id for _, spec in connection.staged}
    for spec in specs:
        live = [record for record in await self.list() if not record.state.is_terminal]
        keys = {record.unique_key: record.id for record in live if record.unique_key}
        known = spec.id if spec.id in mine or await self.get([spec.id]) != [None] else keys.get(spec.unique_key)
        answers.append(Enqueued(known or spec.id, created=known is None))
        if known is None:
            connection.staged.append((self, spec))
            mine.add(spec.id)
    return answers


async def at_once(self, connection, specs):
    own = isinstance(connection, Transaction)
    return await self.enqueue(specs) if own else await enqueue_within(self, connection, specs)


async def whatever_it_is(self, connection, specs):
    return await self.enqueue(specs)


async def refused_and_stored(self, connection, specs):
    await self.enqueue(specs)
    raise CapabilityError("No.")


class CommitsAnyway(Transaction):
    async def rollback(self):
        await self.commit()


class ForgetsTheLast(Transaction):
    async def commit(self):
        self.staged.pop()
        await super().commit()


class TakesAKeyTwice(Transaction):
    async def commit(self):
        for _, spec in self.staged:
            spec.unique_key = None
        await super().commit()


class InAnotherOrder(Transaction):
    async def commit(self):
        self.staged.reverse()
        await super().commit()


class SleepsThrough(Transaction):
    async def commit(self):
        with patch.object(Board, "wake", lambda *_: None):
            await super().commit()


@pytest.mark.parametrize("id", [id for id in ITEMS if id.startswith("OQ-Q-15")])
def test_a_queue_with_transactions_passes_and_one_without_is_unsupported(id):
    assert verdict(id, MemoryHarness()) is Status.UNSUPPORTED
    with patch.object(MemoryTaskQueue, "enqueue_within", enqueue_within):
        assert verdict(id, MemoryHarness()) is Status.UNVERIFIED
        assert outcome(id, Harness()).status is Status.PASS


@pytest.mark.parametrize("broken", [at_once, whatever_it_is, refused_and_stored])
def test_a_broken_enqueue_is_found(broken):
    with patch.object(MemoryTaskQueue, "enqueue_within", broken):
        assert verdict("OQ-Q-1501-separate", Harness()) is Status.FAIL


@pytest.mark.parametrize(
    ("id", "kind"),
    [
        ("OQ-Q-1501-separate", CommitsAnyway),
        ("OQ-Q-1501-joined", ForgetsTheLast),
        ("OQ-Q-1501-joined", InAnotherOrder),
        ("OQ-Q-1502-separate", TakesAKeyTwice),
        ("OQ-Q-1503", SleepsThrough),
    ],
)
def test_a_broken_transaction_is_found(id, kind):
    harness = Harness()
    harness.kind = kind
    with patch.object(MemoryTaskQueue, "enqueue_within", enqueue_within):
        assert verdict(id, harness) is Status.FAIL
