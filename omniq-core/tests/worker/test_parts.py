"""The smaller parts by themselves."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
import time

import pytest

from omniq.errors import ConnectionLostError, LimitExceededError
from omniq.models.record import Grant, TaskBody, Token
from omniq.worker import WorkerOptions
from omniq.worker.context import Run
from omniq.worker.crew import Crew
from omniq.worker.retrying import Backoff, Contact, persist
from omniq.worker.roster import Roster
from omniq.worker.threads import ThreadPool
from omniq.worker.timeouts import Deadlines

LOG = logging.getLogger("test_parts")


class Desk:
    def __init__(self):
        self.stopped = []

    def superseded(self, run):
        self.stopped.append(run)


def grant(task_id="t", epoch=1):
    return Grant(task_id, Token(1, epoch, "n"), 1, 4, "default", 0, 0, 0, 0, TaskBody(func="f"))


def run_until(deadline):
    run = Run(grant(), Desk(), 0.0)
    run.deadline = deadline
    return run


async def test_deadlines_come_in_their_order_and_only_once():
    over = []
    deadlines = Deadlines(asyncio.get_running_loop(), over.append)
    now = time.monotonic()
    late, early, removed = run_until(now + 0.06), run_until(now + 0.02), run_until(now + 0.04)
    for run in (late, early, removed):
        deadlines.add(run)
    deadlines.discard(removed)
    await asyncio.sleep(0.03)
    assert over == [early]
    await asyncio.sleep(0.06)
    assert (over, len(deadlines)) == ([early, late], 0)


async def test_an_expired_run_may_be_watched_again():
    over = []

    def again(run):
        over.append(run)
        if len(over) == 1:
            run.deadline = time.monotonic() + 0.01
            deadlines.add(run)

    deadlines = Deadlines(asyncio.get_running_loop(), again)
    deadlines.add(run_until(time.monotonic()))
    await asyncio.sleep(0.05)
    assert len(over) == 2


async def test_closed_deadlines_never_come():
    over = []
    deadlines = Deadlines(asyncio.get_running_loop(), over.append)
    deadlines.add(run_until(time.monotonic() + 0.01))
    deadlines.close()
    await asyncio.sleep(0.03)
    assert over == []


async def test_a_run_without_deadline_is_not_watched():
    deadlines = Deadlines(asyncio.get_running_loop(), print)
    deadlines.add(run_until(None))
    assert len(deadlines) == 0


def test_what_ended_frees_its_slot_but_only_so_many_wait_to_be_recorded():
    roster, desk = Roster(WorkerOptions(concurrency=150)), Desk()
    runs = []
    for batch in range(2):
        roster.busy += 150
        runs += roster.admit([grant(f"t{batch}-{i}") for i in range(150)], desk, 0.0)
        for run in runs[-150:]:
            roster.end(run)
    assert (roster.busy, len(roster.held), roster.unsettled) == (0, 300, 300)
    assert roster.free == 50
    roster.drop_all(runs[:100])
    assert roster.free == 150


def test_a_task_that_is_granted_again_stops_the_run_that_was_held():
    roster, desk = Roster(WorkerOptions()), Desk()
    (old,) = roster.admit([grant(epoch=1)], desk, 0.0)
    (new,) = roster.admit([grant(epoch=2)], desk, 0.0)
    assert desk.stopped == [old]
    roster.drop(old)
    roster.drop_all([old])
    assert roster.held == {"t": new}


async def test_waiting_for_a_change_survives_being_cancelled():
    roster = Roster(WorkerOptions())
    first = asyncio.ensure_future(roster.changed())
    second = asyncio.ensure_future(roster.changed())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    roster.wake()
    await asyncio.wait_for(second, 1)


def test_backoff_grows_to_its_limit_and_starts_again():
    backoff = Backoff(1.0, 5.0)
    delays = [backoff.delay() for _ in range(5)]
    bounds = [(0.5, 1), (1, 2), (2, 4), (2.5, 5), (2.5, 5)]
    assert all(low <= delay <= high for delay, (low, high) in zip(delays, bounds, strict=True)), delays
    backoff.reset()
    assert backoff.delay() <= 1


def test_a_contact_logs_changes_only(caplog):
    contact = Contact("testing", LOG)
    contact.found()
    for _ in range(3):
        contact.lost(ConnectionLostError("down"))
    contact.found()
    contact.found()
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "testing: the store fails (ConnectionLostError: down)",
        "testing: the store works again after 0.0 s",
    ]
    assert [record.exc_info for record in caplog.records] == [None, None]


def test_a_bug_is_logged_with_its_traceback(caplog):
    Contact("testing", LOG).lost(ZeroDivisionError("a bug"))
    assert "ZeroDivisionError: a bug" in caplog.text
    assert caplog.records[0].exc_info is not None


async def test_persist_repeats_until_it_succeeds():
    failures = [1, 1]

    async def call(items):
        if failures:
            failures.pop()
            raise ConnectionLostError("down")
        return [item * 2 for item in items]

    assert await persist(call, [1, 2], patience=5, contact=Contact("t", LOG)) == [2, 4]


async def test_persist_gives_up_when_its_patience_ends():
    error = ConnectionLostError("down")

    async def call(items):
        raise error

    assert await persist(call, [1, 2], patience=0.05, contact=Contact("t", LOG)) == [error, error]


async def test_persist_separates_the_item_that_is_refused():
    async def call(items):
        if "bad" in items:
            raise LimitExceededError("too large")
        return ["ok"] * len(items)

    replies = await persist(call, ["a", "bad", "b"], patience=1, contact=Contact("t", LOG))
    assert [type(reply).__name__ for reply in replies] == ["str", "LimitExceededError", "str"]


async def test_idle_threads_are_used_again_and_end_when_the_pool_closes(until):
    done = []
    loop = asyncio.get_running_loop()
    pool = ThreadPool(loop, lambda run, value, error: done.append((value, error)), name="pool-under-test")

    def threads():
        return [thread for thread in threading.enumerate() if thread.name.startswith("pool-under-test")]

    for number in range(5):
        pool.submit(run_until(None), contextvars.copy_context(), lambda number=number: number)
        await until(lambda number=number: len(done) > number)
    assert (done, len(threads())) == ([(n, None) for n in range(5)], 1)
    pool.close()
    await until(lambda: not threads())


async def test_a_crew_reports_the_loop_that_failed_and_dismisses_the_rest(caplog):
    failed = []
    crew = Crew(failed.append)

    async def fail():
        raise ZeroDivisionError("a bug")

    async def swallow_one_cancel():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    crew.start("failing", fail())
    crew.start("stubborn", swallow_one_cancel())
    await asyncio.sleep(0.01)
    assert [str(error) for error in failed] == ["a bug"]
    assert "the worker's failing loop failed" in caplog.text
    await asyncio.wait_for(crew.dismiss(), 10)


@pytest.mark.parametrize("state", ["idle", "working", "full"])
async def test_health_tells_what_the_worker_does(memory_shop, until, state):
    shop, gate = memory_shop, asyncio.Event()

    @shop.task
    async def wait():
        await gate.wait()

    count = {"idle": 0, "working": 1, "full": 2}[state]
    for _ in range(count):
        await shop.enqueue(wait)
    worker = shop.worker(concurrency=2)
    assert worker.health().state == "starting"
    async with worker:
        await until(lambda: worker.health().state == state and worker.health().running == count)
        health = worker.health()
        gate.set()
    assert (health.unsettled, health.last_claim_at is not None) == (0, True)
    assert worker.health().state == "stopped"


async def test_threads_switch_promptly_while_a_worker_runs(memory_shop):
    before = sys.getswitchinterval()
    async with memory_shop.worker():
        await asyncio.sleep(0.01)
        async with memory_shop.worker():
            await asyncio.sleep(0.01)
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
