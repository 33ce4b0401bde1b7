"""What is checked, and how: `uv run nox` runs all of it, `uv run nox -l` lists it."""

from __future__ import annotations

import os
from pathlib import Path

import nox
from nox_uv import session

PYTHONS = ["3.11", "3.12", "3.13"]
ONCE = {
    "repo-tests/*": "3.11",
    "omniq-[!m]*/tests/test_conformance.py": "conformance",
    "examples/*/tests/test_conformance.py": "conformance",
    "*/tests/test_plans.py": "3.12",
    "conformance-tests/tests/*": "3.13",
}
"""Of the tests that take long, on which Python they are run, or else in which sessions."""
# The servers come in wheels.
TARGETS = [
    nox.param("memory", "", id="memory"),
    nox.param("sqlite", "", id="sqlite"),
    nox.param("file", "", id="file"),
    nox.param("omniq_file.conformance:MsgpackHarness", "", id="file-msgpack"),
    nox.param("file-memory", "", id="file-memory"),
    nox.param("lmdb", "", id="lmdb"),
    nox.param("postgres", "", id="postgres"),
    nox.param("redis", "valkey", id="redis-valkey"),
    nox.param("nats", "", id="nats"),
]
NIGHTLY = [
    nox.param("file-s3", "smoke", id="file-s3"),  # every operation is a request to a server that answers one at a time
    nox.param("omniq_redis.conformance:ValkeyClusterHarness", "pr", id="valkey-cluster"),
    nox.param("omniq_redis.conformance:RedisHarness", "pr", id="redis"),  # Debian's server
]
"""What takes long, or needs servers that come in no wheel; not among the default sessions."""
REPORTS = Path("reports")

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = os.environ.get("CI") == "true"

# pyenv's shims hide all but the selected version, so every installed one goes on PATH.
for _bin in sorted(Path.home().glob(".pyenv/versions/3.1[123].*/bin")):
    os.environ["PATH"] = f"{_bin}{os.pathsep}{os.environ['PATH']}"


@session(uv_groups=["lint"], uv_all_packages=True, uv_sync_locked=False)
def lint(s: nox.Session) -> None:
    """Check style, import directions, file sizes, spelling and the changelog's build."""
    s.run("ruff", "check", ".")
    s.run("ruff", "format", "--check", ".")
    s.run("lint-imports")
    s.run("loq", "check")
    s.run("codespell")
    s.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@session(uv_groups=["types"], uv_all_packages=True, uv_sync_locked=False)
def types(s: nox.Session) -> None:
    """Check the sources with mypy, and the public API with pyright as users see it."""
    s.run("mypy")
    s.run("pyright")


@session(python=PYTHONS, uv_groups=["test"], uv_all_packages=True, uv_sync_locked=False)
def tests(s: nox.Session) -> None:
    """Run the tests of every package, and those that take long on one Python each."""
    elsewhere = [f"--ignore-glob={files}" for files, python in ONCE.items() if python != s.python]
    s.run("pytest", *(s.posargs or ["-n", "auto", "--dist", "worksteal", *elsewhere]))


@session(uv_groups=["test"], uv_all_packages=True, uv_sync_locked=False)
@nox.parametrize(["backend", "server"], TARGETS)
def conformance(s: nox.Session, backend: str, server: str) -> None:
    """Run the conformance suite on a backend, with a server of this kind, and keep its report."""
    report = REPORTS / f"{'-'.join(filter(None, [backend.rpartition(':')[2], server]))}.jsonl"
    s.run("omniq-conformance", "run", "--backend", backend, "--report", str(report), *s.posargs)


@session(default=False, uv_groups=["test"], uv_all_packages=True, uv_sync_locked=False)
@nox.parametrize(["backend", "profile"], NIGHTLY)
def nightly(s: nox.Session, backend: str, profile: str) -> None:
    """Run the conformance suite where that takes long, or needs a server that has to be installed."""
    report = REPORTS / f"{backend.rpartition(':')[2]}.jsonl"
    s.run("omniq-conformance", "run", "--backend", backend, "--profile", profile, "--report", str(report), *s.posargs)


@session(uv_groups=["test"], uv_all_packages=True, uv_sync_locked=False)
def mutants(s: nox.Session) -> None:
    """Check that the conformance suite finds every planted bug."""
    s.run("omniq-conformance", "mutants", *s.posargs)


@session(uv_groups=["test"], uv_all_packages=True, uv_sync_locked=False)
def site(s: nox.Session) -> None:
    """Make the pages of the conformance reports, in reports/site."""
    reports = sorted(str(path) for path in REPORTS.glob("*.jsonl"))
    s.run("omniq-conformance", "site", *reports, "-o", str(REPORTS / "site"))


@session(uv_groups=["test"], uv_all_packages=True, uv_sync_locked=False)
def wheels(s: nox.Session) -> None:
    """Build every wheel, install them elsewhere, and run a task with them."""
    s.run("pytest", "-m", "wheels", "repo-tests/test_wheels.py", *s.posargs)
