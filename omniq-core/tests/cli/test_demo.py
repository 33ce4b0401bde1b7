from __future__ import annotations

import hashlib
import json
import os
import shlex
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from omniq.cli.demo import files, outcome
from omniq.cli.demo.files import default_path, is_text, select
from omniq.errors import ConfigError


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "sub" / ".hidden").mkdir(parents=True)
    (root / "a.txt").write_text("alpha beta alpha gamma\nsecond line\n")
    (root / "sub" / "b.bin").write_bytes(bytes(range(256)) * 10)
    (root / "sub" / ".hidden" / "c.txt").write_text("nobody looks here")
    return root


def check(report, tree):
    assert report["ok"], report["checks"]
    assert all(item["holds"] for item in report["checks"])
    assert report["files"] == 2
    # two sums, one text, two folders, index, urgent, three reports, and the cancelled one
    assert report["tasks"] == {"COMPLETED": 10, "CANCELLED": 1}
    assert report["retries"] == 2
    assert report["schedule_fires"] == 3
    assert report["events"]["ENQUEUED"] == 11 + 50
    assert report["speed"]["tasks"] == 50
    assert report["frequent_words"]["alpha"] == 2
    digests = {item["name"]: item["sha256"] for item in report["biggest_files"]}
    assert digests == {name: hashlib.sha256((tree / name).read_bytes()).hexdigest() for name in ("sub/b.bin", "a.txt")}


@pytest.mark.parametrize("backend", ["sqlite", "memory"])
def test_the_whole_course(answer, folder, tree, backend):
    report = answer("demo", tree, "--backend", backend, "--sparks", "50", "--base-dir", folder / "kept")
    check(report, tree)
    archives = sorted((folder / "kept" / "archives").glob("*.zip"))
    assert [zipfile.ZipFile(path).namelist() for path in archives] == [["a.txt"], ["b.bin"]]
    assert (folder / "kept" / "archives" / "index.txt").read_text() == "a.txt\nsub/b.bin\n"


def test_a_second_run_in_the_same_folder_is_apart(answer, folder, tree):
    first = answer("demo", tree, "--sparks", "50", "--base-dir", folder)
    second = answer("demo", tree, "--sparks", "50", "--base-dir", folder)
    assert (first["queue"], second["queue"]) == ("demo", "demo-2")
    check(second, tree)


def test_without_a_terminal_it_is_plain_text_and_the_next_steps_work(omniq, invoke, tree):
    (tree.parent / "a place").mkdir()
    demo = omniq("demo", tree, "--sparks", "0", TMPDIR=os.fspath(tree.parent / "a place"))
    out, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (0, "")
    assert "\x1b" not in out
    assert "SHA-256 of files               2/2" in out
    assert "WRONG" not in out
    lines = [line.removeprefix("  ").removeprefix("uv run ") for line in out.splitlines() if line.startswith("  ")]
    steps = [line.removeprefix("omniq ") for line in lines if line.startswith("omniq ")]
    assert [step.split()[0] for step in steps] == ["task", "task", "event", "queue", "doctor"]
    for step in steps:
        invoke(*shlex.split(step))


def test_memory_leaves_nothing_behind(omniq, tree):
    (tree.parent / "tmp").mkdir()
    demo = omniq("demo", tree, "--backend", "memory", "--sparks", "0", TMPDIR=os.fspath(tree.parent / "tmp"))
    out, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "The store was in memory and is gone." in out
    assert list((tree.parent / "tmp").iterdir()) == []


def test_a_wrong_sum_is_noticed(invoke, tree, monkeypatch):
    monkeypatch.setattr(outcome, "_hash_is_right", lambda piece: piece.subject.name != "a.txt")
    result = invoke("demo", tree, "--backend", "memory", "--sparks", "0", code=1)
    assert "WRONG  2 sums equal those computed here (a.txt)" in result.stdout


def test_a_spoilt_archive_is_noticed(tree):
    path = tree.parent / "x.zip"
    piece = SimpleNamespace(subject=tree, value={"path": str(path), "files": 1})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "something else")
    assert not outcome._archive_is_right(piece)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tree / "a.txt", "a.txt")
    assert outcome._archive_is_right(piece)


def test_nothing_to_work_on_is_a_usage_error(invoke, folder):
    (folder / "empty").mkdir()
    assert "does not exist" in invoke("demo", folder / "nowhere", code=2).stderr
    assert "no readable file" in invoke("demo", folder / "empty", code=2).stderr
    assert list(folder.iterdir()) == [folder / "empty"]


def test_select(tree, monkeypatch):
    chosen = select(tree, 10)
    assert [chosen.name(file) for file in chosen.files] == ["a.txt", "sub/b.bin"]
    assert chosen.folders() == {tree: [tree / "a.txt"], tree / "sub": [tree / "sub" / "b.bin"]}
    assert (len(select(tree, 1).files), select(tree, 1).total) == (1, 2)
    assert select(tree / "a.txt", 10).name(tree / "a.txt") == "a.txt"
    monkeypatch.setattr(files, "_MOST_BYTES", 100)
    assert [file.name for file in select(tree, 10).files] == ["a.txt"]
    monkeypatch.setattr(files, "_MOST_BYTES", 1)
    with pytest.raises(ConfigError, match="larger than"):
        select(tree, 10)


def test_a_file_that_changes_meanwhile_is_noticed(tree):
    chosen = select(tree, 10)
    assert not chosen.changed(tree / "a.txt")
    assert not chosen.changed(tree)
    (tree / "a.txt").write_text("other")
    (tree / "sub" / "b.bin").unlink()
    assert chosen.changed(tree / "a.txt")
    assert chosen.changed(tree)
    assert chosen.changed(tree / "sub")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", True),
        (b"plain", True),
        ("ä".encode() * 5000, True),
        (b"x" + "ä".encode() * 5000, True),
        (b"\xff\xfe", False),
        (b"a\0b", False),
        (b"\xff" + b"a" * 9000, False),
    ],
)
def test_is_text(tmp_path, content, expected):
    (tmp_path / "f").write_bytes(content)
    assert is_text(tmp_path / "f") == expected


def test_the_default_is_the_documentation_of_a_checkout():
    root = Path(__file__).parents[3]
    assert default_path() == root / "docs"


def test_an_installed_package_works_on_its_own_files(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "omniq"
    package.mkdir(parents=True)
    monkeypatch.setattr(files.omniq, "__file__", str(package / "__init__.py"))
    assert default_path() == package


def test_json_is_one_document(invoke, tree):
    assert json.loads(invoke("demo", tree, "--backend", "memory", "--sparks", "0", "--json").stdout)["speed"] == {
        "tasks": 0,
        "seconds": 0.0,
    }
