from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import four_roles
import pytest

from omniq.errors import ConfigError, ConnectionLostError, StorageError, StoreClosedError, StoreFormatError
from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.backend import BackendConfig
from omniq.storage.capabilities import Durability, Scope
from omniq_sqlite import plugin
from omniq_sqlite.options import SQLiteOptions
from omniq_sqlite.rows import LARGE
from omniq_sqlite.schema import FORMAT

LEASE = 30_000


def spec(task_id, *, args=b"[1]", kwargs=b"{}", codec="json", **options):
    return TaskSpec(id=task_id, body=TaskBody(func="m.f", args=args, kwargs=kwargs, codec=codec), **options)


async def test_the_view_tasks_has_the_promised_columns(tmp_path, open_roles):
    path = tmp_path / "omniq.db"
    async with open_roles(path) as roles:
        await roles.queue.enqueue([spec("t1", kwargs=b'{"option":true}', interval_ms=5000), spec("t2", max_attempts=1)])
        first, second = await roles.queue.claim(["default"], 2, "w", LEASE, "c1")
        result = ResultRecord(id="t1", seq=first.token.seq, epoch=1, status=TaskStatus.COMPLETED, value=b'{"a":1}')
        assert await roles.queue.complete([Completion("t1", first.token, result)]) == ["ok"]
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM tasks WHERE id = 't1'").fetchone())
        running = dict(connection.execute("SELECT status, worker_id FROM tasks WHERE id = 't2'").fetchone())
        text = connection.execute("SELECT json_object('id', id, 'status', status) FROM tasks LIMIT 1").fetchone()[0]
    connection.close()
    assert row["func_path"] == "m.f"
    assert (row["args"], row["kwargs"], row["result"]) == ("[1]", '{"option":true}', '{"a":1}')
    assert (row["status"], row["attempts"], row["max_retries"], row["interval"]) == ("COMPLETED", 1, 3, 5000)
    assert {"timeout", "eta", "enqueued_at", "started_at", "completed_at", "failed_at", "error"} <= row.keys()
    assert running == {"status": "RUNNING", "worker_id": "w"}
    assert text == '{"id":"t1","status":"COMPLETED"}'
    assert second.id == "t2"


@pytest.mark.parametrize("size", [10, LARGE + 1, 3_000_000])
@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_payloads_of_every_size_come_back(tmp_path, open_roles, size, codec):
    args = b'["' + b"x" * size + b'"]' if codec == "json" else bytes(range(256)) * (size // 256 + 1)
    async with open_roles(tmp_path / "omniq.db") as roles:
        await roles.queue.enqueue([spec("t", args=args, kwargs=b"{}", codec=codec)])
        (grant,) = await roles.queue.claim(["default"], 1, "w", LEASE, "c1")
        assert (grant.body.args, grant.body.kwargs, grant.body.codec) == (args, b"{}", codec)
        (record,) = await roles.queue.get(["t"])
        assert record.body.args == args
        value = ResultRecord(id="t", seq=1, epoch=1, status=TaskStatus.COMPLETED, value=args, codec=codec)
        assert await roles.queue.complete([Completion("t", grant.token, value)]) == ["ok"]
        (result,) = await roles.results.get(["t"])
        assert (result.value, result.codec) == (args, codec)
        assert await roles.queue.purge(frozenset(TaskStatus), 2**60) == ["t"]
    with sqlite3.connect(tmp_path / "omniq.db") as connection:
        assert connection.execute("SELECT count(*) FROM body").fetchone() == (0,)
    connection.close()


async def test_a_damaged_record_fails_and_does_not_block_the_queue(tmp_path, open_roles):
    path = tmp_path / "omniq.db"
    async with open_roles(path) as roles:
        await roles.queue.enqueue([spec("bad"), spec("worse"), spec("good")])
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE task SET headers = '{not json' WHERE id = 'bad'")
            connection.execute("UPDATE task SET args = NULL WHERE id = 'worse'")
        connection.close()
        grants = await roles.queue.claim(["default"], 10, "w", LEASE, "c1")
        assert [grant.id for grant in grants] == ["good"]
        bad, worse = await roles.queue.get(["bad", "worse"])
        assert (bad.state, worse.state) == (TaskStatus.FAILED, TaskStatus.FAILED)
        assert "cannot be decoded" in bad.error
        assert bad.body.args == b"[1]"
        assert await roles.queue.integrity() == ["1 tasks lost their body"]


async def test_a_store_of_another_program_is_refused(tmp_path, open_roles):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreFormatError, match="another program"):
        async with open_roles(path):
            pass
    path.write_text("this is not a database, and longer than a header " * 10)
    with pytest.raises(StoreFormatError, match="not a database"):
        async with open_roles(path):
            pass


