-- Put the batches that were committed since the last time into order. One at a time: the lock is held until the commit,
-- so that positions become visible in their own order.
-- Returns the last position.
CREATE FUNCTION omniq.sequence() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM omniq.event_batch) THEN
        PERFORM pg_advisory_xact_lock(1330466385, 'omniq.event_order'::regclass::oid::integer);
        WITH gone AS (
            DELETE FROM omniq.event_batch RETURNING batch, rank, at
        )
        INSERT INTO omniq.event_order (pos, batch, at)
        SELECT nextval('omniq.position_seq'), o.batch, o.at FROM (SELECT * FROM gone ORDER BY rank) AS o;
    END IF;
    RETURN (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM omniq.position_seq);
END $$;

-- Remove the first events that are older, and the batches of which nothing is left.
CREATE FUNCTION omniq.trim(p_before bigint, p_limit bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_trimmed bigint;
    v_batches bigint[];
BEGIN
    WITH old AS MATERIALIZED (
        SELECT e.batch, e.n FROM omniq.event_order AS o JOIN omniq.event AS e ON e.batch = o.batch
        WHERE o.at < p_before AND e.at < p_before ORDER BY o.pos, e.n LIMIT p_limit
    ), gone AS (
        DELETE FROM omniq.event AS e USING old AS o WHERE e.batch = o.batch AND e.n = o.n RETURNING e.batch
    )
    SELECT count(*), array_agg(DISTINCT batch) INTO v_trimmed, v_batches FROM gone;
    DELETE FROM omniq.event_order AS o
    WHERE o.batch = ANY (v_batches) AND NOT EXISTS (SELECT FROM omniq.event AS e WHERE e.batch = o.batch);
    RETURN v_trimmed;
END $$;

-- Append events whose identity is not known yet, in order; return how many were new.
CREATE FUNCTION omniq.append(
    p_tasks text[], p_seqs bigint[], p_versions bigint[], p_types smallint[], p_ats bigint[], p_queues text[],
    p_states smallint[], p_attempts bigint[], p_epochs bigint[], p_ready_ats bigint[], p_workers text[],
    p_errors text[], p_durations bigint[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_new bigint;
BEGIN
    -- The rank is given when the rows are there, so that what waited for another's append comes after it.
    WITH given AS MATERIALIZED (
        SELECT DISTINCT ON (task, seq, version) * FROM unnest(
            p_tasks, p_seqs, p_versions, p_types, p_ats, p_queues, p_states, p_attempts, p_epochs, p_ready_ats,
            p_workers, p_errors, p_durations
        ) WITH ORDINALITY AS u (
            task, seq, version, type, at, queue, state, attempt, epoch, ready_at, worker, error, duration_ms, n
        ) ORDER BY task, seq, version, n
    ), number AS MATERIALIZED (
        SELECT nextval('omniq.batch_seq') AS batch
    ), written AS (
        INSERT INTO omniq.event (
            batch, n, seq, version, at, attempt, epoch, ready_at, duration_ms, type, state, task, queue, worker, error
        ) SELECT number.batch, n, seq, version, at, attempt, epoch, ready_at, duration_ms, type, state, task, queue,
            worker, error
        FROM number, given ORDER BY task, seq, version
        ON CONFLICT DO NOTHING
        RETURNING batch, at
    ), batches AS (
        INSERT INTO omniq.event_batch (batch, at) SELECT batch, min(at) FROM written GROUP BY batch
    )
    SELECT count(*) INTO v_new FROM written;
    RETURN v_new;
END $$;

CREATE FUNCTION omniq.put_results(
    p_ids text[], p_seqs bigint[], p_epochs bigint[], p_statuses smallint[], p_values bytea[], p_codecs text[],
    p_errors text[], p_ttls bigint[], p_now bigint
) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := omniq.now_ms(p_now);
    v_given record;
    v_new omniq.result;
    v_replies boolean[] := '{}';
BEGIN
    FOR v_given IN
        SELECT * FROM unnest(p_ids, p_seqs, p_epochs, p_statuses, p_values, p_codecs, p_errors, p_ttls)
            AS u (id, seq, epoch, status, value, codec, error, ttl_ms)
    LOOP
        v_new.id := v_given.id;
        v_new.seq := v_given.seq;
        v_new.epoch := v_given.epoch;
        v_new.stored_at := v_now;
        v_new.expires_at := v_now + v_given.ttl_ms;
        v_new.ttl_ms := v_given.ttl_ms;
        v_new.status := v_given.status;
        v_new.told := false;
        v_new.codec := v_given.codec;
        v_new.error := v_given.error;
        v_new.value := v_given.value;
        v_replies := v_replies || omniq.put_result(v_new);
    END LOOP;
    RETURN v_replies;
END $$;

CREATE FUNCTION omniq.advance_schedule(
    p_id text, p_version bigint, p_next_run bigint, p_last_run bigint, p_fired bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE omniq.schedule SET
        version = version + 1, next_run = p_next_run, last_run = coalesce(p_last_run, last_run), runs = runs + p_fired
    WHERE id = p_id AND version = p_version;
    RETURN FOUND;
END $$;
