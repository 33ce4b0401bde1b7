"""Stopping in two phases: nothing waits for its lease afterwards, and nothing is counted that did not run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import threading

import pytest

from omniq.errors import ConnectionLostError
from omniq.worker import current_task


async def test_the_first_stop_lets_running_tasks_finish_and_claims_no_more(shop):
    started, go_on = asyncio.Event(), asyncio.Event()

    @shop.task
    async def wait():
        started.set()
        await go_on.wait()
        return "finished"

    first = await shop.enqueue(wait)
    worker = shop.worker()
    running = asyncio.ensure_future(worker.run())
    await started.wait()
    worker.stop()
    await asyncio.sleep(0.02)
    second = await shop.enqueue(wait)
    await asyncio.sleep(0.05)
    assert worker.health().state == "stopping"
    go_on.set()
    report = await running
    assert (report.claimed, report.completed) == (1, 1)
    assert [await shop.state(first), await shop.state(second)] == ["COMPLETED", "PENDING"]
    assert worker.health().state == "stopped"


async def test_after_the_deadline_the_rest_is_cancelled_and_handed_back_uncounted(shop):
    started, why = asyncio.Event(), []

    @shop.task
    async def endless():
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            why.append(current_task().why_cancelled)

    task_id = await shop.enqueue(endless)
    worker = shop.worker(shutdown_timeout_ms=50)
    running = asyncio.ensure_future(worker.run())
    await started.wait()
    worker.stop()
    report = await asyncio.wait_for(running, 10)
    head = await shop.head(task_id)
    assert (str(head.state), head.attempts, why) == ("PENDING", 0, ["shutdown"])
    assert (report.released, report.failed) == (1, 0)
    assert head.ready_at <= await shop.queue.time()
    assert await shop.events(task_id) == ["ENQUEUED", "STARTED", "RELEASED"]


async def test_the_second_stop_does_not_wait(shop):
    started = asyncio.Event()

    @shop.task
    async def endless():
        started.set()
        await asyncio.sleep(60)

    task_id = await shop.enqueue(endless)
    worker = shop.worker(shutdown_timeout_ms=60_000)
    running = asyncio.ensure_future(worker.run())
    await started.wait()
    worker.stop()
    await asyncio.sleep(0.02)
    assert not running.done()
    worker.stop(now=True)
    await asyncio.wait_for(running, 10)
    assert await shop.state(task_id) == "PENDING"


async def test_a_thread_that_does_not_end_is_handed_back_all_the_same(shop):
    started, release = threading.Event(), threading.Event()

    @shop.task
    def stuck():
        started.set()
        release.wait(30)

    task_id = await shop.enqueue(stuck)
    worker = shop.worker(shutdown_timeout_ms=0)
    running = asyncio.ensure_future(worker.run())
    await asyncio.to_thread(started.wait, 10)
    worker.stop()
    report = await asyncio.wait_for(running, 10)
    release.set()
    assert (report.released, await shop.state(task_id)) == (1, "PENDING")


async def test_a_cancelled_run_hands_back_too(shop):
    started = asyncio.Event()

    @shop.task
    async def endless():
        started.set()
        await asyncio.sleep(60)

    task_id = await shop.enqueue(endless)
    running = asyncio.ensure_future(shop.worker().run())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await shop.state(task_id) == "PENDING"


async def test_stop_works_from_other_threads_and_before_the_start(shop):
    worker = shop.worker()
    running = asyncio.ensure_future(worker.run())
    await asyncio.sleep(0.02)
    await asyncio.to_thread(worker.stop)
    await asyncio.wait_for(running, 10)

    early = shop.worker()
    early.stop()
    assert (await early.run()).claimed == 0


async def test_a_worker_runs_only_once(shop):
    worker = shop.worker(burst=True)
    await worker.run()
    with pytest.raises(RuntimeError, match="was started before"):
        await worker.run()


async def test_the_claim_that_is_on_its_way_is_handed_back(shop, until):
    """The grants of a claim that was sent before the stop arrive after it."""
    ran = []

    @shop.task
    async def note():
        ran.append(True)

    worker = shop.worker()
    claim, on_its_way, go_on = shop.queue.claim, asyncio.Event(), asyncio.Event()

    async def slow_claim(*args, **kwargs):
        grants = await claim(*args, **kwargs)
        if grants:
            on_its_way.set()
            await go_on.wait()
        return grants

    shop.queue.claim = slow_claim
    task_id = await shop.enqueue(note)
    running = asyncio.ensure_future(worker.run())
    await on_its_way.wait()
    worker.stop()
    await asyncio.sleep(0.02)
    go_on.set()
    report = await asyncio.wait_for(running, 10)
    head = await shop.head(task_id)
    assert (ran, str(head.state), head.attempts, report.released) == ([], "PENDING", 0, 1)


async def test_stopping_now_does_not_wait_a_lease_for_an_unreachable_store(memory_shop, until):
    async def fail(items):
        raise ConnectionLostError("down")

    @memory_shop.task
    async def noop(): ...

    memory_shop.queue.complete = fail
    await memory_shop.enqueue(noop)
    worker = memory_shop.worker(lease_ms=60_000)
    running = asyncio.ensure_future(worker.run())
    await until(lambda: worker.health().unsettled == 1)
    worker.stop(now=True)
    await asyncio.wait_for(running, 8)
    assert await memory_shop.state("t1") == "RUNNING"


async def test_a_run_that_is_stopped_before_its_first_step_is_handed_back(shop, until):
    @shop.task
    async def wait():
        await asyncio.sleep(60)

    worker = shop.worker()
    running = asyncio.ensure_future(worker.run())
    await until(lambda: worker._claimer is not None)
    start = worker._claimer._start

    def start_and_stop(runs):
        start(runs)
        worker.stop()
        for run in runs:
            worker.interrupt(run, "shutdown")

    worker._claimer._start = start_and_stop
    task_id = await shop.enqueue(wait)
    report = await asyncio.wait_for(running, 10)
    assert (report.claimed, report.released) == (1, 1)
    assert await shop.state(task_id) == "PENDING"


PROGRAM = """
    import asyncio, sys
    from pathlib import Path
    from omniq.models.config import OmniQConfig, StorageBackendConfig
    from omniq.queue.registry import TaskDefinition, TaskRegistry
    from omniq.serialization import SerializerRegistry
    from omniq.storage.factory import open_stores
    from omniq.worker import Worker, WorkerOptions, signal_handlers

    folder = Path(sys.argv[1])

    async def nap(name, seconds):
        (folder / name).touch()
        await asyncio.sleep(seconds)

    async def main():
        config = OmniQConfig(task_queue_backend=StorageBackendConfig("sqlite", str(folder / "sqlite.db")))
        stores = await open_stores(config, environ={})
        registry = TaskRegistry()
        registry.add(TaskDefinition(name="nap", func=nap, run_in="loop"))
        options = WorkerOptions(lease_ms=int(sys.argv[2]), shutdown_timeout_ms=60_000, concurrency=4)
        worker = Worker(
            stores=stores, registry=registry, config=config, serializers=SerializerRegistry(), options=options
        )
        with signal_handlers(worker):
            (folder / "ready").touch()
            report = await worker.run()
        await stores.close()
        print(report.completed, report.released)

    asyncio.run(main())
