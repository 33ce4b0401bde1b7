"""Versions, pins, and every list of packages in the repository agree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


CONFIG = load(ROOT)
MEMBERS = CONFIG["tool"]["uv"]["workspace"]["members"]
MANIFESTS = {name: load(ROOT / name) for name in MEMBERS}
PROJECTS = {manifest["project"]["name"]: manifest for manifest in (CONFIG, *MANIFESTS.values())}
VERSION = CONFIG["project"]["version"]


def requirements(manifest: dict) -> list[str]:
    """Every requirement of a manifest, whoever it is for."""
    project = manifest["project"]
    extras = project.get("optional-dependencies", {}).values()
    groups = manifest.get("dependency-groups", {}).values()
    found = [*project.get("dependencies", []), *(r for extra in extras for r in extra)]
    return found + [r for group in groups for r in group if isinstance(r, str)]


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement).group().lower()


def packages() -> list[str]:
    """The import package of every member."""
    return sorted(p.name for member in MEMBERS for p in (ROOT / member / "src").iterdir())


def test_every_folder_with_a_manifest_is_a_member():
    manifests = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]
    assert sorted(str(path.parent.relative_to(ROOT)) for path in manifests) == sorted(MEMBERS)


def test_every_distribution_resolves_to_this_workspace():
    assert {name: {"workspace": True} for name in PROJECTS} == CONFIG["tool"]["uv"]["sources"]


@pytest.mark.parametrize("name", sorted(PROJECTS))
def test_versions_agree(name):
    assert PROJECTS[name]["project"]["version"] == VERSION
    assert PROJECTS[name]["project"]["requires-python"] == CONFIG["project"]["requires-python"]


def test_the_root_pins_its_siblings_exactly():
    project = CONFIG["project"]
    extras = project["optional-dependencies"].values()
    pins = [*project["dependencies"], *(pin for extra in extras for pin in extra)]
    assert [pin for pin in pins if pin != f"{name_of(pin)}=={VERSION}"] == []
    assert [pin for pin in pins if name_of(pin) not in PROJECTS] == []


@pytest.mark.parametrize("member", MEMBERS)
def test_members_follow_the_core_of_their_version(member):
    if member == "omniq-core":
        return
    pins = [r for r in requirements(MANIFESTS[member]) if name_of(r).startswith("omniq")]
    assert pins == [f"omniq-core~={VERSION}"]


def test_the_core_needs_none_of_its_siblings():
    assert [r for r in requirements(MANIFESTS["omniq-core"]) if name_of(r) in PROJECTS] == []


def test_nothing_requires_a_distribution_called_omniq():
    # On the public index that name belongs to somebody else, whose package overwrites `import omniq`.
    named = {name: [r for r in requirements(manifest) if name_of(r) == "omniq"] for name, manifest in PROJECTS.items()}
    assert {name: found for name, found in named.items() if found} == {}


def test_only_the_core_owns_the_import_name():
    owners = [member for member in MEMBERS if (ROOT / member / "src" / "omniq").exists()]
    assert owners == ["omniq-core"]
    assert CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"] == {"bypass-selection": True}


def test_every_backend_but_the_examples_is_in_the_extra_all():
    backends = {
        manifest["project"]["name"]
        for member, manifest in MANIFESTS.items()
        if "omniq.backends" in manifest["project"].get("entry-points", {}) and not member.startswith("examples/")
    }
    in_all = CONFIG["project"]["optional-dependencies"]["all"]
    assert {name_of(pin) for pin in in_all} == backends


def test_every_package_is_checked():
    tool = CONFIG["tool"]
    sources = sorted(f"{member}/src" for member in MEMBERS)
    assert sorted(tool["importlinter"]["root_packages"]) == packages()
    assert sorted(path for path in tool["mypy"]["files"] if path.endswith("/src")) == sources
    assert sorted(tool["mypy"]["mypy_path"]) == sources
    tests = {f"{member}/tests" for member in MEMBERS if (ROOT / member / "tests").is_dir()}
    assert tests <= set(tool["pytest"]["testpaths"])


def test_every_backend_is_under_the_import_rules():
    contracts = {contract["id"]: contract for contract in CONFIG["tool"]["importlinter"]["contracts"]}
    backends = [p for p in packages() if p not in {"omniq", "omniq_conformance"}]
    assert sorted(contracts["plugin-api-only"]["source_modules"]) == backends
    assert sorted(contracts["backends-independent"]["modules"]) == backends
    assert set(backends) <= set(contracts["core-knows-no-backend"]["forbidden_modules"])


def test_every_core_module_is_plugin_api_or_forbidden_to_backends():
    contracts = {contract["id"]: contract for contract in CONFIG["tool"]["importlinter"]["contracts"]}
    forbidden = set(contracts["plugin-api-only"]["forbidden_modules"])
    source = ROOT / "omniq-core" / "src" / "omniq"
    modules = {p.stem for p in source.glob("*.py")} | {p.parent.name for p in source.glob("*/*.py")}
    allowed = {"errors", "models", "serialization", "clock", "storage"}
    private = {module for module in modules if module.startswith("_")}
    unplaced = {m for m in modules - allowed - private if f"omniq.{m}" not in forbidden}
    assert unplaced == set()


def bump(root: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "bump.py"), version, "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path):
    for folder in (".", *MEMBERS):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / folder / "pyproject.toml", tmp_path / folder)
    return tmp_path


def test_bump_moves_every_version_and_pin(copy):
    done = bump(copy, "7.8.9")
    assert (done.returncode, done.stderr) == (0, "")
    for folder in (".", *MEMBERS):
        manifest = load(copy / folder)
        assert manifest["project"]["version"] == "7.8.9"
        pins = [r for r in requirements(manifest) if re.match(r"omniq[a-z-]*[=~]=", r)]
        assert [pin for pin in pins if not pin.endswith("=7.8.9")] == []
    bump(copy, VERSION)
    for folder in (".", *MEMBERS):
        assert (copy / folder / "pyproject.toml").read_bytes() == (ROOT / folder / "pyproject.toml").read_bytes()


def test_bump_refuses_what_is_no_version(copy):
    done = bump(copy, "v2")
    assert done.returncode == 1
    assert done.stderr == "bump: not a version like 1.2.3 or 1.2.3rc1: 'v2'\n"
