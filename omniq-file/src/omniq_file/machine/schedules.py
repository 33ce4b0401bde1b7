"""What a schedule storage decides; there are few schedules, so whatever has an order sorts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from omniq.models.schedule import Schedule
    from omniq.storage.schedules import Advance
    from omniq_file.machine.transaction import Transaction
    from omniq_file.machine.view import View

__all__ = ["advance_schedule", "delete_schedule", "due_schedules", "next_due", "put_schedule", "set_paused"]


def put_schedule(tx: Transaction, schedule: Schedule, expected_version: int | None) -> Schedule | None:
    """Store a definition, unless another version than the expected one is there."""
    old = tx.view.schedules.get(schedule.id)
    if expected_version is not None and expected_version != (0 if old is None else old.version):
        return None
    if old is None:
        return _change(tx, schedule, version=tx.now, created_at=tx.now)
    return _change(tx, schedule, version=old.version + 1, created_at=old.created_at)


def advance_schedule(tx: Transaction, step: Advance) -> bool:
    """Move a schedule on if its version is the expected one."""
    old = tx.view.schedules.get(step.id)
    if old is None or old.version != step.expected_version:
        return False
    last_run = old.last_run if step.last_run is None else step.last_run
    _change(tx, old, version=old.version + 1, next_run=step.next_run, last_run=last_run, runs=old.runs + step.fired)
    return True


def set_paused(tx: Transaction, schedule_id: str, *, paused: bool) -> Schedule | None:
    """Pause or resume; None if there is nothing to change."""
    old = tx.view.schedules.get(schedule_id)
    if old is None or old.paused is paused:
        return None
    return _change(tx, old, version=old.version + 1, paused=paused)


def due_schedules(view: View, now: int, limit: int) -> list[Schedule]:
    """Return what is due, by (next_run, id)."""
    runs = [(each.next_run, each.id, each) for each in view.schedules.values() if not each.paused]
    due = sorted((run, key, each) for run, key, each in runs if run is not None and run <= now)
    return [each for _, _, each in due[: max(limit, 0)]]


def next_due(view: View) -> int | None:
    """Return when the next one is due."""
    runs = (each.next_run for each in view.schedules.values() if not each.paused)
    return min((run for run in runs if run is not None), default=None)


def _change(tx: Transaction, schedule: Schedule, **values: Any) -> Schedule:
    changed = attrs.evolve(schedule, **values)
    tx.schedule(changed)
    return changed


def delete_schedule(tx: Transaction, schedule_id: str) -> bool:
    """Remove a schedule, and tell whether it was there."""
    is_there = schedule_id in tx.view.schedules
    tx.drop_schedules([schedule_id] * is_there)
    return is_there
