"""How the code of the user's documents is run: as printed, in the test's own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omniq import AsyncOmniQ, OmniQ
from omniq.config import Settings
from omniq.models.config import OmniQConfig, StorageBackendConfig

__all__ = ["refusal", "run", "shell", "value_of", "work_with"]

NAMES = {
    "AsyncOmniQ": AsyncOmniQ,
    "OmniQ": OmniQ,
    "OmniQConfig": OmniQConfig,
    "Settings": Settings,
    "StorageBackendConfig": StorageBackendConfig,
}
"""What earlier blocks of the documents have imported."""


def run(code: str) -> dict[str, Any]:
    """Run Python code as printed, after the imports of earlier blocks; return its names."""
    namespace: dict[str, Any] = dict(NAMES)
    exec(compile(code, "promise", "exec"), namespace)
    return namespace


def value_of(code: str) -> Any:
    """Return the value of a block that is one expression."""
    return eval(compile(code, "promise", "eval"), dict(NAMES))


def shell(commands: str) -> str:
    """Run commands in a real shell that stops at the first failure; return what they print."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "error"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode("utf-8", "replace")


def refusal(app: OmniQ) -> str:
    """Return the first line of the ValueError that using the application raises."""
    with pytest.raises(ValueError, match="Unsupported") as caught:
        app.stats()
    app.close()
    return str(caught.value).splitlines()[0]


def total(a: int, b: int) -> int:
    """Be a task."""
    return a + b


def work_with(app: OmniQ) -> None:
    """Use all four roles of an application: enqueue, run, read the result and the events, keep a schedule."""
    with app:
        task = app.task(name="promises.total")(total)
        with app.worker():
            job = task.enqueue(1, 2)
            assert job.result(timeout=30) == 3
        assert [event.type for event in job.events()] == ["ENQUEUED", "STARTED", "COMPLETED"]
        app.add_schedule("promised", task.call(3, 4), cron="0 0 1 1 *")
        assert [schedule.id for schedule in app.list_schedules()] == ["promised"]
