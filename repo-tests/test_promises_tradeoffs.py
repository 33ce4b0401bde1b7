"""The code of the second of the user's documents, run as it is printed; see promises.py and test_promises.py."""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import inspect
import json
import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from docblocks import matches
from promise_running import run, shell, work_with
from promises import TABLE, TRADEOFFS, kept, promise, text

from omniq import OmniQ
from omniq.backend.file import FileBackend
from omniq.config import Settings
from omniq.models.config import Role, StorageBackendConfig
from omniq.storage.factory import make_plan

pytestmark = pytest.mark.usefixtures("own_folder")

SQLITE_CLIENT = """#!{python}
import sqlite3, sys
from contextlib import closing
path, command = sys.argv[1:]
with closing(sqlite3.connect(path)) as db:
    if command.startswith(".backup "):
        with closing(sqlite3.connect(command.split()[1])) as copy:
            db.backup(copy)
    else:
        for row in db.execute(command):
            print(*row, sep="|")
"""


def test_every_block_that_runs_has_a_test():
    assert {row.number for row in TABLE if row.document == TRADEOFFS and not row.illustrative} == kept(TRADEOFFS)


def filled_store(path: str = "omniq.db") -> None:
    """Leave a store with two waiting tasks, one of which is due."""
    with OmniQ(path) as app:
        fill(app)


def fill(app: OmniQ) -> None:
    """Enqueue two tasks, one of which is due."""
    app.enqueue(
        "my_module.my_function", [1, 2], {"option": True}, eta=datetime(2025, 12, 1, 10, tzinfo=UTC), task_id="a"
    )
    app.enqueue("my_module.my_function", interval=timedelta(hours=1), eta=datetime(2099, 1, 1, tzinfo=UTC), task_id="b")


def filled_folder(path: str = "omniq_data") -> None:
    """Leave a store of files with a waiting task that is due."""
    promised = json.loads(text(TRADEOFFS, 2))
    with OmniQ(backend=FileBackend(path)) as app:
        app.enqueue(
            promised["func_path"],
            promised["args"],
            promised["kwargs"],
            task_id=promised["id"],
            max_retries=promised["max_retries"],
            timeout=promised["timeout"],
            eta=datetime.fromisoformat(promised["eta"]),
        )


@promise(TRADEOFFS, 1)
def test_the_folders_and_links():
    filled_folder()
    drawn = set(re.findall(r"\[(\w+)<br/>", text(TRADEOFFS, 1))) | {"omniq_data"}
    assert drawn == {"omniq_data", "tasks", "pending", "running", "completed"}
    assert {path.name for path in Path("omniq_data").iterdir() if path.is_dir()} >= drawn - {"omniq_data"}
    assert "task-abc123.json<br/>→ ../tasks/task-abc123.json" in text(TRADEOFFS, 1)
    assert Path("omniq_data/pending/task-abc123.json").readlink() == Path("../tasks/task-abc123.json")


@promise(TRADEOFFS, 2)
def test_the_fields_of_a_task():
    promised = json.loads(text(TRADEOFFS, 2))
    filled_folder()
    stored = json.loads(Path("omniq_data/tasks/task-abc123.json").read_text("utf-8"))
    assert list(stored)[: len(promised)] == list(promised)
    assert {name: stored[name] for name in promised} == promised | {"enqueued_at": stored["enqueued_at"]}
    assert datetime.fromisoformat(stored["enqueued_at"]).tzinfo == UTC
    with OmniQ(backend=FileBackend("omniq_data")) as app:
        task = app.get_task("task-abc123")
    times = {name: datetime.fromisoformat(stored[name]) for name in ("eta", "enqueued_at")}
    assert {name: task[name] for name in promised} == promised | times


@promise(TRADEOFFS, 5)
def test_the_files_can_be_read():
    command, _, shown = text(TRADEOFFS, 5).partition("{")
    filled_folder()
    stored = json.loads(shell(command))
    assert stored.keys() >= json.loads("{" + shown).keys()


@promise(TRADEOFFS, 6)
def test_the_folder_can_be_copied():
    filled_folder()
    shell(next(line for line in text(TRADEOFFS, 6).splitlines() if line.startswith("cp ")))
    with OmniQ(backend=FileBackend("omniq_data_backup")) as app:
        assert [task.id for task in app.list_tasks()] == ["task-abc123"]


@promise(TRADEOFFS, 7)
def test_tasks_can_be_counted():
    filled_folder()
    assert shell(text(TRADEOFFS, 7)).split() == ["1"]


@promise(TRADEOFFS, 4)
def test_the_imports():
    assert {"json", "os", "Path"} <= set(run(text(TRADEOFFS, 4)))


@promise(TRADEOFFS, 11)
def test_the_columns_of_the_table():
    filled_store()
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(text(TRADEOFFS, 11))
        promised = [row[1] for row in db.execute("PRAGMA table_info(tasks)")]
    with closing(sqlite3.connect("omniq.db")) as db:
        there = [row[1] for row in db.execute("PRAGMA table_info(tasks)")]
    assert [name for name in promised if name not in there] == []


