from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import omniq.serialization, omniq.cron, omniq.retry, omniq.models.error
heavy = {"cattrs", "msgpack", "cronsim", "zoneinfo", "hmac", "traceback", "difflib"}
before = {name for name in sys.argv[1].split(",")}
print(",".join(sorted((heavy - before) & set(sys.modules))))
"""


def test_heavy_modules_are_imported_when_needed():
    attrs_alone = "import sys, attrs, json, decimal, pathlib, uuid, pickle; print(','.join(sys.modules))"
    before = subprocess.run([sys.executable, "-c", attrs_alone], capture_output=True, text=True, check=True).stdout
    run = [sys.executable, "-c", SCRIPT, before.strip()]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == ""
