"""Runs modules of this package in a Python process of their own, which gets its order as an argument."""

from __future__ import annotations

import json
import os
import subprocess
import sys

__all__ = ["module_command", "own_environment", "run_module", "start_module"]

_LONGEST = 30.0


def module_command(module: str, order: object) -> list[str]:
    """Return the command that runs a module of this package.

    Args:
        module: Its name inside the package, such as `faults.child`.
        order: JSON values; the module finds them as text in `sys.argv[1]`.
    """
    return [sys.executable, "-m", f"omniq_conformance.{module}", json.dumps(order)]


def own_environment(**more: str) -> dict[str, str]:
    """Return the environment in which another Python finds every module that this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}


def start_module(module: str, order: object) -> subprocess.Popen[str]:
    """Start a module whose three streams are pipes; the arguments are those of `module_command`."""
    return subprocess.Popen(  # noqa: S603 - this interpreter with a module of this package
        module_command(module, order),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=own_environment(),
    )


def run_module(module: str, order: object) -> subprocess.CompletedProcess[str]:
    """Run a module to its end; the arguments are those of `module_command`.

    Raises:
        subprocess.TimeoutExpired: It does not end within 30 seconds; it was killed.
    """
    return subprocess.run(  # noqa: S603 - this interpreter with a module of this package
        module_command(module, order),
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
        env=own_environment(),
    )
