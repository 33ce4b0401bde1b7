"""`python -m omniq_conformance.cli`."""

from __future__ import annotations

from omniq_conformance.cli import main

if __name__ == "__main__":
    main(prog_name="omniq-conformance")
