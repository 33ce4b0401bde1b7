"""A local store: its files, its log and its checkpoints."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys

import pytest
from file_steps import claimed, compact, completed, spec

from omniq.errors import ConfigError, OutcomeUnknownError, StorageError, StoreFormatError
from omniq.models.event import EventFilter
from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.capabilities import Durability
from omniq_file import local, store

FOLDERS = ("tasks", "pending", "running", "completed", "failed", "cancelled")


def names(path):
    return {folder: sorted(each.name for each in (path / folder).iterdir()) for folder in FOLDERS}


async def test_the_files_follow(tmp_path, open_roles):
    async with open_roles(tmp_path) as roles:
        await roles.queue.enqueue([spec("a"), spec("b"), spec("C")])
        await completed(roles.queue)
        await claimed(roles.queue)
        async with asyncio.timeout(10):
            while len(names(tmp_path)["running"]) < 1:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
    assert names(tmp_path) == {
        "tasks": ["%43.json", "a.json", "b.json"],
        "pending": ["%43.json"],
        "running": ["b.json"],
        "completed": ["a.json"],
        "failed": [],
        "cancelled": [],
    }
    shown = json.loads((tmp_path / "completed" / "a.json").read_bytes())
    assert (shown["id"], shown["status"], shown["result"], shown["args"]) == ("a", "COMPLETED", 5, [""])


async def test_what_is_purged_is_not_shown_any_more(tmp_path, open_roles):
    async with open_roles(tmp_path) as roles:
        await roles.queue.enqueue([spec("a"), spec("b")])
        await completed(roles.queue)
        await roles.queue.purge(TERMINAL, 2**43)
    assert names(tmp_path)["tasks"] == ["b.json"]
    assert names(tmp_path)["completed"] == []
    assert json.loads((tmp_path / "results" / "a.json").read_bytes())["result"] == 5


async def test_everything_is_private(tmp_path, open_roles):
    os.umask(0)
    try:
        async with open_roles(tmp_path / "deep" / "store") as roles:
            await roles.queue.enqueue([spec("a", 10_000)])
            await completed(roles.queue)
            await roles.results.put([ResultRecord("other", 1, 1, TaskStatus.COMPLETED, b"5")])
            await compact(roles)
    finally:
        os.umask(0o022)
    found = [path for path in (tmp_path / "deep" / "store").rglob("*") if not path.is_symlink()]
    assert [str(path) for path in found if path.stat().st_mode & 0o077] == []
    assert len(found) > 20


async def test_large_payloads_are_blobs_of_their_own_and_go_with_their_task(tmp_path, open_roles):
    body = TaskBody(func="pkg.f", args=b'["%s"]' % (b"x" * 100_000))
    async with open_roles(tmp_path) as roles:
        assert [each.created for each in await roles.queue.enqueue([TaskSpec(id=n, body=body) for n in "abb"])] == [
            True,
            True,
            False,
        ]
        blobs = list((tmp_path / "store" / "blobs").glob("*/*"))
        assert len(blobs) == 1  # one for all tasks of a call that share a body
        assert [grant.body for grant in await claimed(roles.queue, 2)] == [body, body]
        assert "x" * 100 not in next((tmp_path / "store" / "log").iterdir()).read_text()
        await roles.queue.enqueue([TaskSpec(id="a", body=body)])  # a duplicate leaves nothing behind
    assert list((tmp_path / "store" / "blobs").glob("*/*")) == blobs
    assert json.loads((tmp_path / "tasks" / "a.json").read_bytes())["args"]["bytes"] == len(body.args) + 2
    async with open_roles(tmp_path) as roles:
        tasks = await roles.queue.list()
        await roles.queue.complete([Completion(task.id, task.token) for task in tasks])
        assert await roles.queue.purge(TERMINAL, 2**43) == ["a", "b"]
    assert list((tmp_path / "store" / "blobs").glob("*/*")) == []


async def test_a_task_whose_payload_is_lost_fails_and_blocks_nothing(tmp_path, open_roles):
    async with open_roles(tmp_path) as roles:
        await roles.queue.enqueue([spec("lost", 10_000), spec("sound")])
        next((tmp_path / "store" / "blobs").glob("*/*")).unlink()
        assert [grant.id for grant in await claimed(roles.queue, 5)] == ["sound"]
        (lost,) = await roles.queue.get(["lost"])
        assert (lost.state, lost.error) == (TaskStatus.FAILED, "its payload cannot be read")


async def test_a_checkpoint_changes_nothing(tmp_path, open_roles):
    async with open_roles(tmp_path) as roles, open_roles(tmp_path, fsync="never") as other:
        await roles.queue.enqueue([spec(f"t{n}", unique_key=f"k{n}", priority=n % 3) for n in range(20)])
        await completed(roles.queue, 5)
        await roles.queue.pause(["elsewhere"])
        before = await everything(roles)
        assert await everything(other) == before
        assert await compact(roles) > 1
        assert len(list((tmp_path / "store" / "log").iterdir())) == 1
        await roles.queue.enqueue([spec("after")])
        assert await compact(roles) > 1
        await roles.queue.cancel(["after"])
        after = await everything(roles)
        assert await everything(other) == after  # it lagged behind two checkpoints
        assert len(after[0]) == len(before[0]) + 1
    async with open_roles(tmp_path) as roles:
        assert await everything(roles) == after


async def everything(roles):
    return (
        await roles.queue.list(limit=1000),
        await roles.events.read(limit=1000),
        await roles.results.list(limit=1000),
        await roles.queue.queues(now=2**43),
    )


async def test_another_process_goes_on_with_the_files_where_one_died(tmp_path, open_roles):
    code = f"""
