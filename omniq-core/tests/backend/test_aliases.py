from __future__ import annotations

import subprocess
import sys

import pytest

from omniq import backend as package
from omniq.backend.file import FileBackend
from omniq.backend.memory import MemoryBackend
from omniq.backend.nats import NATSBackend
from omniq.backend.postgres import PostgresBackend
from omniq.backend.redis import RedisBackend
from omniq.backend.sqlite import SQLiteBackend
from omniq.errors import ConfigError, UnknownBackendError
from omniq.models.config import OmniQConfig, StorageBackendConfig
from omniq.storage import plugins
from omniq.storage.factory import create_task_queue

ALIASES = {
    FileBackend: "file",
    MemoryBackend: "memory",
    NATSBackend: "nats",
    PostgresBackend: "postgres",
    RedisBackend: "redis",
    SQLiteBackend: "sqlite",
}


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_all_roles_name_the_same_backend(alias, name):
    assert OmniQConfig.single(StorageBackendConfig(name)) == alias().to_config()


def test_url_and_options_are_handed_on():
    backend = SQLiteBackend("tasks.db", timeout=5.0)
    assert (backend.url, backend.options) == ("tasks.db", {"timeout": 5.0})
    assert StorageBackendConfig("sqlite", "tasks.db", {"timeout": 5.0}) == backend.to_config().event_storage_backend


def test_the_package_exports_them():
    assert set(ALIASES) < {getattr(package, name) for name in package.__all__}


def test_a_repr_hides_secrets():
    backend = RedisBackend("redis://:hunter2@h/0", password="hunter2", port=1)
    assert repr(backend) == "RedisBackend('redis://:***@h/0', password='***', port=1)"


def test_a_wrong_url_is_refused():
    with pytest.raises(ConfigError, match="url: 5 is not a url"):
        SQLiteBackend(5)


def test_importing_them_imports_no_driver():
    drivers = {"redis", "asyncpg", "nats", "aiosqlite", "fsspec", "sqlite3"}
    code = f"import sys, omniq.backend; print(sorted({drivers} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_one_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(plugins, "_scan", _NoScan())
    with pytest.raises(UnknownBackendError) as caught:
        create_task_queue(RedisBackend().to_config())
    assert str(caught.value).splitlines() == [
        "Unsupported task queue backend: redis",
        "It is not installed. Install it with: pip install 'omniq[redis]'",
        "No backend is installed.",
    ]


class _NoScan:
    def __call__(self, _group, _path):
        return ()

    def cache_clear(self):
        pass
