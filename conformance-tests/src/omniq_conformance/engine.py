"""Runs items and gives the verdicts; every front door goes through here."""

from __future__ import annotations

import datetime as dt
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from omniq_conformance.outcomes import (
    DivergenceError,
    HarnessError,
    Outcome,
    Status,
    UnsupportedError,
    UnverifiedError,
    VacuousError,
    named,
)
from omniq_conformance.profiles import PROFILES
from omniq_conformance.references import reference_to
from omniq_conformance.registry import Trial, items
from omniq_conformance.reports.description import describe
from omniq_conformance.reports.jsonl import ReportWriter
from omniq_conformance.reports.report import Report

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from omniq_conformance.harness import Harness
    from omniq_conformance.profiles import Profile
    from omniq_conformance.registry import Item

__all__ = ["run_conformance", "run_item"]

_SPECIAL: dict[type[Exception], Status] = {
    HarnessError: Status.ERROR,
    VacuousError: Status.VACUOUS,
    UnsupportedError: Status.UNSUPPORTED,
    UnverifiedError: Status.UNVERIFIED,
}


def run_conformance(
    harness: Harness,
    *,
    profile: str = "pr",
    seed: int = 0,
    select: Callable[[Item], bool] | None = None,
    tell: Callable[[Item, Outcome], object] | None = None,
    jobs: int = 1,
    report: str | os.PathLike[str] | None = None,
) -> Report:
    """Run the suite on a backend.

    Args:
        harness: The backend.
        profile: `smoke`, `pr` or `nightly`.
        seed: Of everything random; the default is the same in every run.
        select: Which items to run; all of them by default.
        tell: Called with each item and its verdict, as soon as it is there.
        jobs: In how many processes; each one makes a harness of its own, which has to be picklable then.
        report: The file that the report is written to, line by line as the run goes on.

    Raises:
        HarnessError: The harness could not be started, or no store opened or destroyed, so nothing was run.
        UnverifiedError: The server that the harness needs cannot be started here.
        OSError: The report cannot be written.
    """
    chosen = PROFILES[profile]
    every = list(items())
    wanted = [item for item in every if select is None or select(item)]
    reference = reference_to(harness) if jobs > 1 else None
    with ExitStack() as stack:
        _start(harness, stack)
        write = None if report is None else stack.enter_context(ReportWriter(report)).write
        header = describe(harness, chosen, seed, items=len(wanted), left_out=len(every) - len(wanted))
        if reference is None:
            verdicts: Iterable[tuple[Item, Outcome]] = (
                (item, run_item(item, harness, chosen, seed=seed)) for item in wanted
            )
        else:
            from omniq_conformance.parallel import run_in_processes

            verdicts = run_in_processes(wanted, reference, profile, seed, jobs)
        return Report.of(header, _told(verdicts, tell), write)


def _start(harness: Harness, stack: ExitStack) -> None:
    try:
        stack.enter_context(harness)
    except UnverifiedError:
        raise
    except Exception as error:
        msg = f"Starting {type(harness).__name__} raised {named(error)}"
        raise HarnessError(msg) from error


def _told(
    verdicts: Iterable[tuple[Item, Outcome]], tell: Callable[[Item, Outcome], object] | None
) -> Iterator[tuple[Item, Outcome]]:
    for item, outcome in verdicts:
        if tell is not None:
            tell(item, outcome)
        yield item, outcome


def run_item(item: Item, harness: Harness, profile: Profile, *, seed: int = 0) -> Outcome:
    """Run one case in one mode, inside `with harness:`."""
    started = time.perf_counter()
    trial = Trial(harness, item.mode, profile, seed)
    status = Status.PASS
    error: Exception | None = None
    try:
        item.case.check(trial)
    except Exception as failure:  # noqa: BLE001 - a backend may raise anything, and all of it is a failure
        status, error = _SPECIAL.get(type(failure), Status.FAIL), failure
    outcome = Outcome(
        id=item.id,
        status=status,
        reason="" if error is None else _reason(error),
        error=error,
        duration=time.perf_counter() - started,
        evidence={**trial.evidence, **getattr(error, "evidence", {})},
    )
    return _judged(item, outcome, harness)


def _reason(error: Exception) -> str:
    """Return what was raised, and where, unless the message itself says all."""
    if isinstance(error, ExceptionGroup):
        return f"{named(error)}\nThe first: {_reason(error.exceptions[0])}"
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, (DivergenceError, *_SPECIAL)) or not frames:
        return named(error)
    last = frames[-1]
    place = "/".join(Path(last.filename).parts[-2:])
    return f"{named(error)}\nin {place}:{last.lineno}: {last.line}"


def _judged(item: Item, outcome: Outcome, harness: Harness) -> Outcome:
    """Apply what the author and the release say about the case."""
    known = next((issue for issue in harness.known_issues if issue.covers(item.id)), None)
    if known is not None and outcome.status in {Status.FAIL, Status.PASS}:
        if outcome.status is Status.PASS:
            why = f"It passes, but is declared as a known issue ({known.url}). Remove that KnownIssue."
            return attrs.evolve(outcome, status=Status.FAIL, reason=why)
        if known.is_over(dt.datetime.now(dt.UTC).date()):
            why = f"The known issue {known.url} was accepted until {known.expires}. {outcome.reason}"
            return attrs.evolve(outcome, reason=why)
        why = f"{known.reason} ({known.url}, until {known.expires}) {outcome.reason}"
        return attrs.evolve(outcome, status=Status.KNOWN_ISSUE, reason=why)
    if item.case.provisional and not outcome.status.is_good:
        why = f"{outcome.status}, which counts from the next release on: {outcome.reason}"
        return attrs.evolve(outcome, status=Status.PROVISIONAL, reason=why)
    return outcome
