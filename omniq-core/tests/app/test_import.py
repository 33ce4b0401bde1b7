from __future__ import annotations

import subprocess
import sys

import pytest

import omniq

DRIVERS = (
    "sqlite3",
    "aiosqlite",
    "redis",
    "asyncpg",
    "nats",
    "fsspec",
    "omniq_sqlite",
    "omniq_memory",
    "click",
    "rich",
)


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_loads_no_driver_and_next_to_nothing_else():
    loaded = set(python("import sys, omniq; print(*sorted(sys.modules))").split())
    assert loaded & {*DRIVERS, "attr", "pluggy", "omniq.app"} == set()


def test_importing_both_facades_loads_no_driver():
    loaded = set(python("import sys; from omniq import AsyncOmniQ, OmniQ; print(*sorted(sys.modules))").split())
    assert loaded & {*DRIVERS, "omniq.worker.worker", "msgpack"} == set()


def test_importing_loads_few_modules():
    """Which is the same on every machine, as its time is not; a driver alone loads three times as many."""
    code = "import sys; before = set(sys.modules); import omniq; print(len(set(sys.modules) - before))"
    assert int(python(code)) < 40


@pytest.mark.parametrize("name", omniq.__all__)
def test_every_public_name_is_there(name):
    assert getattr(omniq, name) is not None
    assert name in dir(omniq)


def test_the_version_is_that_of_the_core():
    from importlib.metadata import version

    assert omniq.__version__ == version("omniq-core")


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'omniq' has no attribute 'nonsense'"):
        _ = omniq.nonsense
    assert not hasattr(omniq, "__path_that_is_not_there__")


def test_star_import_gives_what_is_public():
    names: dict[str, object] = {}
    exec("from omniq import *", names)
    assert set(omniq.__all__) - {"__version__"} <= names.keys()
