-- End or re-open stale runs, and end expired tasks, at most p_limit; rows that somebody else is changing are left.
CREATE FUNCTION omniq.recover(p_queues text[], p_limit integer, p_now bigint, p_mode integer)
RETURNS TABLE (o_id text, o_state smallint) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    v_now bigint := omniq.now_ms(p_now);
    v_seq bigint;
    v_old omniq.head;
    v_left integer := p_limit;
BEGIN
    FOR v_seq IN
        SELECT h.seq FROM unnest(p_queues) AS q (name) CROSS JOIN LATERAL (
            SELECT seq, lease_until FROM omniq.head
            WHERE state = 1 AND queue = q.name AND lease_until <= v_now
            ORDER BY lease_until, seq LIMIT p_limit
        ) AS h ORDER BY h.lease_until, h.seq LIMIT p_limit
    LOOP
        SELECT * INTO v_old FROM omniq.head
        WHERE seq = v_seq AND state + 0 = 1 AND lease_until <= v_now FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        o_id := v_old.id;
        IF v_old.cancel_requested THEN
            o_state := 4;
            PERFORM omniq.finish(v_old, 4::smallint, 7::smallint, NULL, false, v_now, p_mode);
        ELSIF v_old.attempts >= v_old.max_attempts THEN
            o_state := 3;
            PERFORM omniq.finish(v_old, 3::smallint, 3::smallint, 'lease expired', false, v_now, p_mode);
        ELSE
            o_state := 0;
            PERFORM omniq.back(v_old, 8::smallint, v_now, v_old.attempts, NULL, v_now, p_mode);
        END IF;
        v_left := v_left - 1;
        RETURN NEXT;
    END LOOP;
    FOR v_seq IN
        SELECT h.seq FROM unnest(p_queues) AS q (name) CROSS JOIN LATERAL (
            SELECT seq, expires_at FROM omniq.head
            WHERE state = 0 AND queue = q.name AND expires_at <= v_now
            ORDER BY expires_at, seq LIMIT v_left
        ) AS h ORDER BY h.expires_at, h.seq LIMIT v_left
    LOOP
        SELECT * INTO v_old FROM omniq.head
        WHERE seq = v_seq AND state + 0 = 0 AND expires_at <= v_now FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        o_id := v_old.id;
        o_state := 3;
        PERFORM omniq.expire(v_old, v_now, p_mode);
        RETURN NEXT;
    END LOOP;
END $$;

