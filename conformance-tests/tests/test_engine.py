"""Verdicts, declared failures, and runs of the whole suite."""

from __future__ import annotations

import asyncio

import pytest

from omniq_conformance import Harness, KnownIssue, run_conformance
from omniq_conformance.discovery import find_harness, harness_names
from omniq_conformance.engine import chosen_items, run_item
from omniq_conformance.families import FAMILIES
from omniq_conformance.outcomes import Status, VacuousError
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import Case, Item, items
from omniq_conformance.space import Mode
from omniq_memory.conformance import MemoryHarness

QUICK = "OQ-Q-0702"


def item_that(error=None, *, provisional=False):
    def check(trial):
        trial.evidence["points"] = 3
        if error is not None:
            raise error

    case = Case(id="OQ-X-0199", title="Nothing.", modes=(Mode.SEPARATE,), check=check, provisional=provisional)
    return Item(case, Mode.SEPARATE)


def harness_with(*issues):
    class Declaring(MemoryHarness):
        known_issues = issues

    return Declaring()


def issue(id="OQ-X-0199", expires="2999-01-01"):
    return KnownIssue(id, "https://example.org/7", "Counts from one.", expires)


def verdict(item, harness):
    return run_item(item, harness, PROFILES["smoke"])


def test_what_a_case_notes_is_in_its_outcome(harness):
    assert verdict(item_that(), harness).evidence == {"points": 3}
    assert verdict(item_that(AssertionError("x")), harness).evidence == {"points": 3}


def test_a_known_issue_that_fails_is_no_failure_and_says_why():
    outcome = verdict(item_that(AssertionError("off by one")), harness_with(issue()))
    assert (outcome.status, outcome.status.is_good) == (Status.KNOWN_ISSUE, True)
    assert outcome.reason.startswith(
        "Counts from one. (https://example.org/7, until 2999-01-01) AssertionError: off by one\nin tests/test_engine"
    )


def test_a_known_issue_that_passes_is_a_failure():
    outcome = verdict(item_that(), harness_with(issue()))
    assert outcome.status is Status.FAIL
    assert "Remove that KnownIssue" in outcome.reason


def test_a_known_issue_ends():
    outcome = verdict(item_that(AssertionError("off by one")), harness_with(issue(expires="2026-01-01")))
    assert outcome.status is Status.FAIL
    assert outcome.reason.startswith("The known issue https://example.org/7 was accepted until 2026-01-01.")


def test_a_known_issue_excuses_no_vacuous_run_and_no_other_case():
    vacuous = item_that(VacuousError("never"))
    assert verdict(vacuous, harness_with(issue())).status is Status.VACUOUS
    failing = item_that(AssertionError("x"))
    assert verdict(failing, harness_with(issue("OQ-X-0198"))).status is Status.FAIL


@pytest.mark.parametrize("covered", ["OQ-Q-0101", "OQ-Q-0101-separate", "OQ-Q-0101-joined"])
def test_a_known_issue_covers_a_case_in_all_modes(covered):
    assert issue("OQ-Q-0101").covers(covered)
    assert issue("OQ-Q-0101-joined").covers(covered) is (covered == "OQ-Q-0101-joined")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("Q-1", "https://example.org", "why", "2999-01-01"), "is no case id"),
        (("OQ-Q-0101", " ", "why", "2999-01-01"), "needs a url"),
        (("OQ-Q-0101", "https://example.org", "", "2999-01-01"), "needs a reason"),
        (("OQ-Q-0101", "https://example.org", "why", "soon"), "Invalid isoformat string: 'soon'"),
    ],
)
def test_a_known_issue_is_complete(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        KnownIssue(*arguments)


def test_a_provisional_case_does_not_fail_a_build(harness):
    outcome = verdict(item_that(AssertionError("x"), provisional=True), harness)
    assert (outcome.status, outcome.status.is_good) == (Status.PROVISIONAL, True)
    assert outcome.reason.startswith("fail, which counts from the next release on: AssertionError: x\nin ")
    assert verdict(item_that(provisional=True), harness).status is Status.PASS


def test_the_first_error_of_a_group_is_told(harness):
    async def off_by_one():
        assert [1] == [2]

    async def check(trial):
        async with asyncio.TaskGroup() as group:
            group.create_task(off_by_one())

    case = Case(id="OQ-X-0199", title="Nothing.", modes=(Mode.SEPARATE,), check=lambda trial: asyncio.run(check(trial)))
    reason = verdict(Item(case, Mode.SEPARATE), harness).reason
    assert reason.startswith("ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\nThe first: AssertionE")
    assert reason.endswith(": assert [1] == [2]")


def test_every_case_has_a_family():
    assert {item.case.family for item in items()} <= set(FAMILIES.values())


def chosen(item):
    return item.case.family.name in {"deadlines", "order"}


def test_a_run_makes_a_report_and_tells_as_it_goes(harness):
    told = []
    report = run_conformance(harness, profile="smoke", select=chosen, tell=lambda item, outcome: told.append(item.id))
    assert told == [line.id for line in report.lines]
    assert report.is_good
    assert report.footer.counts == {"pass": len(told)}
    assert (report.header.backend, report.header.profile) == ("memory", "smoke")
    assert report.header.capabilities["task_queue"]["durability"] == "none"
    assert report.header.distribution.startswith("omniq-memory ")


def test_a_profile_may_leave_out_what_is_not_asked_for(harness):
    def is_upgrade(item):
        return item.case.family.name == "upgrade"

    smoke = [item.id for item in chosen_items(PROFILES["smoke"])]
    assert not any(id.startswith(("OQ-X-03", "OQ-X-12", "OQ-Q-0204")) for id in smoke)
    assert chosen_items(PROFILES["pr"]) == list(items())
    report = run_conformance(harness, profile="smoke", select=is_upgrade)
    assert [line.case[:7] for line in report.lines] == ["OQ-X-12"] * len(report.lines)
    assert (len(report.lines), report.header.left_out) == (report.header.items, len(list(items())) - len(report.lines))


def test_several_processes_find_the_same(harness):
    alone = run_conformance(harness, profile="smoke", select=chosen)
    together = run_conformance(harness, profile="smoke", select=chosen, jobs=2)
    assert [(line.id, line.status) for line in together.lines] == [(line.id, line.status) for line in alone.lines]


def test_harnesses_are_found_by_entry_point_or_by_module():
    assert {"memory", "sqlite"} <= set(harness_names())
    assert type(find_harness("memory")) is MemoryHarness
    assert type(find_harness("omniq_memory.conformance:MemoryHarness")) is MemoryHarness
    assert find_harness("sqlite", "some/folder").url == "some/folder"


def test_a_harness_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"called 'sqlit'\. Did you mean 'sqlite'\? Installed: .*memory, .*sqlite"):
        find_harness("sqlit")
    with pytest.raises(TypeError, match=r"'omniq_memory\.plugin:omniq_backend_info' is .*no subclass of"):
        find_harness("omniq_memory.plugin:omniq_backend_info")


def test_another_url_makes_another_harness():
    first = find_harness("sqlite", "one")
    second = first.at("two")
    assert (first.url, second.url, type(second)) == ("one", "two", type(first))
    assert isinstance(second, Harness)