import asyncio, os
from omniq.backend.file import FileBackend
from omniq import AsyncOmniQ
from omniq_file import chores
chores.Projecting.run = lambda *_, **__: None
async def main():
    async with AsyncOmniQ(backend=FileBackend({str(tmp_path)!r})) as app:
        await app.task(name="f")(len).enqueue([1])
        os._exit(0)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
    assert list((tmp_path / "tasks").iterdir()) == []
    async with open_roles(tmp_path):
        pass
    assert len(list((tmp_path / "pending").iterdir())) == 1


async def test_what_was_half_written_is_removed_by_the_next_who_writes(tmp_path, open_roles):
    async with open_roles(tmp_path) as roles:
        await roles.queue.enqueue([spec("a")])
        log = next((tmp_path / "store" / "log").iterdir())
        size = log.stat().st_size
        with log.open("ab") as file:
            file.write(b'00000100 12345678 {"n":2,')
        assert [task.id for task in await roles.queue.list()] == ["a"]
        assert log.stat().st_size > size
        await roles.queue.pause(["q"])
        assert b'{"n":2,00' not in log.read_bytes()
        assert await roles.queue.count() == 1


async def test_damage_is_never_written_over(tmp_path, open_roles):
    async with open_roles(tmp_path) as roles:
        for name in "abc":
            await roles.queue.enqueue([spec(name)])
    log = next((tmp_path / "store" / "log").iterdir())
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    async with open_roles(tmp_path) as roles:
        with pytest.raises(StoreFormatError, match="omniq fsck"):
            await roles.queue.enqueue([spec("d")])
    assert log.read_bytes() == data


async def test_a_network_file_system_is_refused_unless_it_is_allowed(tmp_path, open_roles, monkeypatch):
    monkeypatch.setattr(local, "network_filesystem", lambda _: "nfs4")
    with pytest.raises(StorageError, match=r"nfs4.*allow_network_fs"):
        async with open_roles(tmp_path):
            pass
    async with open_roles(tmp_path, allow_network_fs=True) as roles:
        await roles.queue.enqueue([spec("a")])


async def test_a_store_keeps_its_format(tmp_path, open_roles):
    async with open_roles(tmp_path, serialization_format="msgpack") as roles:
        await roles.queue.enqueue([spec("a")])
    with pytest.raises(ConfigError, match="msgpack"):
        async with open_roles(tmp_path, serialization_format="json"):
            pass
    async with open_roles(tmp_path) as roles:
        assert await roles.queue.count() == 1
    assert names(tmp_path)["pending"] == ["a.msgpack"]


