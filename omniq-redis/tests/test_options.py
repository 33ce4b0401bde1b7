from __future__ import annotations

import inspect

import attrs
import pytest

from omniq.errors import ConfigError
from omniq.storage.backend import BackendConfig
from omniq_redis.options import RedisOptions, address
from omniq_redis.server import namespace_of


def read(url=None, **options):
    return RedisOptions.read(BackendConfig(backend_type="redis", url=url, options=options))


def test_an_url_has_everything():
    options = read("rediss://ann:s%40cret@[::1]:7000/3")
    expected = RedisOptions(host="::1", port=7000, database=3, username="ann", password="s@cret", tls=True)
    assert options == expected
    assert "s@cret" not in repr(options)


def test_what_is_left_out_has_its_default():
    assert read("redis://localhost") == RedisOptions()


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_the_options_of_the_user_document(scheme):
    given = {"host": "localhost", "port": 6379, "database": 0, "password": None, "max_connections": 10}
    assert read(f"{scheme}://localhost:6379/0", **given) == RedisOptions()


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("postgres://h", {}, "does not start with redis://"),
        ("redis://h/queue", {}, "'queue' is no number of a database"),
        ("redis://h/0?ssl=1", {}, "has a query"),
        ("redis://h:6379", {"port": 6380}, "port: 6380 contradicts the url, which has 6379"),
        ("redis://h", {"max_conections": 3}, "max_connections"),
        ("redis://h", {"max_connections": 0}, "max_connections"),
        ("redis://h/2", {"cluster": True}, "a cluster has only database 0, not 2"),
        ("redis://h", {"cluster": True, "sentinels": ["s:26379"]}, "cluster and sentinels"),
        ("rediss://h", {"tls_key": "own.key"}, "tls_key: a key is of no use without its certificate"),
        (None, {"address_map": {"10.0.0.1:6379": "localhost"}}, "'localhost' is no address of a server"),
        (None, {"sentinels": ["s"]}, "'s' is no address of a server"),
    ],
)
def test_faults_are_named(url, options, message):
    with pytest.raises(ConfigError) as caught:
        read(url, **options)
    assert message in str(caught.value)


def test_addresses():
    assert [address("redis-1:6379"), address("[2001:db8::1]:6380")] == [("redis-1", 6379), ("2001:db8::1", 6380)]


def test_names_of_projects_do_not_break_the_hash_tag():
    names = ["omniq:a", "omniq:}a", "omniq:{a", "omniq:%7Da"]
    prefixes = [namespace_of("omniq", name.removeprefix("omniq:")) for name in names]
    assert prefixes[:2] == [b"{omniq:a}:", b"{omniq:%7Da}:"]
    assert len(set(prefixes)) == len(names)
    assert all(prefix.count(b"{") == prefix.count(b"}") == 1 for prefix in prefixes)


def test_every_option_is_explained():
    documented = inspect.getdoc(RedisOptions)  # 3.13 removes the indentation by itself
    assert [field.name for field in attrs.fields(RedisOptions) if f"\n    {field.name}: " not in documented] == []
