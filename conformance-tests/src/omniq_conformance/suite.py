"""The suite as a pytest class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import Item, items

if TYPE_CHECKING:
    from omniq_conformance.harness import Harness

__all__ = ["make_suite"]


def make_suite(harness: Harness, *, profile: str = "pr", seed: int = 0) -> type[Any]:
    """Return a pytest class with one test for every case; assign it to a name that begins with `Test`.

    Args:
        harness: The backend.
        profile: `smoke`, `pr` or `nightly`.
        seed: Of everything random; the default is the same in every run.
    """
    chosen = PROFILES[profile]

    @pytest.mark.parametrize("item", [pytest.param(item, id=item.id) for item in items()])
    def test_conforms(self: object, item: Item) -> None:
        del self
        outcome = run_item(item, harness, chosen, seed=seed)
        if outcome.status in {Status.UNSUPPORTED, Status.UNVERIFIED}:
            pytest.skip(f"{outcome.status}: {outcome.reason}")
        if not outcome.status.is_good:
            raise AssertionError(f"{item.id} ({item.case.title}): {outcome.status}") from outcome.error

    return type("ConformanceSuite", (), {"test_conforms": test_conforms, "__doc__": f"The {harness.backend} backend."})
