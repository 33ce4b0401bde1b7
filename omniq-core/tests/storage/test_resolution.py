from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from omniq.errors import ConfigError
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.storage.backend import BackendInfo
from omniq.storage.options import LOCATOR
from omniq.storage.report import report_config
from omniq.storage.resolution import resolve


@attrs.frozen(kw_only=True)
class FileOptions:
    base_dir: str = attrs.field(default="omniq_data", metadata=LOCATOR)
    serialization_format: str = "json"


DEFAULT_URLS = {"sqlite": "omniq.db", "file": "omniq_data", "redis": "redis://localhost:6379/0", "memory": None}


def info_of(name, _role):
    return BackendInfo(
        name=name,
        distribution=f"omniq-{name}",
        roles=Role,
        api_version=(1, 0),
        default_url=DEFAULT_URLS[name],
        options=FileOptions if name == "file" else None,
    )


def rows(config=None, **environ):
    plan = resolve(config, environ=environ, info_of=info_of)
    return [
        (entry.backend_type, entry.url, dict(entry.options), entry.type_source, entry.url_source, entry.options_source)
        for entry in plan.roles
    ]


def test_nothing_configured_is_sqlite_for_all():
    assert rows() == [
        ("sqlite", "omniq.db", {}, "default", "default", ""),
        *[("sqlite", "omniq.db", {}, "task queue", "default", "")] * 3,
    ]


def test_roles_follow_the_task_queue_with_its_url_and_options():
    config = OmniQConfig(StorageBackendConfig("sqlite", "sqlite:///tasks.db", {"timeout": 5}))
    explicit, queue = "explicit configuration", "task queue"
    assert rows(config) == [
        ("sqlite", "sqlite:///tasks.db", {"timeout": 5}, explicit, explicit, explicit),
        *[("sqlite", "sqlite:///tasks.db", {"timeout": 5}, queue, queue, queue)] * 3,
    ]


def test_memory_for_the_queue_is_memory_for_all():
    assert {row[0] for row in rows(OmniQConfig(StorageBackendConfig("memory")))} == {"memory"}


def test_each_step_of_the_fallback():
    config = OmniQConfig(result_storage_backend=StorageBackendConfig("memory"))
    environ = {
        "OMNIQ_RESULT_STORAGE_TYPE": "redis",
        "OMNIQ_EVENT_STORAGE_TYPE": "file",
        "OMNIQ_EVENT_STORAGE_URL": "./events",
        "OMNIQ_BACKEND": "redis",
        "OMNIQ_TASK_QUEUE_URL": "redis://queue/0",
    }
    assert rows(config, **environ) == [
        ("redis", "redis://queue/0", {}, "OMNIQ_BACKEND", "OMNIQ_TASK_QUEUE_URL", ""),
        ("memory", None, {}, "explicit configuration", "", ""),
        ("file", "./events", {}, "OMNIQ_EVENT_STORAGE_TYPE", "OMNIQ_EVENT_STORAGE_URL", ""),
        ("redis", "redis://queue/0", {}, "task queue", "task queue", ""),
    ]


def test_a_type_without_url_takes_its_own_default_never_the_url_of_the_queue():
    environ = {
        "OMNIQ_TASK_QUEUE_TYPE": "sqlite",
        "OMNIQ_TASK_QUEUE_URL": "sqlite:///tasks.db",
        "OMNIQ_RESULT_STORAGE_TYPE": "file",
        "OMNIQ_SCHEDULE_STORAGE_TYPE": "sqlite",
    }
    assert [row[1] for row in rows(**environ)] == ["sqlite:///tasks.db", "omniq_data", "sqlite:///tasks.db", "omniq.db"]


def test_default_stores_that_are_paths_go_into_the_base_dir():
    config = OmniQConfig(
        StorageBackendConfig("sqlite"),
        StorageBackendConfig("file"),
        StorageBackendConfig("redis"),
        StorageBackendConfig("sqlite", "sqlite:///own.db"),
        base_dir="/data",
    )
    assert [row[1] for row in rows(config)] == [
        "/data/omniq.db",
        "/data/omniq_data",
        "redis://localhost:6379/0",
        "sqlite:///own.db",
    ]


def test_options_that_say_where_leave_no_default_url():
    config = OmniQConfig(
        StorageBackendConfig("sqlite"),
        StorageBackendConfig("file", config={"base_dir": "./results"}),
        StorageBackendConfig("file", config={"serialization_format": "json", "base_dir": None}),
    )
    explicit = "explicit configuration"
    assert rows(config)[1:3] == [
        ("file", None, {"base_dir": "./results"}, explicit, "options", explicit),
        ("file", "omniq_data", {"serialization_format": "json", "base_dir": None}, explicit, "default", explicit),
    ]


def test_the_environment_of_the_process_is_read(monkeypatch):
    monkeypatch.setenv("OMNIQ_BACKEND", "memory")
    assert resolve().role(Role.EVENT_STORAGE).backend_type == "memory"


def test_a_fault_of_the_environment_is_reported():
    with pytest.raises(ConfigError, match="OMNIQ_LOG_LEVEL: 'LOUD' is not a log level"):
        resolve(OmniQConfig(), environ={"OMNIQ_LOG_LEVEL": "LOUD"})


def test_a_plan_hides_secrets():
    config = OmniQConfig(StorageBackendConfig("redis", "redis://:hunter2@h", {"password": "hunter2"}))
    assert "hunter2" not in repr(resolve(config, environ={}))


def test_the_report_for_people(install, tmp_path):
    install.backend("sqlite", url="omniq.db")
    path = tmp_path / "config.yaml"
    path.write_text(
        "result_storage_backend: {backend_type: redis, url: 'redis://:hunter2@h', config: {password: hunter2}}\n"
        "signing_key: hunter2-hunter2-hunter2\nbase_dir: /data\n"
    )
    report = report_config(OmniQConfig.from_yaml(path), environ={"OMNIQ_PROJECT_NAME": "shop"})
    queue, results, *_ = report.roles
    assert (queue.role, queue.backend_type, queue.url, queue.type_source, queue.url_source, queue.problem) == (
        "task queue",
        "sqlite",
        "/data/omniq.db",
        "default",
        "default",
        "",
    )
    assert (results.url, results.options, results.type_source, results.options_source) == (
        "redis://:***@h",
        {"password": "***"},
        str(path),
        str(path),
    )
    assert results.problem.startswith("Unsupported result storage backend: redis\n")
    settings = {row.name: (row.value, row.source) for row in report.settings}
    assert settings["project_name"] == ("shop", "OMNIQ_PROJECT_NAME")
    assert settings["signing_key"] == ("***", str(path))
    assert settings["base_dir"] == (Path("/data"), str(path))
    assert settings["log_level"] == ("INFO", "default")
    assert "hunter2" not in repr(report)
