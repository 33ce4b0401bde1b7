"""The command line but for `run`: what it prints, and which exit code it ends with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from omniq_conformance.cli.contract import ROLES, contract_of
from omniq_conformance.cli.root import COMMANDS, main
from omniq_conformance.families import FAMILIES
from omniq_conformance.programs.program import Program, op
from omniq_conformance.registry import all_cases, items
from omniq_conformance.reports.jsonl import write_report

CONTRACT = Path(__file__).resolve().parents[2] / "docs/reference/contract.md"


@pytest.fixture
def call(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)


@pytest.fixture
def report(make_report, tmp_path):
    def write(name, verdicts, **header):
        write_report(make_report(verdicts, **header), tmp_path / name)
        return tmp_path / name

    return write


# ----------------------------------------------------------------------------------------------------- the group


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_describes_its_options(name):
    command = main.get_command(click.Context(main), name)
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option) and option.name != "help":
            assert option.help, option.name


@pytest.mark.parametrize("name", [name for name, (target, _) in COMMANDS.items() if ".cli." in target])
def test_every_option_has_an_environment_variable(call, name):
    shown = call(name, "--help").output
    command = main.get_command(click.Context(main), name)
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert len(re.findall(r"OMNIQ_CONFORMANCE_[A-Z_]+", shown)) == len(options)


def test_help_lists_the_commands_and_imports_none_of_them():
    program = "import sys; from omniq_conformance.cli import main; main(['--help'])"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=True
    )
    assert [name for name in COMMANDS if f"  {name} " not in done.stdout] == []
    for module in ("hypothesis", "jinja2", "omniq_conformance.cases", "omniq_conformance.cli.run"):
        assert not re.search(rf"\| +{re.escape(module)}$", done.stderr, re.MULTILINE), module


def test_an_unknown_command_gets_the_closest_one_proposed(call):
    done = call("exlpain")
    assert done.exit_code == 2
    assert "No such command 'exlpain'. Did you mean 'explain'?" in done.output


# ------------------------------------------------------------------------------------------------- list, explain


def test_list_shows_every_case(call):
    shown = call("list").output
    assert [case.id for case in all_cases() if f"{case.id} " not in shown] == []
    assert f"{len(all_cases())} cases, {len(list(items()))} items" in shown


def test_list_takes_a_family_and_a_role(call):
    found = json.loads(call("list", "--family", "paging", "--role", "results", "--json").output)
    assert found == [
        {
            "id": "OQ-R-0801",
            "title": "Listing results by pages misses none and repeats none while others come and go.",
            "role": "results",
            "family": "paging",
            "level": "core",
            "modes": ["separate"],
            "provisional": False,
        }
    ]
    assert call("list", "--family", "pagin").exit_code == 2


def test_explain_shows_guarantee_contract_and_source(call):
    shown = call("explain", "OQ-Q-0801").output
    assert "Listing tasks by pages misses none and repeats none" in shown
    assert FAMILIES[8].guarantee in shown
    assert "3. TaskQueue operations; 4. Invariants: I11" in shown
    assert "async def tasks_under_writes(trial: Trial) -> None:" in shown
    assert re.search(r"cases/paging\.py:\d+", shown)


def test_explain_shows_the_program_of_a_template(call):
    shown = call("explain", "OQ-Q-0110-joined").output
    assert "modes      separate, joined" in shown
    assert "0  enqueue(specs=[{'id': 't0', 'queue': 'a'}])" in shown
    assert "it must have been seen: event LEASE_EXPIRED" in shown
    assert "def lease_boundary(" in shown


def test_cases_of_every_kind_can_be_explained(call):
    kinds = {(case.family.number, case.id[3], type(case.check)): case for case in all_cases()}
    for case in kinds.values():
        done = call("explain", case.id)
        assert done.exit_code == 0
        assert case.title in done.output
        assert "def " in done.output


@pytest.mark.parametrize(
    ("id", "meant"),
    [
        ("OQ-Q-801", "'OQ-Q-0801'"),
        ("oq-q-08011", "'OQ-Q-0801'"),
        ("OQ-X-1131", "'OQ-X-1101' or 'OQ-X-1111' or 'OQ-X-1113'"),
        ("OQ-Q-0801-joint", "'OQ-Q-0801'"),
        ("OQ-R-1010", None),
        ("OQ-Q-9999", None),
        ("OQ-Z-0101", None),
        ("paging", None),
        ("", None),
    ],
)
def test_for_an_unknown_case_only_those_are_proposed_that_a_slip_makes_of_it(call, id, meant):
    done = call("explain", id)
    assert done.exit_code == 2
    assert f"There is no case {id!r}." in done.output
    assert "See `omniq-conformance list`." in done.output
    if meant is None:
        assert "Did you mean" not in done.output
    else:
        assert f"Did you mean {meant}?" in done.output


def test_the_contract_has_the_sections_that_are_named():
    text = CONTRACT.read_text("utf-8")
    headings = set(re.findall(r"^## (\d+\. [^(\n]*[^(\s])", text, re.MULTILINE))
    invariants = set(re.findall(r"^(I\d+'?) ", text, re.MULTILINE))
    obligations = set(re.findall(r"^(\d+)\. \w+", text.partition("## 10.")[2], re.MULTILINE))
    for section in {section for case in all_cases() for section in contract_of(case)}:
        heading, _, parts = section.partition(": ")
        assert heading in headings
        known = obligations if heading.startswith("10.") else invariants
        assert not parts or set(parts.split(", ")) <= known, section
    assert set(ROLES) == set("QRESX")


# --------------------------------------------------------------------------------------------------------- files


def test_validate_tells_which_files_are_reports(call, report, tmp_path):
    good, bad = report("good.jsonl", {"OQ-Q-0501": "pass"}), tmp_path / "bad.jsonl"
    assert call("validate", good).exit_code == 0
    bad.write_text("".join(good.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
    done = call("validate", good, bad)
    assert done.exit_code == 1
    assert f"valid: {good}: acme, 1 pass" in done.output
    assert f"invalid: {bad}:2: there is no footer after this line: the run did not end." in done.output
    assert call("validate", tmp_path / "none.jsonl").exit_code == 2


def test_badge_is_printed_or_written(call, report, tmp_path):
    source = report("a.jsonl", {"OQ-Q-0501": "fail"})
    printed = call("badge", source).stdout
    assert json.loads(printed)["message"] == "1 fail · no level reached"
    assert call("badge", source, "-o", tmp_path / "made" / "badge.json").output == ""
    assert (tmp_path / "made" / "badge.json").read_text("utf-8") == printed


def test_site_is_written(call, report, tmp_path):
    done = call("site", report("a.jsonl", {"OQ-Q-0501": "pass"}), "-o", tmp_path / "site")
    assert (done.exit_code, done.output) == (0, f"1 report: {tmp_path / 'site' / 'index.html'}\n")
    assert (tmp_path / "site" / "cells" / "acme-3-1" / "05-values.html").is_file()


def test_what_cannot_be_used_is_one_message_and_exit_code_two(call, report, tmp_path):
    one, other = report("a.jsonl", {"OQ-Q-0501": "pass"}), report("b.jsonl", {"OQ-Q-0501": "pass"}, spec="2.0")
    for args in (("diff", one, other), ("site", one, other, "-o", tmp_path / "site")):
        done = call(*args)
        assert done.exit_code == 2
        assert done.stderr.startswith("Error: ")
        assert "specifications 1.0" in done.stderr
    other.write_text("", "utf-8")
    assert "b.jsonl: the file is empty" in call("badge", other).stderr
    (tmp_path / "file").write_text("")
    assert call("badge", one, "-o", tmp_path / "file" / "b.json").exit_code == 2


# ---------------------------------------------------------------------------------------------------------- diff


def test_diff_says_what_changed_and_fails_if_something_got_worse(call, report):
    old = report("old.jsonl", {"OQ-Q-0501": "pass", "OQ-Q-0502": "fail", "OQ-Q-0601": "pass"}, seed=1)
    new = report("new.jsonl", {"OQ-Q-0501": "vacuous", "OQ-Q-0502": "pass", "OQ-Q-0701": "pass"})
    done = call("diff", old, new)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "seed: 1 -> 0",
        "",
        "Worse: 1 item",
        "  OQ-Q-0501  pass -> vacuous  What OQ-Q-0501 guarantees.",
        "      because of vacuous",
        "",
        "Better: 1 item",
        "  OQ-Q-0502  fail -> pass  What OQ-Q-0502 guarantees.",
        "",
        "Only in the new report: 1 item",
        "  OQ-Q-0701  pass  What OQ-Q-0701 guarantees.",
        "",
        "Only in the old report: 1 item",
        "  OQ-Q-0601  pass  What OQ-Q-0601 guarantees.",
        "",
        "The reports have different items; what only one of them has was not compared.",
        "",
        "1 item worse, 1 better, 0 the same",
    ]
    found = json.loads(call("diff", old, new, "--json").output)
    assert [change["id"] for change in found["worse"]] == ["OQ-Q-0501"]
    assert found["headers"] == {"seed": [1, 0]}
    assert call("diff", new, old).exit_code == 1
    assert call("diff", old, old).exit_code == 0


# -------------------------------------------------------------------------------------------------------- replay


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.json"
    ops = (op("enqueue", specs=[{"id": "t0", "queue": "a"}]), op("claim", queues=["a"], limit=1, worker="w", lease=9))
    path.write_text(Program("queue", "separate", ops).to_json(), "utf-8")
    return path


def test_replay_runs_a_program_on_a_backend(call, program):
    done = call("replay", program, "--backend", "memory")
    assert done.exit_code == 0
    assert "queue program, separate:\n  enqueue(specs=[{'id': 't0', 'queue': 'a'}])" in done.output
    assert "GOOD: all answers to 2 operations are the contract's" in done.output


def test_replay_shows_where_a_backend_goes_wrong(call, program, monkeypatch):
    from omniq_memory.task_table import TaskTable

    monkeypatch.setattr(TaskTable, "claim", lambda *args: [])
    done = call("replay", program, "--backend", "memory")
    assert done.exit_code == 1
    assert "in operation 1, claim(queues=['a'], limit=1, worker='w', lease=9)" in done.output
    assert "NOT GOOD: memory does something else" in done.output


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', '{"format": 1, "family": "queue", "mode": "x", "ops": 3}'])
def test_replay_refuses_what_is_no_program(call, tmp_path, text):
    (tmp_path / "p.json").write_text(text, "utf-8")
    done = call("replay", tmp_path / "p.json", "--backend", "memory")
    assert done.exit_code == 2
    assert "p.json holds no program" in done.output
