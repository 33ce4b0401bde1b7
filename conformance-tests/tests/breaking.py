"""Breaks a backend in one place, and asks what a case says of it."""

from __future__ import annotations

from unittest.mock import patch

from omniq_conformance.engine import run_item
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items

ITEMS = {item.id: item for item in items()}


def outcome(id, harness, profile="smoke"):
    """Run an item."""
    with harness:
        return run_item(ITEMS[id], harness, PROFILES[profile])


def verdict(id, harness, profile="smoke"):
    """Run an item and return its status."""
    return outcome(id, harness, profile).status


def broken(owner, attribute, change):
    """Replace a function by `change`, which gets the original one before its arguments."""
    original = getattr(owner, attribute)
    return patch.object(owner, attribute, lambda *args, **more: change(original, *args, **more))
