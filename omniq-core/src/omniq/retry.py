"""When a failed attempt is tried again, and how a running task can decide it itself.

Everything here is arithmetic: the worker computes the time of the next attempt and storage only keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Self

import attrs

from omniq.errors import ConfigError

__all__ = ["DoNotRetry", "RetryLater", "RetryPolicy", "Snooze"]

_DEFAULT_RETRIES = 3
_LONGEST_S = 366 * 86_400.0

ExceptionSpec = type[BaseException] | str


def _seconds(value: object, name: str) -> float:
    """Convert a delay to seconds."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_S:
        raise ConfigError(
            f"{name}: {value!r} is not a delay. Give seconds from 0 to {_LONGEST_S:.0f} (a year), or a timedelta."
        )
    return float(seconds)


class RetryLater(Exception):  # noqa: N818 - it asks for something, it is no error
    """Raise it in a task to end this attempt and try again later.

    The attempt counts: when none is left the task fails with `reason`. The policy's `retry_on` and `never_on` are not
    asked.

    Args:
        delay: Seconds or a timedelta until the next attempt; None takes the policy's delay.
        reason: Why, for the event log and the task's error.

    Attributes:
        delay_ms: The delay in milliseconds, or None for the policy's.
        reason: Why.
    """

    def __init__(self, delay: float | timedelta | None = None, reason: str = "") -> None:
        super().__init__(reason)
        self.delay_ms: int | None = None if delay is None else math.ceil(_seconds(delay, "RetryLater(delay)") * 1000)
        self.reason = reason


class Snooze(Exception):  # noqa: N818 - it asks for something, it is no error
    """Raise it in a task that is not to run yet: it goes back to the queue and this attempt does not count.

    A task that snoozes for ever never ends, so give it an `expires_in` or a condition of its own.

    Args:
        delay: Seconds or a timedelta until it is ready again.

    Attributes:
        delay_ms: The delay in milliseconds.
    """

    def __init__(self, delay: float | timedelta) -> None:
        super().__init__(f"snoozed for {delay}")
        self.delay_ms: int = math.ceil(_seconds(delay, "Snooze(delay)") * 1000)


