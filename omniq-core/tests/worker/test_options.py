from __future__ import annotations

import os

import pytest

from omniq.errors import CapabilityError, ConfigError
from omniq.worker import WorkerOptions, check_stores_for_process


def test_the_defaults_fit_together():
    options = WorkerOptions()
    assert options.queues == ("default",)
    assert (options.lease_ms, options.heartbeat_ms) == (30_000, 5_000)
    assert options.processes == min(os.cpu_count(), options.concurrency)
    assert str(os.getpid()) in options.name
    assert WorkerOptions().name != options.name


def test_the_heartbeat_follows_a_short_lease():
    assert WorkerOptions(lease_ms=900).heartbeat_ms == 300


def test_a_single_queue_may_be_given_as_text_and_repeats_do_not_count():
    assert WorkerOptions(queues="mail").queues == ("mail",)
    assert WorkerOptions(queues=["a", "b", "a"]).queues == ("a", "b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency: 0 is not a whole number of at least 1"),
        ({"concurrency": True}, "concurrency: True"),
        ({"lease_ms": 1.5}, "lease_ms: 1.5"),
        ({"max_tasks": -1}, "max_tasks: -1 is not a whole number of at least 0"),
        ({"queues": ()}, "must name at least one queue"),
        ({"queues": ["a", ""]}, "must name at least one queue"),
        ({"queues": None}, "must name at least one queue"),
        ({"lease_ms": 1000, "heartbeat_ms": 600}, "would lose the tasks"),
    ],
)
def test_invalid_options_are_refused_with_the_value(options, message):
    with pytest.raises(ConfigError, match=message):
        WorkerOptions(**options)


async def test_a_worker_process_on_private_stores_is_refused_with_the_remedy(open_shop):
    shop = await open_shop("memory")
    with pytest.raises(CapabilityError) as caught:
        check_stores_for_process(shop.stores)
    message = str(caught.value)
    assert "task queue (memory) and result storage (memory) and schedule storage (memory)" in message
    assert "OMNIQ_TASK_QUEUE_TYPE=sqlite" in message
    assert "async with app.worker()" in message


async def test_private_schedules_alone_are_refused_too(open_shop):
    shop = await open_shop(task_queue="sqlite", schedule_storage="memory")
    with pytest.raises(CapabilityError, match=r"^schedule storage \(memory\): "):
        check_stores_for_process(shop.stores)


async def test_private_events_only_warn(open_shop):
    shop = await open_shop(task_queue="sqlite", event_storage="memory")
    (warning,) = check_stores_for_process(shop.stores)
    assert warning.startswith("event storage (memory): ")


async def test_shared_stores_are_fine(open_shop):
    shop = await open_shop("sqlite")
    assert check_stores_for_process(shop.stores) == []
