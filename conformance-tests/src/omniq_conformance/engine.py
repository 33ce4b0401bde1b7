"""Runs an item and gives the verdict; every front door goes through here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from omniq_conformance.outcomes import Outcome, Status, UnsupportedError, UnverifiedError, VacuousError
from omniq_conformance.registry import Trial

if TYPE_CHECKING:
    from omniq_conformance.harness import Harness
    from omniq_conformance.profiles import Profile
    from omniq_conformance.registry import Item

__all__ = ["run_item"]


def run_item(item: Item, harness: Harness, profile: Profile, *, seed: int = 0) -> Outcome:
    """Run one case in one mode."""
    started = time.perf_counter()
    status = Status.PASS
    error: Exception | None = None
    try:
        item.case.check(Trial(harness, item.mode, profile, seed))
    except VacuousError as vacuous:
        status, error = Status.VACUOUS, vacuous
    except UnsupportedError as unsupported:
        status, error = Status.UNSUPPORTED, unsupported
    except UnverifiedError as unverified:
        status, error = Status.UNVERIFIED, unverified
    except Exception as failure:  # noqa: BLE001 - a backend may raise anything, and all of it is a failure
        status, error = Status.FAIL, failure
    return Outcome(
        id=item.id,
        status=status,
        reason="" if error is None else f"{type(error).__name__}: {error}",
        error=error,
        duration=time.perf_counter() - started,
    )
