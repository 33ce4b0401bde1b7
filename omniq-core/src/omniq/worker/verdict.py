"""Decides what an ended attempt means: failed for good, tried again, or handed back."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from omniq.errors import SerializationError
from omniq.models.error import ErrorInfo
from omniq.retry import RetryLater, RetryPolicy, Snooze
from omniq.worker.child import remote_error

if TYPE_CHECKING:
    from omniq.models.record import Grant
    from omniq.queue.registry import TaskDefinition
    from omniq.worker.context import Run

__all__ = ["Discard", "Fail", "HandBack", "Verdict", "judge", "unserializable"]


class Fail(NamedTuple):
    """The attempt failed; with a delay it is tried again if attempts are left."""

    error: ErrorInfo
    delay_ms: int | None = None


class HandBack(NamedTuple):
    """The attempt does not count; the task is ready again after the delay."""

    delay_ms: int = 0


class Discard(NamedTuple):
    """Nothing is recorded: the task is somebody else's by now, or soon."""

    why: str


Verdict = Fail | HandBack | Discard


def judge(run: Run, error: BaseException, *, drop_frames: int = 0, is_call_refused: bool = False) -> Verdict:
    """Decide what the exception that ended a run means.

    Args:
        run: The run; why it was stopped matters as much as the exception.
        error: What it raised.
        drop_frames: How many outermost frames of the traceback are the worker's.
        is_call_refused: Whether the function could not be called with these arguments, so that no code of it ran.
    """
    if run.why_stopped:
        return _judge_stopped(run, error, drop_frames)
    if isinstance(error, Snooze):
        return HandBack(error.delay_ms)
    info = _describe(error, drop_frames)
    if isinstance(error, RetryLater) and error.delay_ms is not None:
        return Fail(info, error.delay_ms)
    return Fail(info, None if is_call_refused else _delay(run, error))


def unserializable(value: object, error: Exception) -> Fail:
    """Return what becomes of a run whose result cannot be stored: another run would return the same."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    reason = str(error) if isinstance(error, SerializationError) else f"{type(error).__name__}: {error}"
    return Fail(ErrorInfo(type="result not serializable", message=f"the returned {name}: {reason}"))


def _judge_stopped(run: Run, error: BaseException, drop_frames: int) -> Verdict:
    match run.why_stopped:
        case "shutdown":
            return HandBack()
        case "cancel":
            # Storage makes it CANCELLED, because the cancel is requested there too.
            return Fail(_cancelled(error, drop_frames))
        case "timeout":
            late = _timeout_error(run.grant)
            if not isinstance(error, asyncio.CancelledError):
                late.__cause__ = error
            return Fail(ErrorInfo.from_exception(late), _delay(run, late))
        case why:
            return Discard(why)


def _describe(error: BaseException, drop_frames: int) -> ErrorInfo:
    remote = remote_error(error)
    return ErrorInfo.from_exception(error, drop_frames=drop_frames) if remote is None else remote.info


def _timeout_error(grant: Grant) -> TimeoutError:
    seconds = (grant.body.timeout_ms or 0) / 1000
    return TimeoutError(f"the task ran longer than its timeout of {seconds:g} s")


def _cancelled(error: BaseException, drop_frames: int) -> ErrorInfo:
    if isinstance(error, asyncio.CancelledError):
        return ErrorInfo(type="cancelled", message="the task was cancelled while it ran")
    return _describe(error, drop_frames)


def _delay(run: Run, error: BaseException) -> int | None:
    """Return the delay before the next attempt, or None if the policy wants none."""
    definition: TaskDefinition[..., Any] | None = run.plan.definition if run.plan is not None else None
    policy = definition.retry if definition is not None else RetryPolicy()
    if not policy.wants_retry(error):
        return None
    return policy.delay_ms(run.grant.attempt, random.random())  # noqa: S311 - jitter
