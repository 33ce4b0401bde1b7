"""Makes the modules beside the tests importable, which pytest does not, and has what several tests need."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Work in an empty folder, with no variable of OmniQ's set, now or afterwards."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("OMNIQ_"):
            del os.environ[name]
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)
