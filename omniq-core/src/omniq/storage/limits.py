"""What every store refuses before anything is stored: values over its limits and specifications that make no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import ConfigError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.models.record import TaskBody, TaskSpec
    from omniq.models.result import ResultRecord
    from omniq.models.schedule import Schedule
    from omniq.storage.capabilities import Capabilities

__all__ = ["MAX_PRIORITY", "check_results", "check_schedule", "check_specs"]

MAX_PRIORITY = 9


def check_specs(specs: Iterable[TaskSpec], capabilities: Capabilities) -> None:
    """Refuse the batch if one of its specifications is over a limit or impossible.

    Args:
        specs: The whole batch; call this before any of it is stored.
        capabilities: Those of the store.

    Raises:
        LimitExceededError: An id, a name or a payload is too long.
        ConfigError: A priority, a number of attempts, an interval or an expiry that cannot be meant.
    """
    max_id, max_payload = capabilities.max_id_bytes, capabilities.max_payload_bytes
    short = max_id // 4  # so many characters fit, whatever they are
    queue: object = None
    priority: object = None
    body: TaskBody | None = None
    for spec in specs:
        task_id = spec.id
        # The common case, without a call for each: a short name (surrogates and NUL are not printable), nothing
        # unusual, and the rest as in the task before.
        if not (
            spec.queue == queue
            and spec.priority is priority
            and 0 < len(task_id) <= short
            and task_id.isprintable()
            and spec.max_attempts > 0
            and spec.unique_key is None
            and spec.expires_at is None
            and spec.interval_ms is None
        ):
            _check_spec(spec, max_id)
            queue, priority = spec.queue, spec.priority
        if spec.body is not body:
            body = spec.body
            if body.headers or len(body.args) + len(body.kwargs) > max_payload:
                _check_body(f"task {task_id!r}", body, max_payload)


def check_results(records: Iterable[ResultRecord | None], capabilities: Capabilities) -> None:
    """Refuse the batch if one of its values is too long; None stands for a settling without a result.

    Raises:
        LimitExceededError: A value is over `max_payload_bytes`.
    """
    limit = capabilities.max_payload_bytes
    for record in records:
        if record is not None and record.value is not None and len(record.value) > limit:
            raise LimitExceededError(
                f"task {record.id!r}: its result has {len(record.value):,} bytes; this store takes at most {limit:,}. "
                "Return a reference (a path, a url, a key) to where the data is instead."
            )


def check_schedule(schedule: Schedule, capabilities: Capabilities) -> None:
    """Refuse a schedule whose names or payload are too long, or whose tasks would be impossible.

    Raises:
        LimitExceededError: The id, the queue's name or the payload is too long.
        ConfigError: A priority, a number of attempts or an interval that cannot be meant.
    """
    subject = f"schedule {schedule.id!r}"
    _check_name("schedule id", schedule.id, subject, capabilities.max_id_bytes)
    _check_name("queue", schedule.queue, subject, capabilities.max_id_bytes)
    _check_numbers(subject, schedule.priority, schedule.max_attempts, schedule.interval_ms)
    _check_body(subject, schedule.body, capabilities.max_payload_bytes)


def _check_spec(spec: TaskSpec, max_id: int) -> None:
    subject = f"task {spec.id!r}"
    _check_name("task id", spec.id, subject, max_id)
    _check_name("queue", spec.queue, subject, max_id)
    if spec.unique_key is not None:
        _check_name("unique_key", spec.unique_key, subject, max_id)
    _check_numbers(subject, spec.priority, spec.max_attempts, spec.interval_ms)
    if spec.expires_at is not None and spec.eta is not None and spec.expires_at <= spec.eta:
        raise ConfigError(
            f"{subject}: expires_at {spec.expires_at} is not after eta {spec.eta} (milliseconds since the epoch), so "
            "it could never run. Give a longer expires_in, or an earlier eta."
        )


def _check_name(what: str, value: str, subject: str, limit: int) -> None:
    if not value:
        raise ConfigError(f"{subject}: {what} is empty. Give it a name, or leave it out.")
    if "\0" in value:
        raise ConfigError(
            f"{what} {value!r} has a NUL character, which not every store can keep. Use other characters."
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ConfigError(
            f"{what} {value!r} has a lone surrogate and cannot be written as UTF-8. Use other characters."
        ) from None
    if size > limit:
        shown = value if len(value) <= 80 else f"{value[:77]}..."  # noqa: PLR2004 - what fits on a line
        raise LimitExceededError(
            f"{what} {shown!r} has {size} bytes in UTF-8; this store takes at most {limit}. Use a shorter one, for "
            "example a hash of it."
        )


def _check_numbers(subject: str, priority: object, max_attempts: int, interval_ms: int | None) -> None:
    if not isinstance(priority, int) or isinstance(priority, bool) or not 0 <= priority <= MAX_PRIORITY:
        raise ConfigError(f"{subject}: priority {priority!r} is not an integer from 0 to {MAX_PRIORITY}; 9 goes first.")
    if max_attempts < 1:
        raise ConfigError(f"{subject}: max_attempts {max_attempts} is below 1. Use max_retries=0 for a single attempt.")
    if interval_ms is not None and interval_ms < 1:
        raise ConfigError(f"{subject}: interval {interval_ms} ms is not positive. Give at least one millisecond.")


def _check_body(subject: str, body: TaskBody, limit: int) -> None:
    size = len(body.args) + len(body.kwargs)
    try:
        size += sum(len(name.encode()) + len(value.encode()) for name, value in body.headers.items())
    except UnicodeEncodeError:
        raise ConfigError(
            f"{subject}: its headers have a lone surrogate and cannot be written as UTF-8. Use other characters."
        ) from None
    if size > limit:
        raise LimitExceededError(
            f"{subject}: its arguments and headers have {size:,} bytes; this store takes at most {limit:,}. "
            "Pass a reference (a path, a url, a key) to where the data is instead."
        )
