"""The code of the user's documents runs as it is printed, as far as the backends in it are there; see promises.py.

This file has the table and the first document, test_promises_tradeoffs.py the second one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docblocks import blocks_of
from promise_running import run, shell, value_of, work_with
from promises import DOCUMENTS, MISSING, SEEDS, SELECTION, TABLE, digest, kept, promise, text

from omniq import OmniQ
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.storage.factory import make_plan
from omniq_conformance import servers

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.usefixtures("own_folder")


def backends(config: OmniQConfig) -> dict[str, tuple[str, str | None, dict[str, Any]]]:
    """Return type, url and options of each role, as the plan has them before default stores are filled in."""
    plan = [config.with_environment().backend(role) for role in Role]
    return {
        role.key: (backend.backend_type, backend.url, backend.config or {})
        for role, backend in zip(Role, plan, strict=True)
        if backend is not None
    }


# ------------------------------------------------------------------------------------------------- the table


def test_the_documents_are_as_the_user_wrote_them():
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in SEEDS.glob("*.md")}
    assert found == DOCUMENTS


def test_every_block_has_its_row():
    there = [(name, block.number, digest(block)) for name in DOCUMENTS for block in blocks_of(SEEDS / name)]
    assert [row[:3] for row in TABLE] == there


def test_every_block_that_runs_has_a_test():
    assert {row.number for row in TABLE if row.document == SELECTION and not row.illustrative} == kept(SELECTION)


def test_every_illustrative_block_has_a_reason():
    assert [row[:2] for row in TABLE if row.illustrative and len(row.illustrative.split()) < 4] == []
    assert [row[:2] for row in TABLE if row.illustrative and row.but] == []


def test_the_missing_backends_are_still_missing():
    installed = {entry.name for entry in importlib.metadata.entry_points(group="omniq.backends")}
    assert installed & MISSING == set(), "a backend has come: let the promises about it run"


# ----------------------------------------------------------------------------- independent storage selection

FOUR_ROLES = {
    "task_queue": ("sqlite", "sqlite:///tasks.db", {}),
    "result_storage": ("file", "./results", {}),
    "event_storage": ("memory", None, {}),
    "schedule_storage": ("sqlite", "sqlite:///schedules.db", {}),
}
LOOK = """
import json
from omniq.models.config import Role

