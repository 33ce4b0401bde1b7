from __future__ import annotations

import os
import sys

from omniq.cli.reload import child_command, newest_change


def test_the_child_does_not_supervise_again():
    argv = ["/usr/bin/python3", "-X", "dev", "/usr/bin/omniq", "worker", "app", "--reload", "--burst"]
    assert [sys.executable, "-X", "dev", "/usr/bin/omniq", "worker", "app", "--burst"] == child_command(argv)


def test_a_changed_a_new_and_a_removed_file_are_noticed(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("1")
    first = newest_change(tmp_path)
    assert first == newest_change(tmp_path)
    os.utime(package / "a.py", ns=(first[1] + 1, first[1] + 1))
    second = newest_change(tmp_path)
    (package / "b.py").write_text("2")
    third = newest_change(tmp_path)
    (package / "a.py").unlink()
    assert len({first, second, third, newest_change(tmp_path)}) == 4


def test_what_is_no_source_is_passed_over(tmp_path):
    before = newest_change(tmp_path)
    for name in (".venv/x.py", "__pycache__/x.py", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert before == newest_change(tmp_path)