-- Lock the best ready tasks and return where their rows are; those that somebody else is changing are passed over.
-- p_floors has for each queue and priority the ready_at to begin at, or NULL.
CREATE FUNCTION omniq.pick(p_queues text[], p_limit integer, p_now bigint, p_floors bigint[])
RETURNS tid[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off
AS $$
DECLARE
    v_picked tid[] := '{}';
    v_found tid[];
    v_tried bigint[];
    v_chosen bigint[];
    v_priority smallint;
    v_wanted integer;
BEGIN
    FOR v_priority IN
        SELECT p FROM generate_series(9, 0, -1) AS p WHERE EXISTS (
            SELECT FROM unnest(p_queues) WITH ORDINALITY AS q (name, n) CROSS JOIN LATERAL (
                SELECT FROM omniq.head
                WHERE state = 0 AND queue = q.name AND priority = p::smallint AND ready_at <= p_now
                    AND ready_at >= coalesce(p_floors[(q.n - 1) * 10 + p + 1], -9223372036854775808)
                LIMIT 1
            ) AS h
        )
    LOOP
        v_wanted := p_limit - cardinality(v_picked);
        EXIT WHEN v_wanted <= 0;
        IF cardinality(p_queues) = 1 THEN
            v_found := ARRAY(
                SELECT ctid FROM omniq.head
                WHERE state = 0 AND queue = p_queues[1] AND priority = v_priority AND ready_at <= p_now
                    AND ready_at >= coalesce(p_floors[v_priority + 1], -9223372036854775808)
                    AND (expires_at IS NULL OR expires_at > p_now) -- one sweep may leave some expired ones
                ORDER BY ready_at, seq LIMIT v_wanted FOR UPDATE SKIP LOCKED
            );
            v_picked := v_picked || v_found;
            CONTINUE;
        END IF;
        -- Of several queues: look at the best of each, and lock the best of all.
        v_tried := '{}';
        LOOP
            v_chosen := ARRAY(
                SELECT h.seq FROM unnest(p_queues) WITH ORDINALITY AS q (name, n) CROSS JOIN LATERAL (
                    SELECT seq, ready_at FROM omniq.head
                    WHERE state = 0 AND queue = q.name AND priority = v_priority AND ready_at <= p_now
                        AND ready_at >= coalesce(p_floors[(q.n - 1) * 10 + v_priority + 1], -9223372036854775808)
                        AND (expires_at IS NULL OR expires_at > p_now) AND seq <> ALL (v_tried)
                    ORDER BY ready_at, seq LIMIT v_wanted
                ) AS h ORDER BY h.ready_at, h.seq LIMIT v_wanted
            );
            EXIT WHEN cardinality(v_chosen) = 0;
            v_found := ARRAY(
                SELECT h.ctid FROM unnest(v_chosen) AS c (seq) JOIN omniq.head AS h ON h.seq = c.seq
                WHERE h.state + 0 = 0 AND h.ready_at <= p_now FOR UPDATE OF h SKIP LOCKED
            );
            v_picked := v_picked || v_found;
            v_wanted := v_wanted - cardinality(v_found);
            EXIT WHEN v_wanted <= 0;
            v_tried := v_tried || v_chosen;
        END LOOP;
    END LOOP;
    RETURN v_picked;
END $$;

-- Tell whether there is a ready task that is not among the picked ones.
CREATE FUNCTION omniq.any_ready(p_queues text[], p_now bigint, p_floors bigint[], p_picked tid[])
RETURNS boolean LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM unnest(p_queues) WITH ORDINALITY AS q (name, n), generate_series(0, 9) AS p CROSS JOIN LATERAL (
            SELECT FROM omniq.head
            WHERE state = 0 AND queue = q.name AND priority = p::smallint AND ready_at <= p_now
                AND ready_at >= coalesce(p_floors[(q.n - 1) * 10 + p + 1], -9223372036854775808)
                AND (expires_at IS NULL OR expires_at > p_now) AND ctid <> ALL (p_picked)
            LIMIT 1
        ) AS h
    );
END $$;

