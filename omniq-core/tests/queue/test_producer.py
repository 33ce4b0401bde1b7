from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from omniq import AsyncOmniQ, Settings
from omniq.errors import (
    CapabilityError,
    ConfigError,
    ConnectionLostError,
    LimitExceededError,
    OutcomeUnknownError,
    SerializationError,
    StorageError,
)
from omniq.models.record import TaskBody, TaskSpec
from omniq.models.status import TaskStatus
from omniq.queue import connection as connection_module
from omniq.queue.patience import persist
from omniq.queue.registry import TaskDefinition

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def add(a: int, b: int = 0) -> int:
    return a + b


async def add_later(a: int, b: int = 0) -> int:
    return a + b


class Faults:
    """Makes the task queue's `enqueue` fail before or after it did its work."""

    def __init__(self, app: AsyncOmniQ) -> None:
        queue = app.stores.task_queue
        self.calls: list[int] = []
        self.before: list[Exception | None] = []
        self.after: list[Exception | None] = []
        real = queue.enqueue

        async def enqueue(specs, **kwargs):
            self.calls.append(len(specs))
            if self.before and (error := self.before.pop(0)):
                raise error
            answers = await real(specs, **kwargs)
            if self.after and (error := self.after.pop(0)):
                raise error
            return answers

        queue.enqueue = enqueue


# What is enqueued


async def test_a_function_is_enqueued_by_path_or_as_itself(app):
    by_path = await app.enqueue("shop.mail.send", (1,), {"b": 2})
    as_itself = await app.enqueue(add, [1])
    tasks = [await app.get_task(job) for job in (by_path, as_itself)]
    assert [(task.func_path, task.args, task.kwargs) for task in tasks] == [
        ("shop.mail.send", [1], {"b": 2}),
        (f"{__name__}.add", [1], {}),
    ]
    assert by_path.created
    assert by_path.id.startswith("task-")


async def test_a_plain_task_has_the_defaults(app):
    task = await app.get_task(await app.enqueue(add))
    assert (task.queue, task.priority, task.max_retries, task.timeout, task.eta, task.interval) == (
        "default",
        0,
        3,
        None,
        None,
        None,
    )
    assert (task.result_ttl, task.expires_at, task.unique_key, task.headers) == (86_400, None, None, {})


async def test_every_option_is_stored(app):
    job = await app.enqueue(
        add,
        (1,),
        queue="mail",
        priority=7,
        eta=FAR,
        interval=timedelta(hours=1),
        max_retries=5,
        timeout=timedelta(seconds=1.5),
        unique_key="k",
        task_id="order-7",
        result_ttl=60,
        expires_in=3600,
        headers={"tenant": "a"},
    )
    task = await app.get_task("order-7")
    assert job == "order-7"
    assert (task.queue, task.priority, task.eta, task.interval, task.max_retries, task.timeout) == (
        "mail",
        7,
        FAR,
        timedelta(hours=1),
        5,
        1.5,
    )
    assert (task.unique_key, task.result_ttl, task.expires_at, task.headers) == (
        "k",
        60.0,
        FAR + timedelta(hours=1),
        {"tenant": "a"},
    )


async def test_none_means_that_an_option_is_not_given(app):
    job = await app.enqueue(add, (1,), None, eta=None, interval=None, timeout=None, queue=None, priority=None)
    assert (await app.get_task(job)).queue == "default"


@pytest.mark.parametrize(
    "eta",
    [
        datetime(2100, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC),
        datetime(2100, 1, 1, 12, tzinfo=timezone(timedelta(hours=-7))),
        datetime(2001, 1, 1, tzinfo=UTC),
    ],
)
async def test_an_eta_comes_back_as_it_was_given(app, eta):
    task = await app.get_task(await app.enqueue(add, eta=eta))
    assert (task.eta, task.eta.utcoffset()) == (eta, eta.utcoffset())


async def test_a_delay_is_counted_by_the_stores_clock(app):
    before = await app.stores.task_queue.time()
    task = await app.get_task(await app.enqueue(add, delay=timedelta(hours=1)))
    after = await app.stores.task_queue.time()
    assert before <= task.eta.timestamp() * 1000 - 3_600_000 <= after
    assert task.view.value == "SCHEDULED"


