-- Single transitions. Every function of this file expects that the row of the task is locked.
-- Bits of p_mode: 1 the queue has joined the events, 2 it has joined the results.

-- Write the event of one transition to the log, or to the outbox if a role elsewhere needs it.
CREATE FUNCTION omniq.note(
    p_old omniq.head, p_new omniq.head, p_type smallint, p_error text, p_now bigint, p_mode integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_worker text := CASE WHEN p_old.state = 1 OR p_new.state = 1 THEN p_new.worker END;
    v_duration bigint := CASE WHEN p_old.state = 1 AND p_new.state <> 1 THEN p_now - p_new.started_at END;
    v_ready bigint := CASE WHEN p_new.state = 0 THEN p_new.ready_at END;
    v_batch bigint;
BEGIN
    IF p_mode & 1 = 1 THEN
        v_batch := nextval('omniq.batch_seq');
        INSERT INTO omniq.event_batch (batch, at) VALUES (v_batch, p_now);
        INSERT INTO omniq.event (
            batch, n, seq, version, at, attempt, epoch, ready_at, duration_ms, type, state, task, queue, worker, error
        ) VALUES (
            v_batch, 1, p_new.seq, p_new.version, p_now, p_new.attempts, p_new.epoch, v_ready, v_duration, p_type,
            p_new.state, p_new.id, p_new.queue, v_worker, p_error
        ) ON CONFLICT DO NOTHING;
    END IF;
    IF p_mode & 1 = 0 OR (p_new.state >= 2 AND p_mode & 2 = 0) THEN
        INSERT INTO omniq.outbox (
            seq, version, at, attempt, epoch, ready_at, duration_ms, type, state, task, queue, worker, error
        ) VALUES (
            p_new.seq, p_new.version, p_now, p_new.attempts, p_new.epoch, v_ready, v_duration, p_type, p_new.state,
            p_new.id, p_new.queue, v_worker, p_error
        );
    END IF;
END $$;

-- Store a result unless a later one is stored; tell whether it is the stored one now.
CREATE FUNCTION omniq.put_result(p_new omniq.result) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO omniq.result AS kept SELECT p_new.*
    ON CONFLICT (id) DO UPDATE SET
        seq = excluded.seq, epoch = excluded.epoch, stored_at = excluded.stored_at, expires_at = excluded.expires_at,
        ttl_ms = excluded.ttl_ms, status = excluded.status, told = excluded.told, codec = excluded.codec,
        error = excluded.error, value = excluded.value
    WHERE (excluded.seq, excluded.epoch) >= (kept.seq, kept.epoch);
    RETURN FOUND;
END $$;

-- Add one task. An expired holder of its unique key is ended first.
-- Returns the id of the task that stands in its place, or NULL if it was added.
CREATE FUNCTION omniq.add(p_task omniq.task, p_head omniq.head, p_now bigint, p_mode integer)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_held omniq.head;
BEGIN
    p_task.enqueued_at := p_now;
    p_head.ready_at := greatest(coalesce(p_task.eta, p_now), p_now);
    p_head.attempts := 0;
    p_head.epoch := 0;
    p_head.version := 1;
    p_head.state := 0;
    p_head.cancel_requested := false;
    p_head.id := p_task.id;
    p_head.nonce := '';
    IF p_head.interval_ms IS NOT NULL THEN
        p_head.series_id := coalesce(p_head.series_id, p_task.id);
        p_head.nominal_at := coalesce(p_head.nominal_at, p_head.ready_at);
    END IF;
    LOOP
        IF EXISTS (SELECT FROM omniq.task WHERE id = p_task.id) THEN
            RETURN p_task.id;
        END IF;
        IF p_head.unique_key IS NOT NULL THEN
            SELECT * INTO v_held FROM omniq.head
            WHERE queue = p_head.queue AND unique_key = p_head.unique_key AND state < 2;
            IF FOUND AND v_held.state = 0 AND v_held.expires_at <= p_now THEN
                SELECT * INTO v_held FROM omniq.head
                WHERE seq = v_held.seq AND state + 0 = 0 AND expires_at <= p_now FOR UPDATE;
                IF FOUND THEN
                    PERFORM omniq.expire(v_held, p_now, p_mode);
                END IF;
                CONTINUE;
            ELSIF FOUND THEN
                RETURN v_held.id;
            END IF;
        END IF;
        p_task.seq := nextval('omniq.task_seq');
        p_head.seq := p_task.seq;
        INSERT INTO omniq.task SELECT p_task.* ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            CONTINUE; -- somebody else has just added one with this id
        END IF;
        INSERT INTO omniq.head SELECT p_head.* ON CONFLICT DO NOTHING;
        IF FOUND THEN
            EXIT;
        END IF;
        DELETE FROM omniq.task WHERE seq = p_task.seq; -- somebody else has just taken the unique key
    END LOOP;
    PERFORM omniq.note(p_head, p_head, 0::smallint, NULL, p_now, p_mode);
    RETURN NULL;
END $$;

-- Write a changed row with its event, the result of an ended task and the next run of its series.
CREATE FUNCTION omniq.save(
    p_old omniq.head, p_new omniq.head, p_type smallint, p_error text, p_now bigint, p_mode integer,
    p_result omniq.result DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_task omniq.task;
    v_head omniq.head;
BEGIN
    p_new.version := p_old.version + 1;
    UPDATE omniq.head SET
        ready_at = p_new.ready_at, lease_until = p_new.lease_until, started_at = p_new.started_at,
        finished_at = p_new.finished_at, expires_at = p_new.expires_at, nominal_at = p_new.nominal_at,
        attempts = p_new.attempts, epoch = p_new.epoch, version = p_new.version, state = p_new.state,
        cancel_requested = p_new.cancel_requested, nonce = p_new.nonce, worker = p_new.worker,
        series_id = p_new.series_id, error = p_new.error
    WHERE seq = p_old.seq;
    PERFORM omniq.note(p_old, p_new, p_type, p_error, p_now, p_mode);
    IF p_new.state < 2 THEN
        RETURN;
    END IF;
    SELECT * INTO v_task FROM omniq.task WHERE seq = p_old.seq;
    IF p_mode & 2 = 2 THEN
        IF p_result.codec IS NULL THEN
            p_result.told := true;
            p_result.codec := 'json';
            p_result.ttl_ms := v_task.result_ttl_ms;
            p_result.error := CASE WHEN p_new.state <> 2 THEN p_new.error END;
        ELSE
            p_result.told := false;
        END IF;
        p_result.id := p_new.id;
        p_result.seq := p_new.seq;
        p_result.epoch := p_new.epoch;
        p_result.status := p_new.state;
        p_result.stored_at := p_now;
        p_result.expires_at := p_now + p_result.ttl_ms;
        PERFORM omniq.put_result(p_result);
    END IF;
    IF p_new.state <= 3 AND NOT p_old.cancel_requested
        AND p_old.series_id IS NOT NULL AND p_old.interval_ms IS NOT NULL AND p_old.nominal_at IS NOT NULL
    THEN
        v_head.nominal_at := p_old.nominal_at + p_old.interval_ms
            * greatest(1, floor((p_now - p_old.nominal_at)::numeric / p_old.interval_ms)::bigint + 1);
        v_task.id := p_old.series_id || '@' || v_head.nominal_at;
        v_task.eta := v_head.nominal_at;
        v_head.queue := p_old.queue;
        v_head.priority := p_old.priority;
        v_head.max_attempts := p_old.max_attempts;
        v_head.unique_key := p_old.unique_key;
        v_head.interval_ms := p_old.interval_ms;
        v_head.series_id := p_old.series_id;
        v_head.pinned := p_old.pinned;
        PERFORM omniq.add(v_task, v_head, p_now, p_mode);
    END IF;
END $$;

-- End a task.
CREATE FUNCTION omniq.finish(
    p_old omniq.head, p_state smallint, p_type smallint, p_error text, p_by_token boolean, p_now bigint, p_mode integer,
    p_result omniq.result DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_new omniq.head := p_old;
BEGIN
    v_new.state := p_state;
    v_new.lease_until := NULL;
    v_new.cancel_requested := false;
    v_new.finished_at := p_now;
    v_new.error := coalesce(p_error, p_old.error);
    IF NOT p_by_token THEN
        v_new.epoch := p_old.epoch + 1;
    END IF;
    PERFORM omniq.save(p_old, v_new, p_type, p_error, p_now, p_mode, p_result);
END $$;

-- End a task that waited past its expires_at.
CREATE FUNCTION omniq.expire(p_old omniq.head, p_now bigint, p_mode integer) RETURNS void LANGUAGE sql AS $$
    SELECT omniq.finish(p_old, 3::smallint, 9::smallint, 'expired', false, p_now, p_mode)
$$;

-- Put a running task back.
CREATE FUNCTION omniq.back(
    p_old omniq.head, p_type smallint, p_ready_at bigint, p_attempts bigint, p_error text, p_now bigint, p_mode integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_new omniq.head := p_old;
BEGIN
    v_new.state := 0;
    v_new.ready_at := p_ready_at;
    v_new.lease_until := NULL;
    v_new.attempts := p_attempts;
    v_new.error := coalesce(p_error, p_old.error);
    PERFORM omniq.save(p_old, v_new, p_type, p_error, p_now, p_mode);
END $$;
