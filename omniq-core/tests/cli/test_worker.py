from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest

from omniq.cli import worker as module
from omniq.worker.options import WorkerReport

DEADLINE = 30


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_burst_runs_what_there_is_and_reports(shop, answer, omniq):
    del shop
    for n in range(3):
        answer("enqueue", "shop.add", str(n), "1", "--app", "shop")
    answer("enqueue", "shop.fail", "--app", "shop")
    worker = omniq("worker", "shop:app", "--burst", "--json", "--name", "w1", "--concurrency", "2")
    out, err = worker.communicate(timeout=DEADLINE)
    report = json.loads(out)
    assert (worker.returncode, report["name"], report["completed"], report["failed"]) == (0, "w1", 3, 1)
    assert "w1 takes tasks from default: shop.add, shop.fail, shop.note, shop.wait_for" in err
    assert {task["status"] for task in answer("task", "list", "--app", "shop")} == {"COMPLETED", "FAILED"}


def test_the_module_alone_does_if_it_has_one_application(shop, answer, omniq):
    target = shop / "noted.txt"
    answer("enqueue", "shop.note", target, "hello", "--app", "shop")
    worker = omniq("worker", "shop", "--burst", "-q", "default,slow", "--log-level", "warning")
    out, err = worker.communicate(timeout=DEADLINE)
    assert (worker.returncode, out, target.read_text()) == (0, "", "hello")
    assert err.startswith("Worker ")
    assert "1 completed, 0 failed" in err


def test_options_come_from_the_environment(shop, answer, omniq):
    answer("enqueue", "shop.note", shop / "x", "hello", "--app", "shop")
    environ = {"OMNIQ_APP": "shop:app", "OMNIQ_WORKER_QUEUES": "slow", "OMNIQ_WORKER_BURST": "1", "OMNIQ_JSON": "1"}
    worker = omniq("worker", **environ, OMNIQ_WORKER_LOG_FORMAT="json")
    out, err = worker.communicate(timeout=DEADLINE)
    assert (worker.returncode, json.loads(out)["completed"]) == (0, 1)
    assert all(json.loads(line)["level"] == "INFO" for line in err.splitlines())


def test_the_first_signal_lets_tasks_finish(shop, answer, omniq):
    flag = shop / "flag"
    task_id = answer("enqueue", "shop.wait_for", flag, "--app", "shop")["id"]
    worker = omniq("worker", "shop:app", "-q", "slow", "--json")
    wait_for((shop / "flag.waits").exists)
    worker.send_signal(signal.SIGTERM)
    flag.touch()
    out, _ = worker.communicate(timeout=DEADLINE)
    assert (worker.returncode, json.loads(out)["completed"]) == (0, 1)
    assert answer("result", "get", task_id, "--app", "shop")["value"] == "seen"


def test_the_second_signal_hands_tasks_back(shop, answer, omniq):
    task_id = answer("enqueue", "shop.wait_for", shop / "flag", "--app", "shop")["id"]
    worker = omniq("worker", "shop:app", "-q", "slow")
    wait_for((shop / "flag.waits").exists)
    worker.send_signal(signal.SIGTERM)
    lines = iter(worker.stderr.readline, "")
    assert any("1 tasks are finishing" in line for line in lines)
    worker.send_signal(signal.SIGINT)
    assert any("1 handed back" in line for line in lines)
    (shop / "flag").touch()  # the thread cannot be killed; it sees this, or ends with its process
    assert worker.wait(DEADLINE) == 0
    task = answer("task", "show", task_id, "--app", "shop")
    assert (task["status"], task["attempts"]) == ("PENDING", 0)


def test_a_store_in_memory_is_refused_with_the_remedy(folder, omniq):
    (folder / "mem.py").write_text("from omniq import OmniQ\napp = OmniQ('memory://')\n")
    worker = omniq("worker", "mem:app", "--burst")
    _, err = worker.communicate(timeout=DEADLINE)
    assert worker.returncode == 6
    assert "task queue (memory)" in err
    assert "OMNIQ_TASK_QUEUE_TYPE=sqlite" in err
    assert "Traceback" not in err


def test_an_asynchronous_application_is_as_good(folder, answer, omniq):
    (folder / "later.py").write_text(
        "from omniq import AsyncOmniQ\napp = AsyncOmniQ('x.db')\n@app.task\nasync def double(n):\n    return 2 * n\n"
    )
    task_id = answer("enqueue", "later.double", "21", "--app", "later")["id"]
    assert omniq("worker", "later", "--burst").wait(DEADLINE) == 0
    assert answer("result", "get", task_id, "--url", "x.db")["value"] == 42


def test_a_worker_that_is_used_up_starts_afresh(shop, answer, omniq):
    del shop
    for n in range(5):
        answer("enqueue", "shop.add", str(n), "1", "--app", "shop")
    worker = omniq("worker", "shop:app", "--burst", "--max-tasks", "2", "--concurrency", "1", "--json")
    out, err = worker.communicate(timeout=DEADLINE)
    assert worker.returncode == 0
    assert err.count("Starting afresh") == 2
    assert json.loads(out)["completed"] == 1
    assert len(answer("task", "list", "--app", "shop", "--state", "COMPLETED")) == 5


def test_starting_afresh_repeats_the_very_command(monkeypatch):
    called = []
    monkeypatch.setattr(os, "execv", lambda *arguments: called.append(arguments))
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-X", "dev", "-m", "omniq", "worker", "app"])
    module.restart()
    assert called == [(sys.executable, [sys.executable, "-X", "dev", "-m", "omniq", "worker", "app"])]


def test_reload_starts_a_new_worker_when_a_file_changes(shop, answer, omniq):
    source = shop / "shop.py"
    text = source.read_text()
    worker = omniq("worker", "shop:app", "--reload", "--log-level", "INFO")
    lines = iter(worker.stderr.readline, "")
    assert any("takes tasks from" in line for line in lines)
    source.write_text("this is no Python\n")
    assert any("A file changed" in line for line in lines)
    assert any("waiting for a change" in line for line in lines)
    source.write_text(text.replace("return a + b", "return a * 100"))
    assert any("takes tasks from" in line for line in lines)
    task_id = answer("enqueue", "shop.add", "1", "2", "--app", "shop")["id"]
    assert answer("result", "get", task_id, "--app", "shop", "--wait", "30s")["value"] == 100
    worker.terminate()
    worker.communicate(timeout=DEADLINE)
    assert worker.returncode == 0


def test_the_report_decides_whether_to_start_afresh(shop, invoke, monkeypatch):
    del shop
    reasons = iter(["10 tasks were run", ""])
    restarted = []
    monkeypatch.setattr(module, "_work", lambda *_: WorkerReport(name="w", recycle_reason=next(reasons)))
    monkeypatch.setattr(module, "restart", lambda: restarted.append(True))
    invoke("worker", "shop:app")
    assert restarted == [True]
    invoke("worker", "shop:app")
    assert restarted == [True]


@pytest.mark.parametrize(
    "arguments", [["--concurrency", "0"], ["--lease", "soon"], ["--log-level", "LOUD"], ["--nope"]]
)
def test_wrong_options_are_usage_errors(invoke, arguments):
    invoke("worker", "shop:app", *arguments, code=2)


def test_a_name_is_needed(invoke):
    assert "MODULE:APP" in invoke("worker", code=2).stderr
