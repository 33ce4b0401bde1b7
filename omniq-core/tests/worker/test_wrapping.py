"""Plugins around the execution of tasks."""

from __future__ import annotations

import pluggy
import pytest

from omniq.storage import hookspecs
from omniq.worker import current_task

hookimpl = hookspecs.hookimpl


def plugins(*objects):
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for plugin in objects:
        manager.register(plugin)
    return manager


class Tracer:
    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    @hookimpl(wrapper=True)
    def omniq_around_execution(self, context):
        self.seen.append((self.name, "before", context.id))
        try:
            result = yield
        except BaseException as error:
            self.seen.append((self.name, "raised", type(error).__name__))
            raise
        self.seen.append((self.name, "after", result))
        return result


class Changer:
    @hookimpl(wrapper=True)
    def omniq_around_execution(self, context):
        try:
            result = yield
        except ValueError:
            return "rescued"
        return [context.func, result]


class Refuser:
    @hookimpl(wrapper=True)
    def omniq_around_execution(self, context):
        if context.func == "refused":
            raise PermissionError("not on Sundays")
        return (yield)


class Stutterer:
    @hookimpl(wrapper=True)
    def omniq_around_execution(self, context):
        yield
        yield


@pytest.fixture(params=["loop", "thread"])
def register(request, memory_shop):
    def register(func, name=None):
        return memory_shop.task(func, name=name or func.__name__, run_in=request.param)

    return register


async def test_wrappers_see_every_run_from_outside_in_and_inside_out(memory_shop, register):
    shop, seen = memory_shop, []

    def work(x):
        seen.append(("body", current_task().id, x))
        return x

    register(work)
    task_id = await shop.enqueue("work", 7)
    await shop.work(hooks=plugins(Tracer("inner", seen), Tracer("outer", seen)))
    assert seen == [
        ("outer", "before", task_id),
        ("inner", "before", task_id),
        ("body", task_id, 7),
        ("inner", "after", 7),
        ("outer", "after", 7),
    ]


async def test_wrappers_can_change_the_result_and_swallow_an_error(memory_shop, register):
    shop = memory_shop

    def good():
        return 1

    def bad():
        raise ValueError

    register(good)
    register(bad)
    ids = [await shop.enqueue("good"), await shop.enqueue("bad")]
    report = await shop.work(hooks=plugins(Changer()))
    assert report.completed == 2
    assert [await shop.value(task_id) for task_id in ids] == [["good", 1], "rescued"]


async def test_wrappers_hear_of_errors(memory_shop, register):
    shop, seen = memory_shop, []

    def bad():
        raise KeyError("x")

    register(bad)
    await shop.enqueue("bad", max_attempts=1)
    report = await shop.work(hooks=plugins(Tracer("t", seen)))
    assert (report.failed, seen[1:]) == (1, [("t", "raised", "KeyError")])


async def test_a_wrapper_can_refuse_a_run(memory_shop, register):
    shop, ran = memory_shop, []

    def body():
        ran.append(True)

    register(body, "refused")
    task_id = await shop.enqueue("refused", max_attempts=1)
    report = await shop.work(hooks=plugins(Refuser()))
    assert (report.failed, ran) == (1, [])
    assert (await shop.error(task_id)).message == "not on Sundays"


async def test_a_wrapper_that_yields_twice_fails_the_run_saying_so(memory_shop, register):
    shop = memory_shop

    def body():
        return 1

    register(body)
    task_id = await shop.enqueue("body", max_attempts=1)
    await shop.work(hooks=plugins(Stutterer()))
    assert "it must yield once" in (await shop.error(task_id)).message


async def test_wrappers_work_around_coroutines_too(memory_shop):
    shop, seen = memory_shop, []

    @shop.task
    async def work():
        return "done"

    await shop.enqueue(work)
    worker = shop.worker(hooks=plugins(Tracer("t", seen)), burst=True)
    await worker.run()
    assert [step for _, step, _ in seen] == ["before", "after"]
    assert worker._executor._wrappers._entered == {}
