from __future__ import annotations

import asyncio
import os
import threading
import traceback

import pytest

from omniq.errors import CapabilityError, ConfigError, StoreClosedError
from omniq.models.config import Role
from omniq.models.record import Completion, TaskFilter
from omniq.models.status import TaskStatus
from omniq.storage.backend import BackendConfig
from omniq.storage.capabilities import Durability, Order, Scope
from omniq.storage.schedules import Advance
from omniq_memory import plugin, state
from omniq_memory.options import shared_state
from omniq_memory.state import state_for


def config(url=None, **options):
    return BackendConfig(backend_type="memory", url=url, options=options)


def test_the_roles_of_one_configuration_share_a_store():
    mine = config()
    stores = [
        plugin.omniq_create_task_queue(mine),
        plugin.omniq_create_result_storage(mine),
        plugin.omniq_create_event_storage(mine),
        plugin.omniq_create_schedule_storage(mine),
    ]
    assert {each._capabilities.transaction_domain for each in stores} == {shared_state(mine).domain}


def test_configurations_share_a_store_by_its_name_only():
    named = [shared_state(config("memory://test-sharing")), shared_state(config("memory://test-sharing"))]
    others = [
        shared_state(config("memory://test-other")),
        shared_state(config("memory://")),
        shared_state(config()),
        shared_state(config()),
    ]
    assert named[0] is named[1]
    assert len({state.domain for state in [*named, *others]}) == 5


@pytest.mark.parametrize("url", ["sqlite:///x.db", "memory", "memory:///x", "memory://a/b", "memory://a?b=c", "x"])
def test_another_url_is_refused(url):
    with pytest.raises(ConfigError, match=r"is not a memory url.*memory://<name>"):
        state_for(url)


def test_an_option_is_refused():
    with pytest.raises(ConfigError, match="timeout"):
        plugin.omniq_create_task_queue(config(timeout=3))


def test_it_says_what_it_is():
    info = plugin.omniq_backend_info()
    assert (info.name, info.distribution, info.roles) == ("memory", "omniq-memory", frozenset(Role))


async def test_capabilities(roles):
    found = roles.queue.capabilities
    assert (found.durability, found.scope, found.order) == (Durability.NONE, Scope.PROCESS, Order.EXACT)
    assert (found.push, found.clock_error_ms, found.server_version) == (True, 0, "memory")
    assert all(each.capabilities == found for each in roles.all)


async def test_join_takes_over_the_other_roles(separate):
    assert separate.queue.join(frozenset(Role)) == frozenset(Role) - {Role.TASK_QUEUE}


async def test_a_store_that_is_not_open_says_so(spec):
    queue = plugin.omniq_create_task_queue(config())
    with pytest.raises(StoreClosedError, match="is not open"):
        _ = queue.capabilities
    with pytest.raises(StoreClosedError, match="is not open"):
        await queue.enqueue([spec("t")])
    await queue.open()
    await queue.open()
    await queue.close()
    await queue.close()
    with pytest.raises(StoreClosedError, match="is closed"):
        await queue.enqueue([spec("t")])
    await queue.open()
    assert await queue.count() == 0


@pytest.mark.parametrize("role", range(4))
async def test_every_role_refuses_when_it_is_closed(roles, role):
    storage = roles.all[role]
    await storage.close()
    with pytest.raises(StoreClosedError):
        await (storage.append([]) if role == 2 else storage.get([]))


async def test_fire_needs_the_schedules(separate):
    with pytest.raises(CapabilityError, match="has not joined"):
        await separate.queue.fire([], Advance(id="s", expected_version=1, next_run=None))


async def test_threads_with_loops_of_their_own_share_the_work(roles, spec):
    per_producer, producers, consumers = 500, 3, 3
    runs, lock = [], threading.Lock()

    async def produce(number):
        async with roles.queue.sibling() as queue:
            for start in range(0, per_producer, 10):
                await queue.enqueue([spec(f"{number}-{each}") for each in range(start, start + 10)])

    async def consume(number):
        async with roles.queue.sibling() as queue:
            call = 0
            while await queue.count(TaskFilter(states=frozenset({TaskStatus.COMPLETED}))) < per_producer * producers:
                call += 1
                grants = await queue.claim(["default"], 7, f"w{number}", 30_000, f"{number}-{call}")
                replies = await queue.complete([Completion(each.id, each.token) for each in grants])
                with lock:
                    runs.extend(each.id for each in grants)
                assert replies == ["ok"] * len(grants)
                if not grants:
                    await queue.wait(["default"], 0.05)

    threads = [threading.Thread(target=asyncio.run, args=(produce(number),)) for number in range(producers)]
    threads += [threading.Thread(target=asyncio.run, args=(consume(number),)) for number in range(consumers)]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    expected = {f"{number}-{each}" for number in range(producers) for each in range(per_producer)}
    assert (len(runs), set(runs)) == (len(expected), expected)
    assert roles.state.log.end == 3 * len(expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
async def test_the_child_of_a_fork_is_refused(spec):
    mine = config()
    queue = plugin.omniq_create_task_queue(mine)
    await queue.open()
    named = state_for("memory://test-fork")
    for lock in (named.lock, state._named_lock):
        lock.acquire()  # as another thread might

    def in_child():
        for call in (queue.enqueue([spec("t")]), plugin.omniq_create_task_queue(mine).open()):
            with pytest.raises(StoreClosedError, match="before this process was forked"):
                call.send(None)
        assert state_for("memory://test-fork") is not named
        assert not state_for("memory://test-fork").foreign

    child = os.fork()
    if child == 0:
        try:
            in_child()
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0  # noqa: ASYNC222 - it ends at once
    assert await queue.count() == 0
    for lock in (named.lock, state._named_lock):
        lock.release()