async def test_pickled_stores(tmp_path, open_roles, monkeypatch):
    monkeypatch.setenv("OMNIQ_SIGNING_KEY", "k" * 32)
    async with open_roles(tmp_path, serialization_format="pickle") as roles:
        await roles.queue.enqueue([spec("a", 10), spec("b", 10_000)])
        assert await completed(roles.queue, 2) == ["ok", "ok"]
    async with open_roles(tmp_path) as roles:
        assert [len(task.body.args) for task in await roles.queue.list()] == [14, 10_004]
        assert [result.value for result in await roles.results.list()] == [b"5", b"5"]
    monkeypatch.setenv("OMNIQ_SIGNING_KEY", "other" * 8)
    with pytest.raises(StoreFormatError, match="not signed"):
        async with open_roles(tmp_path):
            pass


async def test_without_its_description_a_store_is_refused(tmp_path, open_roles):
    async with open_roles(tmp_path):
        pass
    (tmp_path / "omniq.json").unlink()
    with pytest.raises(StoreFormatError, match=r"omniq\.json is missing"):
        async with open_roles(tmp_path):
            pass


@pytest.mark.parametrize(
    ("fsync", "durability"),
    [("always", Durability.OS_CRASH), ("batch", Durability.PROCESS_CRASH), ("never", Durability.PROCESS_CRASH)],
)
async def test_what_is_promised_of_the_disk(tmp_path, open_roles, fsync, durability):
    async with open_roles(tmp_path, fsync=fsync) as roles:
        await roles.queue.enqueue([spec("a", 10_000)])
        assert roles.queue.capabilities.durability is durability


async def test_handles_of_a_process_share_one_engine(tmp_path, open_roles):
    before = set(store._open)
    async with open_roles(tmp_path) as roles, open_roles(f"{tmp_path}/./") as other:
        assert roles.queue.store is other.queue.store
        assert len(store._open.keys() - before) == 1
    assert store._open.keys() <= before


async def test_events_of_a_task_are_found(tmp_path, open_roles):
    async with open_roles(tmp_path) as roles:
        await roles.queue.enqueue([spec("a"), spec("b")])
        await completed(roles.queue, 2)
        found = await roles.events.read(filter=EventFilter(task_id="b"))
        assert [event.type for event in found] == ["ENQUEUED", "STARTED", "COMPLETED"]
        assert await roles.events.trim(2**43, 2) == 2
        assert len(await roles.events.read()) == 4
    async with open_roles(tmp_path) as roles:
        assert [event.position for event in await roles.events.read()] == ["3", "4", "5", "6"]


async def test_four_processes_lose_nothing(tmp_path, open_roles):
    async with open_roles(tmp_path) as roles:
        await roles.queue.enqueue([spec(f"t{n}") for n in range(400)])
    code = f"""
import asyncio, os
from omniq.models.config import Role
from omniq.models.record import Completion
from omniq.storage.backend import BackendConfig
from omniq_file import plugin
async def main():
    queue = plugin.omniq_create_task_queue(BackendConfig(backend_type="file", url={str(tmp_path)!r}))
    async with queue:
        queue.join(frozenset(Role) - {{Role.TASK_QUEUE}})
        while grants := await queue.claim(["default"], 7, "w", 60000, os.urandom(8).hex()):
            answers = await queue.complete([Completion(grant.id, grant.token) for grant in grants])
            assert answers == ["ok"] * len(grants), answers
            print(*(grant.id for grant in grants))
asyncio.run(main())
"""
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
        for _ in range(4)
    ]
    told = [(await process.communicate())[0].split() for process in processes]
    assert sorted(itertools.chain(*told)) == sorted(f"t{n}".encode() for n in range(400))
    assert len(names(tmp_path)["completed"]) == 400
    assert names(tmp_path)["pending"] == []


async def test_what_the_disk_did_not_confirm_is_written_anew(tmp_path, open_roles, monkeypatch):
    failures = [OSError(5, "Input/output error")]
    real = os.fdatasync

    def fdatasync(descriptor):
        if failures:
            raise failures.pop()
        real(descriptor)

    async with open_roles(tmp_path, fsync="always") as roles:
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        with pytest.raises(OutcomeUnknownError, match="did not confirm"):
            await roles.queue.enqueue([spec("doubtful")])
        assert [each.created for each in await roles.queue.enqueue([spec("after"), spec("doubtful")])] == [True, False]
        assert len(list((tmp_path / "store" / "checkpoints").iterdir())) == 1
    async with open_roles(tmp_path) as roles:
        assert [task.id for task in await roles.queue.list()] == ["doubtful", "after"]
