from __future__ import annotations

import os
from pathlib import Path

import pytest

from omniq import AsyncOmniQ, OmniQ, OmniQConfig, Settings, StorageBackendConfig
from omniq.app.configuration import to_config
from omniq.backend import MemoryBackend, SQLiteBackend
from omniq.errors import ConfigError
from omniq.models.config import Role


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OMNIQ_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def backends(config: OmniQConfig) -> set[tuple[str, str | None]]:
    found = {config.backend(role) for role in Role}
    return {(backend.backend_type, backend.url) if backend else ("", None) for backend in found}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tasks.db", ("sqlite", "tasks.db")),
        (Path("data/tasks.db"), ("sqlite", "data/tasks.db")),
        ("sqlite:///tasks.db", ("sqlite", "sqlite:///tasks.db")),
        ("memory://", ("memory", "memory://")),
        ("redis://localhost:6379/0", ("redis", "redis://localhost:6379/0")),
        ("rediss://localhost", ("redis", "rediss://localhost")),
        ("postgresql://localhost/omniq", ("postgres", "postgresql://localhost/omniq")),
        ("nats://localhost", ("nats", "nats://localhost")),
        ("C:/data/tasks.db", ("sqlite", "C:/data/tasks.db")),
        (Settings(backend="sqlite", url="a.db"), ("sqlite", "a.db")),
        (OmniQConfig.single(StorageBackendConfig("memory")), ("memory", None)),
    ],
)
def test_one_argument_says_where_the_store_is(given, expected):
    assert backends(to_config(given, None, None)) == {expected}
    assert backends(AsyncOmniQ(given).config) == {expected}


def test_a_configuration_and_a_backend_have_keywords_of_their_own():
    config = OmniQConfig(task_queue_backend=StorageBackendConfig("sqlite", "a.db"))
    assert AsyncOmniQ(config=config).config.task_queue_backend == StorageBackendConfig("sqlite", "a.db")
    assert backends(OmniQ(backend=SQLiteBackend("b.db")).config) == {("sqlite", "b.db")}
    assert backends(OmniQ(backend=MemoryBackend()).config) == {("memory", None)}


def test_without_arguments_the_environment_decides(environment):
    environment.setenv("OMNIQ_TASK_QUEUE_TYPE", "memory")
    environment.setenv("OMNIQ_LOG_LEVEL", "DEBUG")
    for app in (OmniQ(), AsyncOmniQ(), AsyncOmniQ.from_env(), OmniQ.from_env()):
        assert app.config.task_queue_backend == StorageBackendConfig("memory")
        assert app.config.log_level == "DEBUG"


def test_from_env_takes_other_variables():
    app = AsyncOmniQ.from_env({"OMNIQ_BACKEND": "memory"})
    assert app.config.task_queue_backend == StorageBackendConfig("memory")


def test_what_is_left_out_comes_from_the_environment(environment):
    environment.setenv("OMNIQ_RESULT_STORAGE_TYPE", "memory")
    config = OmniQConfig(task_queue_backend=StorageBackendConfig("sqlite"))
    assert AsyncOmniQ(config=config).config.result_storage_backend == StorageBackendConfig("memory")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, None, None), "settings: 5 is no configuration"),
        ((None, "x.db", 5), "config and backend are given"),
        ((Settings(), OmniQConfig(), None), "settings and config are given"),
        ((None, None, SQLiteBackend), "backend: .* is no configuration. .*SQLiteBackend"),
        (("", None, None), "''"),
    ],
)
def test_what_is_no_configuration_is_refused(arguments, message):
    with pytest.raises((ConfigError, TypeError), match=message):
        to_config(*arguments)


def test_a_backend_that_is_not_installed_is_told_at_the_first_use():
    app = OmniQ("cassandra://localhost")
    with pytest.raises(ValueError, match="Unsupported task queue backend: cassandra"):
        app.count_tasks()
    app.close()
