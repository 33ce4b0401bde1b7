from __future__ import annotations

from datetime import timedelta

import lmdb
import pytest

from omniq import AsyncOmniQ
from omniq.errors import ConfigError, OutcomeUnknownError, StorageError, StoreFormatError
from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.models.record import TaskBody, TaskSpec
from omniq.models.status import TaskStatus
from omniq.storage.backend import BackendConfig
from omniq.storage.capabilities import Durability
from omniq_lmdb import codec, plugin
from omniq_lmdb.codec import number, number_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "omniq.lmdb"


def make_queue(path, **options):
    return plugin.omniq_create_task_queue(BackendConfig(backend_type="lmdb", url=str(path), options=options))


def spec(task_id, args=b"[]"):
    return TaskSpec(id=task_id, body=TaskBody(func="f", args=args))


def raw(path, name):
    env = lmdb.open(str(path), subdir=False, max_dbs=1)
    return env, env.open_db(name)


async def test_an_application_on_lmdb(path):
    config = OmniQConfig.single(StorageBackendConfig("lmdb", f"lmdb:///{path}"))
    async with AsyncOmniQ(config=config) as app:
        task = app.task(name="add")(lambda a, b: a + b)
        job = await task.enqueue(1, 2)
        await app.add_schedule("later", task.call(3, 4), interval=timedelta(hours=1))
        await app.worker(burst=True).run()
        assert await job.result(timeout=10) == 3
        stores = await app.connect()
        assert stores.joined == frozenset(Role) - {Role.TASK_QUEUE}
        assert [event.type for event in await stores.events.read()] == ["ENQUEUED", "STARTED", "COMPLETED"]
        assert await stores.task_queue.outbox() == []


async def test_a_full_store_says_what_to_do_and_works_again(path):
    async with make_queue(path, map_size=1024 * 1024) as queue:
        await queue.enqueue([spec("small")])
        with pytest.raises(StorageError, match="larger map_size"):
            await queue.enqueue([spec("u"), spec("large", b"x" * 1024 * 1024)])
        assert [task.id for task in await queue.list()] == ["small"]
    async with make_queue(path, map_size=8 * 1024 * 1024) as queue:
        await queue.enqueue([spec("large", b"x" * 1024 * 1024)])
        assert await queue.count() == 2


async def test_what_cannot_be_decoded_fails_and_blocks_nothing(path):
    async with make_queue(path) as queue:
        await queue.enqueue([spec("damaged"), spec("sound")])
    env, bodies = raw(path, b"bodies")
    with env, env.begin(write=True) as txn:
        txn.put(number(1), b"\xff{", db=bodies)
    async with make_queue(path) as queue:
        assert [grant.id for grant in await queue.claim(["default"], 5, "w", 1000, "0" * 16)] == ["sound"]
        (damaged,) = await queue.get(["damaged"])
        assert (damaged.state, "cannot be decoded" in damaged.error) == (TaskStatus.FAILED, True)
    env, bodies = raw(path, b"bodies")
    with env, env.begin() as txn:
        assert txn.get(number(1), db=bodies) == b"\xff{"


async def test_files_of_others_are_refused_untouched(path):
    path.write_bytes(b"notes" * 2000)
    with pytest.raises(StoreFormatError, match="no LMDB file"):
        await make_queue(path).open()
    assert path.read_bytes() == b"notes" * 2000
    path.unlink()
    env, _ = raw(path, b"theirs")
    env.close()
    with pytest.raises(StoreFormatError, match="has the format None"):
        await make_queue(path).open()


async def test_without_sync_less_is_promised(path):
    async with make_queue(path, sync=False) as queue:
        assert queue.capabilities.durability is Durability.PROCESS_CRASH


@pytest.mark.parametrize(("options", "match"), [({"map_size": 5}, "map_size"), ({"fsync": True}, "fsync")])
def test_options_are_checked(path, options, match):
    with pytest.raises(ConfigError, match=match):
        make_queue(path, **options)


def test_keys_sort_as_numbers_do():
    numbers = [-5, -1, 0, 1, 255, 256, 2**43, 2**62]
    assert sorted(numbers, key=number) == numbers
    assert [number_of(number(each)) for each in numbers] == numbers


def test_bodies_come_back():
    body = TaskBody(func="f", args=b"\n\x00\xff", kwargs=b"\n", codec="x", headers={"h": "\n"}, timeout_ms=1)
    assert codec.load_body(codec.dump_body(body)) == body


async def test_a_failed_commit_is_told_and_the_store_goes_on(path):
    async with make_queue(path) as queue, make_queue(path) as other:
        await queue.enqueue([spec("before")])
        store = queue._store
        real, store._env = store._env, FailingOnce(store._env)
        with pytest.raises(OutcomeUnknownError, match="could not commit"):
            await queue.enqueue([spec("doubtful")])
        assert store._env is not real
        assert [task.id for task in await other.list()] == ["before"]
        await queue.enqueue([spec("after")])
        assert await other.count() == 2


class FailingOnce:
    """An environment whose next commit fails, and which refuses everything from then on, as LMDB does."""

    def __init__(self, env):
        self._env = env
        self._has_failed = False

    def begin(self, **options):
        if self._has_failed:
            raise lmdb.PanicError("begin")
        self._txn = self._env.begin(**options)
        return self

    def commit(self):
        self._txn.abort()
        self._has_failed = True
        raise lmdb.DiskError("commit")

    def __getattr__(self, name):
        return getattr(self._txn if hasattr(self._txn, name) else self._env, name)
