"""The statements of the task queue; everything of the schema is named as `omniq.<name>`."""

from __future__ import annotations

from omniq_postgres.rows import EVENT_COLUMNS, TASK_QUERY

__all__ = [
    "ADOPT",
    "CANCEL",
    "CLAIM",
    "COUNTS",
    "DONE",
    "ENQUEUE",
    "FIRE",
    "GET",
    "HEARTBEAT",
    "HELD",
    "NEXT_AT",
    "NEXT_IN",
    "OUTBOX",
    "OUTBOX_ACK",
    "PAGE",
    "PAUSE",
    "PURGE",
    "QUEUES",
    "RECOVER",
    "REDRIVE",
    "RESUME",
    "SETTLE",
    "STAGE",
    "STAGED",
]


def _marks(count: int) -> str:
    return ", ".join(f"${number}" for number in range(1, count + 1))


ENQUEUE = f"SELECT omniq.enqueue({_marks(20)})"
FIRE = f"SELECT * FROM omniq.fire({_marks(25)})"
ADOPT = "SELECT omniq.adopt(NULL, $1)"
STAGED = "SELECT staged, found.* FROM (SELECT EXISTS (SELECT FROM omniq.inbox) AS staged) AS inbox"
STAGE = "SELECT * FROM omniq.stage({specs}, {channel})"
CLAIM = f"SELECT * FROM omniq.claim({_marks(10)})"
RECOVER = f"SELECT * FROM omniq.recover({_marks(4)})"
SETTLE = f"SELECT omniq.settle({_marks(13)})"
HEARTBEAT = f"SELECT * FROM omniq.heartbeat({_marks(6)})"
CANCEL = f"SELECT omniq.cancel({_marks(3)})"
REDRIVE = f"SELECT omniq.redrive({_marks(3)})"
PURGE = f"SELECT * FROM omniq.purge({_marks(4)})"
NEXT_AT = "SELECT omniq.next_at($1, NULL, NULL)"
NEXT_IN = """
SELECT name, omniq.next_at(ARRAY[name], ($2::bigint[])[n * 10 - 9 : n * 10], ($3::bigint[])[n : n]) - omniq.now_ms()
FROM unnest($1::text[]) WITH ORDINALITY AS q (name, n)
"""
PAUSE = "INSERT INTO omniq.paused (queue) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING"
RESUME = "DELETE FROM omniq.paused WHERE queue = ANY ($1)"
GET = f"{TASK_QUERY} WHERE t.id = ANY ($1)"
PAGE = f"{TASK_QUERY} JOIN omniq.page($1, $2, $3, $4, $5, $6) AS p (seq) ON p.seq = h.seq ORDER BY h.seq"
HELD = """
SELECT h.id, h.seq, h.epoch, h.attempts, h.max_attempts, h.queue, h.priority, t.enqueued_at, h.ready_at,
    h.lease_until, h.series_id, h.nominal_at, t.func, t.codec, t.headers, t.timeout_ms, t.result_ttl_ms, t.args,
    t.kwargs
FROM omniq.head AS h JOIN omniq.task AS t ON t.seq = h.seq
WHERE h.state = 1 AND h.worker = $1 AND h.nonce = $2 ORDER BY h.priority DESC, h.ready_at, h.seq
"""
DONE = """
SELECT t.id, h.state, CASE h.state WHEN 0 THEN h.expires_at - omniq.now_ms() END
FROM omniq.task AS t JOIN omniq.head AS h ON h.seq = t.seq WHERE t.id = ANY ($1)
"""
_ENTRY = ", ".join(f"o.{name}" for name in EVENT_COLUMNS.split(", "))
OUTBOX = f"""
WITH upto AS MATERIALIZED (SELECT omniq.now_ms($1) - $2 AS at)
SELECT {_ENTRY} FROM omniq.outbox AS o, upto
WHERE o.at <= upto.at AND NOT EXISTS (
    SELECT FROM omniq.outbox AS earlier
    WHERE earlier.seq = o.seq AND earlier.version < o.version AND earlier.at > upto.at
) ORDER BY o.pos LIMIT $3
"""
OUTBOX_ACK = """
DELETE FROM omniq.outbox AS o USING unnest($1::bigint[], $2::bigint[]) AS g (seq, version)
WHERE o.seq = g.seq AND o.version = g.version
"""
COUNTS = (
    "paused",
    "scheduled",
    "ready",
    "expired",
    "running",
    "stale",
    "completed",
    "failed",
    "cancelled",
    "oldest_ready_at",
)
QUEUES = """
WITH at AS MATERIALIZED (
    SELECT omniq.now_ms($1) AS now
), view AS (
    SELECT queue, ready_at, CASE
        WHEN state > 0 THEN state WHEN expires_at <= now THEN 10 WHEN ready_at > now THEN 11 ELSE 12 END AS kind,
        state = 1 AND lease_until <= now AS stale
    FROM omniq.head, at
), counts AS (
    SELECT queue, count(*) FILTER (WHERE kind = 11) AS scheduled, count(*) FILTER (WHERE kind = 12) AS ready,
        count(*) FILTER (WHERE kind = 10) AS expired, count(*) FILTER (WHERE kind = 1) AS running,
        count(*) FILTER (WHERE stale) AS stale, count(*) FILTER (WHERE kind = 2) AS completed,
        count(*) FILTER (WHERE kind = 3) AS failed, count(*) FILTER (WHERE kind = 4) AS cancelled,
        min(ready_at) FILTER (WHERE kind = 12) AS oldest
    FROM view GROUP BY queue
)
SELECT coalesce(c.queue, p.queue) AS name, p.queue IS NOT NULL, coalesce(scheduled, 0), coalesce(ready, 0),
    coalesce(expired, 0), coalesce(running, 0), coalesce(stale, 0), coalesce(completed, 0), coalesce(failed, 0),
    coalesce(cancelled, 0), oldest
FROM counts AS c FULL JOIN omniq.paused AS p ON p.queue = c.queue ORDER BY name
"""
