from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs
import pytest

from omniq.errors import ConfigError
from omniq.storage.backend import BackendConfig
from omniq.storage.options import LOCATOR, locators, parse_options, path_from_url


@attrs.frozen(kw_only=True)
class Options:
    host: str = attrs.field(default="localhost", metadata=LOCATOR)
    port: int = attrs.field(default=6379, metadata=LOCATOR, validator=attrs.validators.in_(range(1, 65536)))
    password: str | None = attrs.field(default=None, repr=False)
    timeout: float | None = 30.0
    journal_mode: Literal["WAL", "DELETE"] = "WAL"
    tls: bool = False
    servers: list[str] = attrs.field(factory=list)
    extra: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class FolderOptions:
    base_dir: Path = attrs.field(default=Path("omniq_data"), metadata=LOCATOR)


def split(url):
    parts = urlsplit(url)
    return {"host": parts.hostname, "port": parts.port, "password": parts.password}


def parse(url=None, /, **options):
    return parse_options(Options, BackendConfig(backend_type="redis", url=url, options=options), split_url=split)


def refused(url=None, /, **options):
    with pytest.raises(ConfigError) as caught:
        parse(url, **options)
    return str(caught.value)


def test_nothing_given_is_all_defaults():
    assert parse() == Options()


def test_url_and_options_go_together():
    assert parse("redis://:pw@h:1", timeout=1, journal_mode="delete", tls=True) == Options(
        host="h", port=1, password="pw", timeout=1.0, journal_mode="DELETE", tls=True
    )


def test_the_example_of_the_user_document():
    assert parse("redis://localhost:6379/0", host="localhost", port=6379, password=None) == Options()


def test_text_is_taken_for_numbers_and_booleans():
    assert parse(port="1", timeout="2.5", tls="yes") == Options(port=1, timeout=2.5, tls=True)


def test_none_is_a_value_only_where_the_field_has_it():
    assert parse(timeout=None, host=None) == Options(timeout=None)


def test_none_leaves_what_the_url_has():
    assert parse("redis://:pw@h", password=None, port=None) == Options(host="h", password="pw")


def test_a_contradiction_is_refused():
    assert refused("redis://h:1", host="other", port=1) == (
        "Invalid configuration of the redis backend: host: 'other' contradicts the url, which has 'h'. "
        "Give it in one place only"
    )


def test_equal_paths_do_not_contradict():
    config = BackendConfig(backend_type="file", url="./results", options={"base_dir": "results"})
    options = parse_options(FolderOptions, config, split_url=lambda url: {"base_dir": path_from_url(url, "file")})
    assert options == FolderOptions(base_dir=Path("results"))


def test_all_faults_are_listed():
    text = refused(
        "redis://h:1",
        host="other",
        prot=1,
        port="x",
        timeout=True,
        journal_mode="WALL",
        tls="maybe",
        servers="nats://u:hunter2@h",
        extra=5,
        password=1234567,
    )
    assert text.splitlines() == [
        "Invalid configuration of the redis backend, 9 faults:",
        "  - host: 'other' contradicts the url, which has 'h'. Give it in one place only",
        "  - port: 'x' is not a whole number; give one such as 10",
        "  - password: has a wrong type or value (it is a secret and not shown)",
        "  - timeout: True is not a number; give one such as 30.0",
        "  - journal_mode: 'WALL' is not one of 'WAL', 'DELETE'",
        "  - tls: 'maybe' is not true or false",
        "  - servers: 'nats://u:***@h' is not a list; put it between [ ]",
        "  - extra: 5 is not a mapping of names to values",
        (
            "  - prot: unknown key. Did you mean 'port'? "
            "Known keys: extra, host, journal_mode, password, port, servers, timeout, tls"
        ),
    ]


def test_a_validator_does_not_hide_other_faults():
    text = refused(port=70000, servers=["a", 5])
    assert "port: 'port' must be in range(1, 65536) (got 70000)" in text
    assert "servers[1]: 5 is not text; put it between quotes" in text


def test_a_contradiction_of_secrets_shows_neither():
    text = refused("redis://:hunter2@h", password="hunter3")
    assert "password: '***' contradicts the url, which has '***'" in text


def test_a_bad_url_is_shown_without_its_password():
    text = refused("redis://:hunter2@h:port")
    assert text.startswith("Invalid configuration of the redis backend: url: 'redis://:***@h:port': ")
    assert "hunter2" not in text


def test_a_bad_url_does_not_hide_other_faults():
    config = BackendConfig(backend_type="file", url="file://results", options={"base_dri": "x"})
    with pytest.raises(ConfigError) as caught:
        parse_options(FolderOptions, config, split_url=lambda url: {"base_dir": path_from_url(url, "file")})
    lines = str(caught.value).splitlines()
    assert lines[0] == "Invalid configuration of the file backend, 2 faults:"
    assert lines[1].startswith("  - url: 'file://results' has no path")
    assert lines[2] == "  - base_dri: unknown key. Did you mean 'base_dir'? Known keys: base_dir"


def test_a_backend_without_urls_refuses_one():
    with pytest.raises(ConfigError, match="url: 'x' is of no use here: this backend takes none"):
        parse_options(Options, BackendConfig(backend_type="memory", url="x"))


def test_the_locators():
    assert locators(Options) == {"host", "port"}
    assert locators(None) == frozenset()


@pytest.mark.parametrize(
    ("url", "scheme", "expected"),
    [
        ("x.db", "sqlite", "x.db"),
        ("./data/x.db", "sqlite", "data/x.db"),
        ("/var/x.db", "sqlite", "/var/x.db"),
        ("sqlite:///x.db", "sqlite", "x.db"),
        ("sqlite:////var/x.db", "sqlite", "/var/x.db"),
        ("SQLite:///x.db", "sqlite", "x.db"),
        ("sqlite:///:memory:", "sqlite", ":memory:"),
        ("./results", "file", "results"),
        ("file:///var/results", "file", "/var/results"),
        ("file:///my%20results", "file", "/my results"),
        ("a b?.db", "sqlite", "a b?.db"),
    ],
)
def test_path_from_url(url, scheme, expected):
    assert path_from_url(url, scheme) == Path(expected)


def test_a_path_in_the_home_directory(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert path_from_url("~/x.db", "sqlite") == Path("/home/me/x.db")


@pytest.mark.parametrize(
    ("url", "scheme", "message"),
    [
        ("sqlite://x.db", "sqlite", "Write 'sqlite:///x.db' (relative)"),
        ("sqlite:x.db", "sqlite", "Write 'sqlite:///x.db' (relative)"),
        ("sqlite://", "sqlite", "Write 'sqlite:///omniq.db' (relative)"),
        ("sqlite:///", "sqlite", "has no path"),
        ("sqlite:///x.db?timeout=5", "sqlite", "has a query. Give options in config={...} instead"),
        ("file://results", "file", "Write './results' or 'file:///absolute/path'"),
        ("redis://:hunter2@h/0", "sqlite", "url: 'redis://:***@h/0' is a redis url, but the backend is sqlite"),
    ],
)
def test_what_is_no_path(url, scheme, message):
    with pytest.raises(ConfigError) as caught:
        path_from_url(url, scheme)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
