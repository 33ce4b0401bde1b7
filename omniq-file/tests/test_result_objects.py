"""Results alone, in stores that promise nothing but to keep objects."""

from __future__ import annotations

import asyncio
import itertools

import attrs
import pytest

from omniq.errors import CapabilityError, ConfigError, StoreClosedError, StoreFormatError
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.backend import BackendConfig
from omniq_conformance.discovery import find_harness
from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items
from omniq_file import plugin
from omniq_file.result_objects import ObjectResultStorage
from omniq_file.results import FileResultStorage

OF_RESULTS = [item for item in items() if item.id.startswith("OQ-R-")]


def config(folder, **options):
    """Return a store in a folder through fsspec's `dir`, which has no conditional writes."""
    storage = {"path": str(folder), "target_protocol": "file"}
    return BackendConfig(backend_type="file", url="dir://", options={"storage_options": storage, **options})


@pytest.fixture
async def results(tmp_path):
    async with plugin.omniq_create_result_storage(config(tmp_path)) as opened:
        assert isinstance(opened, ObjectResultStorage)
        yield opened


def outcome(id="t", epoch=1, value=b"1", **fields):
    return ResultRecord(id, 1, epoch, TaskStatus.COMPLETED, value, **fields)


@pytest.mark.parametrize("item", OF_RESULTS, ids=lambda item: item.id)
def test_the_contract_holds_beside_another_queue(item):
    with find_harness("memory,results=file-results") as harness:
        outcome = run_item(item, harness, PROFILES["smoke"])
    assert outcome.status is Status.PASS, outcome.reason


@pytest.mark.parametrize("role", ["task_queue", "event_storage", "schedule_storage"])
async def test_other_roles_are_refused(tmp_path, role):
    storage = getattr(plugin, f"omniq_create_{role}")(config(tmp_path))
    with pytest.raises(CapabilityError, match=r"dir stores .* It can hold results"):
        await storage.open()
    assert list(tmp_path.iterdir()) == []


async def test_a_server_that_overwrites_can_hold_results(bucket_that_overwrites):
    url, options = bucket_that_overwrites
    with pytest.raises(CapabilityError, match="It can hold results: set results_only"):
        await plugin.omniq_create_task_queue(BackendConfig(backend_type="file", url=url, options=options)).open()
    told = BackendConfig(backend_type="file", url=url, options={**options, "results_only": True})
    with pytest.raises(CapabilityError, match="is for results alone"):
        await plugin.omniq_create_task_queue(told).open()
    async with plugin.omniq_create_result_storage(told) as opened:
        assert await opened.put([outcome(f"t{number}") for number in range(20)]) == [True] * 20
        assert await opened.put([outcome("t1", epoch=3), outcome("t1", epoch=2)]) == [True, False]
        found = await opened.get(["t0", "t1", "none"])
        assert [each and each.epoch for each in found] == [1, 3, None]
        assert [each.id for each in await opened.list(limit=3)] == ["t0", "t1", "t10"]
        assert await opened.delete(["t1", "t1", "none"]) == [True, False, False]
        assert await opened.get(["t1"]) == [None]


async def test_what_is_half_written_is_not_there(results, tmp_path):
    await results.put([outcome(value=b"old")])
    (old,) = (tmp_path / "results").glob("*/t/*")
    torn = old.with_name("1.2.1.-1.abcd")
    for size in range(old.stat().st_size):
        torn.write_bytes(old.read_bytes()[:size])
        (found,) = await results.get(["t"])
        assert found.value == b"old"
    assert await results.put([outcome(value=b"new")]) == [True]
    (found,) = await results.get(["t"])
    assert found.value == b"new"
    assert [each.id for each in await results.list()] == ["t"]


async def test_of_writers_at_the_same_time_the_latest_run_counts(tmp_path):
    async with (
        plugin.omniq_create_result_storage(config(tmp_path)) as one,
        plugin.omniq_create_result_storage(config(tmp_path)) as two,
    ):
        for number, swapped in itertools.product(range(10), (False, True)):
            records = [outcome(f"t{number}{swapped}", epoch=epoch) for epoch in (1, 2)]
            first, second = (two, one) if swapped else (one, two)
            await asyncio.gather(first.put(records[:1]), second.put(records[1:]))
            (found,) = await one.get([records[0].id])
            assert found.epoch == 2


async def test_nothing_older_comes_back(results, tmp_path):
    await results.put([outcome(value=b"old")], now=0)
    (old,) = (tmp_path / "results").glob("*/t/*")
    data = old.read_bytes()
    await results.put([outcome(epoch=2, ttl_ms=10)], now=0)
    old.write_bytes(data)  # as if its writer had died before it removed this
    assert await results.get(["t"], now=11) == [None]
    assert await results.purge_expired(now=11) == 1
    assert await results.get(["t"], now=11) == [None]
    assert not list((tmp_path / "results").glob("*/t/*"))


async def test_long_and_strange_ids(results):
    ids = sorted(["a" * 300, "../x", "Ä", "con", "a.b", "z" * 299 + "/"])
    await results.put([outcome(each) for each in ids])
    assert [each.id for each in await results.list()] == ids
    assert [each.id for each in await results.get(ids)] == ids


async def test_pickled_values_are_told_from_others(results, tmp_path):
    await results.put([outcome()])
    signed = config(tmp_path, serialization_format="pickle", signing_key="k" * 16)
    async with plugin.omniq_create_result_storage(signed) as opened:
        with pytest.raises(StoreFormatError, match="serialization_format"):
            await opened.get(["t"])
        assert await opened.put([outcome("s")]) == [True]
        assert [each.value for each in await opened.get(["s"])] == [b"1"]


async def test_closed_and_unknown(results, tmp_path):
    await results.close()
    with pytest.raises(StoreClosedError):
        await results.get(["t"])
    with pytest.raises(ConfigError, match="nonsense"):
        await plugin.omniq_create_result_storage(BackendConfig(backend_type="file", url="nonsense://x")).open()
    with pytest.raises(ConfigError, match="results_only"):
        plugin.omniq_create_result_storage(
            BackendConfig(backend_type="file", url=str(tmp_path), options={"results_only": True})
        )
    assert isinstance(
        plugin.omniq_create_result_storage(BackendConfig(backend_type="file", url="memory://x")), FileResultStorage
    )


async def test_what_was_stored_comes_back(results):
    failed = ResultRecord("f", 2, 1, TaskStatus.FAILED, None, "json", '{"type": "E"}', 1000)
    await results.put([failed, outcome("e", value=b"")], now=5)
    assert await results.get(["f", "e"], now=5) == [
        attrs.evolve(failed, stored_at=5, expires_at=1005),
        attrs.evolve(outcome("e", value=b""), stored_at=5),
    ]
