"""The examples run and print what they say, their configurations open, and the demo of the README works."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from docblocks import links_of, matches

from omniq import AsyncOmniQ
from omniq.models.config import OmniQConfig, Role
from omniq.storage.capabilities import Durability

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
CONFIGS = sorted((EXAMPLES / "deployment_configs").glob("*.yaml"))

pytestmark = pytest.mark.timeout(180)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMNIQ_", "PYTHON"))}
    environ = {**kept, "PYTHONWARNINGS": "error", "COLUMNS": "120", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def promised_output(script: Path) -> str:
    """Return what a script's docstring says that it prints: the last indented part."""
    docstring = ast.get_docstring(ast.parse(script.read_text("utf-8")))
    return textwrap.dedent(docstring.partition("rints::\n")[2])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_an_example_prints_what_it_says(script, tmp_path):
    done = run(sys.executable, str(script), cwd=tmp_path)
    promised = promised_output(script)
    assert promised.strip()
    assert matches(promised, done.stdout), f"{script.name} printed\n{done.stdout}\nbut says\n{promised}"
    assert [line for line in done.stderr.splitlines() if "Warning" in line or "ignored" in line] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_an_example_can_run_twice_in_one_folder(script, tmp_path):
    assert matches(
        run(sys.executable, str(script), cwd=tmp_path).stdout, run(sys.executable, str(script), cwd=tmp_path).stdout
    )


def test_every_example_is_listed():
    there = {path.name for path in EXAMPLES.iterdir() if path.name not in {"README.md", "__pycache__"}}
    assert {link for link in links_of(EXAMPLES / "README.md") if ":" not in link} == there
    listing = (EXAMPLES / "README.md").read_text("utf-8")
    assert [path.name for path in CONFIGS if f"`{path.name}`" not in listing] == []


def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_deployment_configuration_opens_and_runs_a_task(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def work() -> int:
        async with AsyncOmniQ(config=OmniQConfig.from_yaml(path)) as app:
            task = app.task(name="add")(add)
            job = await task.enqueue(2, 3)
            await app.worker(burst=True).run()
            return await job.result(timeout=30)

    assert asyncio.run(work()) == 5


def test_what_the_deployment_configurations_say_about_themselves_is_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def look(name: str) -> tuple[dict[Role, str | None], Durability, frozenset[Role]]:
        async with AsyncOmniQ(config=OmniQConfig.from_yaml(EXAMPLES / "deployment_configs" / name)) as app:
            stores = await app.connect()
            urls = {entry.role: entry.url for entry in stores.plan.roles}
            return urls, stores.task_queue.capabilities.durability, stores.joined

    assert asyncio.run(look("all_sqlite.yaml")) == (
        dict.fromkeys(Role, "sqlite:///omniq.db"),
        Durability.OS_CRASH,
        frozenset(Role) - {Role.TASK_QUEUE},
    )
    assert asyncio.run(look("mixed_storage.yaml")) == (
        {
            Role.TASK_QUEUE: "sqlite:///tasks.db",
            Role.RESULT_STORAGE: "sqlite:///results.db",
            Role.EVENT_STORAGE: "sqlite:///events.db",
            Role.SCHEDULE_STORAGE: "sqlite:///tasks.db",
        },
        Durability.OS_CRASH,
        frozenset({Role.SCHEDULE_STORAGE}),
    )
    assert asyncio.run(look("testing.yaml")) == (
        dict.fromkeys(Role),
        Durability.NONE,
        frozenset(Role) - {Role.TASK_QUEUE},
    )


def test_the_command_line_finds_the_deployment_configurations_valid(tmp_path):
    for path in CONFIGS:
        done = run(sys.executable, "-m", "omniq", "config", "check", "--config", str(path), "--json", cwd=tmp_path)
        assert json.loads(done.stdout) == {"valid": True, "problems": []}


def test_the_demo_works_on_the_documentation(tmp_path):
    done = run(sys.executable, "-m", "omniq", "demo", str(ROOT / "docs"), cwd=tmp_path)
    assert "every task returned its result" in done.stdout, done.stdout
