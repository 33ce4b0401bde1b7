from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """Return where a new store is."""
    return "memory://" if request.param == "memory" else str(tmp_path / "omniq.db")


@pytest.fixture
def run_script(tmp_path):
    """Return a function that runs a script in an empty folder, where every warning is an error, and returns its output.

    Nothing may be written to standard error, which is where Python complains while it exits.
    """

    def run(text: str, *args: str, **variables: str) -> str:
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(text))
        env = {name: value for name, value in os.environ.items() if not name.startswith("OMNIQ_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script), *args],
            cwd=tmp_path,
            env={**env, **variables},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run
