"""Reports as files: JSON lines, written as the run goes on, and read strictly."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from omniq_conformance.families import FAMILIES
from omniq_conformance.reports.report import Footer, Header, Line, Report, hash_of
from omniq_conformance.reports.schema import fault_of

if TYPE_CHECKING:
    import os
    from types import TracebackType
    from typing import TextIO

__all__ = ["ReportError", "ReportWriter", "read_report", "write_report"]

_KINDS: dict[type, str] = {Header: "header", Line: "item", Footer: "footer"}


class ReportError(ValueError):
    """A file is no valid report; the message names the file, the line and the value."""


class ReportWriter:
    """Writes the parts of a report into a file, each at once, so that a crash leaves a report without a footer.

    Args:
        path: The file, which is replaced when the header is written; missing folders are made.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file: TextIO | None = None

    def write(self, part: Header | Line | Footer) -> None:
        """Append a part.

        Raises:
            OSError: The file cannot be written.
        """
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", newline="\n")
        self._file.write(_text(part))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def write_report(report: Report, path: str | os.PathLike[str]) -> None:
    """Write a whole report.

    Raises:
        OSError: The file cannot be written.
    """
    with ReportWriter(path) as writer:
        writer.write(report.header)
        for line in report.lines:
            writer.write(line)
        writer.write(report.footer)


def read_report(path: str | os.PathLike[str]) -> Report:
    """Read a report, and check all of it.

    Raises:
        OSError: The file cannot be read.
        ReportError: It is no valid report.
    """
    name = str(path)
    lines = [_object(name, number, text) for number, text in enumerate(_texts(name, Path(path)), 1)]
    _check_kinds(name, lines)
    for number, line in enumerate(lines, 1):
        fault = fault_of(line["kind"], line)
        if fault is not None:
            raise ReportError(f"{name}:{number}: {fault}.")
    header, *items, footer = ({key: value for key, value in line.items() if key != "kind"} for line in lines)
    report = Report(
        Header(**{**header, "known_issues": tuple(header["known_issues"])}),
        tuple(Line(**item) for item in items),
        Footer(**footer),
    )
    _check_items(name, report)
    _check_totals(name, report)
    return report


def _text(part: Header | Line | Footer) -> str:
    line = {"kind": _KINDS[type(part)], **attrs.asdict(part)}
    return json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"


def _texts(name: str, path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ReportError(f"{name}: this is no UTF-8 text, so no report: {error}.") from error
    if not text:
        raise ReportError(f"{name}: the file is empty: the run did not begin.")
    *lines, rest = text.split("\n")
    if rest:
        raise ReportError(f"{name}:{len(lines) + 1}: the last line is cut off: the run did not end.")
    return lines


def _object(name: str, number: int, text: str) -> dict[str, Any]:
    def refuse(value: str) -> None:
        raise ValueError(f"{value} is no JSON value")

    try:
        found = json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise ReportError(f"{name}:{number}: no JSON: {error}: {text[:80]!r}") from error
    if not isinstance(found, dict):
        raise ReportError(f"{name}:{number}: {text[:80]!r} is no JSON object.")
    return found


def _check_kinds(name: str, lines: list[dict[str, Any]]) -> None:
    for number, line in enumerate(lines, 1):
        kind = line.get("kind")
        if (kind == "header") != (number == 1) or kind not in set(_KINDS.values()):
            expected = "an item or the footer" if number > 1 else "the header"
            raise ReportError(f"{name}:{number}: the kind of this line is {kind!r}; here {expected} was expected.")
        if kind == "footer" and number < len(lines):
            raise ReportError(f"{name}:{number + 1}: there is a line after the footer.")
    if lines[-1]["kind"] != "footer":
        raise ReportError(f"{name}:{len(lines)}: there is no footer after this line: the run did not end.")


def _check_items(name: str, report: Report) -> None:
    seen: dict[str, int] = {}
    for number, line in enumerate(report.lines, 2):
        fault = None
        if line.id in seen:
            fault = f"{line.id} was already on line {seen[line.id]}"
        elif not line.id.startswith(line.case) or int(line.case[5:7]) != line.family:
            fault = f"the item {line.id} is not of case {line.case} and family {line.family}"
        elif line.family not in FAMILIES:
            fault = f"this version of the suite knows no family {line.family} (of {line.id}): install a newer one"
        elif (line.status == "pass") == bool(line.reason):
            fault = f"{line.id} is {line.status!r} with the reason {line.reason!r}; all but a pass has a reason"
        if fault is not None:
            raise ReportError(f"{name}:{number}: {fault}.")
        seen[line.id] = number


def _check_totals(name: str, report: Report) -> None:
    ids = [line.id for line in report.lines]
    counts = dict(Counter(line.status for line in report.lines))
    place = f"{name}:{len(ids) + 2}"
    if len(ids) != report.header.items:
        raise ReportError(f"{place}: the header announces {report.header.items} items, and there are {len(ids)}.")
    if dict(report.footer.counts) != counts:
        raise ReportError(f"{place}: the footer counts {dict(report.footer.counts)}, and there are {counts}.")
    if report.footer.items_sha256 != hash_of(ids):
        raise ReportError(f"{place}: items_sha256 is {report.footer.items_sha256}, and the items make {hash_of(ids)}.")