chosen = [omniq.config.backend(role) for role in Role]
print(json.dumps([[backend.backend_type, backend.url] for backend in chosen]))
print(omniq.stats(), omniq.list_schedules())
omniq.close()
"""


@promise(SELECTION, 1, 2)
def test_environment_variables(own_folder):
    Path("block.py").write_text(text(SELECTION, 2) + LOOK, "utf-8")
    chosen, found = shell(f"{text(SELECTION, 1)}\npython block.py").splitlines()
    assert json.loads(chosen) == [list(backend[:2]) for backend in FOUR_ROLES.values()]
    assert found == "[] []"
    assert {path.name for path in own_folder.glob("*.db")} == {"tasks.db", "schedules.db"}
    assert Path("results/omniq.json").exists()


@promise(SELECTION, 3)
def test_programmatic_configuration():
    names = run(text(SELECTION, 3))
    options = {"base_dir": "./results", "serialization_format": "json"}
    assert backends(names["config"]) == {**FOUR_ROLES, "result_storage": ("file", None, options)}
    work_with(names["omniq"])
    assert Path("results/omniq.json").exists()


@promise(SELECTION, 4, 5)
def test_yaml_configuration():
    Path("config.yaml").write_text(text(SELECTION, 4), "utf-8")
    names = run(text(SELECTION, 5))
    config = names["config"]
    options = {"base_dir": "./results", "serialization_format": "json"}
    assert backends(config) == {**FOUR_ROLES, "result_storage": ("file", None, options)}
    assert (config.project_name, config.default_ttl, config.log_level) == ("my_omniq_app", 3600, "INFO")
    assert names["omniq"].config == config
    work_with(names["omniq"])
    assert Path("results/omniq.json").exists()


@promise(SELECTION, 6)
def test_sqlite_options():
    backend = value_of(text(SELECTION, 6))
    assert backend.config == {"timeout": 30.0, "journal_mode": "WAL", "synchronous": "NORMAL", "cache_size": -64000}
    work_with(OmniQ(config=OmniQConfig.single(backend)))
    with closing(sqlite3.connect("database.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@promise(SELECTION, 6)
def test_sqlite_takes_a_bare_path_too():
    work_with(OmniQ(config=OmniQConfig.single(StorageBackendConfig(backend_type="sqlite", url="database.db"))))
    assert Path("database.db").exists()


@promise(SELECTION, 8)
def test_memory_needs_no_options():
    work_with(OmniQ(config=OmniQConfig.single(value_of(text(SELECTION, 8)))))


@promise(SELECTION, 9)
def test_redis_options():
    with servers.start("valkey") as server:
        port = server.url.removesuffix("/0").rpartition(":")[2]
        backend = value_of(text(SELECTION, 9).replace("6379", port))
        assert backend.config == {
            "host": "localhost",
            "port": int(port),
            "database": 0,
            "password": None,
            "max_connections": 10,
        }
        work_with(OmniQ(config=OmniQConfig.single(backend)))


@promise(SELECTION, 10)
def test_postgres_options():
    with servers.start("postgres") as server:
        port = server.url.removesuffix("/postgres").rpartition(":")[2]
        wanted = (
            text(SELECTION, 10).replace("5432", port).replace("/omniq", "/postgres").replace('"omniq"', '"postgres"')
        )
        backend = value_of(wanted.replace("user:", "postgres:").replace('"user"', '"postgres"'))
        assert backend.config == {
            "host": "localhost",
            "port": int(port),
            "database": "postgres",
            "username": "postgres",
            "password": "pass",
            "min_connections": 1,
            "max_connections": 10,
        }
        work_with(OmniQ(config=OmniQConfig.single(backend)))


@promise(SELECTION, 7)
def test_file_options():
    backend = value_of(text(SELECTION, 7))
    assert backend.config == {
        "base_dir": "./data",
        "serialization_format": "json",
        "fsspec_uri": None,
        "storage_options": {},
    }
    work_with(OmniQ(config=OmniQConfig.single(backend)))
    assert len(list(Path("data/completed").iterdir())) == 1


@promise(SELECTION, 15)
def test_the_error_text(monkeypatch):
    assert text(SELECTION, 15) == "ValueError: Unsupported task queue backend: redis\n"
    monkeypatch.setenv("OMNIQ_DISABLED_PLUGINS", "redis")
    app = OmniQ(config=OmniQConfig(task_queue_backend=StorageBackendConfig("redis")))
    with pytest.raises(ValueError, match=r"^Unsupported task queue backend: redis\n"):
        app.stats()
    app.close()
    app = OmniQ(config=OmniQConfig(task_queue_backend=StorageBackendConfig("mongo")))
    with pytest.raises(ValueError, match=r"^Unsupported task queue backend: mongo\n"):
        app.stats()
    app.close()


@promise(SELECTION, 11, 12)
@pytest.mark.parametrize(("number", "store"), [(11, ("memory", None)), (12, ("sqlite", "sqlite:///omniq.db"))])
def test_everything_in_one_store(number, store):
    config = run(text(SELECTION, number))["config"]
    assert backends(config) == {role.key: (*store, {}) for role in Role}
    work_with(OmniQ(config=config))


@promise(SELECTION, 13)
def test_optimized_production():
    plan = make_plan(run(text(SELECTION, 13))["config"])
    assert {entry.role.key: entry.backend_type for entry in plan.roles} == {
        "task_queue": "sqlite",
        "result_storage": "file",
        "event_storage": "redis",
        "schedule_storage": "postgres",
    }


@promise(SELECTION, 14)
def test_legacy_backend():
    app = run(text(SELECTION, 14))["omniq"]
    with app:
        stores = app.connect()
        assert stores.joined == {Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE}
        assert {(entry.backend_type, entry.url) for entry in stores.plan.roles} == {("sqlite", "omniq.db")}
    work_with(app)


def test_the_fallbacks():
    os.environ["OMNIQ_RESULT_STORAGE_TYPE"] = "memory"
    queue = StorageBackendConfig("sqlite", "tasks.db")
    plan = make_plan(OmniQConfig(task_queue_backend=queue, event_storage_backend=StorageBackendConfig("memory")))
    assert [(entry.backend_type, entry.url) for entry in plan.roles] == [
        ("sqlite", "tasks.db"),
        ("memory", None),
        ("memory", None),
        ("sqlite", "tasks.db"),
    ]
    del os.environ["OMNIQ_RESULT_STORAGE_TYPE"]
    assert {(entry.backend_type, entry.url) for entry in make_plan().roles} == {("sqlite", "omniq.db")}


def test_the_places_that_the_document_names():
    assert (ROOT / "examples" / "independent_storage_example.py").is_file()
    assert (ROOT / "examples" / "deployment_configs").is_dir()
    assert (ROOT / "omniq-core" / "src" / "omniq" / "storage" / "factory.py").is_file()


def test_invalid_configurations_are_value_errors_that_say_what_to_do():
    with pytest.raises(ValueError, match=r"(?s)log_level: 'LOUD'.*Use one of.*task_queue_backend\.url: 3 .*Give text"):
        OmniQConfig.from_dict({"task_queue_backend": {"backend_type": "sqlite", "url": 3}, "log_level": "LOUD"})
