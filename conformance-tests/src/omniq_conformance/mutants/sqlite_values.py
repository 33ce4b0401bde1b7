"""Mutants of the SQLite backend: names and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq_conformance.mutants.editing import EditError
from omniq_conformance.mutants.mutant import Mutants
from omniq_sqlite import claiming, events, filters, results, rows, schedules, schema, settling, task_queue

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MUTANTS", "statement"]

MUTANTS = Mutants("sqlite")


def statement(old: str, new: str) -> Callable[[Any], Any]:
    """Return a change of the one statement of the schema that has these words."""

    def change(original: Any) -> Any:
        def statements(number: int) -> list[str]:
            found: list[str] = original(number)
            if sum(old in text for text in found) != 1:
                msg = f"{old!r} is not in exactly one statement of the schema."
                raise EditError(msg)
            return [text.replace(old, new) for text in found]

        return statements

    return change


# Names

for _what, _cases, _column in (
    ("task ids", "OQ-Q-0501", "id TEXT NOT NULL UNIQUE"),
    ("paused queues", "OQ-Q-0502", "TABLE paused (queue TEXT PRIMARY KEY"),
    ("ids of results", "OQ-R-0501", "TABLE result (\n    id TEXT PRIMARY KEY"),
    ("ids of schedules", "OQ-S-0501", "TABLE schedule (\n    id TEXT PRIMARY KEY"),
):
    MUTANTS.add(f"{_what} have no case", _cases, schema, "_statements", statement(_column, f"{_column} COLLATE NOCASE"))

MUTANTS.edited("tasks are filtered by patterns", ("OQ-Q-0501", "OQ-Q-0502"), filters, "_one_of", (
    "{column} IN (SELECT value FROM json_each({_parameter(json.dumps(sorted(values)), parameters)}))",
    "EXISTS (SELECT 1 FROM json_each({_parameter(json.dumps(sorted(values)), parameters)}) WHERE {column} LIKE value)",
))  # fmt: skip
MUTANTS.edited("events are filtered by patterns", "OQ-E-0501", events, "event_conditions", (
    '("task", "=", wanted.task_id)', '("task", "LIKE", wanted.task_id)'
))  # fmt: skip
MUTANTS.edited("unique keys are filtered by patterns", "OQ-Q-0503", task_queue, "task_conditions", (
    '("task.unique_key", "=", wanted.unique_key)', '("task.unique_key", "LIKE", wanted.unique_key)'
))  # fmt: skip

# Bodies and texts


@MUTANTS.broken(("OQ-Q-0504", "OQ-Q-0507"), rows, "stored")
def bodies_go_through_text(original: Any, data: bytes, codec: str) -> Any:
    """Replace what is no text."""
    return original(data.decode(errors="replace").encode(), codec)


@MUTANTS.broken("OQ-Q-0504", rows, "stored")
def bodies_end_at_nul(original: Any, data: bytes, codec: str) -> Any:
    """Cut data at its first zero byte."""
    return original(data.partition(b"\0")[0], codec)


MUTANTS.edited("a claim loses large arguments", "OQ-Q-0504", claiming, "_grant", (
    "else bytes.fromhex(args)", "else bytes.fromhex(args)[:2000]"
))  # fmt: skip
MUTANTS.edited("headers are lost", "OQ-Q-0504", rows, "body_from", (
    "dict(json.loads(headers)) if headers else NO_HEADERS", "NO_HEADERS"
))  # fmt: skip
MUTANTS.edited("a result of null is no result", "OQ-R-0502", results, "_result", (
    "None if value is None else", "None if value in (None, 'null') else"
))  # fmt: skip


@MUTANTS.broken("OQ-Q-0507", settling, "_text")
def joined_values_end_at_an_escaped_nul(original: Any, result: Any) -> Any:
    """Cut a JSON text at what stands for a zero character."""
    text = original(result)
    return text.partition("\\u0000")[0] if isinstance(text, str) else text


MUTANTS.edited("schedules lose their zone", "OQ-S-0501", schedules, "_schedule", (
    'fields["paused"] = bool(fields["paused"])', 'fields["paused"] = bool(fields["paused"])\n    fields["zone"] = "UTC"'
))  # fmt: skip
MUTANTS.edited("records show the latest worker", "OQ-Q-01", task_queue, "record_from", (
    "if state is not TaskStatus.RUNNING:", "if False:"
))  # fmt: skip

# Limits

for _module, _function, _limits in (
    (task_queue, "check_specs", ("OQ-Q-0511", "OQ-Q-0512", "OQ-Q-0513", "OQ-Q-0514")),
    (task_queue, "check_results", ("OQ-Q-0516",)),
    (results, "check_results", ("OQ-R-0511",)),
    (schedules, "check_schedule", ("OQ-S-0511",)),
):
    for _case in _limits:
        MUTANTS.add(f"nothing is checked {_case}", _case, _module, _function, lambda _: lambda *_given: None)
