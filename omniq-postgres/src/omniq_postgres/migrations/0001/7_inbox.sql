-- Tasks that callers enqueue in transactions of their own. They are no tasks yet: the first operation that comes after the
-- commit makes them to such. So a transaction that stays open holds no key that others would wait for.
CREATE TABLE omniq.inbox (
    pos bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    eta bigint,
    max_attempts bigint NOT NULL,
    expires_at bigint,
    interval_ms bigint,
    nominal_at bigint,
    timeout_ms bigint,
    result_ttl_ms bigint,
    priority smallint NOT NULL,
    pinned boolean NOT NULL,
    id text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    unique_key text COLLATE "C",
    series_id text COLLATE "C",
    func text NOT NULL,
    codec text NOT NULL,
    headers text,
    args bytea NOT NULL,
    kwargs bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX inbox_id ON omniq.inbox (id);

-- Put tasks into the inbox; args and kwargs are in base64. Returns for each the id of the task that stands in its place, or
-- NULL, as far as the transaction can see; whoever waits is woken by its commit.
CREATE FUNCTION omniq.stage(p_specs json, p_channel text) RETURNS SETOF text LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_given record;
    v_standing text;
    v_now bigint := omniq.now_ms();
BEGIN
    FOR v_given IN
        SELECT * FROM json_to_recordset(p_specs) AS s (
            id text, queue text, priority smallint, eta bigint, max_attempts bigint, unique_key text, expires_at bigint,
            interval_ms bigint, series_id text, nominal_at bigint, pinned boolean, func text, codec text, headers text,
            timeout_ms bigint, result_ttl_ms bigint, args text, kwargs text
        )
    LOOP
        SELECT id INTO v_standing FROM (
            SELECT id FROM omniq.task WHERE id = v_given.id
            UNION ALL
            SELECT id FROM omniq.inbox WHERE id = v_given.id
            UNION ALL
            SELECT id FROM omniq.head
            WHERE queue = v_given.queue AND unique_key = v_given.unique_key AND state < 2
                AND NOT (state = 0 AND expires_at IS NOT NULL AND expires_at <= v_now)
            UNION ALL
            SELECT id FROM omniq.inbox WHERE queue = v_given.queue AND unique_key = v_given.unique_key
        ) AS standing LIMIT 1;
        IF NOT FOUND THEN
            INSERT INTO omniq.inbox (
                eta, max_attempts, expires_at, interval_ms, nominal_at, timeout_ms, result_ttl_ms, priority, pinned, id,
                queue, unique_key, series_id, func, codec, headers, args, kwargs
            ) VALUES (
                v_given.eta, v_given.max_attempts, v_given.expires_at, v_given.interval_ms, v_given.nominal_at,
                v_given.timeout_ms, v_given.result_ttl_ms, v_given.priority, v_given.pinned, v_given.id, v_given.queue,
                v_given.unique_key, v_given.series_id, v_given.func, v_given.codec, v_given.headers,
                decode(v_given.args, 'base64'), decode(v_given.kwargs, 'base64')
            );
            v_standing := NULL;
        END IF;
        RETURN NEXT v_standing;
    END LOOP;
    IF p_channel IS NOT NULL THEN
        PERFORM pg_notify(p_channel, 'w');
    END IF;
END $$;

-- Make tasks of what is in the inbox, in its order; tell whether there was something.
CREATE FUNCTION omniq.adopt(p_now bigint, p_mode integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_given omniq.inbox;
    v_task omniq.task;
    v_head omniq.head;
    v_any boolean := false;
BEGIN
    IF NOT EXISTS (SELECT FROM omniq.inbox) THEN
        RETURN false;
    END IF;
    FOR v_given IN SELECT * FROM omniq.inbox ORDER BY pos LIMIT 1000 FOR UPDATE SKIP LOCKED LOOP
        DELETE FROM omniq.inbox WHERE pos = v_given.pos;
        v_task := NULL;
        v_task.id := v_given.id;
        v_task.eta := v_given.eta;
        v_task.timeout_ms := v_given.timeout_ms;
        v_task.result_ttl_ms := v_given.result_ttl_ms;
        v_task.func := v_given.func;
        v_task.codec := v_given.codec;
        v_task.headers := v_given.headers;
        v_task.args := v_given.args;
        v_task.kwargs := v_given.kwargs;
        v_head := NULL;
        v_head.queue := v_given.queue;
        v_head.priority := v_given.priority;
        v_head.max_attempts := v_given.max_attempts;
        v_head.unique_key := v_given.unique_key;
        v_head.expires_at := v_given.expires_at;
        v_head.interval_ms := v_given.interval_ms;
        v_head.series_id := v_given.series_id;
        v_head.nominal_at := v_given.nominal_at;
        v_head.pinned := v_given.pinned;
        PERFORM omniq.add(v_task, v_head, omniq.now_ms(p_now), p_mode);
        v_any := true;
    END LOOP;
    RETURN v_any;
END $$;
