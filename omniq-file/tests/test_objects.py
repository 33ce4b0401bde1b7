"""Stores of objects: in memory, and on an S3 server."""

from __future__ import annotations

import asyncio
import threading
import time

import fsspec
import pytest
from botocore.exceptions import ClientError
from file_steps import claimed, completed, spec
from s3fs import errors

from omniq.errors import CapabilityError, ConnectionLostError, StoreFormatError
from omniq.models.config import Role
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.capabilities import Durability, Scope
from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items
from omniq_file import clients, objects
from omniq_file.object_chores import ObjectCompacting

FEW = {"OQ-Q-0501", "OQ-R-0501", "OQ-E-0501", "OQ-S-0501", "OQ-Q-0901-joined", "OQ-X-0901", "OQ-X-0950-joined"}
SERVER = threading.Lock()
ON_S3 = [item for item in items() if item.id in FEW]


@pytest.fixture
def url(tmp_path):
    yield f"memory://{tmp_path.name}"
    fs = fsspec.filesystem("memory")
    if fs.exists(f"/{tmp_path.name}"):
        fs.rm(f"/{tmp_path.name}", recursive=True)


@pytest.fixture
def bucket(s3, tmp_path):
    options = {"storage_options": {"key": "k", "secret": "s", "endpoint_url": s3.url}, "poll_interval": 0.05}
    return f"s3://omniq-conformance/{tmp_path.name}", options


async def compact(roles):
    engine = roles.queue.store.engine
    chore = await asyncio.to_thread(ObjectCompacting, engine, engine.medium)
    return await asyncio.to_thread(chore.compact)


@pytest.mark.parametrize("item", ON_S3, ids=lambda item: item.id)
def test_the_contract_holds_on_s3(s3, item):
    outcome = run_item(item, s3, PROFILES["smoke"])
    assert outcome.status is Status.PASS, outcome.reason


async def test_two_handles_on_s3_lose_nothing(bucket, open_roles):
    url, options = bucket
    async with open_roles(url, **options) as one, open_roles(url, **options | {"poll_interval": 0.06}) as two:
        assert one.queue.store is not two.queue.store
        names = [f"t{n}" for n in range(12)]
        await asyncio.gather(*((one if n % 2 else two).queue.enqueue([spec(name)]) for n, name in enumerate(names)))
        granted = await asyncio.gather(*(claimed(roles.queue, 4) for roles in (one, two, one, two)))
        assert sorted(grant.id for grants in granted for grant in grants) == sorted(names)
        assert await one.queue.count() == await two.queue.count() == 12


async def test_large_results_on_s3(bucket, open_roles):
    url, options = bucket
    value = bytes(range(256)) * 20_000
    async with open_roles(url, **options) as roles:
        can = roles.results.capabilities
        assert (can.durability, can.scope, can.push) == (Durability.REPLICATED, Scope.CLUSTER, False)
        await roles.results.put([ResultRecord("t", 1, 1, TaskStatus.COMPLETED, value)])
        (found,) = await roles.results.get(["t"])
        assert found.value == value
        assert await roles.results.delete(["t"]) == [True]


