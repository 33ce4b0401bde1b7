from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner

from omniq import AsyncOmniQ
from omniq.cli.root import cli
from omniq.config import Settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background, where shells ignore Ctrl-C for all descendants; the tests' processes must hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pytest-xdist exports the width of its own terminal, which would narrow every table.
os.environ.pop("COLUMNS", None)

SHOP = """
    from __future__ import annotations

    import time
    from pathlib import Path

    from omniq import OmniQ

    app = OmniQ("shop.db")


    @app.task
    def add(a, b):
        return a + b


    @app.task(max_retries=0)
    def fail():
        raise ValueError("boom \\x1b[31m")


    @app.task(queue="slow")
    async def note(path, text):
        Path(path).write_text(text)


    @app.task(queue="slow")
    def wait_for(path):
        Path(path + ".waits").touch()
        while not Path(path).exists():
            time.sleep(0.01)
        return "seen"
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("OMNIQ_"):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory, on the import path; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def shop(folder):
    """A module with an application, in the working directory."""
    (folder / "shop.py").write_text(textwrap.dedent(SHOP), "utf-8")
    return folder


@pytest.fixture
def invoke(folder):
    """Run the command line in this process and check its exit code."""
    del folder

    def run(*arguments, code=0, stdin=None):
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="omniq", input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def answer(invoke):
    """Run a command with --json and return what it printed, which must be JSON and nothing else."""

    def run(*arguments, code=0):
        return json.loads(invoke(*arguments, "--json", code=code).stdout)

    return run


@pytest.fixture
def drain(folder):
    """Run a worker until nothing is left to do; functions of the module `shop` may run."""

    def run(*queues, url="omniq.db", registry=None):
        async def work():
            app = AsyncOmniQ(Settings(backend="sqlite", url=url, allowed_modules=["shop"]))
            if registry is not None:
                app.registry = registry
            async with app:
                await app.worker(queues=list(queues or ["default"]), burst=True).run()

        asyncio.run(work())

    del folder
    return run


@pytest.fixture
def omniq(folder):
    """Start the command line in a process of its own."""
    started = []

    def start(*arguments, **environ):
        process = subprocess.Popen(
            [sys.executable, "-m", "omniq", *map(str, arguments)],
            cwd=folder,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
