"""The reference is complete: whatever is public has its place in docs/reference, with the right defaults."""

from __future__ import annotations

import importlib
import inspect
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from docblocks import blocks_of

import omniq
from omniq import AsyncOmniQ, OmniQ, RetryPolicy, TaskContext
from omniq.config import Settings
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.models.environment import ENVIRONMENT
from omniq.models.event import Event, EventFilter, EventType
from omniq.models.outcome import TaskResult
from omniq.models.settings import ApplicationSettings
from omniq.models.task import Task
from omniq.queue.job import Job
from omniq.queue.options import CallArguments
from omniq.storage import hookspecs
from omniq.storage.backend import BackendConfig, BackendInfo
from omniq.storage.capabilities import Capabilities
from omniq.storage.events import EventStorage
from omniq.storage.results import ResultStorage
from omniq.storage.schedules import ScheduleStorage
from omniq.storage.task_queue import TaskQueue
from omniq.worker.options import WorkerHealth, WorkerReport
from omniq_file.options import FileOptions
from omniq_nats.options import NatsOptions
from omniq_postgres.options import PostgresOptions
from omniq_redis.options import RedisOptions
from omniq_sqlite.options import SQLiteOptions

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES = {page.relative_to(REFERENCE).as_posix(): page.read_text("utf-8") for page in sorted(REFERENCE.rglob("*.md"))}
APPLICATION, STORAGE, WORKER = "api/application.md", "api/storage.md", "api/worker.md"

PUBLIC = (
    "omniq",
    "omniq.backend",
    "omniq.clock",
    "omniq.config",
    "omniq.errors",
    "omniq.models.config",
    "omniq.models.error",
    "omniq.models.event",
    "omniq.models.outcome",
    "omniq.models.record",
    "omniq.models.result",
    "omniq.models.schedule",
    "omniq.models.status",
    "omniq.retry",
    "omniq.serialization",
    "omniq.storage.backend",
    "omniq.storage.capabilities",
    "omniq.storage.events",
    "omniq.storage.factory",
    "omniq.storage.hookspecs",
    "omniq.storage.limits",
    "omniq.storage.options",
    "omniq.storage.results",
    "omniq.storage.role",
    "omniq.storage.schedules",
    "omniq.storage.task_queue",
    "omniq.storage.upkeep",
    "omniq.testing",
)
"""The modules whose names applications and backends may use; everything else is the core's own business."""


def words(text: str) -> set[str]:
    """Return every name that stands in code, in tables and sentences."""
    return {name for code in re.findall(r"`([^`\n]+)`", text) for name in re.findall(r"\w+", code)}


def rows(page: str, section: str = "") -> dict[str, list[str]]:
    """Return the cells of all tables of a page or of one of its sections, by each name in their first cell."""
    found: dict[str, list[str]] = {}
    text = PAGES[page].partition(f"\n## {section}\n")[2].partition("\n## ")[0] if section else PAGES[page]
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found |= dict.fromkeys(re.findall(r"`(\w+)", cells[0]), cells)
    return found


def fields(cls: type) -> list[str]:
    return [field.name for field in attrs.fields(cls) if field.init and not field.name.startswith("_")]


def methods(cls: type) -> list[str]:
    return sorted(name for name, _ in inspect.getmembers(cls, callable) if not name.startswith("_"))


def properties(cls: type) -> list[str]:
    return sorted(name for name, value in inspect.getmembers(cls) if isinstance(value, property) and name[0] != "_")


def absent(page: str, names: Any) -> list[str]:
    return [name for name in names if name not in words(PAGES[page])]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_in_the_reference(module):
    everywhere = set().union(*(words(text) for text in PAGES.values()))
    names = importlib.import_module(module).__all__
    assert [name for name in names if name not in everywhere and not name.startswith("__")] == []


def test_public_names_are_sorted_and_exist():
    for module in PUBLIC:
        found = importlib.import_module(module)
        assert sorted(found.__all__) == list(found.__all__), module
        assert [name for name in found.__all__ if not hasattr(found, name)] == []


# ------------------------------------------------------------------------------------------------- errors, events


def test_every_error_has_a_row_and_there_are_no_others():
    errors = {name for name in omniq.errors.__all__ if name.endswith("Error")}
    assert {name for name in rows("errors.md") if name.endswith("Error")} == errors


def test_the_error_tree_is_that_of_the_module():
    (tree,) = (block.text for block in blocks_of(REFERENCE / "errors.md") if block.text.startswith("OmniQError\n"))
    drawn = inspect.getdoc(omniq.errors).partition("::\n\n")[2].partition("\n\nA wait")[0]
    assert tree.strip() == inspect.cleandoc(drawn)


def test_every_event_type_has_a_row_and_there_are_no_others():
    types = {name for name in rows("events.md") if name.isupper()}
    assert types == {kind.value for kind in EventType}


def test_every_field_of_an_event_has_a_row():
    assert [name for name in [*fields(Event), "event_id", "time"] if name not in rows("events.md")] == []
    assert absent("events.md", fields(EventFilter)) == []