async def test_the_options_of_a_task_count_unless_the_call_says_otherwise(app):
    definition = TaskDefinition(
        name="shop.send", func=add, options=app.defaults.merged({"queue": "mail", "priority": 5, "timeout_ms": 1000})
    )
    app.registry.add(definition)
    by_name = await app.get_task(await app.enqueue("shop.send"))
    changed = await app.get_task(await app.enqueue("shop.send", priority=1, timeout="never"))
    assert (by_name.queue, by_name.priority, by_name.timeout) == ("mail", 5, 1.0)
    assert (changed.queue, changed.priority, changed.timeout) == ("mail", 1, None)


async def test_the_configuration_gives_the_defaults(store):
    settings = Settings(backend="memory", default_queue="web", default_ttl=60)
    async with AsyncOmniQ(settings) as app:
        task = await app.get_task(await app.enqueue(add))
    assert (task.queue, task.result_ttl) == ("web", 60.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (((lambda: None),), ConfigError, "is a lambda"),
        ((5,), ConfigError, "func: 5 is not a function"),
        (("a..b",), ConfigError, "is not the path of a function"),
        ((add, "abc"), ConfigError, "args: 'abc' is not a list or tuple"),
        ((add, (), [1]), ConfigError, r"kwargs: \[1\] is not a mapping"),
        ((add, (object(),)), SerializationError, "argument 1"),
    ],
)
async def test_what_cannot_be_enqueued_is_refused(memory, call, error, message):
    with pytest.raises(error, match=message):
        await memory.enqueue(*call)
    assert await memory.count_tasks() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priority": 11, "interval": 5}, r"(?s)interval: 5 .*priority: 11|priority: 11 .*interval: 5"),
        ({"eta": FAR.replace(tzinfo=None)}, "eta: .* has no time zone"),
        ({"delay": 1, "eta": FAR}, "Give one of the two"),
        ({"prioritty": 1}, "Did you mean 'priority'"),
    ],
)
async def test_invalid_options_are_refused(memory, options, message):
    with pytest.raises(ConfigError, match=message):
        await memory.enqueue(add, **options)
    assert await memory.count_tasks() == 0


# Repeats


async def test_the_same_id_is_enqueued_once(app):
    first = await app.enqueue(add, (1,), task_id="order-7")
    second = await app.enqueue(add, (2,), task_id="order-7")
    assert (first.created, second.created, second.id) == (True, False, "order-7")
    assert (await app.get_task("order-7")).args == [1]


async def test_a_unique_key_has_one_live_task_a_queue(app):
    first = await app.enqueue(add, unique_key="k")
    second = await app.enqueue(add, unique_key="k")
    elsewhere = await app.enqueue(add, unique_key="k", queue="other")
    assert (first.created, second.created, elsewhere.created) == (True, False, True)
    assert second == first
    await first.cancel()
    assert (await app.enqueue(add, unique_key="k")).created


async def test_a_key_can_be_made_from_the_arguments(app):
    jobs = [await app.enqueue(add, (a,), unique_key=lambda a: f"add-{a}") for a in (1, 2, 1)]
    assert [job.created for job in jobs] == [True, True, False]
    assert jobs[2] == jobs[0]


# Coalescing


async def test_calls_at_the_same_time_are_one_write(memory):
    faults = Faults(memory)
    jobs = await asyncio.gather(*(memory.enqueue(add, (i,)) for i in range(300)))
    assert len(faults.calls) <= 2
    assert sum(faults.calls) == 300
    assert [(await memory.get_task(job)).args for job in jobs[::100]] == [[0], [100], [200]]


async def test_a_call_of_its_own_waits_for_nobody(memory):
    faults = Faults(memory)
    started = time.perf_counter()
    for i in range(20):
        await memory.enqueue(add, (i,))
    assert faults.calls == [1] * 20
    assert time.perf_counter() - started < 1


