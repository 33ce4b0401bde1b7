"""The suite as a pytest class."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import Item, items

if TYPE_CHECKING:
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

    def setup_class(cls: type) -> None:
        del cls
        harness.__enter__()

    def teardown_class(cls: type) -> None:
        del cls
        harness.__exit__(None, None, None)

    @pytest.mark.parametrize("item", [pytest.param(item, id=item.id) for item in items()])
    def test_conforms(self: object, item: Item) -> None:
        del self
        pass_on(item, run_item(item, harness, chosen, seed=seed))

    members = {
        "__doc__": f"The {harness.backend} backend.",
        "setup_class": classmethod(setup_class),
        "teardown_class": classmethod(teardown_class),
        "test_conforms": test_conforms,
    }
    return type("ConformanceSuite", (_Fixed,), members)


class _Fixed:
    """A class of tests that subclasses may add to, but not change."""

    def __init_subclass__(cls) -> None:
        """Refuse a subclass of a suite that redefines a test, its setup or how pytest collects it.

        Raises:
            TypeError: It does.
        """
        fixed = {"setup_class", "teardown_class", "test_conforms", "pytestmark", "__test__"}
        suite = next((base for base in cls.__mro__[1:] if _Fixed in base.__bases__), None)
        changed = [name for name in fixed if suite is not None and _differs(cls, suite, name)]
        if changed:
            msg = (
                f"{cls.__name__} redefines {', '.join(sorted(changed))}, but what the suite checks is the same for "
                "every backend. Declare what is known to fail as a KnownIssue in the harness's `known_issues`; tests "
                "of your own get names of their own."
            )
            raise TypeError(msg)


def _differs(cls: type, suite: type, name: str) -> bool:
    return inspect.getattr_static(cls, name, None) is not inspect.getattr_static(suite, name, None)


def pass_on(item: Item, outcome: Outcome) -> None:
    """Tell pytest the verdict: what is neither a pass nor a failure is a skip that names its status and reason."""
    if not outcome.status.is_good:
        raise AssertionError(f"{item.id} ({item.case.title}): {outcome.status}: {outcome.reason}") from outcome.error
    if outcome.status is not Status.PASS:
        pytest.skip(f"{outcome.status}: {outcome.reason}")
