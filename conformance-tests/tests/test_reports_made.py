"""What is made of reports: differences, levels and badges."""

from __future__ import annotations

from itertools import pairwise

import pytest

from omniq_conformance.families import FAMILIES, Level
from omniq_conformance.outcomes import Status
from omniq_conformance.reports.badge import badge
from omniq_conformance.reports.diff import _ORDER, compare
from omniq_conformance.reports.jsonl import ReportError
from omniq_conformance.reports.levels import standings

ONE_OF_EACH = {f"OQ-Q-{number:02}01": "pass" for number in FAMILIES}
CORE, CONCURRENT, DURABLE = "OQ-Q-0501", "OQ-Q-0201", "OQ-Q-0401"


def changed(changes):
    return {change.id: (change.old, change.new) for change in changes}


# --------------------------------------------------------------------------------------------------- differences


def test_what_got_worse_and_better_is_told_by_item_with_the_reason(make_report):
    old = make_report({"OQ-Q-0501": "pass", "OQ-Q-0502": "fail", "OQ-Q-0503": "pass", "OQ-Q-0504": "unverified"})
    new = make_report({"OQ-Q-0501": "fail", "OQ-Q-0502": "pass", "OQ-Q-0503": "pass", "OQ-Q-0504": "vacuous"})
    found = compare(old, new)
    assert changed(found.worse) == {"OQ-Q-0501": ("pass", "fail"), "OQ-Q-0504": ("unverified", "vacuous")}
    assert changed(found.better) == {"OQ-Q-0502": ("fail", "pass")}
    assert [change.reason for change in found.worse] == ["because of fail", "because of vacuous"]
    assert (found.same, found.appeared, found.disappeared, found.headers) == (1, [], [], {})


def test_items_of_one_report_only_are_told_and_not_compared(make_report):
    found = compare(make_report({"OQ-Q-0501": "pass"}), make_report({"OQ-Q-0502": "fail"}))
    assert changed(found.appeared) == {"OQ-Q-0502": (None, "fail")}
    assert changed(found.disappeared) == {"OQ-Q-0501": ("pass", None)}
    assert (found.worse, found.better, found.same) == ([], [], 0)


def test_losing_support_or_the_proof_of_it_is_worse(make_report):
    order = ["pass", "unsupported", "provisional", "unverified", "known-issue", "vacuous", "error", "fail"]
    for better, worse in pairwise(order):
        found = compare(make_report({CORE: better}), make_report({CORE: worse}))
        assert changed(found.worse) == {CORE: (better, worse)}
    assert set(_ORDER) == set(Status)


def test_other_differences_of_the_runs_are_told(make_report):
    capabilities = {"task_queue": {"durability": "os_crash", "transaction_domain": "x:1", "server_version": "Acme 4"}}
    more = {"task_queue": {"durability": "none", "transaction_domain": "x:2", "server_version": "Acme 3.1"}}
    old = make_report({CORE: "pass"}, capabilities=more)
    new = make_report({CORE: "pass"}, server="Acme 4", seed=7, capabilities=capabilities)
    assert compare(old, new).headers == {
        "server": ("Acme 3.1", "Acme 4"),
        "seed": (0, 7),
        "task_queue.durability": ("none", "os_crash"),
    }


def test_reports_of_different_specifications_are_compared_within_one_major_only(make_report):
    old = make_report({CORE: "pass"}, spec="1.0")
    assert compare(old, make_report({CORE: "pass"}, spec="1.1")).headers == {"spec": ("1.0", "1.1")}
    with pytest.raises(ReportError, match=r"specifications 1\.0 and 2\.0"):
        compare(old, make_report({CORE: "pass"}, spec="2.0"))


# -------------------------------------------------------------------------------------------------------- levels


def reached(report):
    return [standing.level for standing in standings(report) if standing.is_reached]


def test_every_level_is_reached_if_all_passes(make_report):
    assert reached(make_report(ONE_OF_EACH)) == list(Level)


@pytest.mark.parametrize("status", ["fail", "error", "vacuous", "known-issue", "unverified"])
def test_one_item_that_is_no_pass_keeps_its_level_away(make_report, status):
    found = standings(make_report(ONE_OF_EACH | {DURABLE: status}))
    assert [standing.level for standing in found if not standing.is_reached] == [Level.DURABLE]
    assert found[3].missing == f"1 {status}"


@pytest.mark.parametrize("status", ["unsupported", "provisional"])
def test_what_is_unsupported_or_provisional_does_not_count_beside_a_pass(make_report, status):
    assert reached(make_report(ONE_OF_EACH | {"OQ-Q-0402": status})) == list(Level)
    found = standings(make_report(ONE_OF_EACH | {DURABLE: status}))
    assert (found[3].is_reached, found[3].missing) == (False, "nothing of it passed")


def test_without_core_there_is_no_level(make_report):
    found = standings(make_report(ONE_OF_EACH | {CORE: "unverified"}))
    assert [standing.missing for standing in found] == ["1 unverified", *["core is not reached"] * 4]


def test_a_part_of_the_suite_reaches_nothing(make_report):
    assert reached(make_report(ONE_OF_EACH, left_out=1)) == []
    found = standings(make_report({CORE: "pass"}, left_out=1))
    assert [standing.missing for standing in found] == [
        "only a part of the suite was run",
        *["nothing of it was run"] * 4,
    ]


# --------------------------------------------------------------------------------------------------------- badge


def test_a_badge_names_levels_and_has_no_percentage(make_report):
    assert badge(make_report(ONE_OF_EACH)) == {
        "schemaVersion": 1,
        "label": "OmniQ conformance 1.0",
        "message": "core ✓ concurrent ✓ crash-safe ✓ durable ✓ upgradable ✓",
        "color": "brightgreen",
        "isError": False,
    }


def test_a_badge_counts_what_is_unverified_and_known(make_report):
    found = badge(make_report(ONE_OF_EACH | {DURABLE: "unverified", "OQ-Q-1201": "known-issue"}))
    assert found["message"] == "core ✓ concurrent ✓ crash-safe ✓ · 1 unverified · 1 known-issue"
    assert found["color"] == "yellowgreen"


@pytest.mark.parametrize("status", ["fail", "error", "vacuous"])
def test_a_badge_is_red_for_anything_bad(make_report, status):
    found = badge(make_report(ONE_OF_EACH | {DURABLE: status}))
    assert found["message"] == f"1 {status} · core ✓ concurrent ✓ crash-safe ✓ upgradable ✓"
    assert (found["color"], found["isError"]) == ("red", True)


def test_a_badge_says_how_little_was_done(make_report):
    partial = badge(make_report({CORE: "pass"}, left_out=3, profile="smoke"))
    assert partial["message"] == "a part of the suite only · smoke profile"
    assert partial["color"] == "lightgrey"
    assert badge(make_report({CORE: "unverified"}))["message"] == "no level reached · 1 unverified"
