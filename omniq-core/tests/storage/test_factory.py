from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from omniq.errors import ConfigError, UnknownBackendError
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.storage.backend import BackendConfig
from omniq.storage.factory import (
    Stores,
    create_event_storage,
    create_result_storage,
    create_schedule_storage,
    create_stores,
    create_task_queue,
    make_plan,
    open_stores,
)
from omniq.storage.resolution import Plan

MEMORY = StorageBackendConfig("memory")


class FakeStorage:
    def __init__(self, name, log, *, domain=None, fails=()):
        self.name, self.log, self.fails = name, log, fails
        self.capabilities = SimpleNamespace(transaction_domain=domain)

    async def open(self):
        self.log.append(f"open {self.name}")
        if "open" in self.fails:
            raise ConnectionError(self.name)

    async def close(self):
        self.log.append(f"close {self.name}")
        if "close" in self.fails:
            raise OSError(self.name)

    def join(self, roles):
        self.log.append(f"join {sorted(map(str, roles))}")
        return roles - {Role.EVENT_STORAGE}


def stores(log, domains=(None,) * 4, fails=((),) * 4):
    names = ("queue", "results", "events", "schedules")
    queue, results, events, schedules = (
        FakeStorage(name, log, domain=domain, fails=failing)
        for name, domain, failing in zip(names, domains, fails, strict=True)
    )
    return Stores(
        task_queue=queue,
        results=results,
        events=events,
        schedules=schedules,
        plan=Plan(config=OmniQConfig(), roles=()),
        backends=(),
    )


def storages(made):
    return [made.task_queue, made.results, made.events, made.schedules]


def test_opened_in_order_and_closed_in_reverse():
    log = []
    made = stores(log)

    async def main():
        await made.open()
        await made.close()

    asyncio.run(main())
    assert log == [
        *["open queue", "open results", "open events", "open schedules"],
        *["close schedules", "close events", "close results", "close queue"],
    ]
    assert made.joined == frozenset()


def test_roles_of_the_domain_of_the_queue_are_joined():
    log = []
    made = stores(log, domains=("a", "a", "a", "b"))
    asyncio.run(made.open())
    assert log[-1] == "join ['event storage', 'result storage']"
    assert made.joined == {Role.RESULT_STORAGE}


def test_no_domain_is_not_the_same_as_no_domain():
    log = []
    asyncio.run(stores(log, domains=(None, None, None, None)).open())
    assert not [line for line in log if line.startswith("join")]


def test_a_failing_open_closes_what_was_opened():
    log = []
    made = stores(log, fails=((), ("close",), ("open",), ()))
    with pytest.raises(ConnectionError) as caught:
        asyncio.run(made.open())
    assert log == ["open queue", "open results", "open events", "close events", "close results", "close queue"]
    assert caught.value.__notes__ == ["Closing after this failed too: OSError('results')"]


def test_one_failing_close_does_not_keep_the_others_open():
    log = []
    with pytest.raises(OSError, match="events"):
        asyncio.run(stores(log, fails=((), (), ("close",), ())).close())
    assert log == ["close schedules", "close events", "close results", "close queue"]


def test_several_failing_closes_are_all_raised():
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(stores([], fails=(("close",), (), ("close",), ())).close())
    assert [str(error) for error in caught.value.exceptions] == ["events", "queue"]


def test_roles_of_one_store_receive_the_same_config(install):
    install.backend("memory")
    install.backend("sqlite", url="omniq.db")
    config = OmniQConfig(
        MEMORY,
        StorageBackendConfig("sqlite", "a.db", {"x": [1]}),
        StorageBackendConfig("sqlite", "b.db"),
        StorageBackendConfig("sqlite", "a.db", {"x": [1]}),
        project_name="shop",
        base_dir="/data",
    )
    made = create_stores(make_plan(config, environ={}))
    queue, results, events, schedules = storages(made)
    assert results.config is schedules.config
    assert results.config is not events.config
    assert queue.config is not results.config
    assert results.peers == ["result storage", "schedule storage"]
    assert (results.config.url, results.config.options, results.config.project_name) == ("a.db", {"x": [1]}, "shop")
    assert str(results.config.base_dir) == "/data"
    assert [backend.name for backend in made.backends] == ["memory", "sqlite", "sqlite", "sqlite"]