# --------------------------------------------------------------------------------------------------------- hooks


def test_every_hook_has_a_row_with_its_arguments():
    specified = {
        name: sorted(inspect.signature(value).parameters)
        for name, value in vars(hookspecs).items()
        if name.startswith("omniq_")
    }
    documented = {
        name: sorted(re.findall(r"\w+", cells[1]))
        for name, cells in rows("hooks.md").items()
        if name.startswith("omniq_")
    }
    assert documented == specified


# ------------------------------------------------------------------------------------------------------ settings


def test_every_key_of_the_configuration_is_in_the_settings():
    keys = {*fields(OmniQConfig), *fields(Settings), *fields(StorageBackendConfig)}
    assert sorted(keys - set(rows("settings.md"))) == []


def test_every_environment_variable_is_in_the_settings_and_no_other():
    documented = {name for name in words(PAGES["settings.md"]) if name.startswith("OMNIQ_")}
    assert documented == {variable.name for variable in ENVIRONMENT}


def test_settings_have_the_right_variable_and_default():
    variables = {variable.setting: variable.name for variable in ENVIRONMENT}
    config = OmniQConfig()
    for name in fields(ApplicationSettings):
        default = getattr(config, name)
        shown = "" if default in (None, ()) else f"`{default}`"
        assert rows("settings.md", "Everything else")[name][1:3] == [f"`{variables[name]}`", shown]


def test_roles_have_the_right_variables():
    for role in Role:
        assert rows("settings.md")[role.setting][1] == f"`{role.type_variable}`, `{role.url_variable}`"


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("file", FileOptions),
        ("SQLite", SQLiteOptions),
        ("PostgreSQL", PostgresOptions),
        ("Redis", RedisOptions),
        ("NATS", NatsOptions),
    ],
)
def test_options_of_backends_have_the_right_default(backend, options):
    table = rows("settings.md", f"Options of the {backend} backend")
    for name in fields(options):
        assert table[name][1] == f"`{getattr(options(), name)}`"


# ----------------------------------------------------------------------------------------------------- storage API


@pytest.mark.parametrize("role", [TaskQueue, ResultStorage, EventStorage, ScheduleStorage])
def test_every_operation_of_a_role_is_documented(role):
    section = PAGES[STORAGE].partition(f"### {role.__name__}\n")[2].partition("\n##")[0]
    listed = {
        name
        for line in section.splitlines()
        for name in re.findall(r"`(\w+)\(", line.split("|")[1:2][0] if line[:1] == "|" else "")
    }
    assert listed == set(methods(role)) - {"open", "close"}


def test_capabilities_have_a_row_each():
    assert [name for name in fields(Capabilities) if name not in rows(STORAGE)] == []


def test_what_a_backend_tells_and_gets_is_documented():
    assert absent(STORAGE, [*fields(BackendInfo), *fields(BackendConfig)]) == []


# ------------------------------------------------------------------------------------------- application, worker


@pytest.mark.parametrize("facade", [AsyncOmniQ, OmniQ])
def test_every_method_of_an_application_is_documented(facade):
    assert absent(APPLICATION, set(methods(facade)) - {"from_env"}) == []
    assert "from_env" in words(PAGES["settings.md"])


def test_both_applications_have_the_same_methods():
    assert methods(AsyncOmniQ) == methods(OmniQ)


def test_options_of_an_enqueue_have_a_row_each():
    assert sorted(set(CallArguments.__annotations__) - set(rows(APPLICATION))) == []


def test_records_are_documented():
    assert absent(APPLICATION, [*Task.__iter__(Task), *properties(Task)]) == []
    assert absent(APPLICATION, [*fields(TaskResult), *properties(TaskResult), *methods(Job)]) == []


def test_options_of_a_worker_have_a_row_each():
    options = set(inspect.signature(AsyncOmniQ.worker).parameters) - {"self"}
    assert options == {name for name in rows(WORKER) if name in options}
    assert absent(WORKER, fields(RetryPolicy)) == []


def test_what_a_worker_tells_is_documented():
    shown = [*fields(WorkerReport), *fields(WorkerHealth), *properties(TaskContext), *methods(TaskContext)]
    assert absent(WORKER, [name for name in shown if name not in {"recycle_reason", "name"}]) == []


def test_defaults_of_a_worker_are_as_documented():
    options = AsyncOmniQ("unused.db").worker().options
    documented = {name: rows(WORKER)[name][1] for name in ("concurrency", "lease", "shutdown_timeout", "kill_grace")}
    assert documented == {
        "concurrency": f"`{options.concurrency}`",
        "lease": f"`{timedelta(milliseconds=options.lease_ms).seconds}s`",
        "shutdown_timeout": f"`{timedelta(milliseconds=options.shutdown_timeout_ms).seconds}s`",
        "kill_grace": f"`{timedelta(milliseconds=options.kill_grace_ms).seconds}s`",
    }
