"""Makes the specifications of tasks, many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from omniq.clock import to_millis
from omniq.errors import ConfigError, SerializationError
from omniq.models.record import TaskBody, TaskSpec
from omniq.models.redaction import show
from omniq.models.task import ETA_HEADER
from omniq.serialization import encode_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from omniq.queue.options import TaskOptions
    from omniq.serialization import Serializer

__all__ = ["Arguments", "SpecMaker", "check_arguments", "eta_header"]

_TEXT: frozenset[type] = frozenset({str})

Arguments = tuple[Sequence[Any], Mapping[str, Any]]


def check_arguments(args: object, kwargs: object) -> Arguments:
    """Return the arguments of a call if they are such.

    Raises:
        ConfigError: `args` is no list or tuple, or `kwargs` no mapping with text keys.
    """
    if not isinstance(args, list | tuple):
        msg = (
            f"args: {show(args)} is not a list or tuple of positional arguments. For a single argument write (value,)."
        )
        raise ConfigError(msg)
    if kwargs is None:
        return args, {}
    if type(kwargs) is dict and _TEXT.issuperset(map(type, kwargs)):
        return args, kwargs
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        msg = f"kwargs: {show(kwargs)} is not a mapping of names to keyword arguments. Write {{'name': value}}."
        raise ConfigError(msg)
    return args, kwargs


def eta_header(eta: datetime) -> dict[str, str]:
    """Return the header that keeps an eta exactly, if whole milliseconds in UTC do not."""
    whole = eta.microsecond % 1000 == 0 and eta.utcoffset() == timedelta(0)
    return {} if whole else {ETA_HEADER: eta.isoformat()}


class SpecMaker:
    """Makes the specifications of one function with the same options.

    The stores' classes are filled field by field: their generated constructors would take half of the time of
    a bulk enqueue.

    Args:
        name: The path or registered name of the function.
        options: What the tasks are enqueued with.
        serializer: Encodes the arguments.
    """

    __slots__ = ("_dumps", "_headers", "_key", "_no_kwargs", "_serializer", "name", "options")

    def __init__(self, name: str, options: TaskOptions, serializer: Serializer) -> None:
        self.name = name
        self.options = options
        self._serializer = serializer
        self._dumps: Callable[[object], bytes] = serializer.dumps
        self._no_kwargs = serializer.dumps({})
        self._headers = dict(options.headers)
        if options.eta is not None:
            self._headers |= eta_header(options.eta)
        key = options.unique_key
        self._key: Callable[..., str] | None = key if callable(key) else None

    @property
    def needs_clock(self) -> bool:
        """Whether `make` needs the store's time."""
        options = self.options
        return options.delay_ms is not None or (options.expires_in_ms is not None and options.eta is None)

    def make(self, ids: Iterable[str], calls: Iterable[Arguments], now: int, *, pinned: bool = False) -> list[TaskSpec]:
        """Return one specification a call.

        Args:
            ids: The ids of the tasks.
            calls: Their arguments.
            now: The store's time in milliseconds; used only if `needs_clock`.
            pinned: Whether the caller chose the ids.

        Raises:
            SerializationError: An argument cannot be encoded; the message names it.
            ConfigError: The function that makes the unique key made none.
        """
        options, name, codec, headers = self.options, self.name, self._serializer.name, self._headers
        dumps, no_kwargs = self._dumps, self._no_kwargs
        timeout_ms, result_ttl_ms = options.timeout_ms, options.result_ttl_ms
        queue, priority, max_attempts = options.queue, options.priority, options.max_retries + 1
        interval_ms, make_key = options.interval_ms, self._key
        eta, expires_at = self._times(now)
        unique_key: Any = None if make_key else options.unique_key
        new_body, new_spec, specs = TaskBody.__new__, TaskSpec.__new__, []
        for task_id, (args, kwargs) in zip(ids, calls, strict=True):
            body = new_body(TaskBody)
            body.func = name
            try:
                body.args = dumps(args if type(args) is list else list(args))
                body.kwargs = dumps(kwargs if type(kwargs) is dict else dict(kwargs)) if kwargs else no_kwargs
            except SerializationError:
                encode_call(self._serializer, name, args, kwargs)  # raises the error that names the argument
                raise
            body.codec = codec
            body.headers = headers
            body.timeout_ms = timeout_ms
            body.result_ttl_ms = result_ttl_ms
            spec = new_spec(TaskSpec)
            spec.id = task_id
            spec.body = body
            spec.queue = queue
            spec.priority = priority
            spec.eta = eta
            spec.max_attempts = max_attempts
            spec.unique_key = self._unique_key(make_key, args, kwargs) if make_key else unique_key
            spec.expires_at = expires_at
            spec.interval_ms = interval_ms
            spec.series_id = None
            spec.nominal_at = None
            spec.pinned = pinned
            specs.append(spec)
        return specs

    def _times(self, now: int) -> tuple[int | None, int | None]:
        options = self.options
        eta = None
        if options.eta is not None:
            eta = to_millis(options.eta, "eta")
        elif options.delay_ms is not None:
            eta = now + options.delay_ms
        if options.expires_in_ms is None:
            return eta, None
        return eta, (now if eta is None else eta) + options.expires_in_ms

    def _unique_key(self, make_key: Callable[..., str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        key = make_key(*args, **kwargs)
        if key and isinstance(key, str):
            return key
        msg = f"unique_key: {make_key!r} made {show(key)} for {self.name}, which is not a key. Return text."
        raise ConfigError(msg)
