from __future__ import annotations

import inspect

import attrs
import pytest

from omniq.errors import ConfigError
from omniq.storage.backend import BackendConfig
from omniq_postgres.options import PostgresOptions
from omniq_postgres.schema import in_schema, schema_of


def read(url=None, **options):
    return PostgresOptions.read(BackendConfig(backend_type="postgres", url=url, options=options))


def test_an_url_has_everything():
    options = read("postgresql://ann:s%40cret@[::1]:7000/tasks?sslmode=verify-full")
    expected = PostgresOptions(
        host="::1", port=7000, database="tasks", username="ann", password="s@cret", ssl="verify-full"
    )
    assert options == expected
    assert "s@cret" not in repr(options)


def test_what_is_left_out_has_its_default():
    assert read("postgres://localhost") == PostgresOptions()
    assert read("postgresql:///omniq?host=/run/postgresql").host == "/run/postgresql"


def test_the_options_of_the_user_document():
    given = {
        "host": "localhost",
        "port": 5432,
        "database": "omniq",
        "username": "user",
        "password": "pass",
        "min_connections": 1,
        "max_connections": 10,
    }
    expected = PostgresOptions(username="user", password="pass")
    assert read("postgresql://user:pass@localhost:5432/omniq", **given) == expected
    assert read(**given) == expected


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("redis://h", {}, "does not start with postgresql://"),
        ("postgresql://h/db?connect_timeout=3", {}, "its query has connect_timeout"),
        ("postgresql://h:5432", {"port": 5433}, "port: 5433 contradicts the url, which has 5432"),
        ("postgresql://h/db?sslmode=perhaps", {}, "ssl"),
        ("postgresql://h", {"max_conections": 3}, "max_connections"),
        ("postgresql://h", {"max_connections": 0}, "max_connections"),
        ("postgresql://h", {"min_connections": 11}, "min_connections: 11 is more than max_connections, 10"),
        ("postgresql://h", {"schema": 'a"b'}, "no plain name"),
        ("postgresql://h", {"schema": "a" * 64}, "no plain name"),
        ("postgresql://h", {"listen_dsn": "redis://h"}, "listen_dsn: it does not start with postgresql://"),
    ],
)
def test_faults_are_named(url, options, message):
    with pytest.raises(ConfigError) as caught:
        read(url, **options)
    assert message in str(caught.value)


def test_where_to_listen():
    pooled = read("postgresql://app:secret@pooler:6432/tasks")
    assert pooled.for_listening == pooled
    direct = attrs.evolve(pooled, listen_dsn="postgresql://server:5432").for_listening
    assert (direct.host, direct.port, direct.database, direct.username) == ("server", 5432, "tasks", "app")
    assert attrs.evolve(pooled, listen_dsn="off").for_listening is None


def test_every_project_has_a_schema_of_its_own():
    names = ["omniq", "shop", "Shop", "shop_", "a" * 200, "b" * 200, "größe", "omniq_shop", "\udcff"]
    schemas = [schema_of(name) for name in names]
    assert schemas[:2] == ["omniq", "omniq_shop"]
    assert len(set(schemas)) == len(names)
    assert all(len(schema) <= 63 and schema.isascii() and schema.isidentifier() for schema in schemas)


def test_everything_is_qualified():
    assert in_schema("SELECT nextval('omniq.task_seq') FROM omniq.task", "shop") == (
        'SELECT nextval(\'"shop".task_seq\') FROM "shop".task'
    )


def test_every_option_is_explained():
    documented = inspect.getdoc(PostgresOptions)  # 3.13 removes the indentation by itself
    assert [field.name for field in attrs.fields(PostgresOptions) if f"\n    {field.name}: " not in documented] == []