async def test_a_newer_format_is_refused_with_the_command(tmp_path, open_roles):
    path = tmp_path / "omniq.db"
    async with open_roles(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'min_writer'", (FORMAT + 1,))
    connection.close()
    with pytest.raises(StoreFormatError, match="pip install --upgrade omniq-sqlite"):
        async with open_roles(path):
            pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'min_writer'", (FORMAT,))
    connection.close()
    async with open_roles(path) as roles:
        assert await roles.queue.count() == 0


async def test_the_file_is_private_and_waits_leave_nothing_behind(tmp_path, open_roles):
    path = tmp_path / "deep" / "er" / "omniq.db"
    async with open_roles(path) as roles:
        await roles.queue.wait(["default"], 0.01)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.with_name("omniq.db-wake").stat().st_mode) == 0o700
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["omniq.db"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///x.db", Path("x.db")),
        ("sqlite:////tmp/x.db", Path("/tmp/x.db")),
        ("x.db", Path("x.db")),
    ],
)
def test_urls(url, path):
    assert SQLiteOptions.read(BackendConfig(backend_type="sqlite", url=url)).path == path


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "redis://localhost", "sqlite://host/x.db"])
def test_urls_that_cannot_be_meant_are_refused(url):
    with pytest.raises(ConfigError, match="url"):
        SQLiteOptions.read(BackendConfig(backend_type="sqlite", url=url))


def test_the_promised_options_are_read_and_others_refused():
    given = {"timeout": 30.0, "journal_mode": "WAL", "synchronous": "NORMAL", "cache_size": -64000}
    options = SQLiteOptions.read(BackendConfig(backend_type="sqlite", url="sqlite:///database.db", options=given))
    assert (options.timeout, options.journal_mode, options.synchronous, options.cache_size) == tuple(given.values())
    with pytest.raises(ConfigError, match="journal_mode"):
        SQLiteOptions.read(BackendConfig(backend_type="sqlite", url="x.db", options={"jurnal_mode": "WAL"}))


@pytest.mark.parametrize(
    ("options", "durability"),
    [
        ({}, Durability.PROCESS_CRASH),
        ({"synchronous": "FULL"}, Durability.OS_CRASH),
        ({"journal_mode": "MEMORY"}, Durability.NONE),
        ({"journal_mode": "DELETE", "synchronous": "EXTRA"}, Durability.OS_CRASH),
    ],
)
async def test_durability_is_declared_as_configured(tmp_path, open_roles, options, durability):
    async with open_roles(tmp_path / "omniq.db", **options) as roles:
        assert roles.queue.capabilities.durability == durability
        assert roles.queue.capabilities.scope == Scope.HOST
        await roles.queue.enqueue([spec("t")])
        assert [grant.id for grant in await roles.queue.claim(["default"], 1, "w", LEASE, "c")] == ["t"]


async def test_a_network_file_system_is_refused_unless_allowed(tmp_path, open_roles, monkeypatch):
    monkeypatch.setattr("omniq_sqlite.connection.network_filesystem", lambda path: "nfs4")
    with pytest.raises(StorageError, match="allow_network_fs"):
        async with open_roles(tmp_path / "omniq.db"):
            pass
    async with open_roles(tmp_path / "omniq.db", allow_network_fs=True) as roles:
        assert await roles.queue.count() == 0


async def test_use_of_a_closed_store_is_refused(tmp_path, open_roles):
    async with open_roles(tmp_path / "omniq.db") as roles:
        pass
    with pytest.raises(StoreClosedError, match="not open"):
        await roles.queue.get(["t"])
    with pytest.raises(StoreClosedError, match="open"):
        await roles.queue.claim(["default"], 1, "w", LEASE, "c")


async def test_a_wait_ends_when_the_store_is_closed(tmp_path, open_roles):
    async with open_roles(tmp_path / "omniq.db") as roles:
        waiting = asyncio.create_task(roles.queue.wait(["default"], 60))
        await asyncio.sleep(0.05)
    await asyncio.wait_for(waiting, 5)


async def test_a_foreign_write_lock_is_reported_as_worth_a_retry(tmp_path, open_roles):
    path = tmp_path / "omniq.db"
    async with open_roles(path, timeout=0.05) as roles:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConnectionLostError, match="timeout"):
            await roles.queue.enqueue([spec("t")])
        other.execute("ROLLBACK")
        other.close()
        assert [reply.created for reply in await roles.queue.enqueue([spec("t")])] == [True]


async def test_one_bad_operation_does_not_undo_its_neighbours(tmp_path, open_roles):
    async with open_roles(tmp_path / "omniq.db") as roles:
        database = roles.queue.opened

        def broken(connection):
            connection.execute("DELETE FROM task")
            raise ZeroDivisionError

        good, bad, also_good = await asyncio.gather(
            roles.queue.enqueue([spec("a")]),
            database.write(broken),
            roles.queue.enqueue([spec("b")]),
            return_exceptions=True,
        )
        assert (good[0].created, type(bad), also_good[0].created) == (True, ZeroDivisionError, True)
        assert await roles.queue.count() == 2


