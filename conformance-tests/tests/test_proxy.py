from __future__ import annotations

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from omniq_conformance.faults.addresses import address_of, proxied
from omniq_conformance.faults.proxy import Damage, Direction, Plan, Proxy
from omniq_conformance.outcomes import UnverifiedError

TO_SERVER, TO_CLIENT = Direction


@pytest.fixture
def echo():
    """The url of a server that sends back what it gets; `seen` of the second value has what that was."""
    seen = []

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                seen.append(data)
                connection.sendall(data)
            seen.append(b"")

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"echo://127.0.0.1:{listener.getsockname()[1]}", seen
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def proxy(echo):
    with Proxy(echo[0]) as started:
        yield started


def connected(proxy, timeout=5.0):
    connection = socket.create_connection(address_of(proxy.url), timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def echoed(connection, data):
    connection.sendall(data)
    return received(connection, len(data))


def received(connection, length):
    found = b""
    while len(found) < length and (chunk := connection.recv(65_536)):
        found += chunk
    return found


def becomes(count, wanted):
    until = time.monotonic() + 5
    while count() != wanted and time.monotonic() < until:
        time.sleep(0.005)
    return count() == wanted


def test_it_passes_everything_on_and_counts(proxy):
    with connected(proxy) as connection:
        assert [echoed(connection, b"a"), echoed(connection, b"bc")] == [b"a", b"bc"]
        assert proxy.chunks == {TO_SERVER: 2, TO_CLIENT: 2}
        large = bytes(range(256)) * 4096
        sender = threading.Thread(target=connection.sendall, args=(large,))
        sender.start()
        assert received(connection, len(large)) == large
        sender.join()
        assert (proxy.accepted, proxy.open_connections) == (1, 1)
    assert becomes(lambda: proxy.open_connections, 0)


@pytest.mark.parametrize("chunk", [1, 2, 3])
@pytest.mark.parametrize("direction", Direction)
def test_a_cut_loses_the_chunk_and_resets_the_connection(proxy, echo, direction, chunk):
    with connected(proxy) as connection, connected(proxy) as other:
        assert echoed(other, b"x") == b"x"
        proxy.arm(Plan(damage=Damage.CUT, direction=direction, chunk=chunk))
        for number in range(1, chunk):
            assert echoed(connection, b"%d" % number) == b"%d" % number
        assert not proxy.has_struck
        with pytest.raises(ConnectionResetError):
            echoed(connection, b"last")
        assert proxy.has_struck
        assert (b"last" in echo[1]) is (direction is TO_CLIENT)
        assert echoed(other, b"y") == b"y"
    with connected(proxy) as connection:
        assert echoed(connection, b"z") == b"z"


def test_a_closed_direction_to_the_client_ends_its_reading_only(proxy, echo):
    proxy.arm(Plan(damage=Damage.CLOSE, direction=TO_CLIENT, chunk=2))
    with connected(proxy) as connection:
        assert echoed(connection, b"1") == b"1"
        assert echoed(connection, b"2") == b""
        connection.sendall(b"3")
        assert becomes(lambda: echo[1][-1:], [b"3"])
        assert proxy.open_connections == 1
    assert becomes(lambda: proxy.open_connections, 0)


def test_a_closed_direction_to_the_server_ends_its_reading(proxy, echo):
    proxy.arm(Plan(damage=Damage.CLOSE, direction=TO_SERVER))
    with connected(proxy) as connection:
        assert echoed(connection, b"1") == b""
    assert becomes(lambda: echo[1], [b""])


def test_a_stall_holds_back_everything_in_its_direction_until_it_is_healed(proxy, echo):
    with connected(proxy, timeout=0.2) as first, connected(proxy, timeout=0.2) as second:
        assert echoed(first, b"1") == b"1"
        proxy.arm(Plan(damage=Damage.STALL, direction=TO_CLIENT, chunk=1))
        for connection in (first, second):
            with pytest.raises(TimeoutError):
                echoed(connection, b"2")
        assert echo[1] == [b"1", b"2", b"2"]
        proxy.heal()
        for connection in (first, second):
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
    with connected(proxy) as connection:
        assert echoed(connection, b"3") == b"3"


def test_slices_and_delays(proxy):
    with connected(proxy) as connection:
        proxy.arm(Plan(slice_size=1))
        assert echoed(connection, b"abc") == b"abc"
        assert proxy.chunks[TO_SERVER] == 3
        proxy.arm(Plan(delay=0.05))
        started = time.monotonic()
        assert echoed(connection, b"abc") == b"abc"
        assert time.monotonic() - started >= 0.1


def test_all_connections_are_severed(proxy):
    with connected(proxy) as first, connected(proxy) as second:
        assert echoed(first, b"1") + echoed(second, b"2") == b"12"
        proxy.sever()
        for connection in (first, second):
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
    with connected(proxy) as third:
        assert echoed(third, b"3") == b"3"


def test_a_server_that_is_gone_resets_the_client():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"echo://127.0.0.1:{listener.getsockname()[1]}"
    with Proxy(url) as proxy, pytest.raises(ConnectionResetError), connected(proxy) as connection:
        echoed(connection, b"1")


def test_nothing_is_left_after_it(echo):
    threads = threading.active_count()
    with Proxy(echo[0]) as proxy:
        connection = connected(proxy)
        assert echoed(connection, b"1") == b"1"
    with connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert becomes(threading.active_count, threads)
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6380/0", "redis://localhost:1/0"),
        (
            "postgresql://me:p%40ss@db.example/name?sslmode=disable",
            "postgresql://me:p%40ss@localhost:1/name?sslmode=disable",
        ),
        ("nats://token@host", "nats://token@localhost:1"),
        ("postgresql+asyncpg://[::1]:5433/x", "postgresql+asyncpg://localhost:1/x"),
    ],
)
def test_urls_keep_everything_but_the_address(url, expected):
    assert proxied(url, "localhost", 1) == expected


@pytest.mark.parametrize(
    "url", ["/var/lib/omniq", "memory", "nats://a:1,b:2", "strange://host", "unix:///run/redis.sock"]
)
def test_urls_without_one_address_cannot_be_proxied(url):
    with pytest.raises(UnverifiedError, match="the one host and port"):
        address_of(url)


def _url(listener):
    return f"echo://127.0.0.1:{listener.getsockname()[1]}"


def test_a_cluster_has_an_address_for_each_server(echo):
    with socket.create_server(("127.0.0.1", 0)) as silent, Proxy(f"{echo[0]},{_url(silent)}") as proxy:
        first, second = proxy.url.split(",")
        proxy.arm(Plan(damage=Damage.CUT, chunk=2))
        with (
            socket.create_connection(address_of(first), 5) as one,
            socket.create_connection(address_of(second), 5) as other,
        ):
            assert echoed(one, b"a") == b"a"
            other.sendall(b"b")  # the second chunk, whichever server it is for
            with pytest.raises(ConnectionResetError):
                received(other, 1)
            assert echoed(one, b"c") == b"c"


def test_default_ports_are_known():
    assert [address_of(f"{scheme}://h") for scheme in ("redis", "postgresql", "nats")] == [
        ("h", 6379),
        ("h", 5432),
        ("h", 4222),
    ]
    assert urlsplit(proxied("redis://h", "i", 9)).netloc == "i:9"