-- Recover, then start the best ready tasks of the queues that are not paused. The floors say where to begin to look: see
-- omniq_postgres/floors.py.
CREATE FUNCTION omniq.claim(
    p_queues text[], p_limit integer, p_worker text, p_lease_ms bigint, p_nonce text, p_sweep integer,
    p_now bigint, p_mode integer, p_floors bigint[], p_lease_floors bigint[]
) RETURNS TABLE (
    o_id text, o_seq bigint, o_epoch bigint, o_attempts bigint, o_max_attempts bigint, o_queue text,
    o_priority smallint, o_enqueued_at bigint, o_ready_at bigint, o_lease_until bigint, o_series_id text,
    o_nominal_at bigint, o_func text, o_codec text, o_headers text, o_timeout_ms bigint, o_result_ttl_ms bigint,
    o_args bytea, o_kwargs bytea
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    v_now bigint := omniq.now_ms(p_now);
    v_open text[];
    v_picked tid[]; -- stays what it is while the rows are locked
BEGIN
    PERFORM omniq.adopt(v_now, p_mode);
    IF EXISTS (
        SELECT FROM unnest(p_queues) WITH ORDINALITY AS q (name, n) WHERE EXISTS (
            SELECT FROM omniq.head WHERE state = 1 AND queue = q.name AND lease_until <= v_now
                AND lease_until >= coalesce(p_lease_floors[q.n], -9223372036854775808)
        ) OR EXISTS (
            SELECT FROM omniq.head WHERE state = 0 AND queue = q.name AND expires_at <= v_now
        )
    ) THEN
        PERFORM omniq.recover(p_queues, p_sweep, v_now, p_mode);
    END IF;
    IF p_limit <= 0 THEN
        RETURN;
    END IF;
    v_open := p_queues;
    IF EXISTS (SELECT FROM omniq.paused WHERE queue = ANY (p_queues)) THEN
        v_open := ARRAY(
            SELECT name FROM unnest(p_queues) AS q (name)
            WHERE NOT EXISTS (SELECT FROM omniq.paused WHERE queue = q.name)
        );
        p_floors := NULL; -- it is by the place of a queue
    END IF;
    v_picked := omniq.pick(v_open, p_limit, v_now, p_floors);
    IF cardinality(v_picked) < p_limit AND omniq.any_ready(v_open, v_now, p_floors, v_picked) THEN
        PERFORM pg_sleep(0.001); -- somebody may have locked a task only to look at it
        v_picked := v_picked || omniq.pick(v_open, p_limit - cardinality(v_picked), v_now, p_floors);
    END IF;
    IF cardinality(v_picked) = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH started AS (
        UPDATE omniq.head AS h SET
            state = 1, epoch = h.epoch + 1, attempts = h.attempts + 1, nonce = p_nonce, worker = p_worker,
            lease_until = v_now + p_lease_ms, started_at = v_now, version = h.version + 1
        WHERE h.ctid = ANY (v_picked)
        RETURNING h.*
    ), batch AS (
        INSERT INTO omniq.event_batch (batch, at) SELECT nextval('omniq.batch_seq'), v_now WHERE p_mode & 1 = 1
        RETURNING batch
    ), events AS (
        INSERT INTO omniq.event (batch, n, seq, version, at, attempt, epoch, type, state, task, queue, worker)
        SELECT batch.batch, row_number() OVER (ORDER BY s.priority DESC, s.ready_at, s.seq), s.seq, s.version, v_now,
            s.attempts, s.epoch, 1, 1, s.id, s.queue, p_worker
        FROM batch, started AS s
    ), entries AS (
        INSERT INTO omniq.outbox (seq, version, at, attempt, epoch, type, state, task, queue, worker)
        SELECT s.seq, s.version, v_now, s.attempts, s.epoch, 1, 1, s.id, s.queue, p_worker
        FROM started AS s WHERE p_mode & 1 = 0 ORDER BY s.priority DESC, s.ready_at, s.seq
    )
    SELECT s.id, s.seq, s.epoch, s.attempts, s.max_attempts, s.queue, s.priority, t.enqueued_at, s.ready_at,
        s.lease_until, s.series_id, s.nominal_at, t.func, t.codec, t.headers, t.timeout_ms, t.result_ttl_ms,
        t.args, t.kwargs
    FROM started AS s JOIN omniq.task AS t ON t.seq = s.seq
    ORDER BY s.priority DESC, s.ready_at, s.seq;
END $$;

-- When work may come up.
CREATE FUNCTION omniq.next_at(p_queues text[], p_floors bigint[], p_lease_floors bigint[])
RETURNS bigint LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
BEGIN
    IF EXISTS (SELECT FROM omniq.inbox) THEN
        RETURN omniq.now_ms(); -- a claim makes tasks of what is in there
    END IF;
    RETURN (
        SELECT min(f.at) FROM unnest(p_queues) WITH ORDINALITY AS q (name, n) CROSS JOIN LATERAL (
            SELECT (
                SELECT h.ready_at FROM omniq.head AS h
                WHERE h.state = 0 AND h.queue = q.name AND h.priority = p::smallint
                    AND h.ready_at >= coalesce(p_floors[(q.n - 1) * 10 + p + 1], -9223372036854775808)
                ORDER BY h.ready_at, h.seq LIMIT 1
            ) AS at
            FROM generate_series(0, 9) AS p WHERE NOT EXISTS (SELECT FROM omniq.paused WHERE queue = q.name)
            UNION ALL
            SELECT (
                SELECT h.lease_until FROM omniq.head AS h
                WHERE h.state = 1 AND h.queue = q.name
                    AND h.lease_until >= coalesce(p_lease_floors[q.n], -9223372036854775808)
                ORDER BY h.lease_until, h.seq LIMIT 1
            )
        ) AS f
    );
END $$;
