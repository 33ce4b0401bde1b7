"""`python -m omniq` is the command `omniq`."""

from __future__ import annotations

from omniq.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
