from __future__ import annotations

import re

import pytest

from omniq_conformance import make_suite
from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import DivergenceError, Status, UnsupportedError, UnverifiedError, VacuousError
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import Case, Item, all_cases, items, register
from omniq_conformance.space import Mode


def item_that(error=None, *, modes=(Mode.SEPARATE,)):
    def check(trial):
        if error is not None:
            raise error

    return Item(Case(id="OQ-X-9999", title="Nothing.", modes=modes, check=check), Mode.SEPARATE)


@pytest.mark.parametrize(
    ("error", "status", "good"),
    [
        (None, Status.PASS, True),
        (DivergenceError("x"), Status.FAIL, False),
        (AssertionError("x"), Status.FAIL, False),
        (ZeroDivisionError("x"), Status.FAIL, False),
        (VacuousError("x"), Status.VACUOUS, False),
        (UnsupportedError("x"), Status.UNSUPPORTED, True),
        (UnverifiedError("x"), Status.UNVERIFIED, True),
    ],
)
def test_verdicts(harness, error, status, good):
    outcome = run_item(item_that(error), harness, PROFILES["smoke"])
    assert (outcome.status, outcome.status.is_good, outcome.error) == (status, good, error)
    what, _, where = outcome.reason.partition("\n")
    assert what == ("" if error is None else f"{type(error).__name__}: x")
    assert bool(where) == (type(error) in {AssertionError, ZeroDivisionError})


def test_ids_are_stable_in_form_and_titles_are_sentences():
    for case in all_cases():
        assert re.fullmatch(r"OQ-[QRESX]-\d{4}", case.id)
        assert re.fullmatch(r"[A-Z].*\.", case.title), case.id


def test_every_mode_of_a_case_has_an_id_of_its_own():
    ids = [item.id for item in items()]
    assert len(set(ids)) == len(ids)
    assert item_that().id == "OQ-X-9999"
    assert item_that(modes=tuple(Mode)).id == "OQ-X-9999-separate"


@pytest.mark.parametrize("id", ["OQ-Q-0101", "OQ-Z-0101", "OQ-Q-1"])
def test_ids_that_are_taken_or_malformed_are_refused(id):
    with pytest.raises(ValueError, match="is taken or no case id"):
        register(id, "Nothing.", lambda trial: None)


def test_a_suite_has_a_test_for_every_item(harness):
    suite = make_suite(harness)
    (mark,) = suite.test_conforms.pytestmark
    assert [param.id for param in mark.args[1]] == [item.id for item in items()]


def test_a_suite_fails_what_fails_and_says_why_it_cannot_tell(harness):
    suite = make_suite(harness, profile="smoke")()
    suite.test_conforms(item_that())
    with pytest.raises(AssertionError, match=r"OQ-X-9999 \(Nothing\.\): vacuous"):
        suite.test_conforms(item_that(VacuousError("never")))
    with pytest.raises(pytest.skip.Exception, match="unverified: UnverifiedError: no server"):
        suite.test_conforms(item_that(UnverifiedError("no server")))
