"""Breaks a backend in one place, and asks what a case says of it."""

from __future__ import annotations

from unittest.mock import patch

from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items

ITEMS = {item.id: item for item in items()}


def run(id, harness, profile="smoke"):
    """Run an item inside `with harness:`."""
    return run_item(ITEMS[id], harness, PROFILES[profile])


def outcome(id, harness, profile="smoke"):
    """Run an item."""
    with harness:
        return run(id, harness, profile)


def verdict(id, harness, profile="smoke"):
    """Run an item and return its status."""
    return outcome(id, harness, profile).status


def broken(owner, attribute, change):
    """Replace a function by `change`, which gets the original one before its arguments."""
    original = getattr(owner, attribute)
    return patch.object(owner, attribute, lambda *args, **more: change(original, *args, **more))


def assert_caught(id, harness, *bug, profile="smoke"):
    """Check that the item fails with the bug, which is what `broken` takes, and passes without."""
    with broken(*bug):
        assert verdict(id, harness, profile) is Status.FAIL
    assert verdict(id, harness) is Status.PASS
