"""A bare worker on SQLite: claims, completes and stores results in batches, and nothing else.

No leases, tokens, events, retries or timeouts: a ceiling for what this machine can do now, to which the figures of
`throughput.py` are put in relation.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 100


async def noop(number: int) -> int:
    return number


def prepare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE task (seq INTEGER PRIMARY KEY, state INTEGER, args TEXT, result TEXT)")
    connection.execute("CREATE INDEX ready ON task (seq) WHERE state = 0")
    return connection


def enqueue(connection: sqlite3.Connection, count: int) -> None:
    for start in range(0, count, 1000):
        connection.execute("BEGIN IMMEDIATE")
        rows = [(json.dumps([number]),) for number in range(start, start + 1000)]
        connection.executemany("INSERT INTO task (state, args) VALUES (0, ?)", rows)
        connection.execute("COMMIT")


def claim(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    connection.execute("BEGIN IMMEDIATE")
    rows = connection.execute(
        "UPDATE task SET state = 1 WHERE seq IN (SELECT seq FROM task WHERE state = 0 ORDER BY seq LIMIT ?) "
        "RETURNING seq, args",
        (BATCH,),
    ).fetchall()
    connection.execute("COMMIT")
    return rows


def complete(connection: sqlite3.Connection, rows: list[tuple[str, int]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("UPDATE task SET state = 2, result = ? WHERE seq = ?", rows)
    connection.execute("COMMIT")


async def drain(connection: sqlite3.Connection) -> int:
    loop, done = asyncio.get_running_loop(), 0
    with ThreadPoolExecutor(1) as writer:
        while rows := await loop.run_in_executor(writer, claim, connection):
            values = await asyncio.gather(*(asyncio.create_task(noop(*json.loads(args))) for _, args in rows))
            outcomes = [(json.dumps(value), seq) for value, (seq, _) in zip(values, rows, strict=True)]
            await loop.run_in_executor(writer, complete, connection, outcomes)
            done += len(rows)
    return done


def measure(folder: Path, count: int) -> dict[str, float]:
    """Return tasks a second for enqueuing and draining."""
    connection = prepare(folder / "reference.db")
    start = time.perf_counter()
    enqueue(connection, count)
    middle = time.perf_counter()
    assert asyncio.run(drain(connection)) == count
    end = time.perf_counter()
    connection.close()
    return {"enqueue": count / (middle - start), "drain": count / (end - middle)}
