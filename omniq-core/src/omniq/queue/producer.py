"""Enqueuing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, TypeVar, overload

from omniq.errors import ConfigError
from omniq.models.redaction import show
from omniq.queue.calls import call_of
from omniq.queue.connection import Client
from omniq.queue.job import Job, jobs_of
from omniq.queue.options import TaskOptions, parse_options
from omniq.queue.specs import SpecMaker, check_arguments
from omniq.queue.task import TaskCall, TaskHandle

if TYPE_CHECKING:
    from typing import TypeAlias, Unpack

    from omniq.models.record import Enqueued, TaskSpec
    from omniq.queue.connection import Connection
    from omniq.queue.options import BatchArguments, CallArguments
    from omniq.queue.specs import Arguments
    from omniq.queue.task import ManyArguments
    from omniq.serialization import Serializer

    Function: TypeAlias = TaskHandle[..., Any] | Callable[..., Any] | str
    Batch: TypeAlias = list[tuple[SpecMaker, list[Arguments]]]

__all__ = ["Producer"]

R = TypeVar("R")

_CHUNK = 1000
_NO_KWARGS: Mapping[str, Any] = {}


class Producer(Client):
    """The part of a facade that enqueues."""

    @overload
    async def enqueue(self, func: TaskCall[R], /, **options: Unpack[CallArguments]) -> Job[R]: ...
    @overload
    async def enqueue(
        self,
        func: TaskHandle[..., R],
        args: list[Any] | tuple[Any, ...] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        **options: Unpack[CallArguments],
    ) -> Job[R]: ...
    @overload
    async def enqueue(
        self,
        func: Callable[..., Coroutine[Any, Any, R]],
        args: list[Any] | tuple[Any, ...] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        **options: Unpack[CallArguments],
    ) -> Job[R]: ...
    @overload
    async def enqueue(
        self,
        func: Callable[..., R],
        args: list[Any] | tuple[Any, ...] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        **options: Unpack[CallArguments],
    ) -> Job[R]: ...
    @overload
    async def enqueue(
        self,
        func: str,
        args: list[Any] | tuple[Any, ...] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        **options: Unpack[CallArguments],
    ) -> Job[Any]: ...

    async def enqueue(
        self,
        func: TaskCall[Any] | Function,
        args: list[Any] | tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallArguments],
    ) -> Job[Any]:
        """Have a worker run a function.

        The call returns when the task is stored. Calls that are made at the same time are stored together.

        Args:
            func: A task, a function at the top level of a module, its import path (`package.module.function`), or
                a prepared call.
            args: Its positional arguments, as a list or tuple.
            kwargs: Its keyword arguments.
            **options: `queue`; `priority` (0 to 9, 9 first); `eta` (an aware datetime) or `delay` (seconds or
                a timedelta), before which it does not start; `interval` (a timedelta) after which it is repeated;
                `max_retries`; `timeout` of one attempt (seconds or a timedelta); `unique_key`, which at most one
                live task of the queue has; `task_id`, to enqueue the same thing only once; `result_ttl`, how long
                the result is kept; `expires_in`, after which it is not worth starting any more, counted from when it
                could start; `headers`; `connection`, a database connection or session of yours with an open
                transaction: the task is there once that is committed and never if it is rolled back (only where
                the task queue can; PostgreSQL's can). What is left out, or None, is as the task says, then as the
                configuration says.

        Returns:
            The job; its `created` is False if a task with this id, or a live one with this unique key, existed.

        Raises:
            ConfigError: An option is invalid; the message lists all faults.
            SerializationError: An argument cannot be encoded; the message names it.
            LimitExceededError: The arguments are too large for the backend.
            CapabilityError: There is a `connection`, and the task queue cannot enqueue in its transaction.
            StorageError: The store failed; for a lost connection only after trying for a while. After
                OutcomeUnknownError the task may be enqueued or not.
        """
        call = call_of(func, args, kwargs, self)
        chosen = call.options.merged(parse_options(**options))
        connection = await self._connection()
        maker = SpecMaker(call.name, chosen, connection.serializer)
        task_id = chosen.task_id or connection.ids.one()
        now = await connection.queue.time() if maker.needs_clock else 0
        specs = maker.make([task_id], [(call.args, call.kwargs)], now, pinned=chosen.task_id is not None)
        await connection.prepare(specs)
        if chosen.connection is None:
            answer = await connection.write_one(specs[0])
        else:
            (answer,) = await connection.write_within(chosen.connection, specs)
        return Job(answer.id, self._jobs, created=answer.created)

    @overload
    async def enqueue_many(
        self, func: Iterable[TaskCall[Any]], /, **options: Unpack[BatchArguments]
    ) -> list[Job[Any]]: ...
    @overload
    async def enqueue_many(
        self, func: TaskHandle[..., R], calls: ManyArguments, /, **options: Unpack[BatchArguments]
    ) -> list[Job[R]]: ...
    @overload
    async def enqueue_many(
        self, func: Callable[..., Any] | str, calls: ManyArguments, /, **options: Unpack[BatchArguments]
    ) -> list[Job[Any]]: ...

    async def enqueue_many(
        self,
        func: Iterable[TaskCall[Any]] | Function,
        calls: ManyArguments | None = None,
        /,
        **options: Unpack[BatchArguments],
    ) -> list[Job[Any]]:
        """Have workers run many calls, stored a thousand at a time.

        `enqueue_many(task, [(1,), (2,)])` calls one task with many arguments: positional ones as tuples or lists,
        keyword arguments as mappings. `enqueue_many([a.call(1), b.call(x=2)])` takes prepared calls of any tasks.

        Args:
            func: What to run, as `enqueue` takes it; or an iterable of prepared calls.
            calls: The arguments of each call; it may be a generator.
            **options: As of `enqueue`, for all of them, without `task_id`.

        Returns:
            The jobs, in order.

        Raises:
            OmniQError: As of `enqueue`. A note tells how many tasks had been stored before.
        """
        given = parse_options(**options)
        if "task_id" in given:
            msg = f"task_id: {show(given['task_id'])} is the id of one task. Leave it out, or use enqueue()."
            raise ConfigError(msg)
        connection = await self._connection()
        jobs: list[Job[Any]] = []
        try:
            for batch in self._batches(func, calls, given, connection.serializer):
                jobs += jobs_of(Job, self._jobs, await _store(batch, connection))
        except Exception as error:
            if jobs:
                error.add_note(f"{len(jobs)} tasks were enqueued before this.")
            raise
        return jobs

    def _batches(
        self,
        func: Iterable[TaskCall[Any]] | Function,
        calls: ManyArguments | None,
        given: Mapping[str, Any],
        serializer: Serializer,
    ) -> Iterator[Batch]:
        if calls is None:
            yield from _prepared(func, given, serializer)
            return
        template = call_of(func, (), None, self)
        maker = SpecMaker(template.name, template.options.merged(given), serializer)
        iterator = iter(calls)
        while chunk := [_arguments(item) for item in islice(iterator, _CHUNK)]:
            yield [(maker, chunk)]


def _prepared(calls: object, given: Mapping[str, Any], serializer: Serializer) -> Iterator[Batch]:
    """Batch prepared calls of any tasks; neighbours with the same task and options share a maker."""
    if isinstance(calls, str) or not isinstance(calls, Iterable):
        msg = (
            f"{show(calls)} is no list of prepared calls. Write enqueue_many(task, [(1,), (2,)]), or "
            "enqueue_many([task.call(1), other.call(2)])."
        )
        raise ConfigError(msg)
    iterator = iter(calls)
    # The options are kept beside their maker, so that no other object gets their id.
    makers: dict[tuple[str, int], tuple[TaskOptions, SpecMaker]] = {}
    while chunk := list(islice(iterator, _CHUNK)):
        batch: Batch = []
        for key, group in groupby(chunk, key=lambda call: (_checked(call).name, id(call.options))):
            same = list(group)
            if key not in makers:
                options = same[0].options
                makers[key] = options, SpecMaker(same[0].name, options.merged(given), serializer)
            batch.append((makers[key][1], [(call.args, call.kwargs) for call in same]))
        yield batch


def _checked(call: object) -> TaskCall[Any]:
    if isinstance(call, TaskCall):
        return call
    msg = (
        f"{show(call)} is no prepared call. Make one with task.call(...), or name the task: enqueue_many(task, calls)."
    )
    raise ConfigError(msg)


def _arguments(item: object) -> Arguments:
    kind = type(item)  # the usual cases first: this runs for every task of a bulk enqueue
    if kind is tuple or kind is list or isinstance(item, list | tuple):
        return item, _NO_KWARGS  # type: ignore[return-value]
    if kind is dict or isinstance(item, Mapping):
        return check_arguments((), item)
    msg = (
        f"{show(item)} is not the arguments of a call. Give each call as a tuple or list of positional arguments, "
        "(value,) for a single one, or as a mapping of keyword arguments."
    )
    raise ConfigError(msg)


async def _store(batch: Batch, connection: Connection) -> list[Enqueued]:
    transaction, *others = {id(maker.options.connection): maker.options.connection for maker, _ in batch}.values()
    if others:
        msg = (
            f"connection: {show(transaction)} and {show(others[0])} are given for calls of one enqueue_many(). Give it "
            "one `connection` for all of them, or call it once for each."
        )
        raise ConfigError(msg)
    specs = await _make(batch, connection)
    await connection.prepare(specs)
    if transaction is None:
        return await connection.write(specs)
    return await connection.write_within(transaction, specs)


async def _make(batch: Batch, connection: Connection) -> list[TaskSpec]:
    needs_clock = any(maker.needs_clock for maker, _ in batch)
    now = await connection.queue.time() if needs_clock else 0
    specs: list[TaskSpec] = []
    for maker, calls in batch:
        specs += maker.make(connection.ids.many(len(calls)), calls, now)
    return specs
