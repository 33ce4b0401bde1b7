"""Functions in child processes, which can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from omniq.errors import ConfigError
from omniq.worker.child import _find

JOBS = """
    import os, signal, sys, time
    from omniq.worker import current_task

    def add(a, b):
        return [a + b, os.getpid()]

    def context():
        task = current_task()
        task.progress("from the child")
        return [task.id, task.attempt, task.queue, task.idempotency_key, task.fencing_token]

    def fail():
        raise ValueError("boom in the child")

    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")

    def fail_oddly():
        raise Odd(1, 2)

    def crash(number):
        os.kill(os.getpid(), number)

    def leave(code):
        os._exit(code)

    def exit_politely():
        sys.exit(4)

    def sleep(path, seconds):
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(seconds)
        return "slept"

    def unsendable():
        return lambda: None
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    (tmp_path / "process_jobs.py").write_text(textwrap.dedent(JOBS))
    monkeypatch.syspath_prepend(tmp_path)
    import process_jobs

    yield process_jobs
    del sys.modules["process_jobs"]


@pytest.fixture
async def process_shop(open_shop, jobs):
    shop = await open_shop("memory")
    for name in ("add", "context", "fail", "fail_oddly", "crash", "leave", "exit_politely", "sleep", "unsendable"):
        shop.task(getattr(jobs, name), run_in="process")
    return shop


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"


async def test_functions_run_in_other_processes_that_are_kept(process_shop):
    shop = process_shop
    ids = [await shop.enqueue("add", i, 1) for i in range(6)]
    report = await shop.work(processes=2)
    assert report.completed == 6
    values = [await shop.value(task_id) for task_id in ids]
    assert [value for value, _ in values] == [1, 2, 3, 4, 5, 6]
    pids = {pid for _, pid in values}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2
    assert not any(is_alive(pid) for pid in pids)


async def test_the_context_reaches_the_child_and_notes_come_back(process_shop, caplog):
    shop = process_shop
    caplog.set_level("INFO", "omniq")
    task_id = await shop.enqueue("context")
    await shop.work(processes=1)
    seq = (await shop.head(task_id)).seq
    assert await shop.value(task_id) == [task_id, 1, "default", f"{task_id}:{seq}", seq << 24 | 1]
    assert f"task {task_id}: from the child" in caplog.text


async def test_errors_come_back_with_the_childs_traceback(process_shop):
    shop = process_shop
    ids = [await shop.enqueue(name, max_attempts=1) for name in ("fail", "fail_oddly", "exit_politely")]
    await shop.work(processes=1)
    plain, odd, exited = [await shop.error(task_id) for task_id in ids]
    assert (plain.type, plain.message) == ("ValueError", "boom in the child")
    assert 'raise ValueError("boom in the child")' in plain.traceback
    assert (odd.type, odd.message) == ("process_jobs.Odd", "1 and 2")
    assert exited.type == "SystemExit"


async def test_a_crash_of_the_child_fails_that_attempt_only(process_shop):
    shop = process_shop
    killed = await shop.enqueue("crash", int(signal.SIGKILL), max_attempts=1)
    left = await shop.enqueue("leave", 7, max_attempts=1)
    fine = await shop.enqueue("add", 1, 2)
    report = await shop.work(processes=1)
    assert (report.failed, report.completed) == (2, 1)
    first, second = await shop.error(killed), await shop.error(left)
    assert first.type == second.type == "ChildProcessError"
    assert "signal 9, SIGKILL" in first.message
    assert "exit code 7" in second.message
    assert (await shop.value(fine))[0] == 3


async def test_a_timeout_kills_the_process_and_the_next_task_gets_a_new_one(process_shop, tmp_path):
    shop = process_shop
    slow = await shop.enqueue("sleep", str(tmp_path / "pid"), 60, max_attempts=1, body={"timeout_ms": 1500})
    fine = await shop.enqueue("add", 1, 2)
    report = await shop.work(processes=1)
    assert (report.failed, report.completed, report.recycle) == (1, 1, False)
    assert (await shop.error(slow)).type == "TimeoutError"
    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert (await shop.value(fine))[0] == 3