"""


@pytest.fixture
async def start_process(tmp_path):
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    started = []

    async def start_process(lease_ms=30_000):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "program.py", str(tmp_path), str(lease_ms)),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start_process
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_signal_ends_a_process_gracefully(open_shop, tmp_path, start_process, until, number):
    shop = await open_shop("sqlite")
    task_id = await shop.enqueue("nap", "first", 0.5)
    process = await start_process()
    await until((tmp_path / "first").exists)
    process.send_signal(number)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, output.split()) == (0, [b"1", b"0"])
    assert await shop.state(task_id) == "COMPLETED"


async def test_two_signals_end_a_process_now_and_its_task_is_ready_at_once(open_shop, tmp_path, start_process, until):
    shop = await open_shop("sqlite")
    task_id = await shop.enqueue("nap", "long", 60)
    process = await start_process()
    await until((tmp_path / "long").exists)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # an echo, as of a tool that signals the process group too
    await asyncio.sleep(0.6)
    assert process.returncode is None
    process.send_signal(signal.SIGTERM)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, output.split()) == (0, [b"0", b"1"])
    head = await shop.head(task_id)
    assert (str(head.state), head.attempts) == ("PENDING", 0)
    assert head.ready_at <= await shop.queue.time()


async def test_a_killed_process_loses_nothing_but_an_attempt(open_shop, tmp_path, start_process, until):
    shop = await open_shop("sqlite")
    ids = [await shop.enqueue("nap", f"k{i}", 0.6) for i in range(8)]
    first = await start_process(lease_ms=1000)
    await until((tmp_path / "k3").exists)
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()
    killed_at = asyncio.get_running_loop().time()
    await start_process(lease_ms=1000)
    assert await shop.ended(*ids) == ["COMPLETED"] * 8
    assert asyncio.get_running_loop().time() - killed_at < 12
    attempts = [(await shop.head(task_id)).attempts for task_id in ids]
    assert sorted(attempts) == [1, 1, 1, 1, 2, 2, 2, 2]
