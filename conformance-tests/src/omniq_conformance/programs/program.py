"""What a program is, and how it is written to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Op", "Program", "op"]

_FORMAT = 1


@attrs.frozen
class Op:
    """One operation: its name and its arguments, which are JSON values.

    Attributes:
        name: What to do; the machine of the program's family knows what it means.
        args: With what.
    """

    name: str
    args: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.args.items())})"


def op(name: str, **args: Any) -> Op:
    """Return an operation."""
    return Op(name, args)


@attrs.frozen
class Program:
    """A sequence of operations for one family's machine.

    Attributes:
        family: Which machine runs it: `queue`, `results`, `events`, `schedules`, or a pair such as `queue-results`.
        mode: Which roles the queue serves itself; a `Mode`.
        ops: What to do.
    """

    family: str
    mode: str
    ops: tuple[Op, ...]

    def to_json(self) -> str:
        """Return the program as JSON text, one operation per line."""
        head = json.dumps({"format": _FORMAT, "family": self.family, "mode": self.mode})
        ops = ",\n".join(json.dumps([op.name, dict(op.args)]) for op in self.ops)
        return f'{head[:-1]}, "ops": [\n{ops}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> Program:
        """Return the program that `to_json` wrote.

        Raises:
            ValueError: The text is no program of this format.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            found = data.get("format") if isinstance(data, dict) else type(data).__name__
            msg = f"Not a program of format {_FORMAT} but {found!r}. Replay it with the suite's version that wrote it."
            raise ValueError(msg)
        return cls(data["family"], data["mode"], tuple(Op(name, args) for name, args in data["ops"]))

    def __str__(self) -> str:
        return "\n".join([f"{self.family} program, {self.mode}:", *(f"  {op}" for op in self.ops)])
