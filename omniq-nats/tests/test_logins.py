"""Logins and encryption, each with a server that asks for it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time

import attrs
import nkeys
import pytest
import trustme

from omniq.errors import ConfigError, ConnectionLostError, OmniQError
from omniq.models.record import TaskBody, TaskSpec
from omniq.models.status import TERMINAL
from omniq_conformance import servers

SPEC = TaskSpec(id="t", body=TaskBody(func="m.f"))


async def works(roles):
    """Tell whether tasks can be enqueued and read, from the connection and from what it follows."""
    await roles.queue.enqueue([SPEC], now=0)
    return await roles.queue.count(now=0) == 1


async def refused(opening, error=ConfigError, match="refused the login|Authorization"):
    with pytest.raises(error, match=match):
        async with opening:
            pass


# Logins


async def test_a_user_and_a_password(open_roles):
    with servers.start("nats", authorization={"user": "ann", "password": "s3cret/@:"}) as server:
        async with open_roles(server.url, user="ann", password="s3cret/@:") as roles:
            assert await works(roles)
        async with open_roles(server.url.replace("//", "//ann:s3cret%2F%40%3A@")) as roles:
            assert await works(roles)
        await refused(open_roles(server.url, user="ann", password="wrong"))
        await refused(open_roles(server.url))


async def test_a_token(open_roles):
    with servers.start("nats", authorization={"token": "t0ken"}) as server:
        async with open_roles(server.url, token="t0ken") as roles:
            assert await works(roles)
        async with open_roles(server.url.replace("//", "//t0ken@")) as roles:
            assert await works(roles)
        await refused(open_roles(server.url, token="wrong"))


def key(prefix):
    return nkeys.from_seed(bytearray(nkeys.encode_seed(secrets.token_bytes(32), prefix)))


def seed_of(pair):
    return bytes(pair.seed).decode()


async def test_an_nkey(open_roles, tmp_path):
    user, other = key(nkeys.PREFIX_BYTE_USER), key(nkeys.PREFIX_BYTE_USER)
    (tmp_path / "user").write_text(seed_of(user))
    (tmp_path / "other").write_text(seed_of(other))
    with servers.start("nats", authorization={"users": [{"nkey": user.public_key.decode()}]}) as server:
        async with open_roles(server.url, nkey=str(tmp_path / "user")) as roles:
            assert await works(roles)
        await refused(open_roles(server.url, nkey=str(tmp_path / "other")))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_of(signer, subject, name, nats):
    """Return a JWT as `nsc` makes them."""
    claims = {"iat": int(time.time()), "iss": signer.public_key.decode(), "name": name, "sub": subject, "nats": nats}
    digest = hashlib.new("sha512_256", json.dumps(claims).encode()).digest()
    claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    head = encoded(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    signed = f"{head}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(signer.sign(signed.encode()))}"


async def test_a_credentials_file_of_an_operators_account(open_roles, tmp_path):
    operator = key(nkeys.PREFIX_BYTE_OPERATOR)
    system, account = key(nkeys.PREFIX_BYTE_ACCOUNT), key(nkeys.PREFIX_BYTE_ACCOUNT)
    user = key(nkeys.PREFIX_BYTE_USER)
    every = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1}
    stored = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}

    def account_token(pair, name, limits):
        nats = {"type": "account", "version": 2, "limits": {**every, "wildcards": True, **limits}}
        return token_of(operator, pair.public_key.decode(), name, nats)

    options = {
        "operator": token_of(operator, operator.public_key.decode(), "op", {"type": "operator", "version": 2}),
        "system_account": system.public_key.decode(),
        "resolver": "MEMORY",
        "resolver_preload": {
            system.public_key.decode(): account_token(system, "SYS", {}),
            account.public_key.decode(): account_token(account, "shop", stored),
        },
    }
    jwt = token_of(
        account, user.public_key.decode(), "ann", {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
    )
    text = "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n"
    text += "-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n"
    (tmp_path / "good.creds").write_text(text.format(jwt, seed_of(user)))
    (tmp_path / "bad.creds").write_text(text.format(jwt, seed_of(key(nkeys.PREFIX_BYTE_USER))))
    with servers.start("nats", **options) as server:
        async with open_roles(server.url, credentials=str(tmp_path / "good.creds")) as roles:
            assert await works(roles)
        await refused(open_roles(server.url, credentials=str(tmp_path / "bad.creds")))


async def test_the_permissions_that_the_documentation_asks_for_are_enough(open_roles):
    publish = ["oq.shop.>", "$JS.API.INFO", "$JS.FC.>"]
    for stream in ("OQ_shop_LOG", "OQ_shop_KEYS"):
        publish += [f"$JS.API.{kind}.{stream}" for kind in ("STREAM.*", "STREAM.MSG.*", "CONSUMER.*")]
        publish += [f"$JS.API.DIRECT.GET.{stream}.>", f"$JS.API.CONSUMER.*.{stream}.*"]
    permissions = {"publish": publish, "subscribe": ["_INBOX.>"]}
    users = [{"user": "ann", "password": "s3cret", "permissions": permissions}]
    with servers.start("nats", authorization={"users": users}) as server:
        async with open_roles(server.url, user="ann", password="s3cret", namespace="shop") as roles:
            assert await works(roles)
            assert await roles.queue.cancel(["t"]) == ["cancelled"]
            assert await roles.queue.purge(TERMINAL, 2**43) == ["t"]
            assert await roles.events.trim(2**43) == 2
            assert [each.id for each in await roles.results.list()] == ["t"]
            assert await roles.results.delete(["t"]) == [True]
            assert await roles.schedules.list() == []
        other = open_roles(server.url, user="ann", password="s3cret", namespace="other", request_timeout=1)
        await refused(other, ConfigError, r"STREAM\.INFO\.OQ_other_LOG.*Give the user this permission")


# Encryption


@attrs.frozen
class Files:
    """Of the server and its clients."""

    options: dict[str, object]
    authority: str
    stranger: str
    client: str


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority, other = trustme.CA(), trustme.CA()

    def written(name, blob):
        blob.write_to_path(folder / name)
        return str(folder / name)

    server = authority.issue_cert("127.0.0.1")
    options = {
        "cert_file": written("server.pem", server.cert_chain_pems[0]),
        "key_file": written("server.key", server.private_key_pem),
        "ca_file": written("authority.pem", authority.cert_pem),
    }
    client = authority.issue_cert("app").private_key_and_cert_chain_pem
    return Files(
        options, str(folder / "authority.pem"), written("other.pem", other.cert_pem), written("app.pem", client)
    )


async def test_an_encrypted_connection(open_roles, files):
    with servers.start("nats", tls=files.options) as server:
        async with open_roles(server.url.replace("nats:", "tls:"), tls_ca=files.authority) as roles:
            assert await works(roles)
        async with open_roles(server.url, tls=True, tls_verify=False) as roles:
            assert await works(roles)
        await refused(open_roles(server.url, tls_ca=files.stranger), OmniQError, "(?i)certificate")
        await refused(open_roles(server.url.replace("nats:", "tls:")), OmniQError, "(?i)certificate")


async def test_a_certificate_of_the_client(open_roles, files):
    with servers.start("nats", tls={**files.options, "verify": True}) as server:
        url = server.url.replace("nats:", "tls:")
        async with open_roles(url, tls_ca=files.authority, tls_cert=files.client) as roles:
            assert await works(roles)
        await refused(open_roles(url, tls_ca=files.authority), ConnectionLostError, "cannot be reached")


async def test_encryption_before_the_servers_greeting(open_roles, files, starts_with):
    with starts_with(tls={**files.options, "handshake_first": True}) as server:
        if server is None:
            return
        async with open_roles(server.url, tls_first=True, tls_ca=files.authority) as roles:
            assert await works(roles)


async def test_a_server_that_leaves_it_to_the_client(open_roles, files):
    with servers.start("nats", tls=files.options, allow_non_tls=True) as server:
        async with open_roles(server.url.replace("nats:", "tls:"), tls_ca=files.authority) as roles:
            wire = await roles.queue.shared.link.wire()
            assert wire._raw.get_extra_info("cipher")
        async with open_roles(server.url) as roles:
            wire = await roles.queue.shared.link.wire()
            assert wire._raw.get_extra_info("cipher") is None


async def test_a_server_that_does_not_encrypt_is_not_sent_the_login(open_roles, url):
    login = {"user": "ann", "password": "s3cret"}
    for options in ({"tls": True}, {"tls_first": True}, {"servers": [url.replace("nats:", "tls:")]}):
        address = None if "servers" in options else url
        await refused(open_roles(address, connect_timeout=1, **options, **login), OmniQError, "(?i)encrypt|ssl|tls")
    await refused(open_roles(url.replace("nats:", "tls:")), ConfigError, "does not encrypt")
