from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import tomllib

import pytest
from click.testing import CliRunner

from omniq.storage.results import ResultStorage
from omniq.storage.task_queue import TaskQueue
from omniq_conformance import run_conformance
from omniq_conformance.discovery import find_harness
from omniq_conformance.outcomes import Status
from omniq_conformance.scaffold.command import new_backend
from omniq_conformance.scaffold.writing import Names, write_backend

FILLED = '''
"""The blanks filled in: the memory backend's storages do the work."""

import inspect

from omniq.storage.backend import BackendConfig
from omniq.storage.results import ResultStorage
from omniq.storage.task_queue import TaskQueue
from omniq_memory import plugin as memory
from omniq_acme.results import AcmeResultStorage
from omniq_acme.role import AcmeRole
from omniq_acme.task_queue import AcmeTaskQueue


def store(self):
    name = str(self._options.path).replace("/", "-")
    config = BackendConfig(backend_type="memory", url=f"memory://{name}")
    create = memory.omniq_create_task_queue if isinstance(self, TaskQueue) else memory.omniq_create_result_storage
    if "_inner" not in vars(self):
        self._inner = create(config)
    return self._inner


def delegate(kind, name):
    setattr(kind, name, lambda self, *args, **kwargs: getattr(store(self), name)(*args, **kwargs))


for kind, role in ((AcmeTaskQueue, TaskQueue), (AcmeResultStorage, ResultStorage)):
    for name in role.__abstractmethods__ - {"sibling", "capabilities"}:
        delegate(kind, name)
for name in ("open", "close", "time"):
    if name in vars(AcmeRole):
        delegate(AcmeRole, name)
AcmeRole.capabilities = property(lambda self: store(self).capabilities)


def sibling(self):
    other = AcmeTaskQueue(self._options)
    other._inner = store(self).sibling()
    return other


AcmeTaskQueue.sibling = sibling
'''


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """A new backend that looks installed, to this process and to its children."""
    folder = install(write(tmp_path, "acme"), tmp_path / "installed")
    for path in (tmp_path / "installed", folder / "src"):
        monkeypatch.syspath_prepend(str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "src"), str(tmp_path / "installed")]))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "omniq_acme"]:
        del sys.modules[name]


def write(tmp_path, name):
    names = Names.of(name)
    write_backend(names, tmp_path)
    return tmp_path / names.distribution


def install(folder, into):
    """Write the metadata that pip would."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    info = into / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, "utf-8")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())])
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups), "utf-8")
    return folder


def shell(*command):
    return subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_writes_a_whole_distribution_and_says_what_is_next(tmp_path):
    done = CliRunner().invoke(new_backend, ["acme-kv", "--directory", str(tmp_path)])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "omniq-acme-kv"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    modules = ("__init__", "blanks", "conformance", "options", "plugin", "results", "role", "task_queue")
    assert written == {
        "README.md",
        "pyproject.toml",
        "tests/test_conformance.py",
        "src/omniq_acme_kv/py.typed",
        *(f"src/omniq_acme_kv/{module}.py" for module in modules),
    }
    assert [path for path in written if path not in done.output] == []
    assert f"pip install -e {folder}" in done.output
    assert "omniq-conformance smoke --backend acme-kv" in done.output


def test_nothing_is_left_of_the_templates(tmp_path):
    folder = write(tmp_path, "acme-kv")
    texts = {path.name: path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}
    assert [name for name, text in texts.items() if re.search(r"\{\{|\}\}|\{%", text)] == []
    long = [(name, line) for name, text in texts.items() for line in text.splitlines() if len(line) > 120]
    assert long == []
    for path in folder.rglob("*.py"):
        ast.parse(path.read_text("utf-8"))


def test_the_harness_is_short(tmp_path):
    module = ast.parse((write(tmp_path, "acme") / "src" / "omniq_acme" / "conformance.py").read_text("utf-8"))
    (harness,) = (node for node in module.body if isinstance(node, ast.ClassDef))
    assert harness.end_lineno - harness.lineno + 1 <= 25


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Acme", "such as 'acme'"),
        ("acme_kv", "such as 'acme-kv'"),
        ("omniq-acme", "such as 'acme'"),
        ("", "beginning with a letter"),
        ("7up", "such as 'up'"),
        ("../acme", "such as 'acme'"),
        ("a" * 41, "at most 40"),
        ("sqlite", "already: omniq-sqlite. Choose another name"),
        ("redis", "already: omniq[redis]"),
    ],
)
def test_bad_names_are_refused_with_the_remedy(tmp_path, name, message):
    done = CliRunner().invoke(new_backend, ["--directory", str(tmp_path), "--", name])
    assert (done.exit_code, message in done.output) == (2, True), done.output
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "omniq-acme").mkdir()
    done = CliRunner().invoke(new_backend, ["acme", "--directory", str(tmp_path)])
    assert (done.exit_code, "was left alone" in done.output) == (2, True)
    assert list((tmp_path / "omniq-acme").iterdir()) == []


def test_it_is_listed(acme):
    done = shell("omniq", "backend", "list")
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("acme"))
    assert re.split(" {2,}", row)[:4] == ["acme", "omniq-acme", "0.1.0", "task queue, result storage"]


def test_smoke_tells_what_is_blank(acme):
    done = shell("omniq_conformance.cli", "smoke", "--backend", "acme", "--only", "OQ-Q-05*", "--only", "OQ-R-*")
    assert done.returncode == 1, done.stderr
    blanks = "put, get, delete, list, purge_expired."
    assert (
        "AcmeResultStorage.put() is blank: write it as docs/reference/contract.md says, section 5. ResultStorage. "
        in (done.stdout)
    )
    assert f"Blank in AcmeResultStorage: {blanks}" in done.stdout
    assert "AcmeTaskQueue.enqueue() is blank: write it as docs/reference/contract.md says, section 3." in done.stdout
    assert "Blank in AcmeTaskQueue: enqueue, cancel, redrive, claim, held" in done.stdout


@pytest.mark.parametrize(("module", "role"), [("task_queue", TaskQueue), ("results", ResultStorage)])
def test_the_blanks_are_the_methods_of_the_role(acme, module, role):
    (kind,) = (
        member
        for name, member in vars(importlib.import_module(f"omniq_acme.{module}")).items()
        if inspect.isclass(member) and issubclass(member, role) and name.startswith("Acme")
    )
    assert kind.__abstractmethods__ == frozenset()
    for name in role.__abstractmethods__ - {"capabilities"}:
        assert str(inspect.signature(getattr(kind, name))) == str(inspect.signature(getattr(role, name)))


@pytest.mark.timeout(240)
def test_with_its_blanks_filled_in_it_passes_smoke(acme):
    package = acme / "src" / "omniq_acme"
    (package / "filled.py").write_text(FILLED, "utf-8")
    with (package / "conformance.py").open("a", encoding="utf-8") as conformance:
        conformance.write("\nfrom omniq_acme import filled\n")
    report = run_conformance(find_harness("acme"), profile="smoke")
    bad = [(line.id, line.reason) for line in report.lines if not Status(line.status).is_good]
    assert bad == []
    assert report.footer.counts["pass"] > 100
    assert [line.id for line in report.lines if line.id.startswith("OQ-R-01") and line.status != "pass"] == []