def test_all_roles_share_when_all_follow_the_queue(install):
    install.backend("sqlite", url="omniq.db")
    made = create_stores(make_plan(OmniQConfig(base_dir="/data"), environ={}))
    assert {id(storage.config) for storage in storages(made)} == {id(made.task_queue.config)}
    assert made.task_queue.config.url == "/data/omniq.db"


def test_two_applications_share_nothing(install):
    install.backend("memory")
    plan = make_plan(OmniQConfig(MEMORY), environ={})
    assert create_stores(plan).task_queue.config is not create_stores(plan).task_queue.config


def test_opened_from_the_environment_alone(install, monkeypatch):
    install.backend("memory", more=OPENABLE)
    monkeypatch.setenv("OMNIQ_BACKEND", "memory")
    made = asyncio.run(open_stores())
    assert [storage.opened for storage in storages(made)] == [True] * 4
    assert made.plan.role(Role.TASK_QUEUE).type_source == "OMNIQ_BACKEND"


def test_the_error_of_the_user_document(install):
    install.backend("memory")
    config = OmniQConfig(StorageBackendConfig("redis"), MEMORY, MEMORY, MEMORY)
    with pytest.raises(ValueError, match=r"^Unsupported task queue backend: redis\n"):
        asyncio.run(open_stores(config))


def test_a_queue_without_the_other_roles_says_which_role_it_lacks(install):
    install.backend("part", roles="{Role.TASK_QUEUE}")
    with pytest.raises(UnknownBackendError, match=r"^Unsupported result storage backend: part\n"):
        make_plan(OmniQConfig(StorageBackendConfig("part")), environ={})


@pytest.mark.parametrize(
    ("create", "role", "url"),
    [
        (create_task_queue, "task queue", "omniq.db"),
        (create_result_storage, "result storage", "results.db"),
        (create_event_storage, "event storage", "omniq.db"),
        (create_schedule_storage, "schedule storage", "omniq.db"),
    ],
)
def test_single_storages(install, create, role, url):
    install.backend("sqlite", url="omniq.db")
    storage = create(OmniQConfig(result_storage_backend=StorageBackendConfig("sqlite", "results.db")))
    assert (storage.role, storage.config.url) == (role, url)


def test_a_single_storage_needs_no_other_role(install):
    install.backend("part", roles="{Role.EVENT_STORAGE}")
    assert create_event_storage(StorageBackendConfig("part", "x")).config.url == "x"


def test_share_makes_each_object_once_even_from_many_threads():
    config = BackendConfig(backend_type="x")
    barrier, made = threading.Barrier(8), []

    def make():
        time.sleep(0.01)
        made.append(1)
        return object()

    def ask():
        barrier.wait()
        config.share("connection", make)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert config.share("connection", object) is config.share("connection", object)
    assert config.share("other", object) is not config.share("connection", object)


def test_share_may_nest_and_keeps_nothing_of_a_failure():
    config = BackendConfig(backend_type="x")

    def fail():
        raise ConfigError("no")

    with pytest.raises(ConfigError):
        config.share("a", fail)
    assert config.share("a", lambda: config.share("b", lambda: 1) + 1) == 2


def test_a_backend_config_hides_secrets():
    config = BackendConfig(backend_type="x", url="redis://:hunter2@h", options={"token": "hunter2"})
    assert "hunter2" not in repr(config)


OPENABLE = """
    from types import SimpleNamespace

    class Openable:
        opened = False
        capabilities = SimpleNamespace(transaction_domain=None)

        async def open(self):
            self.opened = True

    @hookimpl
    def omniq_create_task_queue(config):
        return Openable()

    @hookimpl
    def omniq_create_result_storage(config):
        return Openable()

    @hookimpl
    def omniq_create_event_storage(config):
        return Openable()

    @hookimpl
    def omniq_create_schedule_storage(config):
        return Openable()
"""
