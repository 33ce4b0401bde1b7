"""Encrypted connections, with a server that has certificates made here."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from urllib.parse import urlsplit

import attrs
import pytest
import redis
import trustme
from tls_front import Front

from omniq.errors import ConfigError, ConnectionLostError
from omniq.models.record import TaskBody, TaskSpec
from omniq.models.status import TaskStatus
from omniq_conformance import servers
from omniq_conformance.servers import ServerError
from omniq_conformance.servers.valkey import REDIS, VALKEY

SPEC = TaskSpec(id="a", body=TaskBody(func="m.f"))


class Certificates:
    """What the server and its clients have, in files."""

    def __init__(self, folder):
        authority, other = trustme.CA(), trustme.CA()
        self.authority = self._written(folder / "authority.pem", authority.cert_pem)
        self.other_authority = self._written(folder / "other.pem", other.cert_pem)
        server = authority.issue_cert("localhost")
        self.server = self._written(folder / "server.pem", server.cert_chain_pems[0])
        self.server_key = self._written(folder / "server.key", server.private_key_pem)
        self.client = self._written(folder / "client.pem", authority.issue_cert("app").private_key_and_cert_chain_pem)
        self.stranger = self._written(folder / "stranger.pem", other.issue_cert("app").private_key_and_cert_chain_pem)

    @staticmethod
    def _written(path, blob):
        blob.write_to_path(path)
        return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@attrs.define
class Encrypted:
    """A server that is reached with TLS and without.

    Attributes:
        url: Without.
        tls_url: With.
        wants_certificates: Says whether clients need one.
        is_encrypted: Tells of an entry of CLIENT LIST whether it came through TLS.
    """

    url: str
    tls_url: str
    wants_certificates: Callable
    is_encrypted: Callable


@pytest.fixture(scope="module", params=["before the server", "by the server"])
def server(request, files):
    """The server of the wheel was built without TLS, which somebody before it can do, and Debian's does itself."""
    with behind_a_front(files) if request.param == "before the server" else by_itself(files) as found:
        yield found


@contextlib.contextmanager
def behind_a_front(files):
    with servers.start("valkey") as started:
        place = urlsplit(started.url)
        target = (place.hostname, place.port)
        with Front(target, certificate=files.server, key=files.server_key, authority=files.authority) as front:
            tls_url = f"rediss://localhost:{front.port}/0"
            yield Encrypted(started.url, tls_url, front.wants_certificates, lambda each: each["addr"] in front.places)


@contextlib.contextmanager
def by_itself(files):
    port = servers.private.free_port()
    settings = {
        "tls-port": port,
        "tls-cert-file": files.server,
        "tls-key-file": files.server_key,
        "tls-ca-cert-file": files.authority,
        "tls-auth-clients": "optional",
    }
    with contextlib.ExitStack() as stack:
        started = _started(stack, settings)

        def wants_certificates(*, wanted):
            with redis.Redis.from_url(started.url) as client:
                client.config_set("tls-auth-clients", "yes" if wanted else "optional")

        tls_url = f"rediss://localhost:{port}/0"
        yield Encrypted(started.url, tls_url, wants_certificates, lambda each: each["laddr"].endswith(f":{port}"))


def _started(stack, settings):
    tried = []
    for kind, product in (("valkey", VALKEY), ("redis", REDIS)):
        for binary in product.candidates():
            try:
                return stack.enter_context(servers.start(kind, binary=binary, **settings))
            except ServerError as error:
                if "TLS" not in str(error):
                    raise
                tried.append(str(binary))
    pytest.skip(f"unverified: no server here speaks TLS itself ({', '.join(tried)} do not). Install {REDIS.remedy}.")


@pytest.fixture
def wants_certificates(server):
    server.wants_certificates(wanted=True)
    yield
    server.wants_certificates(wanted=False)


async def test_everything_goes_through_an_encrypted_connection(server, files, open_roles):
    async with open_roles(server.tls_url, tls_ca=files.authority) as roles:
        await roles.queue.enqueue([SPEC])
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(roles.queue.wait_done(["a"], 5))
            listeners = []
            with redis.Redis.from_url(server.url) as client:
                while not listeners:
                    await asyncio.sleep(0.01)
                    listeners = [each for each in client.client_list() if int(each["sub"])]
            await roles.queue.cancel(["a"])
    assert waiting.result() == {"a": TaskStatus.CANCELLED}
    assert [server.is_encrypted(each) for each in listeners] == [True]


