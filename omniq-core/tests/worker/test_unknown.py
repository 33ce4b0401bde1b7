"""Functions that this worker does not know, or must not run."""

from __future__ import annotations

import sys
import textwrap

import pytest


@pytest.fixture
def allowed(tmp_path, monkeypatch, shop):
    (tmp_path / "allowed_jobs.py").write_text(
        textwrap.dedent("""
            import os

            def add(a, b):
                return a + b

            async def add_later(a, b):
                return a + b
        """)
    )
    (tmp_path / "broken_jobs.py").write_text("raise RuntimeError('cannot be imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    shop.registry.allow("allowed_jobs", "broken_jobs")
    yield
    sys.modules.pop("allowed_jobs", None)


async def test_a_forged_function_fails_at_once_and_is_not_imported(shop):
    sys.modules.pop("antigravity", None)
    ids = [await shop.enqueue(name, "echo") for name in ("os.system", "antigravity.geohash", "nonsense")]
    report = await shop.work()
    assert (report.failed, report.released) == (3, 0)
    for task_id in ids:
        assert await shop.state(task_id) == "FAILED"
        assert (await shop.error(task_id)).type == "omniq.errors.ForbiddenFunctionError"
    assert "'os.system' is not registered" in (await shop.error(ids[0])).message
    assert "antigravity" not in sys.modules


@pytest.mark.usefixtures("allowed")
async def test_functions_of_allowed_modules_run_unregistered(shop):
    ids = [await shop.enqueue(f"allowed_jobs.{name}", 1, 2) for name in ("add", "add_later")]
    await shop.work()
    assert [await shop.value(task_id) for task_id in ids] == [3, 3]


@pytest.mark.usefixtures("allowed")
async def test_what_an_allowed_module_merely_imports_never_runs(shop, tmp_path):
    task_id = await shop.enqueue("allowed_jobs.os.system", f"touch {tmp_path}/forged")
    async with shop.worker(unknown_task_grace_ms=1):
        assert await shop.ended(task_id) == ["FAILED"]
    assert not (tmp_path / "forged").exists()


@pytest.mark.usefixtures("allowed")
async def test_an_unknown_function_is_left_for_newer_workers(shop):
    task_id = await shop.enqueue("allowed_jobs.new_function")
    before = await shop.queue.time()
    report = await shop.work()
    head = await shop.head(task_id)
    assert (report.released, report.failed) == (1, 0)
    assert (str(head.state), head.attempts) == ("PENDING", 0)
    assert 900 <= head.ready_at - before < 3000


@pytest.mark.usefixtures("allowed")
async def test_an_unknown_function_fails_when_the_grace_is_over(shop):
    task_id = await shop.enqueue("allowed_jobs.new_function")
    async with shop.worker(unknown_task_grace_ms=300) as worker:
        assert await shop.ended(task_id) == ["FAILED"]
    assert worker.report.released >= 1
    error = await shop.error(task_id)
    assert error.type == "omniq.errors.UnknownFunctionError"
    assert "'allowed_jobs.new_function' was not found here" in error.message


@pytest.mark.usefixtures("allowed")
async def test_a_function_that_appears_in_time_runs(shop):
    task_id = await shop.enqueue("allowed_jobs.late")
    await shop.work()
    assert await shop.state(task_id) == "PENDING"

    @shop.task(name="allowed_jobs.late")
    async def late():
        return "here I am"

    async with shop.worker():
        assert await shop.ended(task_id) == ["COMPLETED"]
    assert await shop.value(task_id) == "here I am"


@pytest.mark.usefixtures("allowed")
async def test_a_module_that_cannot_be_imported_is_left_for_workers_that_can(shop):
    task_id = await shop.enqueue("broken_jobs.anything")
    async with shop.worker(unknown_task_grace_ms=1) as worker:
        assert await shop.ended(task_id) == ["FAILED"]
    assert worker.report.released >= 1
    assert "RuntimeError: cannot be imported" in (await shop.error(task_id)).message


@pytest.mark.usefixtures("allowed")
async def test_a_module_that_ends_the_program_does_not_end_the_worker(shop, tmp_path):
    (tmp_path / "leaving_jobs.py").write_text("raise SystemExit(3)\n")
    shop.registry.allow("leaving_jobs")
    left = await shop.enqueue("leaving_jobs.anything", max_attempts=1)
    fine = await shop.enqueue("allowed_jobs.add", 1, 2)
    report = await shop.work()
    assert (report.failed, report.completed) == (1, 1)
    assert (await shop.error(left)).type == "SystemExit"
    assert await shop.value(fine) == 3