async def test_a_task_over_the_limit_does_not_disturb_strangers(memory):
    limit = memory.stores.task_queue.capabilities.max_payload_bytes
    too_large = memory.enqueue(add, ("x" * limit,))
    too_long = memory.enqueue(add, task_id="i" * 600)
    outcomes = await asyncio.gather(memory.enqueue(add), too_large, too_long, return_exceptions=True)
    assert outcomes[0].created
    assert [type(outcome) for outcome in outcomes[1:]] == [LimitExceededError] * 2
    assert "Pass a reference" in str(outcomes[1])
    assert "task id 'iii" in str(outcomes[2])


async def test_a_task_that_only_the_store_refuses_does_not_disturb_strangers(memory):
    faults = Faults(memory)
    faults.before = [LimitExceededError("one of them is too large"), None, LimitExceededError("this one")]
    outcomes = await asyncio.gather(memory.enqueue(add), memory.enqueue(add), return_exceptions=True)
    assert outcomes[0].created
    assert str(outcomes[1]) == "this one"


# Failures of the store


async def test_a_lost_reply_is_repeated_with_the_same_id(memory):
    faults = Faults(memory)
    faults.after = [OutcomeUnknownError("the reply was lost")]
    job = await memory.enqueue(add, (1,))
    assert faults.calls == [1, 1]
    assert job.created
    assert [task.id for task in await memory.list_tasks()] == [job.id]


async def test_whether_an_id_of_the_caller_is_new_is_not_known_after_a_lost_reply(memory):
    faults = Faults(memory)
    faults.after = [OutcomeUnknownError("the reply was lost")]
    job = await memory.enqueue(add, (1,), task_id="order-7")
    assert (job.id, job.created, await memory.count_tasks()) == ("order-7", False, 1)


async def test_an_unreachable_store_is_tried_again(memory):
    faults = Faults(memory)
    faults.before = [ConnectionLostError("gone"), ConnectionLostError("gone")]
    assert (await memory.enqueue(add)).created
    assert faults.calls == [1, 1, 1]


async def test_an_unreachable_store_is_not_tried_for_ever(memory, monkeypatch):
    monkeypatch.setattr(connection_module, "persist", lambda attempt: persist(attempt, limit=0.1))
    faults = Faults(memory)
    faults.before = [ConnectionLostError("gone")] * 100
    with pytest.raises(ConnectionLostError):
        await memory.enqueue(add)
    assert 2 <= len(faults.calls) <= 5


async def test_any_other_failure_is_raised_at_once(memory):
    faults = Faults(memory)
    faults.before = [StorageError("disk full")]
    with pytest.raises(StorageError, match="disk full"):
        await memory.enqueue(add)
    assert faults.calls == [1]


# Many


async def test_many_calls_of_one_task(app):
    jobs = await app.enqueue_many(add, [(1,), [2, 3], {"a": 4, "b": 5}], queue="bulk")
    tasks = [await app.get_task(job) for job in jobs]
    assert [(task.args, task.kwargs, task.queue) for task in tasks] == [
        ([1], {}, "bulk"),
        ([2, 3], {}, "bulk"),
        ([], {"a": 4, "b": 5}, "bulk"),
    ]
    assert all(job.created for job in jobs)


async def test_many_prepared_calls_of_several_tasks(app):
    @app.task(name="one", queue="mail")
    def one(a: int) -> None: ...

    @app.task(name="two", priority=5)
    async def two(*, b: str) -> None: ...

    jobs = await app.enqueue_many([one.call(1), two.call(b="x"), one.options(delay=60).call(2), one.call(3)])
    tasks = [await app.get_task(job) for job in jobs]
    assert [(task.func_path, task.args, task.kwargs, task.queue, task.priority) for task in tasks] == [
        ("one", [1], {}, "mail", 0),
        ("two", [], {"b": "x"}, "default", 5),
        ("one", [2], {}, "mail", 0),
        ("one", [3], {}, "mail", 0),
    ]
    assert [task.eta is not None for task in tasks] == [False, False, True, False]


async def test_many_are_written_a_thousand_at_a_time_and_keep_their_order(memory):
    faults = Faults(memory)
    jobs = await memory.enqueue_many(add, ((i,) for i in range(2500)))
    assert faults.calls == [1000, 1000, 500]
    tasks = await memory.list_tasks()
    assert [task.id for task in tasks] == [job.id for job in jobs]
    assert [task.args for task in tasks] == [[i] for i in range(2500)]


