"""The pytest plugin: `pytest --omniq-backend NAME` runs the suite on a backend, one test for every item.

Every run of pytest where this distribution is installed imports this module. So it imports nothing but pytest, and
does nothing unless the option is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from omniq_conformance.pytest_items import ConformanceRun

__all__ = ["pytest_addoption", "pytest_configure"]

PLUGIN = "omniq_conformance_run"
"""The name under which a run registers itself with pytest."""

_PROFILES = ("smoke", "pr", "nightly")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; the profile's and the seed's do nothing without `--omniq-backend`."""
    group = parser.getgroup("omniq-conformance", "OmniQ conformance suite")
    group.addoption(
        "--omniq-backend",
        metavar="NAME",
        help="run the conformance suite on this backend: the name of its entry point, or module:Class for a harness. "
        "Without paths, nothing else is run.",
    )
    group.addoption("--omniq-url", metavar="URL", help="the store or server to use instead of the harness's own")
    group.addoption("--omniq-profile", choices=_PROFILES, default="pr", help="how much to do (default: %(default)s)")
    group.addoption(
        "--omniq-seed", type=int, default=0, metavar="N", help="of everything random (default: %(default)s)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the run, if there is one.

    Raises:
        pytest.UsageError: There is no such backend, or `--omniq-url` was given without one.
    """
    name = config.getoption("omniq_backend")
    if name is None:
        if config.getoption("omniq_url") is not None:
            msg = "--omniq-url says where a backend's store is: give --omniq-backend too."
            raise pytest.UsageError(msg)
        return
    config.pluginmanager.register(_run(config, name), PLUGIN)


def _run(config: pytest.Config, name: str) -> ConformanceRun:
    from omniq_conformance.discovery import find_harness
    from omniq_conformance.pytest_items import ConformanceRun

    try:
        harness = find_harness(name, config.getoption("omniq_url"))
    except (ValueError, TypeError, ImportError) as error:
        msg = f"--omniq-backend: {error}"
        raise pytest.UsageError(msg) from error
    return ConformanceRun(harness, profile=config.getoption("omniq_profile"), seed=config.getoption("omniq_seed"))
