"""A program that ends without closing anything says nothing and loses nothing."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

PROGRAM = """
import asyncio, sys
from omniq import AsyncOmniQ, OmniQ

def add(a, b=0):
    return a + b
"""


def count(tmp_path) -> int:
    with contextlib.closing(sqlite3.connect(tmp_path / "omniq.db")) as database:
        return database.execute("SELECT count(*) FROM tasks").fetchone()[0]


def test_a_blocking_program_closes_nothing(run_script, tmp_path):
    run_script(PROGRAM + "app = OmniQ()\nfor i in range(50):\n    app.enqueue(add, (i,))\n")
    assert count(tmp_path) == 50


def test_a_blocking_program_fails(run_script, tmp_path):
    run_script(
        PROGRAM + "app = OmniQ()\napp.enqueue(add)\ntry:\n    raise SystemExit(0)\nfinally:\n    app.enqueue(add)\n"
    )
    assert count(tmp_path) == 2


def test_an_asynchronous_program_closes_nothing(run_script, tmp_path):
    run_script(
        PROGRAM
        + "app = AsyncOmniQ()\nasync def main():\n    for i in range(50):\n        await app.enqueue(add, (i,))\n"
        + "asyncio.run(main())\n"
    )
    assert count(tmp_path) == 50


def test_an_application_in_a_function_is_forgotten(run_script, tmp_path):
    run_script(PROGRAM + "def main():\n    OmniQ().enqueue(add)\nmain()\nmain()\n")
    assert count(tmp_path) == 2


def test_a_thread_uses_it_after_the_main_thread_has_ended(run_script, tmp_path):
    run_script(
        PROGRAM
        + "import threading, time\napp = OmniQ()\napp.enqueue(add)\n"
        + "def work():\n    time.sleep(0.2)\n    app.enqueue(add)\n"
        + "threading.Thread(target=work).start()\n"
    )
    assert count(tmp_path) == 2


def test_a_program_with_a_worker_beside_it(run_script, tmp_path):
    out = run_script(PROGRAM + "app = OmniQ()\nwith app.worker():\n    print(app.enqueue(add, (1, 2)).result(10))\n")
    assert (out, count(tmp_path)) == ("3\n", 1)


def test_a_worker_that_runs_in_the_program(run_script, tmp_path):
    out = run_script(
        PROGRAM + "app = OmniQ()\njob = app.enqueue(add, (1, 2))\napp.worker(burst=True).run()\nprint(job.result(1))\n"
    )
    assert (out, count(tmp_path)) == ("3\n", 1)


@pytest.mark.parametrize("place", ["atexit", "__del__"])
def test_it_is_used_very_late(run_script, tmp_path, place):
    late = (
        "import atexit\natexit.register(lambda: app.count_tasks())\n"
        if place == "atexit"
        else "class Late:\n    def __del__(self):\n        app.count_tasks()\nlate = Late()\n"
    )
    run_script(
        PROGRAM
        + "app = OmniQ()\napp.enqueue(add)\n"
        + late.replace("app.count_tasks()", "count()")
        + """
def count():
    try:
        app.count_tasks()
    except Exception as error:
        print(type(error).__name__)
"""
    )
    assert count(tmp_path) == 1