async def test_many_with_a_unique_key_are_told_apart(app):
    jobs = await app.enqueue_many(add, [(1,), (2,), (1,)], unique_key=str)
    assert [job.created for job in jobs] == [True, True, False]
    assert jobs[0] == jobs[2]


async def test_none_at_all(memory):
    assert await memory.enqueue_many(add, []) == []
    assert await memory.enqueue_many([]) == []


async def test_many_through_the_task(memory):
    @memory.task(name="one")
    def one(a: int) -> None: ...

    jobs = await one.options(queue="bulk").enqueue_many([(1,), (2,)])
    assert [(task.id, task.queue) for task in await memory.list_tasks()] == [(job.id, "bulk") for job in jobs]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ((add, ["ab"]), r"'ab' is not the arguments of a call. .* \(value,\) for a single one"),
        ((add, [1, 2]), r"1 is not the arguments of a call"),
        (([(1,)],), r"\[1\] is no prepared call. Make one with task.call"),
        ((add,), r"is no list of prepared calls"),
        (("shop.send",), r"'shop.send' is no list of prepared calls"),
        ((5, [(1,)]), r"func: 5 is not a function"),
    ],
)
async def test_what_are_no_calls_is_refused(memory, call, message):
    with pytest.raises(ConfigError, match=message):
        await memory.enqueue_many(*call)


async def test_many_tasks_have_many_ids(memory):
    with pytest.raises(ConfigError, match="task_id: 'x' is the id of one task"):
        await memory.enqueue_many(add, [(1,)], task_id="x")


async def test_a_failure_tells_how_many_were_stored(memory):
    calls = [(i,) for i in range(1500)] + [(object(),)]
    with pytest.raises(SerializationError) as caught:
        await memory.enqueue_many(add, calls)
    assert caught.value.__notes__ == ["1000 tasks were enqueued before this."]
    assert await memory.count_tasks() == 1000


# Running what was enqueued


async def test_what_is_enqueued_runs(app):
    jobs = [await app.enqueue(add, (1, 2)), await app.enqueue(add_later, (3,), {"b": 4})]
    await app.worker(burst=True).run()
    assert [await job.result(5) for job in jobs] == [3, 7]
    assert {task.status for task in await app.list_tasks()} == {TaskStatus.COMPLETED}


@pytest.mark.parametrize("role", ["results", "events"])
async def test_an_id_is_refused_that_only_the_queue_could_keep(memory, monkeypatch, role):
    """Or the task would run, and its outcome could be stored nowhere."""
    stores = memory.stores
    smaller = attrs.evolve(stores.task_queue.capabilities, max_id_bytes=100)
    monkeypatch.setattr(getattr(stores, role), "_capabilities", smaller)
    connection = connection_module.Connection(
        stores, serializers=memory.serializers, serializer=memory.serializers.get("json")
    )
    for write in (connection.write_one, lambda spec: connection.write([spec])):
        with pytest.raises(LimitExceededError, match="has 101 bytes in UTF-8; this store takes at most 100"):
            await write(TaskSpec(id="i" * 101, body=TaskBody(func="m.f")))
        await write(TaskSpec(id="i" * 100, body=TaskBody(func="m.f")))


async def test_a_queue_without_transactions_of_its_callers_says_so(memory):
    with pytest.raises(CapabilityError, match="a MemoryTaskQueue cannot enqueue in transactions of its callers"):
        await memory.enqueue(add, (1,), connection=object())
    with pytest.raises(CapabilityError, match="Leave `connection` out"):
        await memory.enqueue_many(add, [(1,)], connection=object())
    assert await memory.count_tasks() == 0
    await memory.enqueue(add, (1,), connection=None)


async def test_a_schedule_is_no_part_of_a_transaction(memory):
    with pytest.raises(ConfigError, match="connection="):
        await memory.add_schedule("s", memory.task(add).options(connection=object()).call(1), cron="* * * * *")
