from __future__ import annotations

import time
import uuid

from omniq.queue.ids import IdMaker


def test_an_id_is_a_uuid_of_version_7_of_now():
    before = time.time_ns() // 1_000_000
    made = IdMaker().one()
    after = time.time_ns() // 1_000_000
    assert made.startswith("task-")
    parsed = uuid.UUID(made.removeprefix("task-"))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= parsed.int >> 80 <= after


def test_ids_are_unique_and_ascend_within_4096():
    maker = IdMaker()
    ids = maker.many(10_000)
    assert len(set(ids)) == 10_000
    assert ids[:4096] == sorted(ids[:4096])
    assert all(uuid.UUID(made.removeprefix("task-")).version == 7 for made in ids)


def test_single_ids_ascend_while_the_clock_stands():
    maker = IdMaker()
    ids = [maker.one() for _ in range(10_000)]
    assert len(set(ids)) == 10_000
    by_moment: dict[str, list[str]] = {}
    for made in ids:
        by_moment.setdefault(made[-20:], []).append(made)
    assert all(same == sorted(same) for same in by_moment.values())


def test_single_ids_after_many_are_new():
    maker = IdMaker()
    ids = [*maker.many(10), maker.one(), *maker.many(10), maker.one()]
    assert len(set(ids)) == 22


def test_no_ids():
    assert IdMaker().many(0) == []


def test_two_makers_make_different_ids():
    assert not set(IdMaker().many(1000)) & set(IdMaker().many(1000))
