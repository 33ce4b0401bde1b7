"""The suite as a pytest class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import Item, items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omniq_conformance.harness import Harness
    from omniq_conformance.outcomes import Outcome

__all__ = ["make_suite", "pass_on"]


def make_suite(harness: Harness, *, profile: str = "pr", seed: int = 0) -> type[Any]:
    """Return a pytest class with one test for every case; assign it to a name that begins with `Test`.

    Args:
        harness: The backend.
        profile: `smoke`, `pr` or `nightly`.
        seed: Of everything random; the default is the same in every run.
    """
    chosen = PROFILES[profile]

    @pytest.fixture(scope="class", autouse=True)
    def harness_is_up(self: object) -> Iterator[None]:
        del self
        with harness:
            yield

    @pytest.mark.parametrize("item", [pytest.param(item, id=item.id) for item in items()])
    def test_conforms(self: object, item: Item) -> None:
        del self
        pass_on(item, run_item(item, harness, chosen, seed=seed))

    members = {"harness_is_up": harness_is_up, "test_conforms": test_conforms}
    return type("ConformanceSuite", (), {**members, "__doc__": f"The {harness.backend} backend."})


def pass_on(item: Item, outcome: Outcome) -> None:
    """Tell pytest the verdict: what is neither a pass nor a failure is a skip that names its status and reason."""
    if not outcome.status.is_good:
        raise AssertionError(f"{item.id} ({item.case.title}): {outcome.status}: {outcome.reason}") from outcome.error
    if outcome.status is not Status.PASS:
        pytest.skip(f"{outcome.status}: {outcome.reason}")
