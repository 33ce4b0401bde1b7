"""The suite as items of pytest, and what pytest shows of their verdicts; loaded only when a backend was named."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest

from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items
from omniq_conformance.suite import pass_on

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from omniq_conformance.harness import Harness
    from omniq_conformance.profiles import Profile
    from omniq_conformance.registry import Item

__all__ = ["ConformanceItem", "ConformanceRun", "ConformanceSuite"]

_STATUS = "omniq_status"
_REASON = "omniq_reason"
_LETTERS = {
    Status.PASS: ".",
    Status.KNOWN_ISSUE: "k",
    Status.UNSUPPORTED: "u",
    Status.UNVERIFIED: "?",
    Status.PROVISIONAL: "p",
}


class ConformanceSuite(pytest.Collector):
    """The suite on one backend; the harness, and a server that it started, is up while its items run."""

    run: ConformanceRun

    @classmethod
    def of(cls, run: ConformanceRun, session: pytest.Session) -> Self:
        """Make the only one of a session."""
        suite: Self = cls.from_parent(session, name=run.harness.backend, nodeid=f"omniq-{run.harness.backend}")
        suite.run = run
        return suite

    def collect(self) -> Iterator[ConformanceItem]:
        """Yield every case in every mode, by id."""
        for item in items(self.run.profile):
            collected: ConformanceItem = ConformanceItem.from_parent(self, name=item.id)
            collected.item, collected.run = item, self.run
            yield collected

    def setup(self) -> None:
        """Start what the harness needs."""
        self.run.harness.__enter__()
        self.addfinalizer(lambda: self.run.harness.__exit__(None, None, None))


class ConformanceItem(pytest.Item):
    """One case in one mode."""

    item: Item
    run: ConformanceRun

    def runtest(self) -> None:
        """Run it, and note the verdict where the report, the JUnit file and other processes find it."""
        run = self.run
        outcome = run_item(self.item, run.harness, run.profile, seed=run.seed)
        self.user_properties += [(_STATUS, outcome.status.value), (_REASON, outcome.reason)]
        pass_on(self.item, outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """Show the verdict, then where in the case or the backend it came from."""
        del style
        cause = excinfo.value.__cause__
        shown = str(excinfo.value)
        if cause is None:
            return shown
        trace = pytest.ExceptionInfo.from_exception(cause).getrepr(style="short", chain=True)
        return f"{shown}\n\n{trace}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the case's title for the heading of a failure."""
        return self.path, None, f"{self.name}: {self.item.case.title}"


class ConformanceRun:
    """One run of the suite inside one run of pytest.

    Attributes:
        harness: The backend.
        profile: How much to do.
        seed: Of everything random.
    """

    def __init__(self, harness: Harness, *, profile: str, seed: int) -> None:
        self.harness = harness
        self.profile: Profile = PROFILES[profile]
        self.seed = seed

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Look into no files when no paths were given: the suite alone was asked for."""
        config = session.config
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            config.args = []

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the suite after everything else of the session."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            report.result.append(ConformanceSuite.of(self, collector))
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Give a verdict that is neither a pass nor a failure its own name instead of "skipped"."""
        if report.when != "call" or not report.skipped:
            return None
        status = _verdict(report)[0]
        return None if status is None else (status, _LETTERS[status], status.upper())

    def pytest_report_header(self) -> str:
        """Say what is run."""
        return f"omniq conformance: {self.harness.backend}, profile {self.profile.name}, seed {self.seed}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Count the verdicts, and tell of all that are no pass why they are not."""
        reports = [each for found in terminalreporter.stats.values() for each in found]
        calls = [each for each in reports if isinstance(each, pytest.TestReport) and each.when == "call"]
        verdicts = sorted((report.nodeid.rpartition("::")[2], *_verdict(report)) for report in calls)
        named = [(name, status, reason) for name, status, reason in verdicts if status is not None]
        if not named:
            return
        counts = Counter(status.value for _, status, _ in named)
        terminalreporter.section(f"omniq conformance: {self.harness.backend}")
        for name, status, reason in named:
            if status is not Status.PASS:
                line = reason.partition("\n")[0]
                terminalreporter.line(f"{status:<12} {name}  {line}")
        terminalreporter.line(", ".join(f"{counts[status]} {status}" for status in Status if counts[status]))


def _verdict(report: pytest.TestReport) -> tuple[Status | None, str]:
    """Return the verdict that a report carries, from whichever process it came; None if it is no item of the suite."""
    noted = dict(report.user_properties)
    status = noted.get(_STATUS)
    return (Status(str(status)) if status is not None else None), str(noted.get(_REASON, ""))
