from __future__ import annotations

from pathlib import Path

import pytest

from omniq.config import Settings
from omniq.errors import ConfigError
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.models.environment import ENVIRONMENT


@pytest.mark.parametrize("backend", ["file", "sqlite"])
@pytest.mark.parametrize("base_dir", ["./data", Path("./data")])
def test_the_settings_of_the_user_document(backend, base_dir):
    settings = Settings(backend=backend, base_dir=base_dir)
    assert (backend, Path("data")) == (settings.backend, settings.base_dir)
    config = settings.to_config()
    assert [StorageBackendConfig(backend)] * 4 == [config.backend(role) for role in Role]
    assert Path("data") == config.base_dir


def test_a_given_backend_keeps_every_role_whatever_the_environment_says():
    config = Settings(backend="file").to_config().with_environment({"OMNIQ_RESULT_STORAGE_TYPE": "redis"})
    assert StorageBackendConfig("file") == config.result_storage_backend


def test_a_backend_left_out_is_left_to_the_environment():
    assert Settings().backend == "sqlite"
    config = Settings(base_dir="x").to_config().with_environment({"OMNIQ_BACKEND": "file"})
    assert (StorageBackendConfig("file"), None) == (config.task_queue_backend, config.result_storage_backend)


def test_a_url_alone_is_of_the_default_backend():
    config = Settings(url="sqlite:///x.db").to_config()
    assert StorageBackendConfig("sqlite", "sqlite:///x.db") == config.task_queue_backend


def test_options_and_settings_are_handed_on():
    config = Settings(
        backend="redis", url="redis://h", options={"port": 1}, default_ttl=5, log_level="debug"
    ).to_config()
    assert (
        OmniQConfig.single(StorageBackendConfig("redis", "redis://h", {"port": 1}), default_ttl=5, log_level="DEBUG")
        == config
    )


def test_from_env_shows_the_task_queue_and_keeps_the_roles():
    environ = {
        "OMNIQ_BACKEND": "sqlite",
        "OMNIQ_TASK_QUEUE_URL": "sqlite:///t.db",
        "OMNIQ_RESULT_STORAGE_TYPE": "file",
        "OMNIQ_DEFAULT_TTL": "10",
    }
    settings = Settings.from_env(environ)
    assert (settings.backend, settings.url, settings.default_ttl) == ("sqlite", "sqlite:///t.db", 10)
    assert OmniQConfig.from_env(environ) == settings.to_config()
    assert settings.to_config().source_of("default_ttl") == "OMNIQ_DEFAULT_TTL"


def test_from_env_reads_the_environment_of_the_process(monkeypatch):
    monkeypatch.setenv("OMNIQ_BACKEND", "file")
    assert Settings.from_env().backend == "file"


def test_all_faults_are_listed():
    with pytest.raises(ConfigError) as caught:
        Settings(backend=5, url="", default_ttl="x", options=3)
    text = str(caught.value)
    assert text.splitlines()[0] == "Invalid Settings, 4 faults:"
    assert {"default_ttl", "backend", "url", "options"} == {
        line.split(":")[0].strip(" -") for line in text.splitlines()[1:]
    }


def test_no_secret_is_in_a_repr():
    settings = Settings(
        backend="redis",
        url="redis://:hunter2@h",
        options={"password": "hunter2"},
        signing_key="hunter2-hunter2-hunter2",
    )
    assert "hunter2" not in repr(settings)


def test_the_table_names_every_variable_once():
    names = [variable.name for variable in ENVIRONMENT]
    assert sorted(set(names)) == sorted(names)
    assert {"OMNIQ_BACKEND", *(role.type_variable for role in Role), *(role.url_variable for role in Role)} <= set(
        names
    )
