"""What holds for the repository as a whole: sizes, required files, what is tracked."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
MEMBERS = CONFIG["uv"]["workspace"]["members"]
MAX_FILE = 500
MAX_FUNCTION = 80
PAGE = re.compile(r"\bdocs/[\w./-]+\.md\b")


def tracked(pattern: str = "*") -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


PYTHON = tracked("*.py")


def test_no_lock_file_is_tracked():
    assert tracked("*uv.lock") == []


def test_no_python_file_is_too_long():
    lengths = {p.relative_to(ROOT): p.read_text("utf-8").count("\n") for p in PYTHON}
    assert lengths, "no Python file was found, so nothing was checked"
    assert {path: n for path, n in lengths.items() if n > MAX_FILE} == {}


def test_no_function_is_too_long():
    too_long = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > MAX_FUNCTION:
                    too_long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {lines}")
    assert too_long == []


@pytest.mark.parametrize("member", MEMBERS)
def test_a_distribution_is_complete(member):
    folder = ROOT / member
    (package,) = (path for path in (folder / "src").iterdir() if path.name != "__pycache__")
    assert (package / "py.typed").is_file()
    assert (folder / "README.md").read_text("utf-8").startswith(f"# {package_title(folder)}\n")
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def package_title(folder: Path) -> str:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["name"]


def test_the_licence_names_the_developers():
    assert "Copyright (c) 2026 the OmniQ developers" in (ROOT / "LICENSE").read_text("utf-8")


def test_pyright_has_something_to_check():
    # It reports success for a folder that does not exist.
    assert [folder for folder in CONFIG["pyright"]["include"] if not list((ROOT / folder).glob("*.py"))] == []


def test_changelog_fragments_are_well_named():
    kinds = "|".join(kind["directory"] for kind in CONFIG["towncrier"]["type"])
    name = re.compile(rf"(\+[a-z0-9-]+|\d+)\.({kinds})\.md")
    fragments = {path.name for path in (ROOT / "changelog.d").iterdir()} - {"README.md"}
    assert [fragment for fragment in sorted(fragments) if not name.fullmatch(fragment)] == []


def test_the_changelog_has_the_place_where_releases_go():
    assert CONFIG["towncrier"]["start_string"] in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_page_that_the_code_names_exists():
    text = [path for pattern in ("*.py", "*.j2", "*.toml", "*.json", "*.sql") for path in tracked(pattern)]
    named = {name: path for path in text for name in PAGE.findall(path.read_text("utf-8"))}
    assert "docs/reference/contract.md" in named, "the code names no page, so nothing was checked"
    assert {name: str(path) for name, path in named.items() if not (ROOT / name).is_file()} == {}


def test_ci_runs_the_command_of_the_readme():
    command = "pip install uv && uv run nox"
    assert (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1] == command
    readme = (ROOT / "README.md").read_text("utf-8")
    assert command in readme or all(line in readme for line in command.split(" && "))
