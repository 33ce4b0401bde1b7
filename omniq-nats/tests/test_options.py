from __future__ import annotations

import inspect

import attrs
import pytest

from omniq.errors import ConfigError
from omniq.storage.backend import BackendConfig
from omniq_nats.names import Names, token
from omniq_nats.options import NatsOptions


def read(url=None, **options):
    return NatsOptions.read(BackendConfig(backend_type="nats", url=url, options=options))


def test_an_url_has_everything():
    options = read("tls://ann:s%40cret@[::1]:7000,tls://ann:s%40cret@n2")
    expected = NatsOptions(servers=("tls://[::1]:7000", "tls://n2:4222"), user="ann", password="s@cret", tls=True)
    assert options == expected
    assert "s@cret" not in repr(options)
    assert options.where == "[::1]:7000, n2:4222"


def test_a_lone_user_is_a_token():
    options = read("nats://t0ken@localhost")
    assert (options.token, options.user) == ("t0ken", None)
    assert "t0ken" not in repr(options)


def test_what_is_left_out_has_its_default():
    assert read("nats://localhost") == NatsOptions()
    assert read(servers=["nats://localhost:4222"]) == NatsOptions()


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("redis://h", {}, "does not start with nats://"),
        ("nats://h/queue", {}, "it has more than servers"),
        ("nats://a:1@h,nats://b:2@i", {}, "different logins"),
        ("nats://h", {"replica": 3}, "replicas"),
        ("nats://h", {"replicas": 0}, "replicas"),
        ("nats://h", {"storage": "disk"}, "storage"),
        ("nats://h", {"partitions": 4}, "partitions: 4 is not supported"),
        ("nats://h", {"user": "ann"}, "user and password"),
        ("nats://h", {"token": "t", "nkey": "seed"}, "token and nkey"),
        ("nats://h", {"tls_key": "own.key"}, "tls_key: a key is of no use without its certificate"),
        (None, {"servers": []}, "servers: there is none"),
        (None, {"servers": ["nats://ann:pw@h"]}, "a login in an address is not taken"),
        (None, {"servers": ["localhost"]}, "is no address"),
    ],
)
def test_faults_are_named(url, options, message):
    with pytest.raises(ConfigError) as caught:
        read(url, **options)
    assert message in str(caught.value)


def test_every_option_is_explained():
    documented = inspect.getdoc(NatsOptions)
    assert [field.name for field in attrs.fields(NatsOptions) if f"\n    {field.name}: " not in documented] == []


def test_names_become_single_tokens_that_differ():
    names = ["a", "A-b_1", "a.b", "a b", ">", "*", "", "\ud800", "é" * 200, "x" * 81, f"={'0' * 40}"]
    tokens = [token(name) for name in names]
    assert tokens[:2] == names[:2]
    assert len(set(tokens)) == len(names)
    assert all(not set(each) & set(".*> \r\n") and 0 < len(each) <= 80 for each in tokens)


def test_projects_have_streams_of_their_own():
    assert Names.of("omniq", "omniq").log == "OQ_omniq_LOG"
    assert len({Names.of(*pair) for pair in (("a", "omniq"), ("a", "b"), ("a/b", "omniq"), ("a", "B"))}) >= 3
