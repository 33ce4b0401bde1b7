"""Run as a script: replaces itself by a command that is not root, as PostgreSQL wants.

In a user namespace with a single entry the process is user 1000 to itself, while it stays root to the file system: no
user has to be made, and no file changes its owner. (Linux only; user_namespaces(7).)
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

__all__ = ["CANNOT", "main"]

CANNOT = 77
"""The exit code if the system gives no user namespace."""

_CLONE_NEWUSER = 0x10000000


def main() -> None:
    """Execute the arguments as a command."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        sys.stderr.write(f"unshare(CLONE_NEWUSER): {os.strerror(ctypes.get_errno())}\n")
        sys.exit(CANNOT)
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
        Path("/proc/self", name).write_text(text)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command that the suite passed


if __name__ == "__main__":
    main()
