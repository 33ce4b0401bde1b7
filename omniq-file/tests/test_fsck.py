from __future__ import annotations

import asyncio
import json
import os
import time

import click
import pytest
from click.testing import CliRunner
from file_steps import compact, completed, spec

from omniq_file import commands

DAMAGED = 1


@pytest.fixture
async def folder(tmp_path, open_roles):
    async with open_roles(tmp_path / "d") as roles:
        await roles.queue.enqueue([spec("a"), spec("b", 10_000), spec("c")])
        await completed(roles.queue)
        await compact(roles)
        for name in "def":
            await roles.queue.enqueue([spec(name)])
    return tmp_path / "d"


def fsck(folder, *options):
    cli = click.Group("omniq")
    commands.omniq_register_commands(cli)
    done = CliRunner().invoke(cli, ["fsck", str(folder), *options], catch_exceptions=False)
    return done.exit_code, done.output


def segment(folder):
    return max((folder / "store" / "log").glob("*.log"))


def test_nothing_is_wrong(folder):
    code, told = fsck(folder)
    assert (code, "6 tasks" in told, "nothing is wrong" in told) == (0, True, True)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda d: (d / "pending" / "c.json").unlink(), "files for people"),
        (lambda d: (d / "tasks" / "c.json").write_text("{}"), "files for people"),
        (lambda d: (d / "running" / "c.json").symlink_to("../tasks/c.json"), "files for people"),
        (lambda d: (d / "omniq.json").chmod(0o644), "open to other users"),
        (lambda d: (d / "store" / "checkpoints" / "1.tmp").touch(mode=0o600), "a process that died"),
        (lambda d: segment(d).write_bytes(segment(d).read_bytes() + b"0000"), "never acknowledged"),
    ],
    ids=["no link", "another document", "two links", "mode", "litter", "half written"],
)
def test_what_can_be_repaired_is(folder, spoil, text):
    spoil(folder)
    code, told = fsck(folder, "--check")
    assert (code, text in told, "WRONG" in told) == (1, True, True)
    code, told = fsck(folder)
    assert (code, text in told, "repaired" in told) == (0, True, True)
    assert "nothing is wrong" in fsck(folder)[1]


def test_old_blobs_that_nobody_needs_are_removed(folder):
    for name, age in (("aa11", 0), ("aa22", 7200)):
        path = folder / "store" / "blobs" / "aa" / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        os.utime(path, (time.time() - age,) * 2)
    assert fsck(folder)[0] == 0
    assert [path.name for path in (folder / "store" / "blobs" / "aa").iterdir()] == ["aa11"]


def test_lost_blobs_are_told(folder):
    next((folder / "store" / "blobs").glob("*/*")).unlink()
    code, told = fsck(folder)
    assert (code, "which 1 records need" in told) == (1, True)


async def test_a_damaged_log_is_saved_as_far_as_can_be(folder, open_roles):
    data = bytearray(segment(folder).read_bytes())
    data[30] ^= DAMAGED
    segment(folder).write_bytes(data)
    code, told = await asyncio.to_thread(fsck, folder, "--json")
    faults = json.loads(told)["faults"]
    assert (code, any("is lost" in fault["text"] for fault in faults)) == (1, True)
    assert (await asyncio.to_thread(fsck, folder))[0] == 0
    assert len(list((folder / "store" / "log").glob("*.damaged"))) == 1
    async with open_roles(folder) as roles:
        assert [task.id for task in await roles.queue.list()] == ["a", "b", "c", "e", "f"]
        await roles.queue.enqueue([spec("g")])
    assert "nothing is wrong" in (await asyncio.to_thread(fsck, folder))[1]


def test_a_damaged_checkpoint_is_told(folder):
    path = next((folder / "store" / "checkpoints").iterdir())
    path.write_bytes(path.read_bytes()[:-5])
    code, told = fsck(folder)
    assert (code, "is damaged" in told) == (1, True)


def test_what_is_no_store_is_refused(tmp_path):
    code, told = fsck(tmp_path)
    assert (code, "there is no store in it" in told) == (1, True)
    assert list(tmp_path.iterdir()) == []
