"""How invalid input is reported: every fault at once, each with its path, the offending value and the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from omniq.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Fault", "closest", "invalid", "unknown_key"]

_NEAR = 0.6


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: Where, such as `task_queue_backend.url`; empty means the whole input.
        message: What is wrong with which value, and what to do about it.
    """

    path: str
    message: str


def closest(word: str, known: Iterable[str], near: float = _NEAR) -> str | None:
    """Return the known word that was probably meant, or None."""
    import difflib

    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=near)
    return matches[0] if matches else None


def unknown_key(path: str, key: str, known: Iterable[str]) -> Fault:
    """Return the fault of a key that nothing reads."""
    names = sorted(known)
    meant = closest(key, names)
    hint = f"Did you mean {meant!r}? " if meant else ""
    listed = f"Known keys: {', '.join(names)}" if names else "No keys are known here"
    return Fault(f"{path}.{key}" if path else key, f"unknown key. {hint}{listed}")


def invalid(subject: str, faults: Sequence[Fault]) -> ConfigError:
    """Return the error that lists all faults.

    Args:
        subject: What is invalid, such as `OmniQConfig` or `configuration config.yaml`.
        faults: At least one fault.
    """
    lines = [f"{fault.path}: {fault.message}" if fault.path else fault.message for fault in faults]
    if len(lines) == 1:
        return ConfigError(f"Invalid {subject}: {lines[0]}")
    listed = "\n".join(f"  - {line}" for line in lines)
    return ConfigError(f"Invalid {subject}, {len(lines)} faults:\n{listed}")
