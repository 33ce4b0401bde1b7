"""The command `omniq`. click and rich are imported when it runs, not before."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process, and exit."""
    from omniq.cli.root import cli

    cli(prog_name="omniq")