async def test_a_server_that_is_away(open_roles, monkeypatch):
    monkeypatch.setattr(clients, "_CALM", {"connect_timeout": 0.2})
    options = {"storage_options": {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"}}
    with pytest.raises(ConnectionLostError):
        async with open_roles("s3://bucket/x", **options):
            pass


async def test_a_store_that_overwrites_is_refused(url, open_roles, monkeypatch):
    monkeypatch.setattr(objects.ObjectMedium, "_create", lambda self, path, data: self._fs.pipe_file(path, data))
    with pytest.raises(CapabilityError, match="If-None-Match"):
        async with open_roles(url):
            pass


async def test_kinds_of_which_nothing_is_known_are_refused(open_roles):
    with pytest.raises(CapabilityError, match="sftp"):
        async with open_roles("sftp://host/x"):
            pass


async def test_what_is_no_store_is_refused(url, open_roles):
    fsspec.filesystem("memory").pipe_file(f"{url}/omniq.json", b"{}")
    with pytest.raises(StoreFormatError, match="does not describe"):
        async with open_roles(url):
            pass


async def test_checkpoints_and_what_they_make_needless(url, open_roles, monkeypatch):
    monkeypatch.setattr(objects, "GRACE", 0.0)
    async with open_roles(url) as roles:
        await roles.queue.enqueue([spec("a"), spec("b", 10_000)])
        await completed(roles.queue)
        assert await compact(roles) == 4
        await roles.queue.enqueue([spec("c")])
        before = await roles.queue.list()
    assert len(fsspec.filesystem("memory").ls(f"{url}/log")) == 1
    async with open_roles(url) as roles:
        assert await roles.queue.list() == before
        assert [event.position for event in await roles.events.read()] == ["1", "2", "3", "4", "5"]


async def test_who_slept_too_long_begins_again(url, open_roles, monkeypatch):
    monkeypatch.setattr(objects, "GRACE", 0.0)
    async with open_roles(url) as sleeper, open_roles(url, poll_interval=0.1) as other:
        await sleeper.queue.enqueue([spec("a")])
        await other.queue.enqueue([spec("b")])
        await compact(other)
        monkeypatch.setattr(objects, "_TRUST", -1.0)
        assert await sleeper.queue.count() == 2


async def test_an_entry_that_came_through_unheard_counts(url, open_roles, monkeypatch):
    real, calls = objects.ObjectMedium._create, []

    def create(self, path, data):
        real(self, path, data)
        if "/log/" in path and not calls:
            calls.append(path)
            raise ConnectionError("the reply was lost")

    monkeypatch.setattr(objects.ObjectMedium, "_create", create)
    async with open_roles(url) as roles:
        assert [each.created for each in await roles.queue.enqueue([spec("a")])] == [True]
        assert calls
        assert await roles.queue.count() == 1
        assert roles.queue.join(frozenset(Role)) == frozenset(Role) - {Role.TASK_QUEUE}


async def test_who_appends_without_a_pause_lets_others_append(url, open_roles, monkeypatch):
    monkeypatch.setattr(objects.ObjectMedium, "_get", one_at_a_time(objects.ObjectMedium._get))
    monkeypatch.setattr(objects.ObjectMedium, "_create", one_at_a_time(objects.ObjectMedium._create))
    async with open_roles(url) as busy, open_roles(url, poll_interval=0.1) as other:

        async def work() -> int:
            for number in range(400):
                await busy.queue.enqueue([spec(f"b{number}")])
                if late.done():
                    return number
            return 400

        late = asyncio.ensure_future(other.queue.enqueue([spec("late")]))
        assert await work() < 400
        assert await busy.queue.get(["late"]) != [None]


def one_at_a_time(function):
    """Answer like a server that takes a few milliseconds, and serves one after the other."""

    def answered(*arguments):
        with SERVER:
            time.sleep(0.002)
            return function(*arguments)

    return answered


async def test_half_a_request_is_tried_again(url, open_roles, monkeypatch):
    real, calls = objects.ObjectMedium._create, []

    def create(self, path, data):
        calls.append(path)
        if "/log/" in path and len(calls) < 4:
            raise OSError(22, "Bad Request") from ClientError({"Error": {"Code": "400"}}, "PutObject")
        real(self, path, data)

    async with open_roles(url) as roles:
        calls.append("opened")
        monkeypatch.setattr(objects.ObjectMedium, "_create", create)
        assert [each.created for each in await roles.queue.enqueue([spec("a")])] == [True]
        assert len(calls) == 4


async def test_a_refused_condition_without_a_name_is_a_conflict(bucket, open_roles, monkeypatch):
    url, options = bucket
    async with open_roles(url, **options) as one, open_roles(url, **options | {"poll_interval": 0.06}) as two:
        real = errors.translate_boto_error

        def translate(error, *arguments, **named):
            getattr(error, "response", {}).get("Error", {}).pop("Condition", None)  # which only some servers tell
            return real(error, *arguments, **named)

        monkeypatch.setattr("s3fs.core.translate_boto_error", translate)
        await one.queue.enqueue([spec("a")])
        assert [each.created for each in await two.queue.enqueue([spec("b")])] == [True]
        assert await one.queue.count() == 2