class DoNotRetry(Exception):  # noqa: N818 - it asks for something, it is no error
    """Raise it in a task to fail at once, however many attempts are left.

    Args:
        reason: Why, for the event log and the task's error.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


def _to_base_delay(value: float | timedelta) -> float:
    return _seconds(value, "RetryPolicy.base_delay")


def _to_max_delay(value: float | timedelta) -> float:
    return _seconds(value, "RetryPolicy.max_delay")


def _to_delays(value: Sequence[float | timedelta] | None) -> tuple[float, ...] | None:
    return None if value is None else _delays(value)


def _delays(value: object) -> tuple[float, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise ConfigError(
            f"RetryPolicy.delays: {value!r} is not a list of delays. Give one delay for each retry, such as "
            "[1, 10, 60], or None for base_delay and factor."
        )
    return tuple(_seconds(delay, f"RetryPolicy.delays[{i}]") for i, delay in enumerate(value))


def _to_retry_on(value: ExceptionSpec | Sequence[ExceptionSpec]) -> tuple[ExceptionSpec, ...]:
    return _specs(value, "RetryPolicy.retry_on")


def _to_never_on(value: ExceptionSpec | Sequence[ExceptionSpec]) -> tuple[ExceptionSpec, ...]:
    return _specs(value, "RetryPolicy.never_on")


def _specs(value: object, name: str) -> tuple[ExceptionSpec, ...]:
    specs = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    for spec in specs:
        named = isinstance(spec, str) and all(part.isidentifier() for part in spec.split("."))
        if not named and not (isinstance(spec, type) and issubclass(spec, BaseException)):
            raise ConfigError(
                f"{name}: {spec!r} is not an exception class or its dotted name. "
                "Give for example (ConnectionError, 'httpx.TimeoutException')."
            )
    return tuple(specs)


def _at_least(least: float, example: str) -> Callable[[object, attrs.Attribute[float], object], None]:
    def check(_: object, field: attrs.Attribute[float], value: object) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not value >= least:  # type: ignore[operator]
            raise ConfigError(
                f"RetryPolicy.{field.name}: {value!r} must be a number of at least {least}, as {example}."
            )

    return check


def _check_retries(_: object, __: attrs.Attribute[int], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"RetryPolicy.max_retries: {value!r} must be a whole number of at least 0; 0 is no retry.")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Which failures are tried again, how often and after what delay.

    The delay after attempt n is `base_delay * factor ** (n - 1)`, never over `max_delay`, less a random part of up to
    the fraction `jitter` of it, so that tasks which failed together do not come back together.

    Attributes:
        max_retries: Attempts after the first one; the number of `delays` if these are given, else 3.
        base_delay: Seconds (or a timedelta) before the first retry.
        factor: By how much each delay is longer than the one before.
        max_delay: The longest delay in seconds (or a timedelta).
        jitter: The fraction of the delay, 0 to 1, that chance may take off.
        retry_on: Exception classes or their dotted names (`"httpx.TimeoutException"`, which imports nothing).
        never_on: Exceptions that fail the task at once; stronger than `retry_on`.
        delays: The delays one by one, in seconds or as timedeltas; used as they are, without jitter. The last one
            repeats if there are more retries.

    Raises:
        ConfigError: A value is out of range.
    """

    delays: tuple[float, ...] | None = attrs.field(default=None, converter=_to_delays)
    max_retries: int = attrs.field(
        default=attrs.Factory(lambda self: len(self.delays) if self.delays else _DEFAULT_RETRIES, takes_self=True),
        validator=_check_retries,
    )
    base_delay: float = attrs.field(default=1.0, converter=_to_base_delay)
    factor: float = attrs.field(default=2.0, validator=_at_least(1, "2.0, or 1.0 for equal delays"))
    max_delay: float = attrs.field(default=300.0, converter=_to_max_delay)
    jitter: float = attrs.field(default=0.25, validator=_at_least(0, "0.25, or 0 for none"))
    retry_on: tuple[ExceptionSpec, ...] = attrs.field(default=(Exception,), converter=_to_retry_on)
    never_on: tuple[ExceptionSpec, ...] = attrs.field(default=(), converter=_to_never_on)

    def __attrs_post_init__(self) -> None:
        if self.jitter > 1:
            raise ConfigError(f"RetryPolicy.jitter: {self.jitter!r} is a fraction of the delay, from 0 to 1, as 0.25.")
        if self.delays is None and self.base_delay > self.max_delay:
            raise ConfigError(
                f"RetryPolicy.base_delay: {self.base_delay} s is longer than max_delay, {self.max_delay} s. "
                "Lower base_delay or raise max_delay."
            )

    @classmethod
    def none(cls) -> Self:
        """Return the policy that never retries."""
        return cls(max_retries=0)

    def delay_ms(self, attempt: int, rand: float) -> int:
        """Return the milliseconds to wait before the next attempt.

        Args:
            attempt: The number of the attempt that failed, 1 for the first.
            rand: A random number from 0 to 1; 0 gives the longest delay.
        """
        retry = max(attempt, 1) - 1
        if self.delays is not None:
            return math.ceil(self.delays[min(retry, len(self.delays) - 1)] * 1000)
        try:  # a large power of a float overflows
            delay = min(self.base_delay * self.factor**retry, self.max_delay)
        except OverflowError:
            delay = self.max_delay if self.base_delay else 0.0
        return math.ceil(delay * (1 - self.jitter * rand) * 1000)

    def wants_retry(self, exc: BaseException) -> bool:
        """Tell whether an exception is one to try again after, if attempts are left.

        `RetryLater` always is; `DoNotRetry` never is, nor is `Snooze`, which is no failure.
        """
        if isinstance(exc, RetryLater):
            return True
        if isinstance(exc, DoNotRetry | Snooze) or _matches(exc, self.never_on):
            return False
        return _matches(exc, self.retry_on)


def _matches(exc: BaseException, specs: tuple[ExceptionSpec, ...]) -> bool:
    for spec in specs:
        if isinstance(spec, str):
            for cls in type(exc).__mro__:
                if spec == f"{cls.__module__}.{cls.__qualname__}" or (
                    cls.__module__ == "builtins" and spec == cls.__qualname__
                ):
                    return True
        elif isinstance(exc, spec):
            return True
    return False
