"""Writes a new backend from the templates beside this module."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import attrs
from importlib_metadata import version

from omniq.storage.backend import BACKEND_API
from omniq.storage.plugins import list_backends
from omniq.storage.refusals import FIRST_PARTY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Names", "write_backend"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40
_FILES: Mapping[str, str] = {
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "package/__init__.py": "src/{package}/__init__.py",
    "package/blanks.py": "src/{package}/blanks.py",
    "package/conformance.py": "src/{package}/conformance.py",
    "package/options.py": "src/{package}/options.py",
    "package/plugin.py": "src/{package}/plugin.py",
    "package/results.py": "src/{package}/results.py",
    "package/role.py": "src/{package}/role.py",
    "package/task_queue.py": "src/{package}/task_queue.py",
    "tests/test_conformance.py": "tests/test_conformance.py",
}
"""Every template and where it is written to."""


@attrs.frozen
class Names:
    """What a backend is called where.

    Attributes:
        name: The `backend_type`, and the name of its entry points.
    """

    name: str

    @classmethod
    def of(cls, name: str) -> Names:
        """Check a name.

        Raises:
            ValueError: It cannot be used; the message says what can be.
        """
        meant = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("omniq")).strip("-0123456789")
        if not _NAME.fullmatch(name) or name.startswith("omniq-") or len(name) > _LONGEST:
            hint = f", such as {meant[:_LONGEST]!r}" if _NAME.fullmatch(meant) else ""
            msg = (
                f"{name!r} is no name of a backend. Use what comes after 'omniq-' in the distribution's name: at most "
                f"{_LONGEST} lower-case letters, digits and single hyphens, beginning with a letter{hint}."
            )
            raise ValueError(msg)
        taken = {listing.name: listing.distribution for listing in list_backends()}
        owner = FIRST_PARTY.get(name) or taken.get(name)
        if owner is not None:
            msg = f"There is a backend {name!r} already: {owner}. Choose another name, such as '{name}-two'."
            raise ValueError(msg)
        return cls(name)

    @property
    def distribution(self) -> str:
        """What pip installs."""
        return f"omniq-{self.name}"

    @property
    def package(self) -> str:
        """What is imported."""
        return f"omniq_{self.name.replace('-', '_')}"

    @property
    def prefix(self) -> str:
        """What the names of its classes begin with."""
        return "".join(part.capitalize() for part in self.name.split("-"))


def write_backend(names: Names, directory: Path) -> list[Path]:
    """Write the distribution into a folder `omniq-NAME` inside of `directory`, and return the files.

    Raises:
        FileExistsError: There is something at that folder's place; nothing was written.
    """
    folder = directory / names.distribution
    folder.mkdir(parents=True)
    written = []
    for template, place in _FILES.items():
        path = folder / place.format(package=names.package)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_rendered(template, names), encoding="utf-8")
        written.append(path)
    marker = folder / "src" / names.package / "py.typed"
    marker.touch()
    return [*written, marker]


def _rendered(template: str, names: Names) -> str:
    from jinja2 import Environment, StrictUndefined, select_autoescape

    # The templates are Python, TOML and Markdown: nothing is escaped.
    environment = Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=select_autoescape(enabled_extensions=()),
    )
    source = files(__package__).joinpath("templates", *f"{template}.j2".split("/")).read_text("utf-8")
    return environment.from_string(source).render(names=names, core=version("omniq-core"), api=BACKEND_API)
