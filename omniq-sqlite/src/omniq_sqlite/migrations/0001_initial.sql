-- Times are integer milliseconds since 1970-01-01 UTC. States: 0 PENDING, 1 RUNNING, 2 COMPLETED, 3 FAILED, 4 CANCELLED.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- AUTOINCREMENT, because a purged task's rowid would otherwise be used again and seq is part of the fencing token.
CREATE TABLE task (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    ready_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    nonce TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 1,
    lease_until INTEGER,
    worker TEXT, -- of the latest attempt; the task is with it only while it is RUNNING
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    eta INTEGER,
    expires_at INTEGER,
    unique_key TEXT,
    series_id TEXT,
    nominal_at INTEGER,
    interval_ms INTEGER,
    pinned INTEGER NOT NULL DEFAULT 0,
    enqueued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    error TEXT,
    func TEXT NOT NULL,
    codec TEXT NOT NULL,
    args,
    kwargs,
    headers TEXT,
    timeout_ms INTEGER,
    result_ttl_ms INTEGER
);
CREATE INDEX task_ready ON task (queue, priority, ready_at, seq) WHERE state = 0;
CREATE INDEX task_expiry ON task (queue, expires_at) WHERE state = 0 AND expires_at IS NOT NULL;
CREATE INDEX task_lease ON task (queue, lease_until) WHERE state = 1;
CREATE UNIQUE INDEX task_unique ON task (queue, unique_key) WHERE unique_key IS NOT NULL AND state < 2;
CREATE INDEX task_series ON task (series_id) WHERE series_id IS NOT NULL;
CREATE INDEX task_finished ON task (finished_at, seq) WHERE finished_at IS NOT NULL;

-- Large arguments, apart from the head so that a transition does not rewrite them; task.args and task.kwargs are NULL then.
-- Not WITHOUT ROWID: that is slow for blobs.
CREATE TABLE body (seq INTEGER PRIMARY KEY, args, kwargs);

CREATE TABLE paused (queue TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE outbox (
    pos INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    queue TEXT NOT NULL,
    state TEXT,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    ready_at INTEGER,
    worker TEXT,
    error TEXT,
    duration_ms INTEGER
);
CREATE INDEX outbox_task ON outbox (seq, version);

-- AUTOINCREMENT, because a position must not come again after a trim.
CREATE TABLE event (
    pos INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    queue TEXT NOT NULL,
    state TEXT,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    ready_at INTEGER,
    worker TEXT,
    error TEXT,
    duration_ms INTEGER
);
CREATE UNIQUE INDEX event_identity ON event (task, seq, version);

CREATE TABLE result (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    status TEXT NOT NULL,
    codec TEXT NOT NULL,
    value,
    error TEXT,
    ttl_ms INTEGER,
    stored_at INTEGER NOT NULL,
    expires_at INTEGER
) WITHOUT ROWID;
CREATE INDEX result_expiry ON result (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE schedule (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    next_run INTEGER,
    paused INTEGER NOT NULL DEFAULT 0,
    last_run INTEGER,
    runs INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    cron TEXT,
    zone TEXT NOT NULL,
    interval_ms INTEGER,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    expires_in_ms INTEGER,
    misfire TEXT NOT NULL,
    grace_ms INTEGER,
    jitter_ms INTEGER NOT NULL,
    max_runs INTEGER,
    func TEXT NOT NULL,
    codec TEXT NOT NULL,
    args,
    kwargs,
    headers TEXT,
    timeout_ms INTEGER,
    result_ttl_ms INTEGER
);
CREATE INDEX schedule_due ON schedule (next_run, id) WHERE paused = 0 AND next_run IS NOT NULL;

-- For people: the columns that the user documents promise, times as UTC text that compares with datetime('now').
CREATE VIEW tasks AS
SELECT
    task.id AS id,
    task.func AS func_path,
    CASE task.codec WHEN 'json' THEN coalesce(task.args, body.args) ELSE hex(coalesce(task.args, body.args)) END AS args,
    CASE task.codec WHEN 'json' THEN coalesce(task.kwargs, body.kwargs) ELSE hex(coalesce(task.kwargs, body.kwargs)) END AS kwargs,
    CASE task.state WHEN 0 THEN 'PENDING' WHEN 1 THEN 'RUNNING' WHEN 2 THEN 'COMPLETED' WHEN 3 THEN 'FAILED' ELSE 'CANCELLED' END AS status,
    task.attempts AS attempts,
    task.max_attempts - 1 AS max_retries,
    task.timeout_ms / 1000.0 AS timeout,
    strftime('%Y-%m-%d %H:%M:%f', task.eta / 1000.0, 'unixepoch') AS eta,
    task.interval_ms AS interval,
    strftime('%Y-%m-%d %H:%M:%f', task.enqueued_at / 1000.0, 'unixepoch') AS enqueued_at,
    strftime('%Y-%m-%d %H:%M:%f', task.started_at / 1000.0, 'unixepoch') AS started_at,
    CASE task.state WHEN 2 THEN strftime('%Y-%m-%d %H:%M:%f', task.finished_at / 1000.0, 'unixepoch') END AS completed_at,
    CASE task.state WHEN 3 THEN strftime('%Y-%m-%d %H:%M:%f', task.finished_at / 1000.0, 'unixepoch') END AS failed_at,
    CASE result.codec WHEN 'json' THEN result.value ELSE hex(result.value) END AS result,
    coalesce(result.error, task.error) AS error,
    CASE task.state WHEN 1 THEN task.worker END AS worker_id,
    task.queue AS queue,
    task.priority AS priority,
    task.unique_key AS unique_key,
    strftime('%Y-%m-%d %H:%M:%f', task.ready_at / 1000.0, 'unixepoch') AS ready_at,
    task.seq AS seq
FROM task
LEFT JOIN body ON body.seq = task.seq
LEFT JOIN result ON result.id = task.id AND result.seq = task.seq;
