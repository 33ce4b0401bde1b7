"""Runs a family of programs: draws them, executes them, minimizes and keeps the first that fails."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from omniq_conformance.mixed import completed
from omniq_conformance.outcomes import DivergenceError, HarnessError, UnsupportedError, UnverifiedError, VacuousError
from omniq_conformance.programs.drawing import examples
from omniq_conformance.programs.machines import ROLES
from omniq_conformance.programs.minimize import minimize
from omniq_conformance.programs.program import Program
from omniq_conformance.programs.session import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import SearchStrategy

    from omniq_conformance.harness import Harness

__all__ = ["drawn", "replay", "require", "run_programs"]


@functools.cache
def drawn(
    strategy: Callable[[str], SearchStrategy[Program]], mode: str, number: int, seed_: int
) -> tuple[Program, ...]:
    """Return so many programs of a mode; the same ones for the same seed.

    Several backends share the drawing.
    """
    return examples(strategy(mode), number, seed_)


def run_programs(programs: Iterable[Program], harness: Harness, *, minimizing: bool = True) -> Counter[str]:
    """Run programs until one fails.

    Args:
        programs: What to run.
        harness: On which backend; the memory backend keeps what it does not offer and a program needs.
        minimizing: Whether to look for the shortest program that fails; if not, what was raised comes as it is.

    Returns:
        How often each noteworthy thing was seen.

    Raises:
        DivergenceError: One failed; the message has the shortest program that fails too, and the file it is kept in.
    """
    seen: Counter[str] = Counter()
    complete: dict[str, Harness] = {}
    for program in programs:
        if program.family not in complete:
            complete[program.family] = completed(harness, ROLES[program.family])
        try:
            seen.update(execute(program, complete[program.family]).seen)
        except (HarnessError, UnsupportedError, UnverifiedError):
            raise
        except Exception as error:
            if not minimizing:
                raise
            raise _explained(program, complete[program.family], error) from error
    return seen


def require(seen: Counter[str], events: Iterable[str]) -> None:
    """Refuse a run in which one of the events never happened.

    Raises:
        VacuousError: Names those that never happened.
    """
    missing = sorted(event for event in events if not seen[event])
    if missing:
        msg = f"{len(missing)} of the things that these programs are there for never happened: {', '.join(missing)}."
        raise VacuousError(msg)


def replay(path: str | os.PathLike[str], harness: Harness) -> None:
    """Run a program that was kept in a file.

    Raises:
        DivergenceError: It fails.
    """
    program = Program.from_json(Path(path).read_text(encoding="utf-8"))
    execute(program, completed(harness, ROLES.get(program.family, ())))


def _explained(program: Program, harness: Harness, error: Exception) -> DivergenceError:
    shortest = minimize(program, lambda candidate: _failure(candidate, harness) is not None)
    found = _failure(shortest, harness) or error
    path = _keep(shortest, harness)
    notes = "\n".join(getattr(found, "__notes__", []))
    return DivergenceError(
        f"{shortest}\n{type(found).__name__} {found}\n{notes}\n"
        f"Run it again with omniq_conformance.replay({str(path)!r}, harness).",
        evidence={"program": json.loads(shortest.to_json()), "program_file": str(path)},
    )


def _failure(program: Program, harness: Harness) -> Exception | None:
    try:
        execute(program, harness)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is a failure of the program
        return error
    return None


def _keep(program: Program, harness: Harness) -> Path:
    folder = Path(os.environ.get("OMNIQ_CONFORMANCE_FAILURES") or Path(tempfile.gettempdir()) / "omniq-conformance")
    folder.mkdir(parents=True, exist_ok=True)
    text = program.to_json()
    number = sum(map(ord, text))
    path = folder / f"{harness.backend}-{program.family}-{program.mode}-{number:x}.json"
    path.write_text(text, encoding="utf-8")
    return path
