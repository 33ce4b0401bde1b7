"""How the server goes through large tables, also if it has never looked at how large they are."""

from __future__ import annotations

import re
import secrets

import asyncpg
import pytest

from omniq.models.record import Completion, TaskFilter
from omniq.models.status import TERMINAL, TaskStatus
from omniq_conformance import servers
from omniq_postgres.schema import in_schema

TASKS = 1_000_000
FILL = f"""
INSERT INTO omniq.task (seq, enqueued_at, id, func, codec, args, kwargs)
SELECT nextval('omniq.task_seq'), 1, 'task-' || n, 'f', 'json', '[]', '{{}}' FROM generate_series(1, {TASKS}) AS n;
INSERT INTO omniq.head (
    seq, ready_at, lease_until, finished_at, attempts, max_attempts, epoch, version, state, priority,
    cancel_requested, pinned, id, queue, nonce, worker
) SELECT n, n, CASE WHEN n % 10 = 1 THEN n END, CASE WHEN n % 10 > 5 THEN n END, 1, 4, 1, 2,
    CASE n % 10 WHEN 1 THEN 1 WHEN 6 THEN 2 WHEN 7 THEN 2 WHEN 8 THEN 2 WHEN 9 THEN 4 ELSE 0 END, n % 3,
    false, false, 'task-' || n, CASE WHEN n / 10 % 2 = 0 THEN 'a' ELSE 'b' END, '', CASE WHEN n % 10 = 1 THEN 'w' END
FROM generate_series(1, {TASKS}) AS n;
"""
LOOKED_AT = re.compile(r"(Seq Scan on (?:head|task|event|result) .*|Sort Method: .*Disk.*)")
PASSED_OVER = re.compile(r"Rows Removed by Filter: (\d+)")
MOST = 5_000
"""Rows that one node of a plan may look at; a recovery of two queues looks at a thousand of each."""
ROWS = re.compile(r"(?:Index|Bitmap Heap|Seq|Tid)\b.* Scan .*\bon (\w+).*actual .*rows=([\d.]+) loops=(\d+)")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("analyzed", [False, True])
async def test_nothing_goes_through_a_whole_table(open_roles, analyzed):
    settings = {
        "shared_preload_libraries": "auto_explain",
        "auto_explain.log_min_duration": 0,
        "auto_explain.log_nested_statements": True,
        "auto_explain.log_analyze": True,
        "auto_explain.log_timing": False,
        "autovacuum": False,
        "fsync": False,
    }
    with servers.start("postgres", **settings) as server:
        async with open_roles(server.url) as roles:
            await fill(server.url, roles.queue.shared.schema, analyzed=analyzed)
            log = server.folder / "server.log"
            start = len(log.read_bytes())
            await use(roles)
            plans = log.read_bytes()[start:].decode(errors="replace")
    assert "head_ready" in plans
    assert LOOKED_AT.findall(plans) == []
    read = [(table, float(rows) * int(loops)) for table, rows, loops in ROWS.findall(plans)]
    assert len(read) > 20
    assert [each for each in read if each[1] > MOST] == []
    assert max(map(int, PASSED_OVER.findall(plans)), default=0) <= MOST


async def fill(url, schema, *, analyzed):
    connection = await asyncpg.connect(url)
    await connection.execute("SET auto_explain.log_min_duration = -1")
    await connection.execute(in_schema(FILL, schema))
    if analyzed:
        await connection.execute(in_schema("ANALYZE omniq.head; ANALYZE omniq.task", schema))
    await connection.close()


async def use(roles):
    queue = roles.queue
    for queues in (["a"], ["a", "b"]):
        assert len(await queue.recover(queues)) == 1000
        grants = await queue.claim(queues, 100, "w", 30_000, secrets.token_hex(8))
        assert len(grants) == 100
        assert await queue.heartbeat([(grant.id, grant.token) for grant in grants], 30_000) == ["ok"] * 100
        assert await queue.complete([Completion(grant.id, grant.token) for grant in grants]) == ["ok"] * 100
        await queue.next_at(queues)
    for wanted in (
        None,
        TaskFilter(queues=frozenset({"a"})),
        TaskFilter(states=frozenset({TaskStatus.PENDING})),
        TaskFilter(states=frozenset({TaskStatus.CANCELLED})),
        TaskFilter(ids=frozenset({"task-5", "task-77"})),
    ):
        page = await queue.list(wanted, limit=100)
        await queue.list(wanted, limit=100, after=page[-1].seq)
        await queue.list(wanted, limit=100, desc=True)
    assert len(await queue.get(["task-1", "task-999999", "nobody"])) == 3
    assert len(await queue.purge(TERMINAL, 10**15, 1000)) == 1000
    assert await queue.cancel([f"task-{TASKS - 8}"]) == ["cancelled"]
