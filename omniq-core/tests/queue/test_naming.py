from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from omniq.errors import ConfigError
from omniq.queue.naming import calling_module, path_of, split_path

if TYPE_CHECKING:
    from pathlib import Path


def plain() -> None: ...


class Owner:
    def method(self) -> None: ...

    @staticmethod
    def static() -> None: ...

    @classmethod
    def of_class(cls) -> None: ...


def run_python(tmp_path: Path, *command: str) -> list[str]:
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("func", "name"),
    [
        (plain, "plain"),
        (Owner.static, "Owner.static"),
        (Owner.of_class, "Owner.of_class"),
        (Owner.method, "Owner.method"),
    ],
)
def test_a_function_is_named_by_module_and_qualname(func, name):
    assert path_of(func) == f"{__name__}.{name}"


def test_a_builtin_function_has_a_path_too():
    assert path_of(os.getcwd) == f"{os.getcwd.__module__}.getcwd"


def nested():
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("func", "problem", "remedy"),
    [
        (lambda: None, "a lambda", "Define it with `def`"),
        (nested(), "defined inside another function", "@app.task(name='...')"),
        (functools.partial(plain), "has no name", "passing the varying parts as arguments"),
        (Owner().method, "is bound to the object", "gets what it needs as arguments"),
    ],
    ids=["lambda", "nested", "partial", "bound method"],
)
def test_what_another_process_cannot_import_is_refused_with_the_remedy(func, problem, remedy):
    with pytest.raises(ConfigError) as caught:
        path_of(func)
    assert problem in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("path", "meanings"),
    [
        ("pkg.mod.func", [("pkg.mod", ("func",)), ("pkg", ("mod", "func"))]),
        ("mod.func", [("mod", ("func",))]),
        ("pkg.mod:Class.method", [("pkg.mod", ("Class", "method"))]),
        ("process_data", []),
    ],
)
def test_a_path_is_split_with_the_longest_module_first(path, meanings):
    assert split_path(path) == meanings


@pytest.mark.parametrize("path", ["", ".", "a..b", ".func", "mod.", "mod:", ":func", "a:b..c", "a..b:c"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ConfigError, match=r"func: .* is not the path of a function"):
        split_path(path)


def test_the_calling_module_passes_over_the_given_packages():
    assert calling_module(()) == __name__
    assert calling_module((__name__,)) != __name__


SCRIPT = """
    from omniq.queue.naming import main_name, path_of, find_module
    import sys

    def func(): ...

    if __name__ == "__main__":
        print(main_name(), path_of(func), find_module(main_name()) is sys.modules["__main__"])
"""


def test_a_function_of_a_script_has_the_name_of_its_file(tmp_path):
    (tmp_path / "report.py").write_text(textwrap.dedent(SCRIPT))
    assert run_python(tmp_path, "report.py") == ["report", "report.func", "True"]


def test_a_function_of_a_module_run_with_m_has_the_name_of_the_module(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "jobs.py").write_text(textwrap.dedent(SCRIPT))
    assert run_python(tmp_path, "-m", "shop.jobs") == ["shop.jobs", "shop.jobs.func", "True"]


def test_a_function_typed_into_the_interpreter_is_only_known_there(tmp_path):
    command = "from omniq.queue.naming import path_of\ndef func(): ...\nprint(path_of(func))"
    assert run_python(tmp_path, "-c", command) == ["__main__.func"]