async def test_tls_is_an_option_too(server, files, open_roles):
    async with open_roles(server.tls_url.replace("rediss", "redis"), tls=True, tls_ca=files.authority) as roles:
        assert await roles.queue.count() == 0


async def test_a_client_has_a_certificate_of_its_own(server, files, open_roles, wants_certificates):
    async with open_roles(server.tls_url, tls_ca=files.authority, tls_cert=files.client) as roles:
        assert await roles.queue.count() == 0
    # The server resets the connection after its alert, so the alert may be lost.
    with pytest.raises((ConfigError, ConnectionLostError), match=r"tls_cert"):
        async with open_roles(server.tls_url, tls_ca=files.authority):
            pass


async def test_a_name_is_not_checked_on_request(server, files, open_roles):
    async with open_roles(server.tls_url.replace("localhost", "127.0.0.1"), tls_verify=False) as roles:
        assert await roles.queue.count() == 0


async def test_an_authority_takes_the_place_of_the_systems(server, files, open_roles, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    async with open_roles(server.tls_url) as roles:  # trusted as one of the system's
        assert await roles.queue.count() == 0
    with pytest.raises(ConfigError, match="Set tls_ca"):
        async with open_roles(server.tls_url, tls_ca=files.other_authority):
            pass


async def test_a_replaced_authority_is_read_again(server, files, open_roles, tmp_path):
    path = tmp_path / "authority.pem"
    for source, is_trusted in ((files.other_authority, False), (files.authority, True)):
        shutil.copyfile(source, path)
        if is_trusted:
            async with open_roles(server.tls_url, tls_ca=str(path)) as roles:
                assert await roles.queue.count() == 0
        else:
            with pytest.raises(ConfigError, match="Set tls_ca"):
                async with open_roles(server.tls_url, tls_ca=str(path)):
                    pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"certificate of the server at localhost:\d+ is refused: .* Set tls_ca to the file with the authority"),
        ({"tls_ca": "other_authority"}, r"Set tls_ca to the file with the authority"),
        ({"tls_ca": "server_key"}, r"tls_ca: .*server.key has no certificates in PEM format"),
        ({"tls_ca": "authority", "tls_cert": "server", "tls_key": "client"}, r"are no certificate with its key"),
        ({"tls_ca": "authority", "tls_cert": "authority"}, r"tls_cert, tls_key: .* are no certificate with its key"),
    ],
)
async def test_wrong_certificates_are_faults_of_the_configuration(server, files, open_roles, options, message):
    with pytest.raises(ConfigError, match=message):
        async with open_roles(server.tls_url, **{name: getattr(files, file) for name, file in options.items()}):
            pass


async def test_a_file_that_is_not_there_is_named(server, open_roles):
    with pytest.raises(ConfigError, match=r"tls_ca: there is no file /no/such\.pem"):
        async with open_roles(server.tls_url, tls_ca="/no/such.pem"):
            pass


async def test_a_server_with_another_name_is_refused(server, files, open_roles):
    with pytest.raises(ConfigError, match=r"not valid for '127\.0\.0\.1'\. Use a name that it has"):
        async with open_roles(server.tls_url.replace("localhost", "127.0.0.1"), tls_ca=files.authority):
            pass


async def test_a_stranger_is_told_so(server, files, open_roles, wants_certificates):
    with pytest.raises((ConfigError, ConnectionLostError), match=r"tls_cert"):
        async with open_roles(server.tls_url, tls_ca=files.authority, tls_cert=files.stranger):
            pass


async def test_who_does_not_encrypt_is_told_to(server, open_roles):
    with pytest.raises(ConnectionLostError, match=r"If it speaks TLS on this port, use rediss://\."):
        async with open_roles(server.tls_url.replace("rediss", "redis")):
            pass


async def test_who_encrypts_for_a_server_that_does_not_is_told(server, files, open_roles):
    with pytest.raises(ConnectionLostError, match=r"Does it speak TLS on this port"):
        async with open_roles(server.url.replace("redis://", "rediss://"), tls_ca=files.authority, connect_timeout=0.3):
            pass


async def test_a_server_that_is_not_there_is_no_matter_of_tls(open_roles):
    for scheme in ("redis", "rediss"):
        with pytest.raises(ConnectionLostError, match=r"try again\.$"):
            async with open_roles(f"{scheme}://localhost:{servers.private.free_port()}"):
                pass
