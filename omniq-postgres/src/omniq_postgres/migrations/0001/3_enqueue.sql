-- Add tasks in order. What is the same for all tasks may be given once, and what no task has may be left empty. Returns NULL if all were added, else for each the id of the task that stands in its place, or NULL.
CREATE FUNCTION omniq.enqueue(
    p_now bigint, p_mode integer,
    p_ids text[], p_queues text[], p_priorities smallint[], p_etas bigint[], p_max_attempts bigint[],
    p_unique_keys text[], p_expires bigint[], p_intervals bigint[], p_series text[], p_nominals bigint[],
    p_pinned boolean[], p_funcs text[], p_codecs text[], p_headers text[], p_timeouts bigint[], p_ttls bigint[],
    p_args bytea[], p_kwargs bytea[]
) RETURNS text[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_hashjoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := omniq.now_ms(p_now);
    v_given record;
    v_task omniq.task;
    v_head omniq.head;
    v_replies text[] := '{}';
    v_first bigint;
BEGIN
    PERFORM omniq.adopt(v_now, p_mode);
    IF NOT EXISTS (SELECT FROM unnest(p_intervals, p_series) AS g (i, s) WHERE i IS NOT NULL OR s IS NOT NULL) THEN
        BEGIN
            WITH given AS MATERIALIZED (
                SELECT nextval('omniq.task_seq') AS seq, u.* FROM unnest(
                    p_ids, p_queues, p_priorities, p_etas, p_max_attempts, p_unique_keys, p_expires, p_pinned,
                    p_funcs, p_codecs, p_headers, p_timeouts, p_ttls, p_args, p_kwargs
                ) WITH ORDINALITY AS u (
                    id, queue, priority, eta, max_attempts, unique_key, expires_at, pinned,
                    func, codec, headers, timeout_ms, result_ttl_ms, args, kwargs, n
                )
            ), tasks AS (
                INSERT INTO omniq.task (
                    seq, enqueued_at, eta, timeout_ms, result_ttl_ms, id, func, codec, headers, args, kwargs
                ) SELECT seq, v_now, eta, timeout_ms, result_ttl_ms, id, coalesce(func, p_funcs[1]),
                    coalesce(codec, p_codecs[1]), headers, args, kwargs
                FROM given
            ), heads AS (
                INSERT INTO omniq.head (
                    seq, ready_at, expires_at, attempts, max_attempts, epoch, version, state, priority,
                    cancel_requested, pinned, id, queue, nonce, unique_key
                ) SELECT seq, greatest(coalesce(eta, v_now), v_now), expires_at, 0,
                    coalesce(max_attempts, p_max_attempts[1]), 0, 1, 0, coalesce(priority, p_priorities[1]),
                    false, coalesce(pinned, p_pinned[1]), id, coalesce(queue, p_queues[1]), '', unique_key
                FROM given
                RETURNING 1
            ), batch AS (
                INSERT INTO omniq.event_batch (batch, at) SELECT nextval('omniq.batch_seq'), v_now
                FROM (SELECT count(*) FROM heads) AS c -- which may wait for a holder of a unique key to end
                WHERE p_mode & 1 = 1
                RETURNING batch
            ), events AS (
                INSERT INTO omniq.event (
                    batch, n, seq, version, at, attempt, epoch, ready_at, type, state, task, queue
                ) SELECT batch, n, seq, 1, v_now, 0, 0, greatest(coalesce(eta, v_now), v_now), 0, 0, id,
                    coalesce(queue, p_queues[1])
                FROM batch, given
            )
            INSERT INTO omniq.outbox (seq, version, at, attempt, epoch, ready_at, type, state, task, queue)
            SELECT seq, 1, v_now, 0, 0, greatest(coalesce(eta, v_now), v_now), 0, 0, id, coalesce(queue, p_queues[1])
            FROM given, (SELECT count(*) FROM heads) AS c WHERE p_mode & 1 = 0 ORDER BY n;
            RETURN NULL;
        EXCEPTION WHEN unique_violation THEN
            NULL; -- one by one, then
        END;
    END IF;
    FOR v_given IN
        SELECT * FROM unnest(
            p_ids, p_queues, p_priorities, p_etas, p_max_attempts, p_unique_keys, p_expires, p_intervals, p_series,
            p_nominals, p_pinned, p_funcs, p_codecs, p_headers, p_timeouts, p_ttls, p_args, p_kwargs
        ) AS u (
            id, queue, priority, eta, max_attempts, unique_key, expires_at, interval_ms, series_id,
            nominal_at, pinned, func, codec, headers, timeout_ms, result_ttl_ms, args, kwargs
        )
    LOOP
        v_task := NULL;
        v_task.id := v_given.id;
        v_task.eta := v_given.eta;
        v_task.timeout_ms := v_given.timeout_ms;
        v_task.result_ttl_ms := v_given.result_ttl_ms;
        v_task.func := coalesce(v_given.func, p_funcs[1]);
        v_task.codec := coalesce(v_given.codec, p_codecs[1]);
        v_task.headers := v_given.headers;
        v_task.args := v_given.args;
        v_task.kwargs := v_given.kwargs;
        v_head := NULL;
        v_head.queue := coalesce(v_given.queue, p_queues[1]);
        v_head.priority := coalesce(v_given.priority, p_priorities[1]);
        v_head.max_attempts := coalesce(v_given.max_attempts, p_max_attempts[1]);
        v_head.unique_key := v_given.unique_key;
        v_head.expires_at := v_given.expires_at;
        v_head.interval_ms := v_given.interval_ms;
        v_head.series_id := v_given.series_id;
        v_head.nominal_at := v_given.nominal_at;
        v_head.pinned := coalesce(v_given.pinned, p_pinned[1]);
        v_replies := v_replies || omniq.add(v_task, v_head, v_now, p_mode);
    END LOOP;
    RETURN v_replies;
END $$;

-- Enqueue the tasks of a schedule's fire times and advance it; its version is -1 in the answer if it was another.
CREATE FUNCTION omniq.fire(
    p_id text, p_version bigint, p_next_run bigint, p_last_run bigint, p_fired bigint,
    p_now bigint, p_mode integer,
    p_ids text[], p_queues text[], p_priorities smallint[], p_etas bigint[], p_max_attempts bigint[],
    p_unique_keys text[], p_expires bigint[], p_intervals bigint[], p_series text[], p_nominals bigint[],
    p_pinned boolean[], p_funcs text[], p_codecs text[], p_headers text[], p_timeouts bigint[], p_ttls bigint[],
    p_args bytea[], p_kwargs bytea[]
) RETURNS TABLE (o_advanced boolean, o_replies text[]) LANGUAGE plpgsql AS $$
BEGIN
    o_advanced := omniq.advance_schedule(p_id, p_version, p_next_run, p_last_run, p_fired);
    IF o_advanced THEN
        o_replies := omniq.enqueue(
            p_now, p_mode, p_ids, p_queues, p_priorities, p_etas, p_max_attempts, p_unique_keys, p_expires,
            p_intervals, p_series, p_nominals, p_pinned, p_funcs, p_codecs, p_headers, p_timeouts, p_ttls, p_args,
            p_kwargs
        );
    END IF;
    RETURN NEXT;
END $$;