@promise(TRADEOFFS, 15)
def test_the_query_finds_what_is_due():
    filled_store()
    with closing(sqlite3.connect("omniq.db")) as db:
        db.row_factory = sqlite3.Row
        assert [(row["id"], row["args"]) for row in db.execute(text(TRADEOFFS, 15))] == [("a", "[1,2]")]


@promise(TRADEOFFS, 16)
def test_the_driver_comes_with_omniq():
    assert f"omniq-sqlite=={importlib.metadata.version('omniq')}" in importlib.metadata.requires("omniq")
    assert "aiosqlite>=0.22" in importlib.metadata.requires("omniq-sqlite")


@pytest.fixture(params=["module", "command"])
def sqlite_client(request, own_folder):
    """Put an `sqlite3` on the path: one that uses Python's module, and the real one where it is installed."""
    folder = own_folder / "bin"
    folder.mkdir()
    client = folder / "sqlite3"
    real = shutil.which("sqlite3")
    if request.param == "command" and real is not None:
        client.symlink_to(real)
    else:
        client.write_text(SQLITE_CLIENT.format(python=sys.executable), "utf-8")
        client.chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ["PATH"]])


@promise(TRADEOFFS, 17)
@pytest.mark.usefixtures("sqlite_client")
def test_the_store_can_be_read_with_sqlite():
    filled_store()
    first, second, as_json = shell(text(TRADEOFFS, 17)).splitlines()
    assert first.startswith('a|my_module.my_function|[1,2]|{"option":true}|PENDING|0|3|')
    assert second.startswith("b|my_module.my_function|[]|{}|PENDING|0|3|")
    assert json.loads(as_json) == {"id": "a", "status": "PENDING"}


@promise(TRADEOFFS, 18)
def test_the_store_is_binary():
    filled_store()
    filled_folder()
    readable, binary = (line for line in text(TRADEOFFS, 18).splitlines() if line.startswith("cat "))
    assert json.loads(shell(readable))["id"] == "task-abc123"
    assert shell(binary).startswith("SQLite format 3\0")


@promise(TRADEOFFS, 19)
@pytest.mark.usefixtures("sqlite_client")
def test_the_backup_is_complete():
    filled_store()
    backup, copy = (line for line in text(TRADEOFFS, 19).splitlines() if line and not line.startswith("#"))
    shell(backup)
    with OmniQ("omniq_backup.db") as app:
        assert [task.id for task in app.list_tasks()] == ["a", "b"]
    Path("omniq_backup.db").unlink()
    shell(copy)  # of a store that nobody has open, which is safe


MIGRATED = """\
Migrating 2 tasks...
Migrated: a -> task-00000000-0000-0000-0000-000000000000
Migrated: b -> task-00000000-0000-0000-0000-000000000000
Migration complete!
Source: ./file_data/
Destination: ./sqlite_data/
"""


@promise(TRADEOFFS, 20)
def test_the_migration_script():
    Path("migrate.py").write_text(text(TRADEOFFS, 20), "utf-8")
    with OmniQ(Settings(backend="file", base_dir="file_data")) as app:
        fill(app)
    assert matches(MIGRATED, shell("python migrate.py"))
    with OmniQ("sqlite_data/omniq.db") as app:
        first, second = app.list_tasks()
    assert (first.func_path, first.args, first.kwargs) == ("my_module.my_function", [1, 2], {"option": True})
    assert (first.eta, first.interval, first.max_retries) == (datetime(2025, 12, 1, 10, tzinfo=UTC), None, 3)
    assert (second.eta, second.interval) == (datetime(2099, 1, 1, tzinfo=UTC), timedelta(hours=1))


@promise(TRADEOFFS, 21)
def test_settings_for_development():
    settings = run(text(TRADEOFFS, 21))["settings"]
    assert (settings.backend, settings.base_dir) == ("file", Path("./dev_data"))
    work_with(OmniQ(settings))
    assert Path("dev_data/omniq_data/omniq.json").exists()


@promise(TRADEOFFS, 22)
def test_settings_for_production():
    settings = run(text(TRADEOFFS, 22))["settings"]
    plan = make_plan(settings.to_config())
    assert {(entry.backend_type, entry.url) for entry in plan.roles} == {("sqlite", "/var/lib/omniq/omniq.db")}


@promise(TRADEOFFS, 23, 24)
def test_the_backend_from_the_environment_and_the_monitoring_of_it(capsys):
    filled_store()
    names = run(text(TRADEOFFS, 23))
    assert names["omniq"].config.backend(Role.TASK_QUEUE) == StorageBackendConfig("sqlite")
    code = compile(text(TRADEOFFS, 24), "promise", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    monitoring = eval(code, names)
    assert inspect.iscoroutine(monitoring)
    asyncio.run(monitoring)
    assert capsys.readouterr().out.startswith("Listed 2 tasks in ")
