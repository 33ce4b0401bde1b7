"""Reports as a static site: a matrix, and a page with the evidence for each of its cells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from omniq_conformance.families import FAMILIES
from omniq_conformance.outcomes import Status
from omniq_conformance.reports.matrix import GLYPHS, MEANINGS, matrix

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from omniq_conformance.reports.report import Report

__all__ = ["write_site"]

_PROGRAM = "program"


def write_site(reports: Iterable[Report], folder: str | os.PathLike[str]) -> Path:
    """Write the site; the same reports give the same bytes.

    Pages of an earlier site in the folder are replaced; other files in it stay.

    Returns:
        The first page.

    Raises:
        ReportError: There is no report, or they are of different specifications.
        OSError: The pages cannot be written.
    """
    columns = matrix(reports)
    pages = _environment()
    root = Path(folder)
    cells = root / "cells"
    if cells.is_dir():
        shutil.rmtree(cells)
    start = _write(root / "index.html", pages.get_template("index.html").render(columns=columns))
    for column in columns:
        for cell in column.cells.values():
            if cell.lines:
                text = pages.get_template("cell.html").render(column=column, cell=cell)
                _write(cells / column.slug / cell.page, text)
    return start


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("omniq_conformance.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "families": FAMILIES,
        "glyphs": GLYPHS,
        "meanings": MEANINGS,
        "bad": [status.value for status in Status if not status.is_good],
    }
    environment.filters |= {"value": _value, "facts": _facts, "program": _program, "moment": _moment, "web": _web}
    return environment


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _value(value: object) -> str:
    """Return a JSON value as a reader reads it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _facts(evidence: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _value(value)) for name, value in sorted(evidence.items()) if name != _PROGRAM]


def _program(evidence: dict[str, Any]) -> str:
    """Return the shortest program that fails, one operation per line; nothing if there is none."""
    program = evidence.get(_PROGRAM)
    ops = program.get("ops") if isinstance(program, dict) else None
    return "\n".join(json.dumps(op, ensure_ascii=False) for op in ops) if isinstance(ops, list) else ""


def _moment(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"


def _web(url: str) -> bool:
    return url.startswith(("https://", "http://"))
