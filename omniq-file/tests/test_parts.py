"""Names, frames, formats, options: what needs no store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from omniq.errors import ConfigError, StoreFormatError
from omniq.models.record import TaskBody, TaskRecord
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.backend import BackendConfig
from omniq_file.formats import make_format
from omniq_file.framing import frame, salvage, scan
from omniq_file.machine.stored import StoredBody, StoredResult, copy_task, fields_of, fields_of_task
from omniq_file.names import file_stem
from omniq_file.options import FileOptions

KEY = "a secret of more than sixteen bytes"
IDS = ["a", "A", "ä", "Ä", ".", "..", "../a", "/etc/passwd", "a/b", "a\\b", "con", "con.txt", "CON", "a.", "a ", "%41"]
IDS += [
    "~",
    "*",
    "?",
    "x" * 181,
    "x" * 400,
    "X" * 400,
    "x" * 399 + "y",
    "task-abc123",
    "-rf",
    "\n",
    "a\tb",
    "%",
    "é" * 200,
]


def record(**fields):
    given = {
        "id": "t", "body": TaskBody(func="f"), "seq": 7, "queue": "q", "priority": 3, "eta": None, "max_attempts": 4,
        "unique_key": None, "expires_at": None, "interval_ms": None, "series_id": None, "nominal_at": None,
        "pinned": False, "ready_at": 5, "enqueued_at": 6,
    }  # fmt: skip
    return TaskRecord(**given | fields)


def test_names_of_files_are_distinct_also_where_capitals_are_not():
    stems = [file_stem(each) for each in IDS]
    assert len({stem.casefold() for stem in stems}) == len(IDS)


@pytest.mark.parametrize("name", IDS)
def test_names_of_files_lead_nowhere_else(name):
    stem = file_stem(name)
    assert Path(stem).name == stem
    assert not stem.startswith(".")
    assert stem[-1] not in ". "
    assert len(f"{stem}.msgpack".encode()) <= 255
    assert stem.isascii()
    assert stem.isprintable()


def test_readable_names_stay_as_they_are():
    assert file_stem("task-01a20370-655e-7000-b519-bb529e841df8") == "task-01a20370-655e-7000-b519-bb529e841df8"


def test_records_come_back_from_frames():
    payloads = [b"{}", b"", b"x\ny" * 1000, b"0000000a 00000000 "]
    data = b"".join(map(frame, payloads))
    assert scan(data) == (payloads, len(data), False)


@pytest.mark.parametrize("cut", range(1, 30))
def test_what_was_being_written_is_told_from_damage(cut):
    whole, last = frame(b"first"), frame(b"second one")
    assert scan((whole + last)[:-cut] if cut < len(last) else whole) == ([b"first"], len(whole), False)


def test_damage_is_told_from_what_was_being_written():
    data = bytearray(frame(b"first") + frame(b"second") + frame(b"third"))
    data[len(frame(b"first")) + 20] ^= 1
    assert scan(bytes(data)) == ([b"first"], len(frame(b"first")), True)
    assert list(salvage(bytes(data))) == [b"first", b"third"]


def test_zeros_at_the_end_were_being_written():
    assert scan(frame(b"first") + bytes(4096)) == ([b"first"], len(frame(b"first")), False)


@pytest.mark.parametrize("name", ["json", "msgpack", "pickle"])
def test_bodies_and_outcomes_come_back(name):
    form = make_format(name, KEY)
    bodies = [TaskBody(func="f"), TaskBody(func="f", args=b"\xff\0", kwargs=b"", codec="x", headers={"a": "\ud800"})]
    bodies.append(StoredBody(func="g", args=b"", kwargs=b"", blob="ab", size=9, timeout_ms=5, result_ttl_ms=6))
    results = [ResultRecord("a", 1, 2, TaskStatus.FAILED, None, "json", "e\ud800", 5, 6, 11)]
    results.append(ResultRecord("b", 1, 2, TaskStatus.COMPLETED, b"\xff", "msgpack", None, None, 6))
    results.append(StoredResult("c", 1, 2, TaskStatus.COMPLETED, blob="ab", size=3))
    found = form.load(form.dump([bodies, results]))
    assert [form.body(each) for each in found[0]] == bodies
    assert [form.result(each) for each in found[1]] == results
    stored = StoredBody(func="f", codec="x", blob="ab")
    assert form.load_body(form.dump_body(bodies[1]), stored) == bodies[1]
    assert form.read_value(form.value(b"\0v")) == b"\0v"


def test_what_is_pickled_is_only_read_if_it_is_signed():
    one, other = make_format("pickle", KEY), make_format("pickle", KEY[::-1])
    data = one.dump([TaskBody(func="f")])
    with pytest.raises(StoreFormatError, match="not signed"):
        other.body(other.load(data)[0])
    with pytest.raises(ConfigError, match="signing"):
        make_format("pickle")


def test_heads_are_never_pickled():
    data = make_format("pickle", KEY).dump(["new", fields_of_task(record()), TaskBody(func="f")])
    assert b'"queue":"q"' in data


@pytest.mark.parametrize(
    "fields", [{}, {"eta": 4, "unique_key": "u", "expires_at": 9, "pinned": True}, {"interval_ms": 5, "series_id": "s"}]
)
def test_the_quick_ways_do_what_the_slow_ones_do(fields):
    task = record(**fields)
    assert {name: value for name, value in fields_of_task(task).items() if value is not None} == fields_of(task)
    assert copy_task(task) == task
    assert all(getattr(copy_task(task), field.name) is getattr(task, field.name) for field in attrs.fields(TaskRecord))


def read(url=None, **options):
    return FileOptions.read(BackendConfig(backend_type="file", url=url, options=options))


@pytest.mark.parametrize(
    ("options", "uri", "folder"),
    [
        (read("x"), None, "x"),
        (read("file:///abs/x"), None, "/abs/x"),
        (read(base_dir="./x", fsspec_uri=None, storage_options={}), None, "x"),
        (read("s3://bucket/a/"), "s3://bucket/a", "omniq_data"),
        (read(fsspec_uri="s3://bucket", base_dir="./data"), "s3://bucket/data", "omniq_data"),
        (read(fsspec_uri="file:///abs"), None, "/abs"),
        (read("memory://"), "memory://", "omniq_data"),
    ],
)
def test_where_a_store_is(options, uri, folder):
    assert (options.fsspec_uri, options.base_dir) == (uri, Path(folder))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"serialization_format": "yaml"}, "serialization_format"),
        ({"fsspec_uri": "s3://bucket", "base_dir": "../x"}, r"must not lead out"),
        ({"fsspec_uri": "s3://bucket/../x"}, r"must not lead out"),
        ({"fsspec_uri": "bucket"}, "scheme://"),
        ({"storage_options": {"key": "k"}}, "fsspec_uri"),
        ({"fsynk": "always"}, "fsync"),
    ],
)
def test_what_makes_no_sense_is_refused(options, match):
    with pytest.raises(ConfigError, match=match):
        read(**options)


def test_secrets_are_not_shown():
    options = read("s3://bucket", storage_options={"secret": "hidden"}, signing_key="hidden" * 3)
    assert "hidden" not in repr(options)


def test_local_stores_do_without_fsspec(tmp_path):
    code = f"""
import asyncio, sys
from omniq import AsyncOmniQ
from omniq.backend.file import FileBackend
async def main():
    async with AsyncOmniQ(backend=FileBackend({str(tmp_path)!r})) as app:
        await app.task(name="f")(len).enqueue([1])
asyncio.run(main())
print([name for name in sys.modules if name.split(".")[0] in ("fsspec", "s3fs", "moto")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
