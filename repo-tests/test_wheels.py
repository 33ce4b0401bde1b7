"""Install the built wheels in an empty environment, and run a task with what was installed.

Run by `nox -s wheels`; everything here needs the network or a warm cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
VERSION = CONFIG["project"]["version"]
MEMBERS = CONFIG["tool"]["uv"]["workspace"]["members"]
UV = os.environ.get("UV", "uv")

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(300)]

TASKS = """
from omniq import OmniQ

app = OmniQ()


@app.task()
def add(a: int, b: int) -> int:
    return a + b
"""

RUN = """
from tasks import add, app

job = add.enqueue(1, 2)
app.worker(burst=True).run()
assert job.result(timeout=10) == 3, job
print("ran")
"""

DESCRIBE = """
import importlib.metadata as metadata, json, omniq

print(json.dumps({
    "versions": {d.name: d.version for d in metadata.distributions() if d.name.startswith("omniq")},
    "backends": sorted(e.name for e in metadata.entry_points(group="omniq.backends")),
    "owners": metadata.packages_distributions()["omniq"],
    "file": omniq.__file__,
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    leaking = ("OMNIQ_", "PYTHONPATH", "VIRTUAL_ENV")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(leaking)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """Build the sdist of every distribution, and every wheel from its sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--all-packages", "--out-dir", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="session")
def links(dist, tmp_path_factory):
    """Our wheels beside a stranger's newer `omniq`, as on the public index."""
    folder = tmp_path_factory.mktemp("links")
    for wheel in dist.glob("*.whl"):
        (folder / wheel.name).symlink_to(wheel)
    with zipfile.ZipFile(folder / "omniq-9999.0.0-py3-none-any.whl", "w") as stranger:
        info = "omniq-9999.0.0.dist-info"
        stranger.writestr("omniq/__init__.py", "raise ImportError('a stranger')\n")
        stranger.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: omniq\nVersion: 9999.0.0\n")
        stranger.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        stranger.writestr(f"{info}/RECORD", f"omniq/__init__.py,,\n{info}/METADATA,,\n")
    return folder


@pytest.fixture(scope="session")
def python(links, tmp_path_factory):
    """Install `omniq[all]` as a user does, and return the interpreter that has it."""
    venv = tmp_path_factory.mktemp("user") / "venv"
    run(UV, "venv", "--python", sys.executable, venv, cwd=ROOT)
    interpreter = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = f"omniq[all]=={VERSION}"
    # in ROOT, so that `exclude-newer` holds here too
    run(UV, "pip", "install", "--python", interpreter, "--find-links", links, wanted, cwd=ROOT)
    return interpreter


def test_every_distribution_has_a_wheel_and_an_sdist(dist):
    names = {"omniq"}
    for member in MEMBERS:
        manifest = tomllib.loads((ROOT / member / "pyproject.toml").read_text("utf-8"))
        names.add(manifest["project"]["name"].replace("-", "_"))
    wheels = {path.name for path in dist.glob("*.whl")}
    sdists = {path.name for path in dist.glob("*.tar.gz")}
    assert wheels == {f"{name}-{VERSION}-py3-none-any.whl" for name in names}
    assert sdists == {f"{name}-{VERSION}.tar.gz" for name in names}


def test_wheels_hold_the_package_the_type_marker_and_the_licence(dist):
    for wheel in dist.glob("*.whl"):
        files = zipfile.ZipFile(wheel).namelist()
        code = {name.split("/")[0] for name in files if ".dist-info/" not in name}
        expected = {"omniq_core": {"omniq"}, "omniq": set()}
        distribution = wheel.name.split("-")[0]
        assert code == expected.get(distribution, {distribution})
        assert all(f"{package}/py.typed" in files for package in code)
        assert any(name.endswith("licenses/LICENSE") for name in files)


def test_no_stranger_is_installed(python, tmp_path):
    found = json.loads(run(python, "-c", DESCRIBE, cwd=tmp_path))
    backends = [each.partition("==")[0] for each in CONFIG["project"]["optional-dependencies"]["all"]]
    assert found["versions"] == dict.fromkeys(["omniq", "omniq-core", *backends], VERSION)
    assert found["owners"] == ["omniq-core"]
    assert found["backends"] == sorted(name.removeprefix("omniq-") for name in backends)
    assert Path(found["file"]).is_relative_to(python.parent.parent)


def test_the_installed_wheels_run_a_task(python, tmp_path):
    (tmp_path / "tasks.py").write_text(TASKS, "utf-8")
    (tmp_path / "run.py").write_text(RUN, "utf-8")
    assert run(python, "run.py", cwd=tmp_path).splitlines()[-1] == "ran"


def test_the_command_line_is_installed(python, tmp_path):
    assert "Usage: omniq" in run(python.parent / "omniq", "--help", cwd=tmp_path)
