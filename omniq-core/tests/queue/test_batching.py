from __future__ import annotations

import asyncio

import pytest

from omniq.queue.batching import Coalescer


class Recorder:
    """Remembers the batches; each waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.started = asyncio.Event()
        self.gate.set()

    async def run(self, items):
        self.batches.append(list(items))
        self.started.set()
        await self.gate.wait()
        return [10 * item for item in items]


async def test_what_comes_in_one_turn_is_one_batch():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run)
    assert await asyncio.gather(*(coalescer.submit(i) for i in range(5))) == [0, 10, 20, 30, 40]
    assert recorder.batches == [[0, 1, 2, 3, 4]]


async def test_what_comes_during_a_batch_is_the_next_one():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run)
    recorder.gate.clear()
    first = asyncio.ensure_future(coalescer.submit(1))
    await recorder.started.wait()
    rest = [asyncio.ensure_future(coalescer.submit(i)) for i in (2, 3)]
    await asyncio.sleep(0)
    recorder.gate.set()
    assert await asyncio.gather(first, *rest) == [10, 20, 30]
    assert recorder.batches == [[1], [2, 3]]


async def test_a_batch_has_a_limit():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run, most=2)
    await asyncio.gather(*(coalescer.submit(i) for i in range(5)))
    assert recorder.batches == [[0, 1], [2, 3], [4]]


async def test_an_error_reaches_every_caller():
    async def run(items):
        raise ConnectionError("gone")

    coalescer = Coalescer(run)
    outcomes = await asyncio.gather(*(coalescer.submit(i) for i in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 3
    assert [str(outcome) for outcome in outcomes] == ["gone"] * 3


async def test_an_error_of_one_item_does_not_reach_strangers():
    async def run(items):
        if 2 in items:
            raise ValueError("2 is too large")
        return items

    coalescer = Coalescer(run, apart=ValueError)
    outcomes = await asyncio.gather(*(coalescer.submit(i) for i in (1, 2, 3)), return_exceptions=True)
    assert outcomes[::2] == [1, 3]
    assert isinstance(outcomes[1], ValueError)


async def test_a_caller_that_is_cancelled_early_is_left_out():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run)
    recorder.gate.clear()
    first = asyncio.ensure_future(coalescer.submit(1))
    await recorder.started.wait()
    leaving, staying = (asyncio.ensure_future(coalescer.submit(i)) for i in (2, 3))
    await asyncio.sleep(0)
    leaving.cancel()
    recorder.gate.set()
    assert await asyncio.gather(first, staying) == [10, 30]
    assert recorder.batches == [[1], [3]]


async def test_a_caller_that_is_cancelled_late_does_not_disturb_the_others():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run)
    recorder.gate.clear()
    leaving, staying = (asyncio.ensure_future(coalescer.submit(i)) for i in (1, 2))
    await recorder.started.wait()
    leaving.cancel()
    await asyncio.sleep(0)
    recorder.gate.set()
    assert await staying == 20
    assert recorder.batches == [[1, 2]]


async def test_draining_waits_for_all_of_it():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run, most=1)
    calls = [asyncio.ensure_future(coalescer.submit(i)) for i in range(3)]
    await asyncio.sleep(0)
    await coalescer.drain()
    assert recorder.batches == [[0], [1], [2]]
    assert await asyncio.gather(*calls) == [0, 10, 20]


async def test_draining_what_is_idle_returns_at_once():
    await Coalescer(Recorder().run).drain()


async def test_it_can_be_used_again_when_it_was_idle():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run)
    for i in range(3):
        assert await coalescer.submit(i) == 10 * i
    assert recorder.batches == [[0], [1], [2]]


async def test_callers_are_cancelled_when_the_loop_cancels_the_work():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run)
    recorder.gate.clear()
    calls = [asyncio.ensure_future(coalescer.submit(i)) for i in range(2)]
    await recorder.started.wait()
    (worker,) = (task for task in asyncio.all_tasks() if task.get_name() == "omniq-batches")
    worker.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2


async def test_an_answer_short_is_an_error_and_not_a_wrong_answer():
    async def run(items):
        return items[:-1]

    coalescer = Coalescer(run)
    with pytest.raises(ValueError, match="shorter"):
        await coalescer.submit(1)


async def test_work_that_is_cancelled_before_it_begins_blocks_nothing():
    recorder = Recorder()
    coalescer = Coalescer(recorder.run)
    call = asyncio.ensure_future(coalescer.submit(1))
    await asyncio.sleep(0)
    (worker,) = (task for task in asyncio.all_tasks() if task.get_name() == "omniq-batches")
    worker.cancel()
    outcomes = await asyncio.gather(call, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError]
    await coalescer.drain()
    assert await coalescer.submit(2) == 20