async def test_a_backup_is_taken_while_tasks_arrive(tmp_path, open_roles):
    async with open_roles(tmp_path / "omniq.db") as roles:
        await roles.queue.enqueue([spec(f"a{i}") for i in range(5000)])
        copying = asyncio.create_task(roles.queue.backup(tmp_path / "copy.db"))
        await roles.queue.enqueue([spec(f"b{i}") for i in range(100)])
        await copying
        with pytest.raises(FileExistsError):
            await roles.queue.backup(tmp_path / "copy.db")
        assert await roles.queue.integrity() == []
    async with open_roles(tmp_path / "copy.db") as roles:
        assert await roles.queue.count() in (5000, 5100)
        assert await roles.queue.integrity() == []


async def test_the_log_is_checkpointed(tmp_path, open_roles, monkeypatch):
    monkeypatch.setattr("omniq_sqlite.checkpoint.THRESHOLD", 100_000)
    monkeypatch.setattr("omniq_sqlite.checkpoint.LOOK_EVERY", 2)
    log = tmp_path / "omniq.db-wal"
    async with open_roles(tmp_path / "omniq.db") as roles:
        for batch in range(40):
            await roles.queue.enqueue([spec(f"{batch}-{i}") for i in range(100)])
        assert log.stat().st_size < 1_000_000
    async with open_roles(tmp_path / "external.db", checkpoint="external") as roles:
        for batch in range(40):
            await roles.queue.enqueue([spec(f"{batch}-{i}") for i in range(100)])
        assert (tmp_path / "external.db-wal").stat().st_size > 1_000_000


HELPERS = [str(Path(module).parent) for module in (__file__, four_roles.__file__)]
"""What children import from."""

CHILD = """
import asyncio, sys
sys.path[:0] = {tests!r}
from conftest import opened
from omniq.models.record import Completion, TaskBody, TaskSpec

async def main():
    async with opened({path!r}) as roles:
        {body}

asyncio.run(main())
"""


def child(path, body, **kwargs):
    code = CHILD.format(tests=HELPERS, path=str(path), body=body.replace("\n", "\n        "))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **kwargs)


async def test_a_waiter_is_woken_by_another_process(tmp_path, open_roles):
    path = tmp_path / ("long" * 30) / "omniq.db"  # longer than a socket's address may be
    async with open_roles(path) as roles:
        await roles.queue.wait(["default"], 0.01)
        process = child(
            path,
            "print('ready', flush=True)\n"
            "await asyncio.sleep(0.3)\n"
            "await roles.queue.enqueue([TaskSpec(id='t', body=TaskBody(func='m.f'))])\n"
            "await roles.queue.wait_done(['t'], 10)\n"
            "print((await roles.queue.get(['t']))[0].state)",
        )
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        await roles.queue.wait(["default"], 10)
        (grant,) = await roles.queue.claim(["default"], 1, "w", LEASE, "c")
        assert await roles.queue.complete([Completion("t", grant.token)]) == ["ok"]
        out, _ = await asyncio.to_thread(process.communicate, timeout=20)
        assert (out, process.returncode) == ("COMPLETED\n", 0)


async def test_processes_that_claim_together_share_without_overlap(tmp_path, open_roles):
    path = tmp_path / "omniq.db"
    async with open_roles(path) as roles:
        await roles.queue.enqueue([spec(f"t{i}") for i in range(2000)])
        body = (
            "got = []\n"
            "while grants := await roles.queue.claim(['default'], 7, 'w', 30000, __import__('secrets').token_hex(8)):\n"
            "    assert set(await roles.queue.complete([Completion(g.id, g.token) for g in grants])) == {'ok'}\n"
            "    got += [g.id for g in grants]\n"
            "print(' '.join(got))"
        )
        processes = [child(path, body) for _ in range(3)]
        outputs = [(await asyncio.to_thread(process.communicate, timeout=60))[0].split() for process in processes]
        ids = [task_id for output in outputs for task_id in output]
        assert sorted(ids) == sorted(f"t{i}" for i in range(2000))
        assert await roles.queue.integrity() == []


