"""The migration script of the user document, as it is printed but for the names of the stores."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omniq import AsyncOmniQ, Settings

PAGE = Path(__file__).parents[3] / "docs" / "seeds" / "storage-backend-tradeoffs.md"


@pytest.fixture
def script() -> str:
    (found,) = re.findall(r"### File to SQLite\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found.replace('backend="file"', 'backend="sqlite"')


async def prepare(folder: Path) -> list[dict[str, object]]:
    async with AsyncOmniQ(Settings(backend="sqlite", base_dir=folder)) as app:
        eta = datetime.fromisoformat("2100-01-01T01:02:03.000004+02:00")
        await app.enqueue("my_module.my_function", [1, 2, 3], {"option": True}, eta=eta, max_retries=7, timeout=60)
        await app.enqueue("my_module.tick", interval=timedelta(hours=1))
        await app.enqueue("my_module.wait", timeout=timedelta(milliseconds=250))
        await app.enqueue("my_module.too_late", expires_in=0.001)
        return [dict(task) for task in await app.list_tasks()]


async def read(folder: Path) -> list[dict[str, object]]:
    async with AsyncOmniQ(Settings(backend="sqlite", base_dir=folder)) as app:
        return [dict(task) for task in await app.list_tasks()]


def test_every_task_arrives_with_all_that_the_script_copies(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = asyncio.run(prepare(Path("file_data")))
    exec(compile(script, "migrate.py", "exec"), {"__name__": "__main__"})
    out = capsys.readouterr().out.splitlines()
    after = asyncio.run(read(Path("sqlite_data")))

    copied = ("func_path", "args", "kwargs", "eta", "interval", "max_retries", "timeout", "status")
    assert [{name: task[name] for name in copied} for task in after] == [
        {name: task[name] for name in copied} for task in before
    ]
    assert after[0]["eta"].utcoffset() == timedelta(hours=2)
    assert after[1]["interval"] == timedelta(hours=1)
    assert out[0] == "Migrating 4 tasks..."
    assert out[1:5] == [f"Migrated: {old['id']} -> {new['id']}" for old, new in zip(before, after, strict=True)]
    assert out[5] == "Migration complete!"
    assert all(task["enqueued_at"] <= datetime.now(UTC) for task in after)