async def test_a_timeout_counts_from_the_call_and_not_from_the_claim(process_shop, tmp_path):
    """Four tasks of 0.4 s share one process that has to start first; each may take 1 s."""
    shop = process_shop
    ids = [
        await shop.enqueue("sleep", str(tmp_path / f"pid{i}"), 0.4, max_attempts=1, body={"timeout_ms": 1000})
        for i in range(4)
    ]
    report = await shop.work(processes=1)
    assert (report.completed, report.failed) == (4, 0)
    assert [await shop.value(task_id) for task_id in ids] == ["slept"] * 4


async def test_a_cancel_kills_the_process(process_shop, tmp_path, until):
    shop = process_shop
    task_id = await shop.enqueue("sleep", str(tmp_path / "pid"), 60)
    async with shop.worker(processes=1, lease_ms=600):
        await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        assert await shop.queue.cancel([task_id]) == ["requested"]
        assert await shop.ended(task_id) == ["CANCELLED"]
    assert not is_alive(int((tmp_path / "pid").read_text()))


async def test_what_cannot_be_sent_fails_saying_so(process_shop):
    shop = process_shop

    def local():
        return 1

    shop.task(local, run_in="process")
    ids = [await shop.enqueue("unsendable", max_attempts=1), await shop.enqueue("local", max_attempts=1)]
    await shop.work(processes=1)
    result, function = [await shop.error(task_id) for task_id in ids]
    assert "the returned function cannot be sent from a process" in result.message
    assert "define the function at the top level of a module" in function.message


async def test_arguments_that_do_not_fit_are_not_tried_again(process_shop):
    task_id = await process_shop.enqueue("add", 1)
    report = await process_shop.work(processes=1)
    assert (report.failed, report.retried) == (1, 0)
    assert (await process_shop.error(task_id)).type == "TypeError"


async def test_what_waits_for_a_process_is_handed_back_at_once_when_the_worker_stops(process_shop, tmp_path, until):
    shop = process_shop
    first = await shop.enqueue("sleep", str(tmp_path / "pid"), 1, priority=9)
    second = await shop.enqueue("add", 1, 2)
    worker = shop.worker(processes=1)
    running = asyncio.ensure_future(worker.run())
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    worker.stop()
    report = await running
    assert (report.completed, report.released) == (1, 1)
    assert [await shop.state(first), await shop.state(second)] == ["COMPLETED", "PENDING"]
    assert (await shop.head(second)).attempts == 0


async def test_the_children_die_with_a_worker_that_is_killed(tmp_path, jobs, until):
    program = tmp_path / "doomed.py"
    program.write_text(
        textwrap.dedent(f"""
            import os, sys, threading, time
            from contextvars import copy_context
            import process_jobs
            from omniq.models.record import Grant, TaskBody, Token
            from omniq.worker.context import Run
            from omniq.worker.processes import _Child

            if __name__ == "__main__":
                grant = Grant("t", Token(1, 1, "n"), 1, 1, "q", 0, 0, 0, 0, TaskBody(func="sleep"))
                arguments = Run(grant, None, 0.0), process_jobs.sleep, [{str(tmp_path / "pid")!r}, 60], {{}}
                threading.Thread(target=_Child(lambda _: None).call, args=arguments, daemon=True).start()
                time.sleep(60)
        """)
    )
    process = await asyncio.create_subprocess_exec(sys.executable, str(program), cwd=tmp_path)
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    assert is_alive(pid)
    process.kill()
    await process.wait()
    await until(lambda: not is_alive(pid))


def test_a_module_that_a_process_cannot_import_is_named_with_the_remedy():
    with pytest.raises(ConfigError, match=r"cannot import absent\.tasks\.add: define the function at the top level"):
        _find("absent.tasks", "add")


def test_a_missing_import_of_the_tasks_module_is_told_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "needy_tasks.py").write_text("import absent_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="absent_dependency"):
        _find("needy_tasks", "add")