async def test_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path, open_roles):
    path = tmp_path / "omniq.db"
    body = (
        "for i in range(10**6):\n"
        "    await roles.queue.enqueue([TaskSpec(id=f'{i}-{j}', body=TaskBody(func='m.f')) for j in range(3)])\n"
        "    print(i, flush=True)\n"
        "    for g in await roles.queue.claim(['default'], 2, 'w', 1, f'c{i}'):\n"
        "        await roles.queue.complete([Completion(g.id, g.token)])\n"
        "        print('done', g.id, flush=True)"
    )
    for round_number in range(4):
        process = child(path, body)
        first = await asyncio.to_thread(process.stdout.readline)
        await asyncio.sleep(0.05 * (round_number + 1))
        process.send_signal(signal.SIGKILL)
        text = first + await asyncio.to_thread(process.stdout.read)
        await asyncio.to_thread(process.wait)
        process.stdout.close()
        lines = text[: text.rindex("\n")].splitlines()  # the last line may have been cut off
        acknowledged = [int(line) for line in lines if line.isdigit()]
        done = [line.removeprefix("done ") for line in lines if line.startswith("done ")]
        async with open_roles(path) as roles:
            assert await roles.queue.integrity() == []
            records = await roles.queue.get([f"{i}-{j}" for i in acknowledged for j in range(3)])
            assert None not in records
            assert {record.state for record in await roles.queue.get(done)} <= {TaskStatus.COMPLETED}
        assert acknowledged
        for entry in tmp_path.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


async def test_two_processes_create_the_store_at_once(tmp_path, open_roles):
    path = tmp_path / "omniq.db"
    processes = [child(path, "print(await roles.queue.count())") for _ in range(4)]
    outputs = [(await asyncio.to_thread(process.communicate, timeout=30))[0] for process in processes]
    assert outputs == ["0\n"] * 4
    async with open_roles(path) as roles:
        assert await roles.queue.integrity() == []


LEFT_OPEN = """
import asyncio, sys
sys.path[:0] = {tests!r}
from conftest import made

async def main():
    roles = made({path!r})
    for role in roles.all:
        await role.open()
    print(await roles.queue.count())
    return roles

kept = {run}
"""


@pytest.mark.parametrize("run", ["asyncio.new_event_loop().run_until_complete(main())", "asyncio.run(main())"])
def test_a_program_ends_though_nobody_closed_the_store(tmp_path, run):
    code = LEFT_OPEN.format(tests=HELPERS, path=str(tmp_path / "omniq.db"), run=run)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", code], check=False, capture_output=True, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr.decode()) == (0, b"0\n", "")


FORK = """
import asyncio, os, sys, threading
sys.path[:0] = {tests!r}
from conftest import opened
from omniq.models.record import TaskBody, TaskSpec

def spec(task_id):
    return TaskSpec(id=task_id, body=TaskBody(func="m.f"))

async def enqueue(prefix, count):
    async with opened({path!r}) as roles:
        for i in range(count):
            await roles.queue.enqueue([spec(f"{{prefix}}-{{i}}")])

async def main():
    async with opened({path!r}) as roles:
        stop = asyncio.Event()

        async def busy():
            number = 0
            while not stop.is_set():
                await roles.queue.enqueue([spec(f"parent-{{number}}")])
                await roles.queue.count()
                number += 1
            return number

        writing = asyncio.create_task(busy())
        children = []
        for number in range(10):
            await asyncio.sleep(0.02)
            pid = os.fork()
            if pid == 0:
                thread = threading.Thread(target=asyncio.run, args=(enqueue(f"child{{number}}", 5),))
                thread.start()
                thread.join()
                grandchild = os.fork()
                if grandchild == 0:
                    os._exit(0)
                os._exit(os.waitpid(grandchild, 0)[1])
            children.append(pid)
        await asyncio.sleep(0.1)
        stop.set()
        written = await writing
    # The parent has closed the store; what the children wrote must not go with it.
    print(written, *[os.waitpid(pid, 0)[1] for pid in children])

asyncio.run(main())
"""


async def test_forks_during_writes_neither_hang_nor_lose_anything(tmp_path, open_roles):
    path = tmp_path / "omniq.db"
    code = FORK.format(tests=HELPERS, path=str(path))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore::DeprecationWarning", "-c", code), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 40)
    written, *statuses = map(int, output.split())
    assert statuses == [0] * 10
    expected = {f"parent-{i}" for i in range(written)} | {f"child{n}-{i}" for n in range(10) for i in range(5)}
    async with open_roles(path) as roles:
        assert {record.id for record in await roles.queue.list(limit=10**6)} == expected
        assert await roles.queue.integrity() == []


def _in_child(queue, answers):
    try:
        asyncio.run(queue.count())
    except StoreClosedError as error:
        answers.put(str(error))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_handle_is_refused_after_a_fork(tmp_path, open_roles):
    async with open_roles(tmp_path / "omniq.db") as roles:
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        process = context.Process(target=_in_child, args=(roles.queue, answers))
        process.start()
        await asyncio.to_thread(process.join, 10)
        assert "before a fork" in answers.get()


def test_the_plugin_says_what_it_is_without_opening_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    info = plugin.omniq_backend_info()
    assert (info.name, info.distribution, info.default_url) == ("sqlite", "omniq-sqlite", "omniq.db")
    assert list(tmp_path.iterdir()) == []
