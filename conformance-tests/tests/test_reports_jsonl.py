"""Reports as files: what is written conforms to the published schema, and what is read is complete and right."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
from jsonschema import Draft202012Validator

from omniq_conformance.engine import run_conformance
from omniq_conformance.outcomes import Outcome, Status
from omniq_conformance.registry import items
from omniq_conformance.reports.jsonl import ReportError, ReportWriter, read_report, write_report
from omniq_conformance.reports.report import Line
from omniq_conformance.reports.schema import fault_of, schema

VERDICTS = {"OQ-Q-0101-joined": "pass", "OQ-Q-0101-separate": "fail", "OQ-E-0801": "unverified"}


@pytest.fixture
def written(make_report, tmp_path):
    path = tmp_path / "a.jsonl"
    write_report(make_report(VERDICTS, evidence={"OQ-E-0801": {"pages": 7}}), path)
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rewritten(path, change):
    """Let a function change the lines of a report."""
    lines = lines_of(path)
    changed = change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in (lines if changed is None else changed)), "utf-8")
    return path


def only_paging(item):
    return item.case.family.name == "paging"


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(schema())


def test_a_run_writes_a_report_that_conforms_to_the_schema(harness, tmp_path):
    path = tmp_path / "folder" / "run.jsonl"
    report = run_conformance(harness, profile="smoke", select=only_paging, report=path)
    validator = Draft202012Validator(schema())
    lines = lines_of(path)
    assert [list(validator.iter_errors(line)) for line in lines] == [[] for _ in lines]
    assert [line["kind"] for line in lines] == ["header", *["item"] * len(report.lines), "footer"]
    assert read_report(path) == report
    assert report.header.items == len(report.lines) == 5
    assert report.header.left_out > 100


def test_every_status_and_every_evidence_conforms_to_the_schema(make_report, tmp_path):
    verdicts = {f"OQ-Q-010{number}": status.value for number, status in enumerate(Status)}
    path = tmp_path / "all.jsonl"
    write_report(make_report(verdicts), path)
    assert read_report(path) == make_report(verdicts)
    item = next(items())
    odd = {"bytes": b"\0", "infinite": float("inf"), "set": {2, 1}, "nested": [{"status": Status.FAIL}], 3: None}
    line = Line.of(item, Outcome(id=item.id, status=Status.PASS, evidence=odd))
    assert fault_of("item", {"kind": "item", **attrs.asdict(line)}) is None
    assert line.evidence == {
        "bytes": "b'\\x00'",
        "infinite": "inf",
        "set": [1, 2],
        "nested": [{"status": "fail"}],
        "3": None,
    }


def test_lines_are_there_while_the_run_goes_on(harness, tmp_path):
    path = tmp_path / "run.jsonl"
    seen = []

    def look(item, outcome):
        seen.append([line["kind"] for line in lines_of(path)])

    run_conformance(harness, profile="smoke", select=only_paging, tell=look, report=path)
    assert seen == [["header", *["item"] * number] for number in range(5)]


def test_a_run_that_is_interrupted_leaves_a_report_without_a_footer(harness, tmp_path):
    path = tmp_path / "run.jsonl"

    def interrupt(item, outcome):
        if item.id == "OQ-Q-0801":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_conformance(harness, profile="smoke", select=only_paging, tell=interrupt, report=path)
    assert [line.get("id") for line in lines_of(path)] == [None, "OQ-E-0801", "OQ-E-0802"]
    with pytest.raises(ReportError, match=r"run\.jsonl:3: there is no footer after this line: the run did not end"):
        read_report(path)


def test_a_header_is_written_when_there_is_something_to_describe(tmp_path):
    with ReportWriter(tmp_path / "never.jsonl"):
        pass
    assert not (tmp_path / "never.jsonl").exists()


def swap_kind(lines):
    return lines[1:]


def cut_id(lines):
    del lines[1]["id"]


def duplicate(lines):
    return [*lines[:2], *lines[1:]]


def drop_item(lines):
    del lines[2]


def after_the_end(lines):
    return [*lines, lines[1]]


def set_in(number, name, value=True):  # noqa: FBT002 - one of the values that are wrong
    def change(lines):
        lines[number][name] = value

    return change


WRONG = {
    "unknown key": (
        set_in(1, "colour", "red"),
        r"a\.jsonl:2: item has 'colour', which this format does not know.*'red'",
    ),
    "missing key": (cut_id, r"a\.jsonl:2: item has no 'id'"),
    "wrong schema": (set_in(0, "schema", 2), r"a\.jsonl:1: header\.schema is 2, not 1"),
    "a boolean is no number": (set_in(0, "seed"), r"header\.seed is True, which is no integer"),
    "wrong status": (set_in(1, "status", "skipped"), r"a\.jsonl:2: item\.status is 'skipped', which is none of pass, "),
    "wrong id": (set_in(1, "id", "Q-1"), r"a\.jsonl:2: item\.id is 'Q-1', which does not match"),
    "negative": (set_in(1, "seconds", -1), r"item\.seconds is -1, which is less than 0"),
    "local time": (set_in(0, "started", "2026-11-22 06:00"), r"header\.started is '2026-11-22 06:00'"),
    "no header": (swap_kind, r"a\.jsonl:1: the kind of this line is 'item'; here the header was expected"),
    "two headers": (set_in(1, "kind", "header"), r"a\.jsonl:2: the kind of this line is 'header'; here an item"),
    "unknown kind": (set_in(1, "kind", "note"), r"a\.jsonl:2: the kind of this line is 'note'"),
    "no footer": (lambda lines: lines[:-1], r"a\.jsonl:4: there is no footer after this line: the run did not end"),
    "after the footer": (after_the_end, r"a\.jsonl:6: there is a line after the footer"),
    "duplicate": (duplicate, r"a\.jsonl:3: OQ-Q-0101-joined was already on line 2"),
    "dropped item": (drop_item, r"a\.jsonl:4: the header announces 3 items, and there are 2"),
    "counts": (set_in(4, "counts", {"pass": 3}), r"a\.jsonl:5: the footer counts \{'pass': 3\}, and there are"),
    "hash": (
        set_in(4, "items_sha256", "0" * 64),
        r"a\.jsonl:5: items_sha256 is 0{64}, and the items make [0-9a-f]{64}",
    ),
    "wrong case": (set_in(1, "case", "OQ-Q-0102"), r"a\.jsonl:2: the item OQ-Q-0101-joined is not of case OQ-Q-0102"),
    "wrong family": (set_in(1, "family", 2), r"a\.jsonl:2: the item .* is not of case OQ-Q-0101 and family 2"),
    "pass with a reason": (set_in(1, "reason", "luck"), r"a\.jsonl:2: .* is 'pass' with the reason 'luck'"),
    "fail without": (set_in(2, "reason", ""), r"a\.jsonl:3: .* is 'fail' with the reason ''"),
    "no object": (lambda lines: [lines[0], 3], r"a\.jsonl:2: '3' is no JSON object"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_file_line_and_value(written, change, message):
    with pytest.raises(ReportError, match=message):
        read_report(rewritten(written, change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty: the run did not begin"),
        (b"{}", "x.jsonl:1: the last line is cut off: the run did not end"),
        (b"{]\n", "x.jsonl:1: no JSON: "),
        (b'{"kind": NaN}\n', "x.jsonl:1: no JSON: NaN is no JSON value"),
        (b"\xff\n", "no UTF-8 text"),
    ],
)
def test_what_is_no_report_at_all_is_told(tmp_path, text, message):
    path = tmp_path / "x.jsonl"
    path.write_bytes(text)
    with pytest.raises(ReportError, match=message):
        read_report(path)


def test_a_family_of_a_newer_suite_is_told(written):
    def change(lines):
        lines[1] |= {"id": "OQ-Q-9901", "case": "OQ-Q-9901", "family": 99}

    with pytest.raises(ReportError, match=r"knows no family 99 \(of OQ-Q-9901\): install a newer one"):
        read_report(rewritten(written, change))


@pytest.mark.parametrize(
    "change", [set_in(1, "colour", "red"), set_in(0, "schema"), cut_id], ids=["unknown", "boolean", "missing"]
)
def test_our_reading_of_the_schema_is_that_of_everybody(written, change):
    lines = lines_of(rewritten(written, change))
    validator = Draft202012Validator(schema())
    for line in lines:
        assert (fault_of(line["kind"], line) is None) == validator.is_valid(line)


def test_the_schema_is_part_of_the_package():
    assert (Path(__file__).parents[1] / "src/omniq_conformance/reports/schema.json").is_file()
