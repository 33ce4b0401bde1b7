-- Times are milliseconds since 1970-01-01 UTC.
-- States: 0 PENDING, 1 RUNNING, 2 COMPLETED, 3 FAILED, 4 CANCELLED.
-- Types of events: 0 ENQUEUED, 1 STARTED, 2 COMPLETED, 3 FAILED, 4 RETRYING, 5 RELEASED, 6 CANCEL_REQUESTED, 7 CANCELLED,
-- 8 LEASE_EXPIRED, 9 EXPIRED, 10 REDRIVEN, 11 SCHEDULE_FIRED, 12 SCHEDULE_MISFIRED, 13 SCHEDULE_PAUSED, 14 SCHEDULE_RESUMED.
CREATE TABLE omniq.meta (key text PRIMARY KEY, value text NOT NULL);

CREATE SEQUENCE omniq.task_seq;
CREATE SEQUENCE omniq.batch_seq;
CREATE SEQUENCE omniq.position_seq;

-- What never changes: written once, read by a claim.
CREATE TABLE omniq.task (
    seq bigint PRIMARY KEY,
    enqueued_at bigint NOT NULL,
    eta bigint,
    timeout_ms bigint,
    result_ttl_ms bigint,
    id text COLLATE "C" NOT NULL UNIQUE,
    func text COLLATE "C" NOT NULL,
    codec text NOT NULL,
    headers text,
    args bytea NOT NULL,
    kwargs bytea NOT NULL
);

-- A statement that has the seq of a row writes `state + 0`: no partial index fits that, so that the planner takes the
-- primary key even if it believes the table to be empty.
-- What changes: small rows, because every transition writes a new version of one.
CREATE TABLE omniq.head (
    seq bigint PRIMARY KEY,
    ready_at bigint NOT NULL,
    lease_until bigint,
    started_at bigint,
    finished_at bigint,
    expires_at bigint,
    interval_ms bigint,
    nominal_at bigint,
    attempts bigint NOT NULL,
    max_attempts bigint NOT NULL,
    epoch bigint NOT NULL,
    version bigint NOT NULL,
    state smallint NOT NULL,
    priority smallint NOT NULL,
    cancel_requested boolean NOT NULL,
    pinned boolean NOT NULL,
    id text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    nonce text NOT NULL,
    worker text, -- of the latest attempt; the task is with it only while it is RUNNING
    unique_key text COLLATE "C",
    series_id text COLLATE "C",
    error text
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX head_ready ON omniq.head (queue, priority, ready_at, seq) WHERE state = 0;
CREATE INDEX head_lease ON omniq.head (queue, lease_until, seq) WHERE state = 1;
CREATE INDEX head_expiry ON omniq.head (queue, expires_at, seq) WHERE state = 0 AND expires_at IS NOT NULL;
CREATE INDEX head_finished ON omniq.head (finished_at, seq) WHERE finished_at IS NOT NULL;
CREATE INDEX head_dead ON omniq.head (state, seq) WHERE state >= 3;
CREATE INDEX head_series ON omniq.head (series_id) WHERE series_id IS NOT NULL;
CREATE UNIQUE INDEX head_unique ON omniq.head (queue, unique_key) WHERE unique_key IS NOT NULL AND state < 2;

CREATE TABLE omniq.paused (queue text COLLATE "C" PRIMARY KEY);

CREATE TABLE omniq.outbox (
    pos bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq bigint NOT NULL,
    version bigint NOT NULL,
    at bigint NOT NULL,
    attempt bigint NOT NULL,
    epoch bigint NOT NULL,
    ready_at bigint,
    duration_ms bigint,
    type smallint NOT NULL,
    state smallint,
    task text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    worker text,
    error text
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_task ON omniq.outbox (seq, version);

-- The log. Whoever writes events gives them the number of a batch; whoever reads puts the batches that were committed
-- meanwhile into order, one reader at a time. So an event is written once, nobody waits for a lock to write it, and a
-- reader never later finds an event before its position.
CREATE TABLE omniq.event (
    batch bigint NOT NULL,
    n bigint NOT NULL,
    seq bigint NOT NULL,
    version bigint NOT NULL,
    at bigint NOT NULL,
    attempt bigint NOT NULL,
    epoch bigint NOT NULL,
    ready_at bigint,
    duration_ms bigint,
    type smallint NOT NULL,
    state smallint,
    task text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    worker text,
    error text,
    PRIMARY KEY (batch, n)
);
CREATE UNIQUE INDEX event_identity ON omniq.event (task, seq, version);
CREATE TABLE omniq.event_batch (
    batch bigint PRIMARY KEY,
    rank bigint NOT NULL DEFAULT nextval('omniq.batch_seq'), -- taken when all rows are locked that the events are about
    at bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE TABLE omniq.event_order (pos bigint PRIMARY KEY, batch bigint NOT NULL UNIQUE, at bigint NOT NULL);

CREATE TABLE omniq.result (
    id text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    stored_at bigint NOT NULL,
    expires_at bigint,
    ttl_ms bigint,
    status smallint NOT NULL,
    told boolean NOT NULL, -- by the store: `error` is the short text of the task, not that of a worker
    codec text NOT NULL,
    error text,
    value bytea
);
CREATE INDEX result_expiry ON omniq.result (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE omniq.schedule (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    next_run bigint,
    paused boolean NOT NULL,
    last_run bigint,
    runs bigint NOT NULL,
    created_at bigint NOT NULL,
    kind text NOT NULL,
    cron text,
    zone text NOT NULL,
    interval_ms bigint,
    queue text NOT NULL,
    priority smallint NOT NULL,
    max_attempts bigint NOT NULL,
    expires_in_ms bigint,
    misfire text NOT NULL,
    grace_ms bigint,
    jitter_ms bigint NOT NULL,
    max_runs bigint,
    func text NOT NULL,
    codec text NOT NULL,
    headers text,
    timeout_ms bigint,
    result_ttl_ms bigint,
    args bytea NOT NULL,
    kwargs bytea NOT NULL
);
CREATE INDEX schedule_due ON omniq.schedule (next_run, id) WHERE NOT paused AND next_run IS NOT NULL;

CREATE FUNCTION omniq.now_ms(p_given bigint DEFAULT NULL) RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT coalesce(p_given, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$$;
